"""The tools that plan a deployment and write its files.

Both work from the SPEC and the project as they are on disk at the time of the call; nothing a model says can change
what a file contains except through decisions.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.devops.merge import Merge, merge, replace
from tools.devops.plan import make_plan
from tools.devops.render import RenderError, render, write_atomically
from tools.devops.types import ArtifactPlan, Decision, Plan, Project, Spec, to_json
from tools.tool import ToolContext, ToolError, ToolResult, tool

_SKIPPED = frozenset({".git", "node_modules", ".venv", "venv", "__pycache__", "dist", "target", "vendor", ".next"})
_MAX_EXISTING = 2_000_000


class DecisionInput(BaseModel):
    """A choice that was made: `platform`, `platform:<unit path>`, `domain`, `language`, `railway_json`."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z_]+(:[^\x00-\x1f]{1,200})?$")
    value: Any
    source: Literal["spec", "project", "user", "default"] = "user"
    evidence: str = ""


Decisions = Annotated[
    list[DecisionInput],
    Field(description="Choices made so far. What is missing is taken from the SPEC, the project, or a default."),
]
SpecName = Annotated[
    str | None, Field(description="Id or path of the SPEC. Leave it out when there is only one, or none.")
]


@tool("PlanDeployment", effects={"reads"})
async def plan_deployment(ctx: ToolContext, decisions: Decisions = [], spec: SpecName = None) -> ToolResult:  # noqa: B006 - never changed; pydantic copies defaults
    """Work out the deployment design from the SPEC, the project and the decisions made so far.

    Returns the plan as JSON: the files to write (path, kind, why, requirements), every environment variable and where
    it lives, strategy and rollback for each platform, a monthly cost estimate, what is unsupported, and notes. It
    writes nothing. Write the files afterwards with WriteArtifact, one call for each.
    """
    _spec, _project, plan = _planned(ctx, spec, decisions)
    data = to_json(plan)
    return ToolResult(json.dumps(data, ensure_ascii=False, separators=(",", ":")), data=data)


@tool("WriteArtifact", effects={"writes"})
async def write_artifact(
    ctx: ToolContext,
    path: Annotated[str, Field(description="Path of a planned file, relative to the workspace, as in the plan.")],
    kind: Annotated[str, Field(description="Kind of the planned file, as in the plan.")],
    decisions: Decisions = [],  # noqa: B006 - never changed; pydantic copies defaults
    spec: SpecName = None,
    on_conflict: Annotated[
        Literal["ask", "keep", "replace"],
        Field(
            description="What to do when a hand-written file is in the way. Choose replace only after the user agreed."
        ),
    ] = "ask",
) -> ToolResult:
    """Render one planned file and write it, merged with what is there.

    Returns a status and a unified diff. created, updated: written. unchanged: it was right already. conflict: an
    existing file differs and was left alone; show the diff to the user and ask, then call again with `keep` or
    `replace`. Pass the same decisions as to PlanDeployment.
    """
    spec_read, project, plan = _planned(ctx, spec, decisions)
    artifact = _find(plan, path, kind)
    target = _target(ctx.root, artifact.path)
    existing = _existing(target, artifact.path)
    try:
        rendered = render(plan, artifact, spec_read, project)
    except RenderError as error:
        raise ToolError(f"{error}. Correct the value in the project, or write this file by hand.") from error
    outcome = merge(existing, rendered, artifact.path, artifact.kind)
    if outcome.status == "conflict" and on_conflict == "replace":
        outcome = replace(existing, rendered, artifact.path)
    dry_run = bool(ctx.state.get("dry_run"))
    if outcome.status in ("created", "updated") and not dry_run:
        write_atomically(target, outcome.text)
    return _report(artifact, outcome, on_conflict, dry_run)


TOOLS = (plan_deployment, write_artifact)


# --- inputs ------------------------------------------------------------------------------------------------------


def _planned(
    ctx: ToolContext, spec: str | None, decisions: Sequence[DecisionInput]
) -> tuple[Spec | None, Project, Plan]:
    spec_read, project = _inputs(ctx, spec)
    given = [Decision(d.name, d.value, d.source, d.evidence) for d in decisions]
    return spec_read, project, make_plan(ctx.root, spec_read, project, given)


def _inputs(ctx: ToolContext, spec: str | None) -> tuple[Spec | None, Project]:
    """SPEC and project, read again only when a file of the workspace changed."""
    from tools.devops.project import ProjectError, scan_project
    from tools.devops.spec import NoSpec, SpecError, read_spec

    cache: dict[str, Any] = ctx.state.setdefault("devops", {})
    key = (spec, _fingerprint(ctx.root))
    if cache.get("key") == key:
        return cache["inputs"]  # type: ignore[no-any-return]  # stored below
    try:
        read: Spec | None = read_spec(ctx.root, spec)
    except NoSpec as error:
        if spec is not None:
            raise ToolError(str(error)) from error
        read = None
    except SpecError as error:
        raise ToolError(str(error)) from error
    try:
        project = scan_project(ctx.root)
    except ProjectError as error:
        raise ToolError(str(error)) from error
    cache.update(key=key, inputs=(read, project))
    return read, project


def _fingerprint(root: Path) -> str:
    """Changes when a file of the workspace is added, removed or written."""
    found = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(files):
            path = Path(folder, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            found.update(f"{path}\0{status.st_mtime_ns}\0{status.st_size}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


def _find(plan: Plan, path: str, kind: str) -> ArtifactPlan:
    wanted = path.removeprefix("./")
    for artifact in plan.artifacts:
        if artifact.path == wanted and artifact.kind == kind:
            return artifact
    known = ", ".join(f"{a.path} ({a.kind})" for a in plan.artifacts) or "none"
    raise ToolError(f"{path} ({kind}) is not in the plan. Planned files: {known}.")


def _target(root: Path, path: str) -> Path:
    """Where to write. A link on the way that leads out of the workspace is refused."""
    target = root / path
    real = Path(os.path.realpath(target))
    if not real.is_relative_to(os.path.realpath(root)):
        raise ToolError(f"{path} is a link that leads out of the workspace. Remove the link or choose another root.")
    if target.is_dir():
        raise ToolError(f"{path} is a directory. Move it away, or leave this file out.")
    return real


def _existing(target: Path, path: str) -> str | None:
    if not target.exists():
        return None
    if target.stat().st_size > _MAX_EXISTING:
        raise ToolError(f"{path} is larger than {_MAX_EXISTING} bytes; it is left alone.")
    try:
        with target.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ToolError(f"{path} is not UTF-8 text; it is left alone. Convert it, or move it away.") from error


def _report(artifact: ArtifactPlan, outcome: Merge, on_conflict: str, dry_run: bool) -> ToolResult:
    status = outcome.status
    explained = {
        "created": "created" if not dry_run else "would be created (dry run, nothing written)",
        "updated": "updated" if not dry_run else "would be updated (dry run, nothing written)",
        "unchanged": "unchanged: it is right already",
        "conflict": "conflict: the existing file differs and was left alone. Ask the user, then call again with "
        "on_conflict keep or replace.",
    }[status]
    if status == "conflict" and on_conflict == "keep":
        explained = "kept: the existing file was left alone as asked"
    data = {
        "path": artifact.path,
        "kind": artifact.kind,
        "status": status,
        "written": status in ("created", "updated") and not dry_run,
        "diff": outcome.diff,
        "requirements": list(artifact.requirements),
    }
    return ToolResult(f"{artifact.path}: {explained}\n{outcome.diff}".rstrip() + "\n", data=data)
