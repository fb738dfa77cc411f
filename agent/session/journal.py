"""The journal: one file a session, one line an event, append-only, secrets redacted before they reach the disk.

A line is written with one `write` to a file opened for appending, so a killed process loses at most the line it was
writing. Sessions lie under `<home>/sessions/<project key>/<session id>/journal.jsonl`; `home` is `$EXPERT_DEVOPS_HOME`
or `~/.expert-devops`. Directories are 0700, files 0600.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.events import Event, RunStarted, from_json, to_json
from tools.secrets import Redactor

JOURNAL = "journal.jsonl"


class SessionError(Exception):
    """A session cannot be found, read or written. The message names the path and what to try."""


def state_home() -> Path:
    """Where sessions are kept."""
    configured = os.environ.get("EXPERT_DEVOPS_HOME")
    return Path(configured).expanduser() if configured else Path.home() / ".expert-devops"


def project_key(cwd: Path) -> str:
    """A readable directory name for a project path, as Claude Code spells it: other characters become `-`."""
    return re.sub(r"[^A-Za-z0-9]", "-", str(cwd.resolve()))[:200]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A line of `expert-devops sessions`. `status` is the last run's, or `unfinished`."""

    id: str
    directory: Path
    cwd: str
    agent: str
    status: str
    prompt: str
    modified: float


class Journal:
    """The writer. `redactor` sees every event; assistant messages that had to be changed are marked `redacted`."""

    def __init__(self, directory: Path, redactor: Redactor) -> None:
        self.directory = directory
        self.path = directory / JOURNAL
        self._redactor = redactor
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SessionError(
                f"The session cannot be stored in {directory}: {error.strerror}. "
                "Set EXPERT_DEVOPS_HOME to a directory that can be written."
            ) from error
        self._end_cut_line()

    def _end_cut_line(self) -> None:
        """Close a line that a killed writer left open, so that the next event starts on its own."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def record(self, event: Event) -> None:
        """Append one event. Transient ones are skipped. Raises `SessionError` when the disk refuses."""
        if event.transient:
            return
        data = to_json(event)
        clean = self._redactor.json(data)
        if clean != data and data["type"] == "message_added" and data["message"].get("role") == "assistant":
            clean["redacted"] = True
        line = json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        try:
            written = os.write(self._fd, line)
            while written < len(line):
                written += os.write(self._fd, line[written:])
        except OSError as error:
            raise SessionError(f"The journal {self.path} cannot be written: {error.strerror}.") from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def new_session_id() -> str:
    return str(uuid.uuid4())


def session_directory(cwd: Path, session_id: str) -> Path:
    return state_home() / "sessions" / project_key(cwd) / session_id


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The journal's lines as JSON objects. A damaged line (the last one after a crash) is skipped."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SessionError(f"The journal {path} cannot be read: {error.strerror}.") from error
    for line in text.splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict):
            yield data


def read_events(path: Path) -> Iterator[Event]:
    """The journal's events in order; lines of unknown types or shapes are skipped."""
    for data in read_lines(path):
        try:
            event = from_json(data)
        except TypeError:
            continue
        if event is not None:
            yield event


def find_session(session: str, cwd: Path) -> Path:
    """The directory of a session id (or a unique beginning of one): this project's first, then any project's."""
    root = state_home() / "sessions"
    for pattern in (f"{project_key(cwd)}/{session}*", f"*/{session}*"):
        found = sorted(path.parent for path in root.glob(f"{pattern}/{JOURNAL}")) if session.strip("*?[]/.") else []
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            names = ", ".join(path.name for path in found[:5])
            raise SessionError(f"Session {session!r} is not unique: {names}. Give more of its id.")
    raise SessionError(f"There is no session {session!r}. `expert-devops sessions` lists those there are.")


def list_sessions(cwd: Path | None = None) -> list[SessionInfo]:
    """Sessions of a project (of all projects without `cwd`), newest first."""
    root = state_home() / "sessions"
    found = root.glob(f"{project_key(cwd) if cwd else '*'}/*/{JOURNAL}")
    return sorted((_describe(path) for path in found), key=lambda info: info.modified, reverse=True)


def _describe(path: Path) -> SessionInfo:
    started: RunStarted | None = None
    prompt, status = "", "unfinished"
    for data in read_lines(path):
        if data.get("agent_id") is not None:
            continue  # a sibling's part
        match data.get("type"):
            case "run_started":
                event = from_json(data)
                started = event if isinstance(event, RunStarted) else started
                status = "unfinished"
            case "run_finished":
                status = str(data.get("status"))
            case "message_added" if not prompt:
                content = data.get("message", {}).get("content")
                prompt = (
                    content
                    if isinstance(content, str)
                    else next(
                        (str(b.get("text")) for b in content or [] if isinstance(b, dict) and b.get("type") == "text"),
                        "",
                    )
                )
    return SessionInfo(
        id=path.parent.name,
        directory=path.parent,
        cwd=started.cwd if started else "",
        agent=started.agent if started else "",
        status=status,
        prompt=prompt.strip().split("\n")[0][:120],
        modified=path.stat().st_mtime,
    )
