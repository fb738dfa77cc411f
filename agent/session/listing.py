"""All sessions there are: those with a journal, and Claude Code's that have a transcript only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.events import RunStarted, from_json
from agent.session.journal import JOURNAL, SessionError, project_key, read_lines, state_home
from agent.session.transcript import head_and_tail, title_of, transcripts_home

_UUID_FILE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """One session. `kind` is where it is kept; `status` the last run's, `unfinished`, or `unknown` (a transcript's).

    `title` is a given title or the first prompt; `problem` says why a session cannot be continued, where it cannot.
    """

    id: str
    kind: str
    path: Path
    cwd: str = ""
    agent: str = ""
    status: str = "unknown"
    title: str = ""
    modified: float = 0.0
    problem: str = ""


def list_sessions(cwd: Path | None, env: Mapping[str, str], store: Path | None = None) -> list[SessionInfo]:
    """Sessions of a project (of all projects without `cwd`), newest first. A session kept both ways is listed once."""
    key = project_key(cwd) if cwd else "*"
    journals = [_of_journal(path) for path in ((store or state_home()) / "sessions").glob(f"{key}/*/{JOURNAL}")]
    known = {info.id for info in journals}
    others = [
        _of_transcript(path)
        for path in transcripts_home(env).glob(f"{key}/*.jsonl")
        if _UUID_FILE.fullmatch(path.stem) and path.stem not in known
    ]
    return sorted([*journals, *filter(None, others)], key=lambda info: info.modified, reverse=True)


def newest_session(cwd: Path, env: Mapping[str, str], store: Path | None = None) -> str | None:
    """The id of the project's newest session that can be continued."""
    return next((info.id for info in list_sessions(cwd, env, store) if not info.problem), None)


def _of_journal(path: Path) -> SessionInfo:
    started: RunStarted | None = None
    title, status = "", "unfinished"
    try:
        modified = path.stat().st_mtime
        for data in read_lines(path):
            if data.get("agent_id") is not None:
                continue  # a sibling's part
            match data.get("type"):
                case "run_started":
                    started, status = _started(data) or started, "unfinished"
                case "run_finished":
                    status = str(data.get("status"))
                case "message_added" if not title:
                    title = _first_text(data.get("message"))
    except (OSError, SessionError) as error:
        return SessionInfo(id=path.parent.name, kind="journal", path=path, problem=str(error))
    return SessionInfo(
        id=path.parent.name,
        kind="journal",
        path=path,
        cwd=started.cwd if started else "",
        agent=started.agent if started else "",
        status=status,
        title=" ".join(title.split())[:120],
        modified=modified,
        problem="" if started else "The journal holds no run.",
    )


def _started(data: Mapping[str, Any]) -> RunStarted | None:
    try:
        event = from_json(data)
    except TypeError:
        return None
    return event if isinstance(event, RunStarted) else None


def _first_text(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    texts = (block.get("text") for block in content or [] if isinstance(block, dict) and block.get("type") == "text")
    return next((str(text) for text in texts), "")


def _of_transcript(path: Path) -> SessionInfo | None:
    """None for a child agent's part that lies among the sessions, as old versions left it."""
    try:
        lines, modified = head_and_tail(path), path.stat().st_mtime
    except OSError as error:
        return SessionInfo(id=path.stem, kind="transcript", path=path, problem=f"{path}: {error.strerror}")
    if lines and lines[0].get("isSidechain"):
        return None
    said = any(line.get("type") in ("user", "assistant") for line in lines)
    cwd = next((line["cwd"] for line in lines if isinstance(line.get("cwd"), str)), "")
    return SessionInfo(
        id=path.stem,
        kind="transcript",
        path=path,
        cwd=cwd,
        title=title_of(lines).best[:120],
        modified=modified,
        problem="" if said else "The transcript holds no conversation that can be read.",
    )
