"""What `InstrumentApp` does: the code changes that production needs, shown as a diff and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.devops.instrument.plan import apply, plan_instrumentation
from tools.devops.instrument.types import Instrumentation, InstrumentError
from tools.devops.project import ProjectError, scan_project
from tools.devops.spec import SpecError, read_spec
from tools.devops.types import Spec
from tools.plain import to_json
from tools.tool import ToolContext, ToolError, ToolResult


def instrument(ctx: ToolContext, path: str, subjects: Sequence[str] | None) -> ToolResult:
    """Plan and write the changes to the unit at `path`. Raises `ToolError`."""
    try:
        units = {unit.path: unit for unit in scan_project(ctx.root).units}
        unit = units.get(path.removeprefix("./").rstrip("/") or ".")
        if unit is None:
            raise ToolError(f"InstrumentApp: {path} is no deploy unit. Units: {', '.join(units) or 'none'}.")
        planned = plan_instrumentation(ctx.root, unit, subjects, _spec(ctx.root))
        dry_run = bool(ctx.state.get("dry_run"))
        if not dry_run:
            apply(ctx.root, planned)
    except (ProjectError, InstrumentError, OSError) as error:
        raise ToolError(f"InstrumentApp: {error}") from error
    return ToolResult(
        _told(path, planned, dry_run=dry_run), data={"unit": unit.path, **to_json(planned), "written": not dry_run}
    )


def _spec(root: Path) -> Spec | None:
    """The project's SPEC when there is exactly one that counts; instrumenting does without."""
    try:
        return read_spec(root)
    except SpecError:
        return None


def _told(path: str, planned: Instrumentation, *, dry_run: bool) -> str:
    verb = "would add (dry run, nothing written)" if dry_run else "added"
    lines = [f"{path}: {verb} {', '.join(planned.added) or 'nothing'}."]
    if not planned.changes and not planned.unsupported:
        lines = [f"{path}: nothing to add; the code has everything that was asked for."]
    lines += [f"not added: {text}" for text in planned.unsupported]
    lines += [f"note: {text}" for text in planned.notes]
    return "\n".join([*lines, "", *(change.diff for change in planned.changes)]).rstrip() + "\n"
