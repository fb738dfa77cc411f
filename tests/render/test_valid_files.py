"""What is rendered is accepted by the tools of the trade, for every sample."""

from __future__ import annotations

import ast
import importlib.resources
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

VENV = Path(sys.executable).parent
CLEAN = {"PATH": f"{VENV}:/usr/bin:/bin", "HOME": "/nonexistent"}


def run(*command: str, cwd: Path | None = None, text: str | None = None) -> subprocess.CompletedProcess[str]:
    program = VENV / command[0] if (VENV / command[0]).exists() else command[0]
    return subprocess.run(
        [str(program), *command[1:]],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        env=CLEAN,
        check=False,
        timeout=60,
    )


def schema(name: str) -> Any:
    data = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{name}.json"
    return json.loads(data.read_text(encoding="utf-8"))


def put(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")


def strings_on(text: str) -> Any:
    """YAML with `on` as a string, as GitHub reads it."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        key: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:bool"]
        for key, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
    return yaml.load(text, Loader=Loader)


def test_every_planned_file_renders_plainly(sample: Any) -> None:
    files = sample.files()
    assert files
    for path, text in files.items():
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert "{%" not in text, path
        assert "None" not in text.replace("'None'", ""), path
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), path
        if not path.endswith(".py"):
            assert "\n\n\n" not in re.sub(r"```.*?```", "code", text, flags=re.DOTALL), path


def test_dockerfiles_pass_hadolint_and_run_as_a_numbered_user(sample: Any) -> None:
    for path, text in sample.files("dockerfile").items():
        done = run("hadolint", "-", text=text)
        assert done.returncode == 0, f"{path}\n{done.stdout}\n{text}"
        assert text.startswith("# syntax=docker/dockerfile:1\n")
        assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] == "10001"
        assert re.search(r"^HEALTHCHECK ", text, re.MULTILINE)
        assert "curl" not in re.sub(r"#.*", "", text)
        assert not re.search(r"<<\w|COPY --link|@sha256:", text), "buildah 1.28 cannot build it"
        assert not re.search(r":latest\b|^FROM [^:\s]+$", text, re.MULTILINE)


def test_railway_images_have_no_cache_mounts_and_others_do(samples: dict[str, Any]) -> None:
    railway = samples["fastapi-pip-railway"].files("dockerfile")["Dockerfile"]
    kubernetes = samples["fastapi-uv-kubernetes"].files("dockerfile")["Dockerfile"]
    assert "--mount=type=cache" not in railway
    assert "--mount=type=cache" in kubernetes


def test_compose_files_fit_the_specification(sample: Any) -> None:
    validator = Draft202012Validator(schema("compose-spec"))
    example = sample.files("env_example")[".env.example"]
    for path, text in sample.files("compose").items():
        data = yaml.safe_load(text)
        errors = [e.message for e in validator.iter_errors(data)]
        assert not errors, f"{path}: {errors}\n{text}"
        services = data["services"]
        for name, service in services.items():
            for other, condition in service.get("depends_on", {}).items():
                assert other in services, name
                if condition["condition"] == "service_healthy":
                    assert "healthcheck" in services[other]
            for port in service.get("ports", []):
                assert port.startswith("127.0.0.1:")
            for volume in service.get("volumes", []):
                if isinstance(volume, str):
                    assert volume.split(":")[0] in data["volumes"]
        published = [p for s in services.values() for p in s.get("ports", [])]
        assert len(published) == len(set(published)), "two services want one port"
        for variable in re.findall(r"\$\{(\w+)", text.replace("$$", "")):
            assert f"{variable}=" in example


@pytest.mark.slow
def test_workflows_are_clean_for_three_linters(sample: Any, tmp_path: Path) -> None:
    files = sample.files("workflow")
    put(tmp_path, files)
    ((path, text),) = files.items()
    data = strings_on(text)
    errors = [e.message for e in Draft7Validator(schema("github-workflows")).iter_errors(data)]
    assert not errors, errors
    done = run("actionlint", path, cwd=tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{text}"
    done = run("zizmor", "--offline", "--persona=pedantic", "--format=json", path, cwd=tmp_path)
    # Service containers of tests are named by tag: nobody can know a digest that is not on record.
    findings = [f for f in json.loads(done.stdout) if f["ident"] != "unpinned-images"]
    assert not findings, [(f["ident"], f["desc"], f["locations"][0]["symbolic"]) for f in findings]
    assert data["permissions"] == {}
    for name, job in data["jobs"].items():
        assert job["timeout-minutes"], name
        if job["permissions"].get("packages") == "write":
            assert name.startswith("build")
            assert job["if"] == "github.event_name != 'pull_request'"
    for uses in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", uses)


def evaluated(expression: str, event: str, branch: str) -> Any:
    """A workflow expression of `&&`, `||` and `==` for one event: the operators mean what Python's `and`, `or` mean."""
    code = expression.removeprefix("${{").removesuffix("}}").strip().replace("&&", "and").replace("||", "or")
    code = code.replace("github.event_name", repr(event)).replace("github.ref", repr(f"refs/heads/{branch}"))
    return eval(code, {"__builtins__": {}})


EVENTS = [
    ("push", "main", "production"),
    ("push", "staging", "staging"),
    ("push", "develop", None),
    ("pull_request", "main", None),
    ("workflow_dispatch", "feature", "dev"),
    ("workflow_dispatch", "main", "production"),
]


def test_deploys_follow_build_and_test_and_choose_their_environment(sample: Any) -> None:
    data = strings_on(sample.files("workflow")[".github/workflows/ci-cd.yml"])
    assert {"main", "staging"} <= set(data["on"]["push"]["branches"])
    jobs = data["jobs"]
    for name, job in jobs.items():
        if name.startswith("deploy"):
            for event, branch, environment in EVENTS:
                runs = bool(evaluated(job["if"], event, branch))
                assert runs == (environment is not None), (event, branch)
                if runs:
                    assert evaluated(job["environment"]["name"], event, branch) == environment
            assert job["concurrency"]["cancel-in-progress"] is False
            before = job["needs"]
            assert before in jobs
            assert jobs[before]["needs"].startswith("test") if before.startswith("build") else before.startswith("test")


def test_no_deploy_names_one_environment_where_it_serves_three(sample: Any) -> None:
    text = sample.files("workflow")[".github/workflows/ci-cd.yml"]
    for job in strings_on(text)["jobs"].values():
        if "environment" not in job:
            continue
        scripts = "\n".join(str(step.get("run", "")) for step in job["steps"])
        assert not re.search(r"(?<!-)-(prod|staging|dev)\b|/(prod|staging)\b", scripts)
        if "$STAGE" in scripts:
            stages = [evaluated(job["env"]["STAGE"], event, branch) for event, branch, _ in EVENTS]
            assert stages == ["prod", "staging", "dev", "prod", "dev", "prod"]


@pytest.mark.slow
def test_kubernetes_objects_are_strictly_valid(sample: Any) -> None:
    import kubernetes_validate

    objects = [
        document
        for path, text in sample.files("kubernetes").items()
        if not path.endswith("kustomization.yaml")
        for document in yaml.safe_load_all(text)
    ]
    for item in objects:
        if item["kind"] != "HTTPRoute":
            kubernetes_validate.validate(item, "1.34", strict=True)
    by_kind: dict[str, list[Any]] = {}
    for item in objects:
        by_kind.setdefault(item["kind"], []).append(item)
    assert "Secret" not in by_kind
    pods = [d["spec"]["template"] for d in by_kind.get("Deployment", []) + by_kind.get("Job", [])]
    pods += [c["spec"]["jobTemplate"]["spec"]["template"] for c in by_kind.get("CronJob", [])]
    accounts = {a["metadata"]["name"] for a in by_kind.get("ServiceAccount", [])}
    for pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["serviceAccountName"] in accounts
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"]
    for service in by_kind.get("Service", []):
        selected = service["spec"]["selector"].items()
        matching = [p for p in pods if selected <= p["metadata"]["labels"].items()]
        assert len(matching) == 1
    scaled = {h["spec"]["scaleTargetRef"]["name"] for h in by_kind.get("HorizontalPodAutoscaler", [])}
    for deployment in by_kind.get("Deployment", []):
        assert deployment["spec"]["selector"]["matchLabels"].items() <= (
            deployment["spec"]["template"]["metadata"]["labels"].items()
        )
        assert ("replicas" in deployment["spec"]) is (deployment["metadata"]["name"] not in scaled)


@pytest.mark.needs("kubectl")
@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_kustomize_builds_every_overlay(samples: dict[str, Any], tmp_path: Path, environment: str) -> None:
    for name in ("monorepo-kubernetes-ko", "python-jobs-kubernetes"):
        put(tmp_path / name, samples[name].files("kubernetes"))
        done = run("kubectl", "kustomize", f"k8s/overlays/{environment}", cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr
        objects = list(yaml.safe_load_all(done.stdout))
        assert {o["metadata"].get("namespace") for o in objects if o["kind"] != "Namespace"} == {f"demo-{environment}"}
        images = re.findall(r"image: (\S+)", done.stdout)
        assert images
        assert all(image.startswith("ghcr.io/") and image == image.lower() for image in images)


ALLOWED_RAILWAY = {
    "service": {"build", "preDeploy", "healthcheck", "healthcheckTimeout", "replicas", "env", "deploy", "start"},
    "project": {"resources"},
}
RAILWAY_DEPLOY = {
    "restartPolicyType",
    "restartPolicyMaxRetries",
    "overlapSeconds",
    "drainingSeconds",
    "cronSchedule",
}


def test_railway_files_evaluate_and_use_known_keys(sample: Any) -> None:
    import railway_sdk

    for text in sample.files("railway").values():
        tree = ast.parse(text)
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)):
            used = {k.arg for k in call.keywords}
            assert isinstance(call.func, ast.Name)
            assert used <= ALLOWED_RAILWAY.get(call.func.id, set()), used
        scope: dict[str, Any] = {}
        exec(compile(tree, "railway.py", "exec"), scope)
        graph = scope["railway"](railway_sdk.create_railway_context(environment="production")).to_graph()
        services = [r for r in graph["resources"] if r["type"] == "service"]
        assert services
        for service in services:
            assert service["build"]["builder"] == "DOCKERFILE"
            assert set(service["deploy"]) - {"startCommand", "preDeployCommand", "healthcheckPath"} <= (
                RAILWAY_DEPLOY | {"healthcheckTimeout", "numReplicas", "multiRegionConfig"}
            )
            assert service["deploy"].get("drainingSeconds", 30) > 0
        done = run("ruff", "format", "--check", "--line-length=400", "-", text=text)
        assert done.returncode == 0, run("ruff", "format", "--diff", "--line-length=400", "-", text=text).stdout


