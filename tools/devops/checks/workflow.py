"""The `workflow` gate: GitHub Actions workflows. Schema first, then what a delivery pipeline must hold to.

Jobs are understood by what they do: a job that runs a deploy command is a deploy job whatever its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

from tools.devops.checks.documents import mapping, schema_findings
from tools.devops.checks.gate import Gate, Linter, Subject, each
from tools.devops.checks.linters import actionlint, zizmor
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.schemas import vendored
from tools.devops.checks.secret_patterns import is_placeholder
from tools.devops.checks.workflow_model import Job, Workflow, read_workflow
from tools.devops.types import Finding

_SECURE = "docs.github.com/actions/reference/security/secure-use"
_SYNTAX = "docs.github.com/actions/reference/workflows-and-actions/workflow-syntax"

RULES = Rules(
    "workflow",
    {
        "schema": Rule("error", "GitHub refuses the file.", "Correct the key or value.", "github-workflow schema"),
        "permissions": Rule(
            "error",
            "Without `permissions` the token has the repository's default rights, often write access to everything.",
            "Write `permissions: {}` (or `contents: read`) at the top, and what a job needs in the job.",
            _SECURE,
        ),
        "wide-permissions": Rule(
            "error",
            "A write right at the top is given to every job and to every action they use.",
            "Move the right to the one job that needs it.",
            _SECURE,
        ),
        "pin": Rule(
            "error",
            "A tag can be moved to other code, as happened to trivy-action in March 2026; a commit cannot.",
            "Use the 40-digit commit with the version as a comment: `uses: owner/action@<commit> # v1.2.3`.",
            _SECURE,
        ),
        "timeout": Rule(
            "warning", "A hanging job runs, and is paid, for 6 hours.", "Set `timeout-minutes` in the job.", _SYNTAX
        ),
        "order": Rule(
            "error",
            "What is not tested must not be built for release, and what is not built and tested must not be deployed.",
            "Chain the jobs with `needs`: test, then build, then deploy.",
            "own: test -> build -> deploy",
        ),
        "deploy-branch": Rule(
            "error",
            "A pull request or a feature branch would deploy to production.",
            "Give the job `if: github.ref == 'refs/heads/main'`, or trigger on pushes to that branch only.",
            "own",
        ),
        "health-step": Rule(
            "error",
            "Deploy commands return before the new version serves; a broken release then shows as success.",
            "Add a step that requests the health URL with retries and fails the job.",
            "measured: `railway up --ci` ends with the build",
        ),
        "failure-path": Rule(
            "warning",
            "When the health check fails, nobody is told how to go back.",
            "Add a step with `if: failure()` that rolls back or points to the runbook.",
            "own",
        ),
        "injection": Rule(
            "error",
            "The text of a title, branch or message becomes part of the shell script: its author runs commands.",
            'Hand it over in `env:` and use "$NAME" in the script.',
            _SECURE,
        ),
        "pull-request-target": Rule(
            "error",
            "Code of a fork runs with write rights and secrets.",
            "Use `pull_request`, or do not check out the head of the pull request.",
            _SECURE,
        ),
        "cancel-deploy": Rule(
            "error",
            "A push that cancels a running deployment leaves it half done.",
            "Cancel for pull requests only: `cancel-in-progress: ${{ github.event_name == 'pull_request' }}`.",
            f"{_SYNTAX}#concurrency",
        ),
        "literal-secret": Rule(
            "error",
            "Everyone who can read the repository can read it; zizmor does not see it.",
            "Store it with `gh secret set NAME` and write `${{ secrets.NAME }}`.",
            _SECURE,
        ),
        "image-case": Rule(
            "error",
            "Registries refuse image names with capitals, and `github.repository` may hold some.",
            "Write the name in lower case, or lower it in a step (docker/metadata-action does).",
            "docs.github.com/packages, OCI distribution specification",
        ),
        "detached-deploy": Rule(
            "error",
            "`railway up --detach` returns once the upload is queued; a failed build goes unseen.",
            "Use `railway up --ci`, then wait for the deployment and check its health.",
            "docs.railway.com/reference/cli-api",
        ),
        "vercel-ids": Rule(
            "error",
            "Without both ids the Vercel CLI asks which project is meant, and the job fails.",
            "Set VERCEL_ORG_ID and VERCEL_PROJECT_ID in `env`.",
            "vercel.com/docs/git/vercel-for-github",
        ),
        "build-rights": Rule(
            "error",
            "The push to ghcr.io is refused.",
            "Give this job `permissions: {contents: read, packages: write}`.",
            "docs.github.com/packages",
        ),
    },
)

_PINNED = re.compile(r"[^@\s]+@[0-9a-f]{40}|docker://[^\s]+@sha256:[0-9a-f]{64}|\./\S*")
_ATTACKER = re.compile(
    r"\$\{\{[^}]*\bgithub\.(event\.(issue|pull_request|comment|review|review_comment|discussion|head_commit|commits|pages"
    r"|workflow_run|release|inputs)\b[^}]*|head_ref|ref_name)[^}]*\}\}|\$\{\{[^}]*\binputs\.[^}]*\}\}"
)
_SECRET_KEY = re.compile(r"(^|[-_])(password|passwd|token|secret|api[-_]?key|private[-_]?key)$", re.IGNORECASE)
_HEALTH = re.compile(r"curl|wget|urlopen|urllib|httpx|fetch\(|health|smoke|rollout status|livez|readyz", re.IGNORECASE)
_FAILURE = re.compile(r"failure\(\)|always\(\)|rollback|rollout undo|roll back", re.IGNORECASE)


def select(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path
        for path in subject.tree.files
        if path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml")) and path.count("/") == 2
    )


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    branch = (subject.given_project and subject.given_project.default_branch) or None
    yield from each(files, lambda path: _check_file(subject, path, branch))


def _check_file(subject: Subject, path: str, branch: str | None) -> Iterator[Finding]:
    documents = subject.yaml(path)
    if not documents:
        yield RULES.at("schema", path, 0, "The file is empty.")
        return
    yield from schema_findings(documents[0], _schema(), RULES)
    workflow = read_workflow(documents[0])
    yield from _rights(workflow)
    yield from _steps(workflow)
    yield from _pipeline(workflow, branch)


@cache
def _schema() -> Any:
    """The published schema, less what GitHub itself does not ask for: a `strategy` may do without a `matrix`."""
    schema = deepcopy(vendored("github-workflows"))
    for kind in ("normalJob", "reusableWorkflowCallJob"):
        schema["definitions"][kind]["properties"]["strategy"].pop("required", None)
    return schema


def _rights(workflow: Workflow) -> Iterator[Finding]:
    file, top = workflow.file, workflow.top
    rights = top.get("permissions")
    if rights is None and "permissions" not in top:
        for job in workflow.jobs.values():
            if "permissions" not in job.body:
                yield RULES.at("permissions", file, job.line, f"Job {job.id} does not limit the token's permissions.")
    wide = [scope for scope, right in mapping(rights).items() if right == "write"]
    if rights == "write-all" or wide:
        named = ", ".join(wide) or "everything"
        yield RULES.at("wide-permissions", file, workflow.line("permissions"), f"Every job may write {named[:80]}.")
    for job in workflow.jobs.values():
        if job.body.get("permissions") == "write-all":
            yield RULES.at("wide-permissions", file, job.line, f"Job {job.id} may write everything.")
        if "timeout-minutes" not in job.body and "uses" not in job.body:
            yield RULES.at("timeout", file, job.line, f"Job {job.id} has no timeout-minutes.")
        uses = job.body.get("uses")
        if isinstance(uses, str) and not _PINNED.fullmatch(uses):
            yield _unpinned(file, job.line, uses)
    if "pull_request_target" in workflow.triggers:
        text = str(workflow.top.get("jobs"))
        if "actions/checkout" in text and re.search(r"pull_request\.head|head_ref|refs/pull", text):
            line = workflow.line("on", "pull_request_target")
            yield RULES.at(
                "pull-request-target", file, line, "pull_request_target checks out the code of the pull request."
            )


def _unpinned(file: str, line: int, uses: str) -> Finding:
    """GitHub's own actions at a version are a smaller risk than those of others."""
    own = re.match(r"(actions|github)/[\w./-]+@v\d", uses)
    message = f"{uses[:80]} is not pinned to a commit."
    return RULES.at("pin", file, line, message, severity="warning" if own else None)


