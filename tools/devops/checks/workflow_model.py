"""A GitHub Actions workflow as jobs that test, build or deploy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tools.devops.checks.documents import Document, mapping, sequence

_TEST = re.compile(
    r"\b(pytest|mix test|nextest|artisan test|rails test|mvnw [^\n]*(test|verify|package|install)"
    r"|tox|nox|unittest|jest|vitest|mocha|playwright test|go test|cargo test|mvn (verify|test)"
    r"|gradlew? (test|check)|rspec|phpunit|dotnet test|(npm|pnpm|yarn|bun)( run)? test|npm t\b"
    r"|make (test|check)|manage\.py test)\b"
)
_BUILD = re.compile(
    r"\b(docker (buildx )?build|buildah (build|bud)|docker push|kaniko|sam build"
    r"|(vercel|netlify(-cli)?)(@\S+)? (build|deploy))\b"  # these deploy what the same job built, not an image
)
_BUILD_ACTION = re.compile(r"^docker/(build-push|bake)-action@")
_DEPLOY = re.compile(
    r"\brailway (up|redeploy|config apply)\b|\bvercel(@\S+)? (deploy|--prod)|\bvercel --token|\bnetlify deploy\b"
    r"|\b(fly|flyctl) deploy\b"
    r"|\bkubectl\b[^\n;&|]*\b(apply|set image|rollout restart)\b|\bhelm (upgrade|install)\b|\bsam deploy\b"
    r"|\baws (ecs update-service|lambda update-function-code|cloudformation deploy)\b|\b(serverless|sls) deploy\b"
    r"|\bgcloud (run|app) deploy\b|\bterraform apply\b|\bcdk deploy\b|\bdoctl apps\b"
    r"|\bgcloud run services replace\b|\baz containerapp update\b|\bswitch\.sh deploy\b"
)
_DEPLOY_ACTION = re.compile(
    r"^(aws-actions/amazon-ecs-deploy|google-github-actions/deploy|azure/(webapps|k8s)-deploy|superfly/flyctl-actions"
    r"|nwtgck/actions-netlify|amondnet/vercel-action|bervproject/railway-deploy)",
    re.IGNORECASE,
)
_OWN_CLUSTER = re.compile(r"\b(kind create cluster|minikube start|k3d cluster create)\b")
_PREVIEW = re.compile(r"preview|staging|develop|\bdev\b|review|sandbox", re.IGNORECASE)
_ELSEWHERE = re.compile(r"^\s*#.*$|\becho\b.*$|--dry-run\S*", re.MULTILINE)
_GUARD = re.compile(r"refs/(heads|tags)/|github\.ref_name|default_branch|github\.ref_type|head_branch")


@dataclass(frozen=True)
class Job:
    id: str
    body: dict[str, Any]
    document: Document

    @property
    def line(self) -> int:
        return self.document.line("jobs", self.id)

    def step_line(self, index: int) -> int:
        return self.document.line("jobs", self.id, "steps", index)

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        return [mapping(step) for step in sequence(self.body.get("steps"))]

    @cached_property
    def step_texts(self) -> tuple[str, ...]:
        """Name, condition, action and script of each step as one text."""
        return tuple(" ".join(str(step.get(key, "")) for key in ("name", "if", "uses", "run")) for step in self.steps)

    @cached_property
    def script(self) -> str:
        """All `run` text, without comments, echoes and dry runs."""
        return _ELSEWHERE.sub("", "\n".join(str(step.get("run", "")) for step in self.steps))

    @cached_property
    def _actions(self) -> tuple[str, ...]:
        return tuple(str(step.get("uses", "")) for step in self.steps)

    @cached_property
    def tests(self) -> bool:
        return bool(_TEST.search(self.script)) or bool(
            re.fullmatch(r"(unit-?|e2e-?)?tests?(-[\w-]+)?|ci|verify", self.id)
        )

    @cached_property
    def builds(self) -> bool:
        return bool(_BUILD.search(self.script)) or any(_BUILD_ACTION.match(action) for action in self._actions)

    @cached_property
    def deploys(self) -> bool:
        if _OWN_CLUSTER.search(self.script) or any(
            re.search(r"/(kind|k3d|minikube)[\w-]*@|setup-kind", action) for action in self._actions
        ):
            return False  # a cluster that lives as long as the job
        return bool(_DEPLOY.search(self.script)) or any(_DEPLOY_ACTION.match(action) for action in self._actions)

    @property
    def preview(self) -> bool:
        """True when the job's name or environment says that this is not production."""
        environment = self.body.get("environment")
        name = environment if isinstance(environment, str) else mapping(environment).get("name", "")
        return bool(_PREVIEW.search(f"{self.id} {name}"))


@dataclass(frozen=True)
class Workflow:
    file: str
    top: dict[str, Any]
    jobs: dict[str, Job]
    document: Document

    def line(self, *path: str) -> int:
        return self.document.line(*path)

    @cached_property
    def triggers(self) -> dict[str, dict[str, Any]]:
        """Events with their filters."""
        on = self.top.get("on")
        if isinstance(on, dict):
            return {name: mapping(value) for name, value in on.items()}
        return {str(name): {} for name in (on if isinstance(on, list) else [on])}

    @property
    def called(self) -> bool:
        """True when another workflow decides when this one runs, and so what came before."""
        return bool({"workflow_call", "workflow_run", "release", "workflow_dispatch"} & self.triggers.keys()) and not (
            {"push", "pull_request"} & self.triggers.keys()
        )

    def ancestors(self, job: Job) -> set[str]:
        """Ids of all jobs that `job` waits for, directly or not."""
        found: set[str] = set()
        todo = [job]
        while todo:
            needs = todo.pop().body.get("needs")
            for name in [needs] if isinstance(needs, str) else sequence(needs):
                if isinstance(name, str) and name in self.jobs and name not in found:
                    found.add(name)
                    todo.append(self.jobs[name])
        return found

    def only_on_default_branch(self, job: Job, branch: str | None) -> bool:
        """Whether conditions (of the job or one it waits for) or the triggers keep it to one branch or to releases."""
        conditions = [str(self.jobs[name].body.get("if", "")) for name in (*self.ancestors(job), job.id)]
        if any(_GUARD.search(condition) for condition in conditions):
            return True
        allowed = {branch} if branch else {"main", "master", "trunk", "production"}
        for event, filters in self.triggers.items():
            if event in (
                "workflow_dispatch",
                "release",
                "workflow_call",
                "schedule",
                "repository_dispatch",
                "deployment",
            ):
                continue
            if event in ("push", "workflow_run"):
                branches = {str(name) for name in sequence(filters.get("branches"))}
                if (branches and branches <= allowed) or (not branches and filters.get("tags")):
                    continue
            if event == "pull_request" and any(re.search(r"event_name\s*==\s*'push'", c) for c in conditions):
                continue
            return False
        return True


def read_workflow(document: Document) -> Workflow:
    """The workflow, as far as the document has the right shape; the schema reports the rest."""
    top = mapping(document.value)
    jobs = {name: Job(name, mapping(body), document) for name, body in mapping(top.get("jobs")).items()}
    return Workflow(document.file, top, jobs, document)
