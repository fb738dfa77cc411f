"""The journal: one file a session, one line an event, append-only, secrets redacted before they reach the disk.

A line is written with one `write` to a file opened for appending, so a killed process loses at most the line it was
writing. Sessions lie under `<home>/sessions/<project key>/<session id>/journal.jsonl`; `home` is `$EXPERT_DEVOPS_HOME`
or `~/.expert-devops`. Directories are 0700, files 0600.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.events import Event, from_json, to_json
from tools.secrets import Redactor

JOURNAL = "journal.jsonl"
_LONGEST_KEY = 200


class SessionError(Exception):
    """A session cannot be found, read or written. The message names the path and what to try."""


def state_home() -> Path:
    """Where sessions are kept."""
    configured = os.environ.get("EXPERT_DEVOPS_HOME")
    return Path(configured).expanduser() if configured else Path.home() / ".expert-devops"


def project_key(cwd: Path) -> str:
    """A readable directory name for a project path, as Claude Code spells it: other characters become `-`.

    A long one is cut and ends in a hash of the whole, as the Agent SDK for Python 0.2.187 makes it.
    """
    path = unicodedata.normalize("NFC", str(cwd.resolve()))
    name = re.sub(r"[^A-Za-z0-9]", "-", path)
    return name if len(name) <= _LONGEST_KEY else f"{name[:_LONGEST_KEY]}-{_short_hash(path)}"


def _short_hash(text: str) -> str:
    """A 32-bit hash as its absolute value in base 36."""
    number = 0
    for character in text:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    number = abs(number - (1 << 32) if number >= 1 << 31 else number)
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


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


def session_directory(cwd: Path, session_id: str, store: Path | None = None) -> Path:
    return (store or state_home()) / "sessions" / project_key(cwd) / session_id


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


def find_session(session: str, cwd: Path, store: Path | None = None) -> Path:
    """The directory of a session id (or a unique beginning of one): this project's first, then any project's."""
    root = (store or state_home()) / "sessions"
    for pattern in (f"{project_key(cwd)}/{session}*", f"*/{session}*"):
        found = sorted(path.parent for path in root.glob(f"{pattern}/{JOURNAL}")) if session.strip("*?[]/.") else []
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            names = ", ".join(path.name for path in found[:5])
            raise SessionError(f"Session {session!r} is not unique: {names}. Give more of its id.")
    raise SessionError(f"There is no session {session!r}. `expert-devops sessions` lists those there are.")