def _steps(workflow: Workflow) -> Iterator[Finding]:
    for job in workflow.jobs.values():
        for index, step in enumerate(job.steps):
            line = job.step_line(index)
            uses, script = step.get("uses"), step.get("run")
            if isinstance(uses, str) and not _PINNED.fullmatch(uses):
                yield _unpinned(workflow.file, line, uses)
            if isinstance(script, str) and (found := _ATTACKER.search(script)):
                yield RULES.at("injection", workflow.file, line, f"The script contains {found[0][:80]}.")
            yield from _literals(workflow.file, line, {**mapping(step.get("with")), **mapping(step.get("env"))})
            yield from _image_names(workflow.file, line, step)
        yield from _literals(workflow.file, job.line, mapping(job.body.get("env")))
        yield from _registry_rights(workflow, job)
    yield from _literals(workflow.file, workflow.line("env"), mapping(workflow.top.get("env")))


def _literals(file: str, line: int, values: dict[str, Any]) -> Iterator[Finding]:
    for key, value in values.items():
        literal = isinstance(value, str) and len(value) >= 12 and "${{" not in value
        if literal and _SECRET_KEY.search(key) and not is_placeholder(value):
            yield RULES.at("literal-secret", file, line, f"{key[:60]} has a literal value.")


def _image_names(file: str, line: int, step: dict[str, Any]) -> Iterator[Finding]:
    if "build-push-action" not in str(step.get("uses")):
        return
    tags = str(mapping(step.get("with")).get("tags", ""))
    for tag in re.split(r"[\s,]+", tags):
        name = re.sub(r"\$\{\{.*?\}\}", "x", tag).rpartition(":")[0]
        if "github.repository" in tag or re.search(r"[A-Z]", name):
            yield RULES.at("image-case", file, line, "The image name may hold capitals.")
            return


