"""Which files a session wrote, its siblings' included: what tools reported, and what changed while commands ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.events import Event, MessageAdded, PermissionDecided, ToolFinished, ToolStarted
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


@dataclass(frozen=True, slots=True)
class Work:
    """What a session did to files: `states` by path (`written`, `unchanged`, `kept` for one that differs and was left
    alone), `files` those inside the workspace that are now as the session wants them (after a dry run: would be).

    `code` is the data of each `InstrumentApp` call; `siblings` what was done for it by others, `sources` the
    documentation it read; `commands` when programs ran that may write anything, from and to. `infrastructure` are the
    commands that touch infrastructure, run or refused, with their class.
    """

    states: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    code: tuple[Mapping[str, Any], ...] = ()
    siblings: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[Mapping[str, Any], ...] = ()
    commands: tuple[tuple[float, float], ...] = ()
    infrastructure: tuple[Mapping[str, Any], ...] = ()

    def by_command(self, path: Path) -> bool:
        """Whether the file changed last while a command of the session ran. Its change time cannot be set by one."""
        try:
            changed = path.lstat().st_ctime
        except OSError:
            return False
        return any(begun - _COARSE <= changed <= ended for begun, ended in self.commands)

    def state(self, root: Path, path: str) -> str:
        """The state of a file of the project: one of `states`, else `present` or `absent`."""
        if self.by_command(root / path):
            return "written"
        return self.states.get(path, "present" if (root / path).exists() else "absent")


def work_of_session(directory: Path, root: Path) -> Work:
    """The work of a session with all its siblings. After a dry run nothing is written. Raises `SessionError`."""
    states: dict[str, str] = {}
    files: dict[str, None] = {}
    code: list[Mapping[str, Any]] = []
    events = list(read_events(directory / JOURNAL))
    for event in events:
        if not isinstance(event, ToolFinished) or event.tool not in _WRITING or event.block.get("is_error"):
            continue
        told = {"unchanged": "unchanged", "conflict": "kept"}.get(event.data.get("status", ""), "written")
        touched = files_of(root, event.data)
        files |= {path: None for path in touched if told != "kept" and not Path(path).is_absolute()}
        if told == "written" and not event.data.get("written", True):
            continue
        for path in touched:
            earlier = states.get(path)
            states[path] = told if told != "unchanged" or earlier is None else earlier
        code += [event.data] if event.tool == "InstrumentApp" else []
    return Work(
        states,
        (*files,),
        (*code,),
        (*siblings_of(events),),
        (*sources_read(events),),
        _commands(events),
        (*_infrastructure(events),),
    )


def _infrastructure(events: Sequence[Event]) -> Iterator[Mapping[str, Any]]:
    """Each decision on a command that touches infrastructure. A refused call stands in the message alone."""
    texts: dict[str, str] = {}
    for event in events:
        if isinstance(event, MessageAdded) and isinstance(event.message.get("content"), list):
            uses = (block for block in event.message["content"] if block.get("type") == "tool_use")
            texts |= {str(use["id"]): str(use["input"].get("command", "")) for use in uses}
        elif isinstance(event, PermissionDecided) and event.command_class is not None:
            command = texts.get(event.call_id) or event.part or ""
            yield {"command": command, "class": event.command_class, "decision": event.behavior, "by": event.by}


def _commands(events: Sequence[Event]) -> tuple[tuple[float, float], ...]:
    """When shell commands and servers' tools ran; those in the background until the last event."""
    begun: dict[str, float] = {}
    behind: set[str] = set()
    found: list[tuple[float, float]] = []
    for event in events:
        if isinstance(event, ToolStarted) and (event.tool == "Bash" or event.tool.startswith("mcp__")):
            begun[event.call_id] = event.time
            behind |= {event.call_id} if event.input.get("run_in_background") else set()
        elif isinstance(event, ToolFinished) and event.call_id in begun:
            found.append((begun[event.call_id], events[-1].time if event.call_id in behind else event.time))
    return tuple(found)


_COARSE = 0.02  # seconds by which a file system's clock may be behind
_WRITING = frozenset({"Edit", "InstrumentApp", "NotebookEdit", "Write", "WriteArtifact"})
