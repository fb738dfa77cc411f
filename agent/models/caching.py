"""Where a request is marked for the prompt cache.

The API caches prefixes that end at a marker, at most 4 markers a request, and looks for an earlier entry at most 20
blocks back from each. A turn that adds more (many parallel tool calls) would miss silently. So the end of the previous
request is always marked again: it is the message before the last answer, wherever that is, and an exact hit.
Source: prompt caching rules of the Messages API, July 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.models.port import Json, Message

MARKER: Mapping[str, str] = {"type": "ephemeral"}
MAX_MARKERS = 4
LOOK_BACK = 20
_MARKABLE = frozenset({"text", "image", "document", "search_result", "tool_use", "tool_result"})


def with_cache_markers(
    system: Sequence[Json], tools: Sequence[Json], messages: Sequence[Message]
) -> tuple[list[Json], list[Json], list[Message]]:
    """Copies of the three parts with at most 4 `cache_control` markers; the originals never change.

    Marked are the last system block (it covers the tools; without a system prompt the last tool) and the ends of this
    request, the previous one and the one before that. Markers already present are dropped. A message whose content is
    a string is always sent as one text block, marked or not, so that its bytes stay the same from turn to turn.
    """
    system = [_unmarked(block) for block in system]
    tools = [_unmarked(tool) for tool in tools]
    copies = [_as_blocks(message) for message in messages]
    if system:
        system[-1] = _marked(system[-1])
    elif tools:
        tools[-1] = _marked(tools[-1])
    for end in _request_ends(messages)[-(MAX_MARKERS - 1) :]:
        _mark_end(copies, end)
    return system, tools, copies


def _request_ends(messages: Sequence[Message]) -> list[int]:
    """Indexes of the messages that were the last of a request: each one before an answer, and the last of all."""
    ends = [at - 1 for at, message in enumerate(messages) if message["role"] == "assistant" and at > 0]
    return ends if not messages or ends[-1:] == [len(messages) - 1] else [*ends, len(messages) - 1]


def _mark_end(messages: list[Message], end: int) -> None:
    """Mark the last block at or before the end of message `end` that can carry a marker."""
    for message in reversed(messages[: end + 1]):
        content = message["content"]
        for at in range(len(content) - 1, -1, -1) if isinstance(content, list) else ():
            if _can_carry(content[at]):
                content[at] = _marked(content[at])
                return


def _can_carry(block: Mapping[str, Any]) -> bool:
    return block.get("type") in _MARKABLE and (block["type"] != "text" or bool(block.get("text")))


def _as_blocks(message: Message) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": [{"type": "text", "text": content}]} if content else dict(message)
    return {**message, "content": [_unmarked(block) for block in content]}


def _unmarked(block: Json) -> Json:
    """`block` without markers, also without those inside a tool result. A tool's own input is never looked into."""
    if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
        block = {**block, "content": [_unmarked(part) for part in block["content"]]}
    return {key: value for key, value in block.items() if key != "cache_control"} if "cache_control" in block else block


def _marked(block: Json) -> Json:
    return {**block, "cache_control": dict(MARKER)}
