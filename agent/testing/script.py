"""What a scripted model says: turns of blocks, and the faults a server can have.

[
    [thinking(), call("Read", file_path="SPEC.md")],   # a turn: one block, a list of blocks, or a plain text
    "All done.",
    Turn(["cut off"], stop_reason="max_tokens"),
    http_error(529),
    Turn(["never whole"], fault=Fault(cut_after=200)),
    lambda request: "a turn made from the request",
]
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from agent.models.port import Json, ModelError

R = TypeVar("R")
_RAW_INPUT = "__raw_input__"
_TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong while a turn is streamed. Counts are of the bytes or events of the body.

    `error_type` sends an error event after `after_events` events; `without_stop` ends cleanly but without
    `message_stop`. Over HTTP only: `cut_after` closes the connection, `stall_after` falls silent until the client
    leaves, `chunk` writes so many bytes at a time, with `delay` seconds between, `bad_json` breaks one event's data.
    """

    error_type: str | None = None
    after_events: int = 2
    without_stop: bool = False
    cut_after: int | None = None
    stall_after: int | None = None
    chunk: int | None = None
    delay: float = 0.0
    bad_json: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer. `stop_reason` None: `tool_use` when there are calls, else `end_turn`. `usage` None: estimated."""

    blocks: Sequence[str | Json] = ()
    stop_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    fault: Fault = field(default_factory=Fault)
    stop_details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class HttpError:
    """An error answer instead of a message. `body` is sent as it is."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Planned: TypeAlias = "Turn | HttpError | ModelError"
TurnLike: TypeAlias = "str | Json | Sequence[str | Json] | Turn | HttpError | ModelError"


def text(value: str, **fields: Any) -> Json:
    """A text block; `citations=[...]` and other fields are kept."""
    return {"type": "text", "text": value, **fields}


def thinking(value: str = "", signature: str | None = None) -> Json:
    """A thinking block. Its text is empty by default, as the API sends it; a signature is made up when played."""
    return {"type": "thinking", "thinking": value, "signature": signature or ""}


def call(tool: str, /, **arguments: Any) -> Json:
    """A tool call. Its id is made up when it is played."""
    return {"type": "tool_use", "name": tool, "input": arguments}


def broken_call(tool: str, raw: str) -> Json:
    """A tool call whose streamed input is `raw`, which need not be JSON."""
    return {"type": "tool_use", "name": tool, "input": {}, _RAW_INPUT: raw}


def http_error(
    status: int,
    message: str = "scripted failure",
    *,
    error_type: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpError:
    """An error in the API's form. `code` becomes `error.details.error_code`."""
    error: Json = {"type": error_type or _TYPE_OF_STATUS.get(status, "api_error"), "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    body = {"type": "error", "error": error, "request_id": "req_scripted"}
    return HttpError(status, json.dumps(body).encode(), dict(headers or {}))


class UnplannedCallError(ModelError):
    """The script is played to its end, and another answer was asked for."""


class Script(Generic[R]):
    """The turns still to be played. Safe to use from several threads."""

    def __init__(self, turns: Iterable[TurnLike | Callable[[R], TurnLike]] | Callable[[R], TurnLike]) -> None:
        self._decide = turns if callable(turns) else None
        self._turns = [] if callable(turns) else list(turns)
        self._unplanned = 0
        self._lock = threading.Lock()
        self.played = 0

    def next(self, request: R) -> Planned:
        """The answer to `request`. Raises `UnplannedCallError` at the end of the script."""
        with self._lock:
            if self._decide is None and not self._turns:
                self._unplanned += 1
                reason = f"The script of {self.played} turns is at its end, but another answer was asked for."
                raise UnplannedCallError("invalid_request", reason)
            self.played += 1
            entry = self._decide or self._turns.pop(0)
        return as_planned(entry(request) if callable(entry) else entry)

    def assert_complete(self) -> None:
        """Raise `AssertionError` when turns are left, or more were asked for."""
        if self._unplanned:
            raise AssertionError(f"{self._unplanned} answers more than the script holds were asked for.")
        if self._turns:
            raise AssertionError(f"{len(self._turns)} turns were never asked for; the next is {self._turns[0]!r}.")


def as_planned(turn: TurnLike) -> Planned:
    """The full form of a turn."""
    if isinstance(turn, Turn | HttpError | ModelError):
        return turn
    return Turn([turn] if isinstance(turn, str | Mapping) else turn)


def message_of(turn: Turn, number: int, model: str) -> Json:
    """The Messages-API message of a turn, with ids and signatures that name the turn and the block."""
    blocks = [text(block) if isinstance(block, str) else copy.deepcopy(dict(block)) for block in turn.blocks]
    for at, block in enumerate(blocks):
        if block["type"] == "tool_use" and "id" not in block:
            blocks[at] = {"type": "tool_use", "id": f"toolu_{number:04}_{at}", **block}
        elif block["type"] == "thinking" and not block["signature"]:
            block["signature"] = f"signature-{number:04}-{at}"
    has_calls = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": f"msg_{number:04}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": turn.stop_reason or ("tool_use" if has_calls else "end_turn"),
        "stop_sequence": None,
        "stop_details": dict(turn.stop_details) if turn.stop_details else None,
        "usage": {"input_tokens": 10, "output_tokens": max(1, len(json.dumps(blocks)) // 4)} | dict(turn.usage or {}),
    }


def without_raw(message: Json) -> Json:
    """The message as it stands once it was streamed: a broken call has the input `{}`."""
    content = [{key: value for key, value in block.items() if key != _RAW_INPUT} for block in message["content"]]
    return {**message, "content": content}


def events_of(message: Json, piece: int = 24) -> Iterator[Json]:
    """The stream events of a message, in pieces of `piece` characters, with a ping where the API sends one."""
    ends = ("stop_reason", "stop_sequence", "stop_details")
    usage = message["usage"]
    yield {
        "type": "message_start",
        "message": {**message, "content": [], **dict.fromkeys(ends), "usage": {**usage, "output_tokens": 1}},
    }
    for index, block in enumerate(message["content"]):
        start, deltas = _start_and_deltas(block, piece)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        if index == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {name: message.get(name) for name in ends}, "usage": usage}
    yield {"type": "message_stop"}


def error_event(error_type: str) -> Json:
    """The event that ends a stream with a failure."""
    return {"type": "error", "error": {"type": error_type, "message": "scripted failure"}}


def _start_and_deltas(block: Json, piece: int) -> tuple[Json, list[Json]]:
    """How a block is streamed: what its start holds, and the deltas that complete it. Unknown types come whole."""
    match block["type"]:
        case "text":
            citations = block.get("citations") or []
            start = {**block, "text": ""} | ({"citations": []} if citations else {})
            texts = [{"type": "text_delta", "text": part} for part in _pieces(block["text"], piece)]
            return start, texts + [{"type": "citations_delta", "citation": citation} for citation in citations]
        case "thinking":
            texts = [{"type": "thinking_delta", "thinking": part} for part in _pieces(block["thinking"], piece)]
            signature = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*texts, signature]
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            raw = block.get(_RAW_INPUT)
            if raw is None:
                raw = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
            start = {key: value for key, value in block.items() if key != _RAW_INPUT} | {"input": {}}
            return start, [{"type": "input_json_delta", "partial_json": part} for part in ("", *_pieces(raw, piece))]
        case "compaction":
            parts = {key: block.get(key) for key in ("content", "encrypted_content")}
            return block | dict.fromkeys(parts), [{"type": "compaction_delta", **parts}]
    return block, []


def _pieces(value: str, size: int) -> list[str]:
    return [value[at : at + size] for at in range(0, len(value), size)]