def _registry_rights(workflow: Workflow, job: Job) -> Iterator[Finding]:
    pushes = any(
        "build-push-action" in str(step.get("uses")) and mapping(step.get("with")).get("push") in (True, "true")
        for step in job.steps
    ) or re.search(r"docker push|buildah push", job.script)
    rights = job.body.get("permissions", workflow.top.get("permissions"))
    if pushes and "ghcr.io" in str(workflow.top) and isinstance(rights, dict) and rights.get("packages") != "write":
        yield RULES.at(
            "build-rights", workflow.file, job.line, f"Job {job.id} pushes an image without packages: write."
        )


def _pipeline(workflow: Workflow, branch: str | None) -> Iterator[Finding]:
    deploys = [job for job in workflow.jobs.values() if job.deploys]
    yield from _order(workflow)
    for job in deploys:
        if not job.preview and not workflow.only_on_default_branch(job, branch):
            yield RULES.at(
                "deploy-branch", workflow.file, job.line, f"Job {job.id} deploys from other branches or events."
            )
        after = [job, *(other for other in workflow.jobs.values() if job.id in workflow.ancestors(other))]
        texts = [text for other in after for text in other.step_texts]
        if not any(_HEALTH.search(text) for text in texts):
            yield RULES.at("health-step", workflow.file, job.line, f"Nothing checks the health after job {job.id}.")
        elif not any(_FAILURE.search(text) for text in (*texts, *(str(other.body.get("if")) for other in after))):
            yield RULES.at(
                "failure-path", workflow.file, job.line, f"Job {job.id} has no step for a failed deployment."
            )
        if re.search(r"railway up\b.*--detach", job.script):
            yield RULES.at("detached-deploy", workflow.file, job.line, f"Job {job.id} does not wait for the build.")
        if re.search(r"\bvercel (deploy|pull|build)\b", job.script):
            known = f"{workflow.top.get('env')}{job.body}"
            if "VERCEL_ORG_ID" not in known or "VERCEL_PROJECT_ID" not in known:
                yield RULES.at(
                    "vercel-ids", workflow.file, job.line, f"Job {job.id} does not name organisation and project."
                )
        yield from _concurrency(workflow, job)


def _order(workflow: Workflow) -> Iterator[Finding]:
    """Test before build before deploy, among the jobs of one file; a job that does two of these orders itself.

    With several units in one file a job waits for the jobs of its own unit, so one of each kind is enough.
    """
    jobs = workflow.jobs.values()
    tests = [job for job in jobs if job.tests and not job.deploys]
    builds = [job for job in jobs if job.builds and not job.deploys]
    for job in jobs:
        before = workflow.ancestors(job)
        due = []
        if tests and not job.tests and not job.preview and (job.builds or job.deploys):
            due += [] if before & {other.id for other in tests} else [other.id for other in tests]
        if builds and not job.builds and job.deploys and not job.preview:
            due += [] if before & {other.id for other in builds} else [other.id for other in builds]
        if due:
            yield RULES.at(
                "order", workflow.file, job.line, f"Job {job.id} does not wait for {' or '.join(due)[:100]}."
            )
    if not tests and any(job.deploys and not job.preview for job in jobs) and not workflow.called:
        job = next(job for job in jobs if job.deploys and not job.preview)
        yield RULES.at(
            "order", workflow.file, job.line, f"Job {job.id} deploys and no job of this workflow runs tests."
        )


def _concurrency(workflow: Workflow, job: Job) -> Iterator[Finding]:
    for holder, line in ((workflow.top, workflow.line("concurrency")), (job.body, job.line)):
        if mapping(holder.get("concurrency")).get("cancel-in-progress") is True:
            yield RULES.at("cancel-deploy", workflow.file, line, f"A newer run cancels the deployment in job {job.id}.")


GATE = Gate(
    "workflow",
    RULES,
    select,
    check,
    (
        Linter("actionlint", actionlint.locate, actionlint.run),
        Linter("zizmor", zizmor.locate, zizmor.run),
    ),
)
