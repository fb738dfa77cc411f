"""What a playbook script is: a generator that yields turns and is sent the replies to their calls.

    def script() -> Script:
        spec, project = yield Turn("Reading.", (("ReadSpec", {}), ("DetectProject", {})))
        ...
        return "Done."

A script is a pure function of the replies, so the history alone tells how far it has come: after a crash the same
turns are played back up to where the run stopped.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent.events import UNKNOWN_OUTCOME

Json = dict[str, Any]
Call: TypeAlias = tuple[str, Mapping[str, Any]]
"""A tool name and its input."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model: what it says and which tools it calls, at least one."""

    text: str
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call gave back, as the model reads it."""

    text: str
    is_error: bool

    @property
    def lost(self) -> bool:
        """Whether the process died while the call ran."""
        return self.is_error and self.text.startswith(UNKNOWN_OUTCOME)

    def json(self) -> Json:
        """The reply as a JSON object; empty when it is none."""
        try:
            data = json.loads(self.text)
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}


Script: TypeAlias = Generator[Turn, list[Reply], str]


def certain(script: Script) -> Script:
    """The script, with every call repeated whose outcome was lost: each tool of a script may be called twice."""
    try:
        turn = next(script)
        while True:
            replies = yield turn
            while lost := [index for index, reply in enumerate(replies) if reply.lost]:
                again = yield Turn("", tuple(turn.calls[index] for index in lost))
                for index, reply in zip(lost, again, strict=True):
                    replies[index] = reply
            turn = script.send(replies)
    except StopIteration as end:
        return str(end.value)


def replies_of(content: Sequence[Json]) -> list[Reply]:
    """The tool results of a user message, in order."""
    return [
        Reply(_text(block.get("content")), bool(block.get("is_error")))
        for block in content
        if block.get("type") == "tool_result"
    ]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text", "")) for block in content or [] if block.get("type") == "text")
