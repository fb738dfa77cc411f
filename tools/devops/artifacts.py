"""What `PlanDeployment` and `WriteArtifact` do: plan a deployment and write its files.

Both work from the SPEC and the project as they are on disk at the time of the call; nothing a model says can change
what a file contains except through decisions.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tools.atomic import write_text
from tools.devops.handover import Handover, Language
from tools.devops.handover import render as render_message
from tools.devops.handovers import handovers
from tools.devops.merge import Merge, merge, replace
from tools.devops.plan import make_plan, open_questions
from tools.devops.render import RenderError, render
from tools.devops.types import ArtifactPlan, Decision, Plan, Project, Spec
from tools.plain import to_json
from tools.tool import ToolContext, ToolError, ToolResult

_SKIPPED = frozenset({".git", "node_modules", ".venv", "venv", "__pycache__", "dist", "target", "vendor", ".next"})
_MAX_EXISTING = 2_000_000


OnConflict = Literal["ask", "keep", "replace"]


def plan_data(ctx: ToolContext, spec: str | None, decisions: Sequence[Decision]) -> dict[str, Any]:
    """The plan as JSON, with the questions that only a user can settle and the requests to siblings."""
    spec_read, project, plan = _planned(ctx, spec, decisions)
    messages = handovers(plan, spec_read, project)
    data: dict[str, Any] = to_json(plan)
    data["questions"] = to_json(open_questions(spec_read, project, plan.decisions))
    data["delegations"] = [_delegation(message, plan) for message in messages]
    return data


def write(
    ctx: ToolContext, path: str, kind: str, decisions: Sequence[Decision], spec: str | None, on_conflict: OnConflict
) -> ToolResult:
    """Render a planned file and write it, merged with what is there. Raises `ToolError`."""
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
        try:
            write_text(target, outcome.text)
        except OSError as error:
            raise ToolError(f"{artifact.path} cannot be written: {error.strerror}. Nothing was changed.") from error
    return _report(artifact, outcome, on_conflict, dry_run)


def _delegation(message: Handover, plan: Plan) -> dict[str, Any]:
    """A hand-over message as a request for the Delegate tool."""
    language: Language = "ko" if plan.language == "ko" else "en"
    context = {"spec": plan.spec_id, "facts": dict(message.facts), **{k: list(v) for k, v in message.groups.items()}}
    return {"to": message.to, "subject": message.subject, "task": render_message(message, language), "context": context}


# --- inputs ------------------------------------------------------------------------------------------------------


def _planned(ctx: ToolContext, spec: str | None, decisions: Sequence[Decision]) -> tuple[Spec | None, Project, Plan]:
    spec_read, project = _inputs(ctx, spec)
    return spec_read, project, make_plan(ctx.root, spec_read, project, decisions)


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
    elif status == "conflict" and dry_run:
        explained = "differs from the existing file; a real run would ask whose to keep (dry run)"
    data = {
        "path": artifact.path,
        "kind": artifact.kind,
        "status": status,
        "written": status in ("created", "updated") and not dry_run,
        "diff": outcome.diff,
        "requirements": list(artifact.requirements),
    }
    return ToolResult(f"{artifact.path}: {explained}\n{outcome.diff}".rstrip() + "\n", data=data)
