"""Claude Code's transcripts: where they lie, and reading one back.

    $CLAUDE_CONFIG_DIR (else ~/.claude)/projects/<project key>/<session>.jsonl
                                                              /<session>/subagents/agent-<id>.jsonl, .meta.json
                                                              /<session>/tool-results/...

A line is a JSON object. Those of a conversation form a tree by `uuid` and `parentUuid`; the rest tells about the
session. Parallel calls leave results on side branches, which are put back. What cannot be read is left out and counted.
Layout and rules: Claude Code's, as the Agent SDK for Python 0.2.187 reads them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.session.journal import SessionError, project_key

Json = dict[str, Any]

CHAIN = frozenset({"user", "assistant", "progress", "system", "attachment"})
"""Types of lines that are part of a conversation."""

NO_RESULT = "No result of this call was recorded."
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def transcripts_home(env: Mapping[str, str]) -> Path:
    """Where the projects' transcripts lie."""
    return Path(env.get("CLAUDE_CONFIG_DIR") or Path(env.get("HOME") or Path.home()) / ".claude") / "projects"


def transcript_path(cwd: Path, session_id: str, env: Mapping[str, str]) -> Path:
    return transcripts_home(env) / project_key(cwd) / f"{session_id}.jsonl"


@dataclass(slots=True)
class Entry:
    """One message, and the ids by which its lines are known."""

    message: Json
    uuids: list[str]


@dataclass(slots=True)
class Transcript:
    """A session as its transcript tells it. `settled` maps calls of a turn that was cut to results it already had."""

    session_id: str
    path: Path
    cwd: str = ""
    title: str = ""
    entries: list[Entry] = field(default_factory=list)
    settled: dict[str, Json] = field(default_factory=dict)
    damaged: int = 0

    @property
    def history(self) -> list[Json]:
        return [entry.message for entry in self.entries]


def find_transcript(session: str, cwd: Path, env: Mapping[str, str]) -> Path | None:
    """The file of a session id, or of an exact title in this project; None when there is none."""
    root = transcripts_home(env)
    if not _ID.fullmatch(session):
        return _titled(session, root / project_key(cwd))
    here = transcript_path(cwd, session, env)
    found = [here] if here.is_file() else sorted(root.glob(f"*/{session}.jsonl"))
    return found[0] if found else _titled(session, root / project_key(cwd))


def _titled(title: str, directory: Path) -> Path | None:
    for path in sorted(directory.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True):
        if title_of(head_and_tail(path)).custom == title:
            return path
    return None