def test_vercel_and_netlify_files_hold_known_keys(sample: Any) -> None:
    for text in sample.files("vercel").values():
        data = json.loads(text)
        known = "$schema framework installCommand buildCommand outputDirectory regions rewrites headers git crons"
        assert set(data) <= set(known.split())
    for text in sample.files("netlify").values():
        assert set(tomllib.loads(text)) <= {"build", "redirects", "headers", "functions"}
    for text in sample.files("railway_json").values():
        data = json.loads(text)
        assert data["build"]["builder"] == "DOCKERFILE"
        assert "startCommand" not in data["deploy"]


@pytest.mark.slow
def test_yaml_files_have_no_duplicate_keys_or_bad_layout(sample: Any, tmp_path: Path) -> None:
    files = {p: t for p, t in sample.files().items() if p.endswith((".yaml", ".yml"))}
    put(tmp_path, files)
    rules = "{extends: relaxed, rules: {line-length: disable, truthy: disable, document-start: disable}}"
    done = run("yamllint", "-s", "-d", rules, *files, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    updates = yaml.safe_load(files[".github/dependabot.yml"])
    assert not list(Draft7Validator(schema("dependabot")).iter_errors(updates))


def test_the_example_names_every_variable_and_opens_nothing(sample: Any) -> None:
    text = sample.files("env_example")[".env.example"]
    plan = sample.plan()
    for unit in sample.units:
        for name in unit.env:
            assert re.search(rf"^(# )?{name}=", text, re.MULTILINE), name
    for variable in plan.env:
        if variable.secret and variable.lives_in == "platform" and "://" not in variable.example:
            assert variable.example in ("replace-me-in-production", "app")
        if variable.lives_in == "ci":
            assert f"{variable.name}=" not in text


SECTIONS = {
    "en": ("## Deploy", "## Roll back", "## Rotate", "## Back up and restore", "## Incident", "## Troubleshooting"),
    "ko": ("## 배포", "## 롤백", "## 시크릿 교체", "## 백업과 복구", "## 장애 대응", "## 문제 해결"),
}


def test_documents_are_whole_in_the_readers_language(sample: Any) -> None:
    plan = sample.plan()
    files = sample.files("architecture", "runbook", "secrets_doc", "monitoring_doc")
    assert len(files) == 4
    for heading in SECTIONS[plan.language]:
        assert heading in files["docs/deployment/runbook.md"]
    for path, text in files.items():
        assert text.count("```") % 2 == 0, path
        assert bool(re.search(r"[가-힣]", text)) is (plan.language == "ko") or path.endswith("architecture.md")
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            done = run("shellcheck", "--shell=bash", "--exclude=SC2154", "-", text=block)
            assert done.returncode == 0, f"{path}\n{block}\n{done.stdout}"


def test_nothing_needs_the_network_or_the_clock(sample: Any) -> None:
    assert sample.files() == sample.files()
    assert os.environ.get("SOURCE_DATE_EPOCH") is None
