"""Lines in and lines out: one JSON object a line, written at once, each below the size at which hosts give up."""

from __future__ import annotations

import json
import os
import select
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.result import Result

Json = dict[str, Any]

MOST_BYTES = 1_000_000
"""The Python SDK stops reading at a line of 1 MiB."""

_PREVIEW = 2_000
_THRESHOLDS = (256_000, 64_000, 16_000, 4_000)


class OutputLostError(Exception):
    """Standard output cannot be written any more; the message says why, and is empty when its reader has left."""


class LineTooLongError(Exception):
    """A message that may not be shortened is too long for a line."""


class Wire:
    """Writes messages to a file descriptor. `spill` gives the directory for what is too long for a line."""

    def __init__(self, fd: int, spill: Callable[[], Path]) -> None:
        self._fd = fd
        self._spill = spill

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message. Long texts in it give way to a preview and the path of a file that holds them whole."""
        line = _encode(message)
        for threshold in _THRESHOLDS:
            if len(line) < MOST_BYTES:
                break
            line = _encode(_shorten(message, threshold, self._spill))
        if len(line) >= MOST_BYTES:
            path = _save(line, self._spill)
            kept = {key: value for key, value in message.items() if not isinstance(value, dict | list)}
            line = _encode({**kept, "type": "system", "subtype": "informational", "level": "warning"} | _whole(path))
        self._write(line)

    def send_whole(self, message: Mapping[str, Any]) -> None:
        """Write a message that is acted upon, so it is never shortened. Raises `LineTooLongError`."""
        line = _encode(message)
        if len(line) >= MOST_BYTES:
            raise LineTooLongError(f"{len(line):,} bytes are more than a host reads in a line ({MOST_BYTES:,}).")
        self._write(line)

    def end(self, message: Mapping[str, Any], _result: Result) -> None:
        """The `result` message of a turn is a message like others."""
        self.send(message)

    def _write(self, line: bytes) -> None:
        write_all(self._fd, line)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`. Raises `OutputLostError`."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # a host may share its pipe as non-blocking
            select.select([], [fd], [])
        except BrokenPipeError as error:
            raise OutputLostError from error
        except OSError as error:
            raise OutputLostError(f"Standard output cannot be written: {error.strerror}.") from error


def read_lines(fd: int, deliver: Callable[[bytes | None], None]) -> None:
    """Deliver every line of `fd`, then None. Blocks, so it runs in a thread; raw reads do not hold up the exit."""
    buffer = bytearray()
    while chunk := _read(fd):
        buffer += chunk
        if b"\n" in chunk:
            *lines, tail = bytes(buffer).split(b"\n")
            for line in lines:
                deliver(line)
            buffer = bytearray(tail)
    if buffer:
        deliver(bytes(buffer))
    deliver(None)


def _read(fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, 1 << 16)
        except BlockingIOError:
            select.select([fd], [], [])
        except OSError:
            return b""


def _encode(message: Mapping[str, Any]) -> bytes:
    """ASCII only: no reader can take U+2028 for a line end or trip over half a surrogate pair."""
    return json.dumps(message, separators=(",", ":"), default=str).encode("ascii") + b"\n"


def _shorten(node: Any, threshold: int, spill: Callable[[], Path]) -> Any:
    """A copy of `node` in which no text is longer than `threshold`."""
    if isinstance(node, str):
        return node if len(node) <= threshold else _preview(node, spill)
    if isinstance(node, Mapping):
        source = node.get("source")
        if isinstance(source, Mapping) and len(str(source.get("data", ""))) > threshold:
            path = _save(str(source["data"]).encode(), spill)
            return {"type": "text", "text": f"[{node.get('type')} left out; its base64 text is in {path}]"}
        return {key: _shorten(value, threshold, spill) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_shorten(item, threshold, spill) for item in node]
    return node


def _preview(text: str, spill: Callable[[], Path]) -> str:
    path = _save(text.encode("utf-8", "surrogatepass"), spill)
    return f"{text[:_PREVIEW]}\n[... {len(text):,} characters in all; the whole text is in {path}]"


def _whole(path: Path) -> Json:
    return {"content": f"A message was too long for a line; it is in {path}."}


def _save(data: bytes, spill: Callable[[], Path]) -> Path:
    fd, name = tempfile.mkstemp(prefix="output-", suffix=".txt", dir=spill())
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    return Path(name)
