"""Stream events for a host, without a secret that comes in two pieces: what may begin one waits for what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.surfaces.protocol.wire import Json
from tools.secrets import Redactor

_TEXTS = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking"}
"""Kind of delta -> its field that holds text."""


class Partial:
    """Passes the stream events of one model answer after another on; text comes out whole, if later."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._waiting: dict[int, tuple[str, str]] = {}

    def events(self, event: Mapping[str, Any]) -> Iterator[Json]:
        """What may be shown now that `event` has come."""
        kind, index = event.get("type"), event.get("index", 0)
        if kind == "message_start":
            self._waiting.clear()  # an answer that was cut is sent again
        if kind == "content_block_delta" and (delta := event["delta"])["type"] in _TEXTS:
            _kind, before = self._waiting.get(index, ("", ""))
            text = before + delta[_TEXTS[delta["type"]]]
            ready = self._redactor.open_end(text)
            self._waiting[index] = (delta["type"], text[ready:])
            yield from self._delta(index, delta["type"], text[:ready])
            return
        if kind == "content_block_stop" and index in self._waiting:
            yield from self._delta(index, *self._waiting.pop(index))
        yield dict(event)

    def _delta(self, index: int, kind: str, text: str) -> Iterator[Json]:
        if text:
            delta = {"type": kind, _TEXTS[kind]: self._redactor.text(text)}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
