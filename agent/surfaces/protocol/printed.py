"""Text and JSON output: the answer alone on standard output, everything else for people on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from agent.result import Completed, Result
from agent.surfaces.progress import brief
from agent.surfaces.protocol.wire import Json, write_all
from agent.surfaces.run import summary
from tools.text import clean


class Printed:
    """Takes the messages of a session as `Wire` does.

    `text` prints the answer (a structured one as JSON), `json` the `result` message; with `verbose`, text tells on
    standard error what is done, and JSON is the list of all messages.
    """

    def __init__(self, fd: int, *, as_json: bool, verbose: bool) -> None:
        self._fd = fd
        self._as_json = as_json
        self._verbose = verbose
        self._all: list[Mapping[str, Any]] = []

    def send(self, message: Mapping[str, Any]) -> None:
        if self._as_json and self._verbose:
            self._all.append(message)
        for line in _told(message, verbose=self._verbose and not self._as_json):
            print(clean(line), file=sys.stderr, flush=True)

    def send_whole(self, message: Mapping[str, Any]) -> None:
        """There is no host to be asked."""

    def end(self, message: Json, result: Result) -> None:
        """Print the answer."""
        note = summary(result, "-p")
        if self._as_json:
            self._print(_json([*self._all, message] if self._verbose else message))
            return
        structured = message.get("structured_output")
        if text := result.text if structured is None else _json(structured):
            self._print(text)
        if note:
            print(clean(note), file=sys.stderr)
        elif not isinstance(result, Completed):
            print(clean("\n".join(message.get("errors", ()))), file=sys.stderr)

    def _print(self, text: str) -> None:
        write_all(self._fd, f"{text}\n".encode("utf-8", "replace"))


def _told(message: Mapping[str, Any], *, verbose: bool) -> Iterator[str]:
    """What a person on the terminal should read of a message: notices always, the work when they want it."""
    match message:
        case {"type": "system", "subtype": "init", "notices": list(notices)}:
            yield from notices
        case {"type": "system", "subtype": "informational", "content": str(text)}:
            yield text
        case {"type": "assistant", "message": {"content": list(blocks)}} if verbose:
            for block in blocks:
                if block.get("type") == "tool_use":
                    yield f"  {block['name']} {brief(block['input'])}".rstrip()
                elif block.get("type") == "text":
                    yield str(block["text"])
        case {"type": "system", "subtype": "permission_denied"} if verbose:
            yield f"  denied: {message['tool_name']}: {message['message']}"


def _json(value: Any) -> str:
    """JSON as people read it; half a surrogate pair cannot be printed, so then everything is escaped."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str)
    return text