def read_transcript(path: Path) -> Transcript:
    """Read a transcript. Raises `SessionError` when the file cannot be read or holds no conversation."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SessionError(f"The transcript {path} cannot be read: {error.strerror}.") from error
    lines, damaged = _parse(text.split("\n"))
    chain = [line for line in lines if line.get("type") in CHAIN]
    found = Transcript(path.stem, path, title=title_of(lines).best, damaged=damaged)
    found.cwd = next((line["cwd"] for line in chain if isinstance(line.get("cwd"), str)), "")
    own = [line for line in chain if not line.get("teamName") and not _aside(line, path)]
    _assemble(found, _branch(own), own)
    while found.entries and found.entries[0].message["role"] != "user":
        found.entries.pop(0)
    if not found.entries:
        raise SessionError(f"{path} holds no conversation that could be continued. Start a new one.")
    _leave_open(found)
    return found


def _aside(line: Json, path: Path) -> bool:
    """Whether a line is a child agent's in its parent's file, as old versions wrote them."""
    return bool(line.get("isSidechain")) and path.parent.name != "subagents"


def _parse(texts: Iterable[str]) -> tuple[list[Json], int]:
    lines, damaged = [], 0
    for text in texts:
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if isinstance(line, dict):
            lines.append(line)
        else:
            damaged += 1
    return lines, damaged


def _branch(lines: list[Json]) -> list[Json]:
    """From the root to the newest end. Lines without any links, as very old ones are, are taken in their order."""
    linked = {line["uuid"]: line for line in lines if isinstance(line.get("uuid"), str)}
    if not linked:
        return lines
    parents = {str(line.get("parentUuid")) for line in linked.values()}
    ends = [line for uuid, line in linked.items() if uuid not in parents]
    current = next((line for line in reversed(ends) if _said_at(line, linked)), None)
    branch: list[Json] = []
    seen: set[str] = set()
    while current is not None and current["uuid"] not in seen:
        seen.add(current["uuid"])
        branch.append(current)
        current = linked.get(str(current.get("parentUuid")))
    return branch[::-1]


def _said_at(line: Json, linked: Mapping[str, Json]) -> bool:
    """Whether something was said on the way that ends at `line`."""
    seen: set[str] = set()
    current: Json | None = line
    while current is not None and current["uuid"] not in seen:
        if current["type"] in ("user", "assistant"):
            return True
        seen.add(current["uuid"])
        current = linked.get(str(current.get("parentUuid")))
    return False


def _assemble(found: Transcript, branch: list[Json], lines: list[Json]) -> None:
    """Messages of the branch as the API takes them, with the parts that parallel calls left beside it."""
    linked = {line["uuid"]: line for line in lines if isinstance(line.get("uuid"), str)}
    parts: dict[str, list[Json]] = {}
    results: dict[str, Json] = {}
    for line in [*branch, *lines]:  # of two results of one call, the branch's own counts
        for block in _blocks(line) if line["type"] == "user" else ():
            if block["type"] == "tool_result":
                results.setdefault(block["tool_use_id"], block)
    for line in lines:
        if line["type"] == "assistant":
            parts.setdefault(_answer_of(line, linked), []).append(line)
    done: set[str] = set()
    for line in branch:
        if line["type"] == "user":
            said = [block for block in _blocks(line) if block["type"] != "tool_result"]
            _add(found, "user", said, [str(line.get("uuid"))], results)
        elif line["type"] == "assistant" and (answer := _answer_of(line, linked)) not in done:
            done.add(answer)
            whole = parts[answer]
            said = [block for part in whole for block in _blocks(part) if "thinking" not in block["type"]]
            if said and not line.get("isApiErrorMessage"):
                _add(found, "assistant", said, [str(part.get("uuid")) for part in whole], results)


def _add(found: Transcript, role: str, said: list[Json], uuids: list[str], results: Mapping[str, Json]) -> None:
    """Append a message, or add to the last one where it is of the same side. Calls are answered first."""
    last = found.entries[-1] if found.entries else None
    open_calls = _calls(last.message) if last else []
    if open_calls:
        answers = [results.get(call) or _missing(call) for call in open_calls]
        found.entries.append(Entry({"role": "user", "content": answers}, []))
        last = found.entries[-1]
    if last is not None and last.message["role"] == role:
        last.message["content"] = [*_listed(last.message["content"]), *said]
        last.uuids += uuids
    elif said:
        plain = role == "user" and len(said) == 1 and said[0].get("type") == "text"
        found.entries.append(Entry({"role": role, "content": said[0]["text"] if plain else said}, uuids))


def _leave_open(found: Transcript) -> None:
    """A last turn whose calls were not all answered goes on from there: what it had is kept for the missing rest."""
    last = found.entries[-1].message
    if last["role"] != "user" or isinstance(last["content"], str):
        return
    answers = [block for block in last["content"] if block.get("type") == "tool_result"]
    if len(answers) == len(last["content"]) and any(block["content"] == NO_RESULT for block in answers):
        found.entries.pop()
        found.settled = {block["tool_use_id"]: block for block in answers if block["content"] != NO_RESULT}


def _missing(call: str) -> Json:
    return {"type": "tool_result", "tool_use_id": call, "content": NO_RESULT, "is_error": True}


def _calls(message: Json) -> list[str]:
    if message["role"] != "assistant":
        return []
    return [str(block.get("id")) for block in _listed(message["content"]) if block.get("type") == "tool_use"]


def _answer_of(line: Json, linked: Mapping[str, Json]) -> str:
    """A key of the answer whose part a line is: parts share the message's id and follow each other."""
    named, seen = _message_id(line), set[int]()
    while named is not None and id(line) not in seen:
        seen.add(id(line))
        parent = linked.get(str(line.get("parentUuid")))
        if parent is None or parent["type"] != "assistant" or _message_id(parent) != named:
            break
        line = parent
    return str(line.get("uuid") or id(line))


def _message_id(line: Json) -> str | None:
    message = line.get("message")
    named = message.get("id") if isinstance(message, dict) else None
    return named if isinstance(named, str) else None


def _blocks(line: Json) -> list[Json]:
    """The blocks of a line's message that can be sent; anything of another shape is left out."""
    message = line.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    return [block for block in _listed(content) if _usable(block)]


def _listed(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    return content if isinstance(content, list) else []


def _usable(block: Any) -> bool:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        return False
    match block["type"]:
        case "text":
            return isinstance(block.get("text"), str) and bool(block["text"].strip())
        case "tool_use":
            named = isinstance(block.get("id"), str) and isinstance(block.get("name"), str)
            return named and isinstance(block.get("input"), dict)
        case "tool_result":
            return isinstance(block.get("tool_use_id"), str)
        case _:
            return True


# --- what a list shows ---

_READ = 65_536  # as the SDK: titles stand near the beginning or the end


@dataclass(frozen=True, slots=True)
class Title:
    """`custom` is a name a user gave; `best` what to show."""

    custom: str
    best: str


def head_and_tail(path: Path) -> list[Json]:
    """The whole lines of the first and the last 64 KiB."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_READ)
        file.seek(max(len(head), size - _READ))
        tail = file.read(_READ)
    texts = (head + tail).decode("utf-8", "replace").split("\n")
    return _parse(texts)[0]


def title_of(lines: Iterable[Json]) -> Title:
    """By the rule of Claude Code's lists: a given title, a made one, the last prompt, a summary, the first prompt."""
    last: dict[str, str] = {}
    first = ""
    for line in lines:
        for name in ("customTitle", "aiTitle", "lastPrompt", "summary"):
            if isinstance(line.get(name), str):
                last[name] = line[name]
        first = first or next(_prompts(line), "")
    best = next((last[name] for name in ("customTitle", "aiTitle", "lastPrompt", "summary") if last.get(name)), first)
    return Title(last.get("customTitle", ""), " ".join(best.split())[:200])


def _prompts(line: Json) -> Iterator[str]:
    if line.get("type") != "user" or line.get("isMeta") or line.get("isCompactSummary") or line.get("isSidechain"):
        return
    for block in _blocks(line):
        if block["type"] == "text" and not block["text"].startswith("<"):
            yield block["text"]
