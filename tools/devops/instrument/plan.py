"""From a unit to its changes: which framework, which subjects, and the diff."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tools.atomic import write_text
from tools.devops.instrument import django, express, fastapi, flask, nest, next_js
from tools.devops.instrument.necessity import optional_roles
from tools.devops.instrument.source import Unit, read_exact, unified_diff
from tools.devops.instrument.types import Draft, FileChange, Instrumentation, InstrumentError
from tools.devops.project.tree import Folder, Tree
from tools.devops.project.units import find_units
from tools.devops.types import DeployUnit, Spec

SUBJECTS = ("health", "liveness", "metrics", "json_logs", "sigterm")

_FRAMEWORKS: dict[str, Callable[[Unit], Draft]] = {
    "nestjs": nest.plan,
    "next": next_js.plan,
    "express": express.plan,
    "django": django.plan,
    "fastapi": fastapi.plan,
    "flask": flask.plan,
}
_WHAT_TO_ADD = {
    "health": "`/health`: ask database and cache with a timeout below 2 s; 200 or 503 with `{status, database, "
    "timestamp}` and no error text",
    "liveness": "`/livez`: 200 without asking anything",
    "metrics": "`/metrics`: Prometheus text with request counts and durations by route and status",
    "json_logs": "logs as one JSON object a line on standard output: timestamp (ISO 8601, UTC), level, message, module",
    "sigterm": "on SIGTERM stop accepting, finish running requests, then exit",
}


def plan_instrumentation(
    root: Path, unit: DeployUnit, subjects: Iterable[str] | None = None, spec: Spec | None = None
) -> Instrumentation:
    """What gives `unit` the readiness subjects that its `ready` says are missing. Reads files and changes nothing.

    `subjects` limits the plan to some of `SUBJECTS`; `spec` says which dependencies are optional. Raises
    `ProjectError` when `root` cannot be read.
    """
    wanted = SUBJECTS if subjects is None else tuple(subjects)
    missing = tuple(name for name in SUBJECTS if name in wanted and unit.ready.get(name) is False)
    if not missing:
        return Instrumentation()
    framework = next((name for name in _FRAMEWORKS if name in unit.frameworks), None)
    if framework is None:
        told = ", ".join(unit.frameworks) or unit.language
        reason = f"{told} is not supported; add it by hand"
        return Instrumentation(unsupported=tuple(f"{name}: {reason}: {_WHAT_TO_ADD[name]}." for name in missing))
    tree = Tree(root.resolve())
    nested = frozenset(item.unit.path for item in find_units(tree) if item.unit.path != ".")
    folder = Folder(tree, unit.path, nested)
    draft = _FRAMEWORKS[framework](Unit(unit, folder, missing, optional_roles(folder, spec)))
    return Instrumentation(
        changes=tuple(_changes(tree, unit, draft)),
        added=tuple(draft.added),
        unsupported=tuple(draft.unsupported),
        notes=tuple(draft.notes),
    )


def _changes(tree: Tree, unit: DeployUnit, draft: Draft) -> list[FileChange]:
    prefix = "" if unit.path == "." else f"{unit.path}/"
    found = []
    for name, after in sorted({**draft.edited, **draft.new}.items()):
        path = prefix + name
        before = read_exact(tree.root, path) if name in draft.edited else None
        if before != after:
            found.append(FileChange(path, before, after, unified_diff(path, before, after)))
    return found


def apply(root: Path, instrumentation: Instrumentation) -> None:
    """Write the changes, each file at once or not at all, after all of them were found to still fit.

    Raises `InstrumentError` when a file is no longer what the plan saw, or lies behind a link out of `root`.
    """
    root = root.resolve()
    for change in instrumentation.changes:
        target = root / change.path
        if target.parent.resolve() != target.parent or target.is_symlink():
            raise InstrumentError(f"{change.path} lies behind a link; nothing was written. Replace the link by a file.")
        if change.before is None and target.exists():
            raise InstrumentError(f"{change.path} exists by now; nothing was written. Plan again.")
        if change.before is not None and read_exact(root, change.path) != change.before:
            raise InstrumentError(f"{change.path} has changed since it was read; nothing was written. Plan again.")
    for change in instrumentation.changes:
        write_text(root / change.path, change.after)
