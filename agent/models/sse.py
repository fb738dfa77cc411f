"""Server-sent events, read incrementally from bytes.

    reader = EventReader()
    for chunk in body:
        for event in reader.feed(chunk):
            ...  # a Messages-API event: {"type": "content_block_delta", ...}

Follows the WHATWG event-stream grammar: lines end at CR, LF or CRLF wherever chunks are cut, several `data:` lines are
joined by LF, comments are skipped, an event without its closing blank line is dropped. An event's kind is the `type`
inside its data, so servers that send no `event:` line work; where only the `event:` line names it, that one is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
MAX_EVENT_BYTES = 64 * 1024 * 1024
"""Larger than any real event (a request is limited to 32 MB): a server that never ends one cannot fill the memory."""


class BadEventError(ValueError):
    """The stream holds something that is not a Messages-API event."""


class EventReader:
    """Bytes in, parsed events out. Cost grows with the size of the stream, not with the number of chunks."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._name = b""
        self._size = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """The events completed by `chunk`. Raises `BadEventError` on data that is no JSON object."""
        if not chunk:
            return
        skip_lf = self._after_cr and chunk.startswith(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        *ends, rest = _LINE_END.split(chunk[1:] if skip_lf else chunk)
        for end in ends:
            line = b"".join([*self._line, end])
            self._line.clear()
            if self._at_start:
                self._at_start = False
                line = line.removeprefix(_BOM)
            event = self._take(line)
            if event is not None:
                yield event
        if rest:
            self._line.append(rest)
            self._count(len(rest))

    def _take(self, line: bytes) -> dict[str, Any] | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._count(len(value))
        elif name == b"event":
            self._name = value
        return None

    def _dispatch(self) -> dict[str, Any] | None:
        data, name = b"\n".join(self._data), self._name.decode("utf-8", "replace")
        self._data.clear()
        self._name = b""
        self._size = 0
        if not data or data == b"[DONE]":  # the end mark of OpenAI-style servers
            return None
        try:
            event = json.loads(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise BadEventError(f"Event data is not JSON: {data[:200].decode('utf-8', 'replace')!r}") from error
        if not isinstance(event, dict):
            raise BadEventError(f"Event data is not a JSON object: {data[:200].decode('utf-8', 'replace')!r}")
        if not isinstance(event.get("type"), str):
            event["type"] = name
        return event

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_EVENT_BYTES:
            raise BadEventError(f"An event is larger than {MAX_EVENT_BYTES} bytes.")
