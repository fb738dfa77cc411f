"""Stream events -> one message, exactly as the API would have sent it in one piece.

    builder = MessageBuilder()
    async for event in model.stream(request):
        builder.feed(event)
    if builder.complete: ...  # builder.message, builder.malformed

Content is kept verbatim: unknown block types and unknown fields stay, since blocks are sent back on the next turn and
may not change. Unknown events and deltas are ignored, as the API may add new ones at any time.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from agent.models.port import Json, ModelError


class MessageBuilder:
    """Feed it every event of one answer.

    `message` is the Messages-API message so far (`id`, `model`, `role`, `content`, `stop_reason`, `usage`, ...); a tool
    call's `input` is `{}` until its block stops. `malformed` holds, by position in `content`, the text of tool inputs
    that were no JSON object: their `input` stays `{}` and nothing may be run for them. `complete` is true only after
    `message_stop`, the one proof that an answer is whole.
    """

    def __init__(self) -> None:
        self.message: Json = {}
        self.malformed: dict[int, str] = {}
        self.complete = False
        self.request_id: str | None = None
        self._positions: dict[int, int] = {}  # stream index -> position in content
        self._inputs: dict[int, list[str]] = {}  # position -> pieces of tool JSON
        self._open: set[int] = set()

    @property
    def usage(self) -> Mapping[str, Any]:
        """Token counts so far; empty before the first."""
        usage: Mapping[str, Any] = self.message.get("usage") or {}
        return usage

    def feed(self, event: Mapping[str, Any]) -> None:
        """Take one event. Raises `ModelError("server")`, retryable, when it is malformed or out of order."""
        try:
            self._take(event)
        except (KeyError, TypeError, AttributeError) as error:
            raise _broken(f"a malformed {event.get('type')} event ({error!r})") from error

    def _take(self, event: Mapping[str, Any]) -> None:
        match event.get("type"):
            case "message_start":
                self._start(event)
            case "content_block_start":
                self._start_block(event["index"], event["content_block"])
            case "content_block_delta":
                self._apply(self._position(event["index"]), event["delta"])
            case "content_block_stop":
                self._stop_block(self._position(event["index"]))
            case "message_delta":
                self._update(event)
            case "message_stop":
                self._require_start()
                for position in sorted(self._open):
                    self._stop_block(position)
                self.complete = True

    def _start(self, event: Mapping[str, Any]) -> None:
        if self.message:
            raise _broken("a second message_start")
        self.request_id = event.get("request_id")
        self.message = copy.deepcopy(dict(event["message"]))
        self.message.setdefault("role", "assistant")
        self.message["content"] = list(self.message.get("content") or [])
        self.message["usage"] = dict(self.message.get("usage") or {})

    def _start_block(self, index: int, block: Mapping[str, Any]) -> None:
        self._require_start()
        content: list[Json] = self.message["content"]
        position = self._positions[index] = len(content)
        content.append(copy.deepcopy(dict(block)))
        self._open.add(position)
        if block.get("type") == "fallback":
            self.message["model"] = block["to"]["model"]  # from here on another model answers

    def _apply(self, position: int, delta: Mapping[str, Any]) -> None:
        block = self.message["content"][position]
        match delta.get("type"):
            case "text_delta":
                block["text"] = (block.get("text") or "") + delta["text"]
            case "thinking_delta":
                block["thinking"] = (block.get("thinking") or "") + delta["thinking"]
            case "input_json_delta":
                self._inputs.setdefault(position, []).append(delta["partial_json"])
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), copy.deepcopy(delta["citation"])]
            case "compaction_delta":
                block.update({key: value for key, value in delta.items() if key != "type"})

    def _stop_block(self, position: int) -> None:
        self._open.discard(position)
        raw = "".join(self._inputs.pop(position, ()))
        if not raw:
            return  # an empty buffer keeps what the block started with: {}, or the whole input from some servers
        block = self.message["content"][position]
        parsed = _json_object(raw)
        block["input"] = {} if parsed is None else parsed
        if parsed is None:
            self.malformed[position] = raw

    def _update(self, event: Mapping[str, Any]) -> None:
        """Counts are running totals: overwrite, never add; what is absent or null keeps its earlier value."""
        self._require_start()
        changes = dict(event.get("delta") or {}) | {
            k: v for k, v in event.items() if k not in {"type", "delta", "usage"}
        }
        for key, value in changes.items():
            if value is not None or key not in self.message:
                self.message[key] = copy.deepcopy(value)
        usage: Mapping[str, Any] = event.get("usage") or {}
        self.message["usage"].update({key: copy.deepcopy(value) for key, value in usage.items() if value is not None})

    def _position(self, index: int) -> int:
        self._require_start()
        if index not in self._positions:
            raise _broken(f"an event for block {index}, which was never started")
        return self._positions[index]

    def _require_start(self) -> None:
        if not self.message:
            raise _broken("an event before message_start")


def _json_object(raw: str) -> Json | None:
    """`raw` parsed strictly (no NaN, which could not be sent back), or None."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        value = json.loads(raw, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _broken(what: str) -> ModelError:
    return ModelError("server", f"The server's stream is broken: {what}.", retryable=True, partial=True)
