"""Transcripts as Claude Code writes them: a line for each block, results of parallel calls on side branches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from agent.session.transcript import transcript_path

Json = dict[str, Any]
SESSION = "11111111-2222-4333-8444-555555555555"


def uid(name: str) -> str:
    return str(uuid5(UUID(SESSION), name))


def entry(kind: str, name: str, parent: str | None, **fields: Any) -> Json:
    return {
        "parentUuid": uid(parent) if parent else None,
        "isSidechain": False,
        "userType": "external",
        "cwd": "/elsewhere",
        "sessionId": SESSION,
        "version": "2.1.330",
        "gitBranch": "main",
        "type": kind,
        **fields,
        "uuid": uid(name),
        "timestamp": "2026-11-01T10:00:00.000Z",
    }


def said(name: str, parent: str | None, text: Any, **fields: Any) -> Json:
    return entry("user", name, parent, message={"role": "user", "content": text}, **fields)


def answered(name: str, parent: str | None, message: str, block: Json, **fields: Any) -> Json:
    whole = {"id": message, "type": "message", "role": "assistant", "model": "claude-opus-5-5", "content": [block]}
    return entry("assistant", name, parent, message=whole, requestId="req_1", **fields)


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def call(number: str) -> Json:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "Echo", "input": {"word": number}}


def result(number: str) -> list[Json]:
    return [{"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": f"seen {number}"}]


PARALLEL: Sequence[Json] = (
    {"type": "summary", "summary": "An old summary", "leafUuid": uid("x")},
    {"type": "file-history-snapshot", "messageId": uid("p1"), "snapshot": {}},
    said("p1", None, "Look at both."),
    answered("a1", "p1", "msg_1", {"type": "thinking", "thinking": "", "signature": "bound to another prefix"}),
    answered("a2", "a1", "msg_1", text("I look.")),
    answered("a3", "a2", "msg_1", call("a")),
    answered("a4", "a3", "msg_1", call("b")),
    said("r1", "a3", result("a"), toolUseResult={"stdout": "seen a"}),
    said("r2", "a4", result("b")),
    entry("attachment", "t1", "r2", attachment={"type": "todo_reminder"}),
    answered("a5", "t1", "msg_2", text("Both were seen.")),
    entry("system", "s1", "a5", subtype="turn_duration", durationMs=5),
)
"""A finished turn with two parallel calls: the chain of parents misses the first result."""


def write(lines: Sequence[Json | str], cwd: Path, env: dict[str, str], session: str = SESSION) -> Path:
    path = transcript_path(cwd, session, env)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path
