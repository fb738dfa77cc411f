"""Which files a session wrote, its siblings' included, read from what the tools reported.

What a shell command writes is not seen here: only tools that name their target are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.events import ToolFinished
from agent.session.journal import JOURNAL, read_events


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


_WRITING = frozenset({"Edit", "InstrumentApp", "NotebookEdit", "Write", "WriteArtifact"})
