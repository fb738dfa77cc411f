"""Which files a session wrote, its siblings' included, read from what the tools reported.

What a shell command writes is not seen here: only tools that name their target are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.events import ToolFinished
from agent.session.journal import JOURNAL, read_events
from agent.workflow.siblings import siblings_of
from agent.workflow.sources import sources_read


def files_of(root: Path, data: Mapping[str, Any]) -> list[str]:
    """What one call touched, by the `data` of its result; relative to the workspace where inside it."""
    if "changes" in data:
        return [str(change["path"]) for change in data["changes"]]
    named = data.get("filePath") or data.get("notebook_path") or data.get("path")
    if not isinstance(named, str):
        return []
    path = root / named
    return [path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)]


def files_of_session(directory: Path, root: Path) -> tuple[str, ...]:
    """Files inside `root` that the session wrote or found already as it would write them; after a dry run, would write.

    Raises `SessionError`.
    """
    found: dict[str, None] = {}
    for event in read_events(directory / JOURNAL):
        if not isinstance(event, ToolFinished) or event.tool not in _WRITING or event.block.get("is_error"):
            continue
        if event.data.get("status") != "conflict":
            found.update(dict.fromkeys(files_of(root, event.data)))
    return tuple(path for path in found if not Path(path).is_absolute())


@dataclass(frozen=True, slots=True)
class Work:
    """What a session did to files: `states` by path (`written`, `unchanged`, `kept` for one that differs and was left
    alone), `code` the data of each `InstrumentApp` call; `siblings` what was done for it by others, `sources` the
    documentation it read.
    """

    states: Mapping[str, str] = field(default_factory=dict)
    code: tuple[Mapping[str, Any], ...] = ()
    siblings: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[Mapping[str, Any], ...] = ()


def work_of_session(directory: Path, root: Path) -> Work:
    """The work of a session with all its siblings. After a dry run nothing is written. Raises `SessionError`."""
    states: dict[str, str] = {}
    code: list[Mapping[str, Any]] = []
    events = list(read_events(directory / JOURNAL))
    for event in events:
        if not isinstance(event, ToolFinished) or event.tool not in _WRITING or event.block.get("is_error"):
            continue
        told = {"unchanged": "unchanged", "conflict": "kept"}.get(event.data.get("status", ""), "written")
        if told == "written" and not event.data.get("written", True):
            continue
        for path in files_of(root, event.data):
            earlier = states.get(path)
            states[path] = told if told != "unchanged" or earlier is None else earlier
        code += [event.data] if event.tool == "InstrumentApp" else []
    return Work(states, tuple(code), tuple(siblings_of(events)), tuple(sources_read(events)))


_WRITING = frozenset({"Edit", "InstrumentApp", "NotebookEdit", "Write", "WriteArtifact"})
