"""Platforms the project points at, deployment files already there, and the default branch.

A sign is a file, a step of a workflow, a platform's SDK, or, without any of these, the stack's usual home. A
Dockerfile or compose file alone is no platform: many platforms take both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate

from tools.devops.project.tree import SIDE_FOLDERS, Folder, Tree, words
from tools.devops.types import DeployUnit, PlatformSign

# platform -> file names that are its own
_FILES = {
    name: platform
    for platform, names in {
        "railway": "railway.json railway.toml",
        "vercel": "vercel.json vercel.ts",
        "netlify": "netlify.toml",
        "aws-lambda": "serverless.yml serverless.yaml serverless.ts samconfig.toml samconfig.yaml zappa_settings.json",
        "kubernetes": "kustomization.yaml kustomization.yml Chart.yaml skaffold.yaml helmfile.yaml",
        "fly": "fly.toml",
        "render": "render.yaml",
        "heroku": "heroku.yml app.json",
        "gcp-app-engine": "app.yaml",
        "firebase": "firebase.json",
        "cloudflare": "wrangler.toml wrangler.json wrangler.jsonc",
        "azure": "azure.yaml azure-pipelines.yml",
        "aws-elastic-beanstalk": "Dockerrun.aws.json",
        "aws-app-runner": "apprunner.yaml",
        "aws-ecs": "task-definition.json",
        "aws-ec2": "appspec.yml",
    }.items()
    for name in names.split()
}
# folder -> the platform whose files it holds
_OWN_FOLDERS = {
    ".railway": "railway",
    ".vercel": "vercel",
    ".do": "digitalocean",
    ".ebextensions": "aws-elastic-beanstalk",
    "copilot": "aws-ecs",
}
# The same file name is used by others: only with this text is it the platform's.
_SAYS = {
    "app.yaml": re.compile(r"^runtime:|^env:\s*flex", re.MULTILINE),
    "app.json": re.compile(r"\"(?:buildpacks|formation|addons|dynos)\"\s*:"),
    "azure-pipelines.yml": re.compile(r"Azure(?:WebApp|RmWebApp|Functions?App|ContainerApps)|Kubernetes"),
}
_MANIFEST_FOLDERS = frozenset({"k8s", "kubernetes", "manifests", "deploy", "helm", "charts"})
_K8S_KIND = re.compile(r"^kind:\s*(?:Deployment|StatefulSet|Service|CronJob|Ingress|HTTPRoute)\b", re.MULTILINE)
_CDK = (
    ("aws-lambda", re.compile(r"aws[-_]lambda|PythonFunction|NodejsFunction")),
    ("aws-ecs", re.compile(r"aws[-_]ecs|Fargate")),
)
_TERRAFORM = (
    ("aws-lambda", re.compile(r"resource\s+\"aws_lambda_function\"")),
    ("aws-ecs", re.compile(r"resource\s+\"aws_ecs_(?:service|cluster)\"")),
    ("aws-ec2", re.compile(r"resource\s+\"aws_(?:instance|launch_template|autoscaling_group)\"")),
    (
        "kubernetes",
        re.compile(
            r"resource\s+\"(?:aws_eks_cluster|google_container_cluster|azurerm_kubernetes_cluster|kubernetes_deployment\w*|helm_release)\""
        ),
    ),
    ("digitalocean", re.compile(r"resource\s+\"digitalocean_(?:droplet|app)\"")),
    ("gcp-cloud-run", re.compile(r"resource\s+\"google_cloud_run\w*\"")),
    ("azure", re.compile(r"resource\s+\"azurerm_(?:container_app|linux_web_app|app_service)\w*\"")),
    ("vercel", re.compile(r"resource\s+\"vercel_project\"")),
    ("cloudflare", re.compile(r"resource\s+\"cloudflare_(?:pages_project|workers?_script)\"")),
)
_STEPS = (
    ("railway", re.compile(r"railway (?:up|redeploy|config apply)|@railway/cli|railwayapp/")),
    ("vercel", re.compile(r"\bvercel (?:deploy|--prod|pull|build)|amondnet/vercel-action|vercel/action")),
    ("netlify", re.compile(r"netlify deploy|netlify/actions|nwtgck/actions-netlify")),
    (
        "aws-lambda",
        re.compile(r"\bsam deploy|serverless deploy|\bsls deploy|aws lambda update-function-code|aws-lambda-deploy"),
    ),
    ("aws-ecs", re.compile(r"aws-actions/amazon-ecs-deploy|aws ecs update-service")),
    ("aws-ec2", re.compile(r"aws deploy create-deployment|appleboy/ssh-action")),
    (
        "kubernetes",
        re.compile(r"\bkubectl (?:apply|set image|rollout)|\bhelm upgrade|azure/k8s-deploy|kustomize build"),
    ),
    ("fly", re.compile(r"\bfly(?:ctl)? deploy|superfly/flyctl-actions")),
    ("render", re.compile(r"api\.render\.com|RENDER_DEPLOY_HOOK")),
    ("heroku", re.compile(r"akhileshns/heroku-deploy|git\.heroku\.com|heroku container:release")),
    ("gcp-cloud-run", re.compile(r"google-github-actions/deploy-cloudrun|gcloud run (?:deploy|services replace)")),
    ("gcp-app-engine", re.compile(r"google-github-actions/deploy-appengine|gcloud app deploy")),
    ("azure", re.compile(r"azure/webapps-deploy|azure/container-apps-deploy|az containerapp|azure/functions-action")),
    ("cloudflare", re.compile(r"cloudflare/(?:wrangler|pages)-action|wrangler deploy|wrangler pages deploy")),
    ("digitalocean", re.compile(r"digitalocean/app_action|doctl apps|api\.digitalocean\.com")),
    ("github-pages", re.compile(r"actions/deploy-pages|peaceiris/actions-gh-pages|gh-pages -d")),
    ("firebase", re.compile(r"FirebaseExtended/action-hosting-deploy|firebase deploy")),
)
_SDKS = (
    (
        "aws-lambda",
        (
            "mangum",
            "aws-lambda-powertools",
            "serverless-http",
            "chalice",
            "@aws-lambda-powertools/logger",
            "@codegenie/serverless-express",
            "github.com/aws/aws-lambda-go",
            "lambda_http",
            "lambda_runtime",
            "aws-lambda-java-core",
        ),
    ),
    (
        "vercel",
        (
            "@vercel/analytics",
            "@vercel/node",
            "@vercel/postgres",
            "@vercel/blob",
            "@vercel/kv",
            "@vercel/functions",
            "@vercel/speed-insights",
            "@astrojs/vercel",
            "@sveltejs/adapter-vercel",
            "@vercel/remix",
            "@vercel/edge-config",
        ),
    ),
    (
        "netlify",
        (
            "@netlify/functions",
            "@netlify/blobs",
            "@netlify/plugin-nextjs",
            "@astrojs/netlify",
            "@sveltejs/adapter-netlify",
            "@netlify/edge-functions",
        ),
    ),
    (
        "cloudflare",
        (
            "@cloudflare/workers-types",
            "@astrojs/cloudflare",
            "@sveltejs/adapter-cloudflare",
            "@opennextjs/cloudflare",
            "@cloudflare/next-on-pages",
            "wrangler",
        ),
    ),
    ("firebase", ("firebase-functions",)),
    ("gcp-cloud-run", ("functions-framework", "@google-cloud/functions-framework")),
    ("azure", ("azure-functions", "@azure/functions", "Microsoft.Azure.Functions.Worker")),
)

_MAX_DEPTH = 4
_EXISTING = re.compile(
    "|".join(
        translate(pattern)
        for pattern in words(
            "Dockerfile Dockerfile.* *.Dockerfile Containerfile .dockerignore docker-compose*.yml docker-compose*.yaml "
            "compose*.yml compose*.yaml Procfile nixpacks.toml nixpacks.json railpack.json Makefile "
            ".env.example .env.sample .env.template template.yaml template.yml cdk.json Jenkinsfile .gitlab-ci.yml "
            "*.tf bitbucket-pipelines.yml Caddyfile nginx.conf Vagrantfile docker-bake.hcl Tiltfile "
            "dependabot.yml"
        )
    )
)


def platform_signs(
    tree: Tree, own: dict[str, str], units: list[DeployUnit], packages: dict[str, frozenset[str]]
) -> list[PlatformSign]:
    """Signs ordered by how strong they are: files, workflow steps, SDKs; a default only without any."""
    files: dict[str, list[str]] = {}
    for path, platform in own.items():
        files.setdefault(platform, []).append(path)
    if not files and tree.files.get("Procfile") is not None:
        files["heroku"] = ["Procfile"]
    steps: dict[str, list[str]] = {}
    for path in workflow_files(tree):
        content = tree.read(path)
        for platform, pattern in _STEPS:
            if pattern.search(content):
                steps.setdefault(platform, []).append(path)
    sdks: dict[str, list[str]] = {}
    for platform, names in _SDKS:
        for path, used in packages.items():
            sdks.setdefault(platform, []).extend(f"{path}: {name}" for name in names if name in used)
    signs = [
        PlatformSign(platform, tuple(evidence[:5]), source)
        for source, found in (("file", files), ("workflow", steps), ("sdk", sdks))
        for platform, evidence in found.items()
        if evidence
    ]
    return signs or _default(tree, units)


def file_platforms(tree: Tree, units: Iterable[str]) -> dict[str, str]:
    """Path -> platform, for every file that is a platform's own.

    A platform's configuration counts in the root, in a unit and above one; manifests and Terraform count anywhere.
    """
    places = {""}
    for unit in units:
        parts = [] if unit == "." else unit.split("/")
        places |= {"/".join(parts[:count]) for count in range(len(parts) + 1)}
    return {path: platform for path in _near(tree) if (platform := _file_platform(tree, path, places))}


def _near(tree: Tree) -> Iterator[str]:
    """Files not too deep, and not in tests, examples or docs."""
    for path in tree.files:
        folders = path.lower().split("/")[:-1]
        if len(folders) <= _MAX_DEPTH and SIDE_FOLDERS.isdisjoint(folders):
            yield path


def _file_platform(tree: Tree, path: str, places: set[str]) -> str | None:
    *folders, name = path.split("/")
    if folders and folders[-1] in _OWN_FOLDERS:
        return _OWN_FOLDERS[folders[-1]]
    platform = _FILES.get(name)
    is_placed = platform == "kubernetes" or "/".join(folders) in places
    if platform and is_placed and (name not in _SAYS or _SAYS[name].search(tree.read(path))):
        return platform
    if name in ("template.yaml", "template.yml") and "AWS::Serverless" in tree.read(path):
        return "aws-lambda"
    if name == "cdk.json":
        return _cdk(tree, path)
    if name.endswith(".tf"):
        return next((platform for platform, pattern in _TERRAFORM if pattern.search(tree.read(path))), None)
    is_manifest = name.endswith((".yaml", ".yml")) and not _MANIFEST_FOLDERS.isdisjoint(folders)
    return "kubernetes" if is_manifest and _K8S_KIND.search(tree.read(path)) else None


def _cdk(tree: Tree, path: str) -> str:
    folder = Folder(tree, path.rsplit("/", 1)[0] if "/" in path else ".")
    for _name, source in folder.sources(".ts", ".py"):
        for platform, pattern in _CDK:
            if "cdk" in source and pattern.search(source):
                return platform
    return "aws-ecs"


def workflow_files(tree: Tree) -> list[str]:
    """CI definitions that may hold deploy steps."""
    return [
        path
        for path in tree.files
        if (path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml")))
        or path in (".gitlab-ci.yml", ".circleci/config.yml", "bitbucket-pipelines.yml", "Jenkinsfile")
    ]


def _default(tree: Tree, units: list[DeployUnit]) -> list[PlatformSign]:
    """The usual home of a stack, an assumption."""
    signs: dict[str, list[str]] = {}
    backends = [unit for unit in units if unit.kind in ("backend", "worker")]
    for unit in units:
        home = {
            "function": "aws-lambda",
            "frontend": "vercel",
            "static": "vercel",
            "backend": "railway",
            "worker": "railway",
        }.get(unit.kind)
        if unit.kind == "fullstack":
            home = (
                "vercel"
                if {"next", "nuxt", "sveltekit", "astro", "remix", "react-router"} & set(unit.frameworks)
                else "railway"
            )
        if home:
            signs.setdefault(home, []).append(unit.path)
    if len(backends) >= 4 and any("kubernetes" in tree.read(name).lower() for name in ("README.md", "readme.md")):
        signs = {"kubernetes": [unit.path for unit in backends]}
    return [PlatformSign(platform, tuple(paths[:5]), "default") for platform, paths in signs.items()]


def existing_files(tree: Tree, own: dict[str, str]) -> list[str]:
    """Deployment files already in the project, in path order."""
    named = {path for path in _near(tree) if _EXISTING.fullmatch(path.rsplit("/", 1)[-1])}
    return sorted({*workflow_files(tree), *own, *named})


# --- the default branch ----------------------------------------------------------------------------------------

_BRANCH = re.compile(r"ref:\s*refs/(?:heads|remotes/origin)/([\w][\w./-]{0,100})\s*")


def default_branch(tree: Tree) -> str | None:
    """The default branch by git's own files (git is never run): origin's HEAD, a main or master, the current one."""
    git = tree.root / ".git"
    if git.is_symlink() or not git.is_dir():
        return None

    def branch_in(*parts: str) -> str | None:
        path = git.joinpath(*parts)
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > 4096:
                return None
            found = _BRANCH.fullmatch(path.read_text("utf-8", errors="replace"))
        except OSError:
            return None
        return found[1] if found else None

    current = branch_in("HEAD")
    if origin := branch_in("refs", "remotes", "origin", "HEAD"):
        return origin
    usual = (name for name in ("main", "master") if (git / "refs" / "heads" / name).is_file())
    return next(usual, None) or current
