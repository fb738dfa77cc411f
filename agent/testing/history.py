"""What the server remembers: which answer it gave to which prefix, and which prefixes are cached.

The first makes it strict about history: an answer may come back only behind exactly the system prompt, tools and
messages it was given for, unchanged itself. That is the check behind the API's thinking signatures, applied to every
answer, and it needs no notion of a conversation: forks and subagents are fine, edits are not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.models.caching import LOOK_BACK
from agent.models.port import Json

_THINKING = frozenset({"thinking", "redacted_thinking"})


@dataclass(frozen=True, slots=True)
class _Served:
    system: str
    tools: str
    messages: tuple[str, ...]
    content: list[Json]
    paused: bool


class ServedHistory:
    """Answers given so far. `seeded`: answers this server did not give are accepted when they hold no thinking."""

    def __init__(self, *, seeded: bool = False) -> None:
        self._served: list[_Served] = []
        self._seeded = seeded

    def remember(self, body: Mapping[str, Any], content: Sequence[Json], *, paused: bool) -> None:
        """Note that `content` was the answer to `body`."""
        system, tools, messages = _parts(body)
        self._served.append(_Served(system, tools, tuple(messages), clean(list(content)), paused))

    def continues_paused(self, messages: Any) -> bool:
        """Whether the last of `messages` is an answer that had been paused. They may be of any shape."""
        last = messages[-1] if isinstance(messages, list) and messages else None
        last = clean(last.get("content")) if isinstance(last, dict) else None
        return any(served.paused and served.content == last for served in self._served)

    def problems_of(self, body: Mapping[str, Any]) -> Iterator[str]:
        """What in a request's history is not as it was."""
        system, tools, messages = _parts(body)
        for at, message in enumerate(body["messages"]):
            if message["role"] != "assistant":
                continue
            content = clean(message["content"])
            if isinstance(content, str):
                content = [{"type": "text", "text": content}]
            given = [served for served in self._served if _is_answer(content, served.content)]
            before = _Served(system, tools, tuple(messages[:at]), [], paused=False)
            if given:
                changes = [_change(served, before) for served in given]
                if None not in changes:
                    yield f"messages.{at}: Invalid signature: bound to a different conversation, {changes[-1]}"
            elif any(_change(served, before) is None for served in self._served):
                yield f"messages.{at}: the answer given here cannot be modified"
            elif not self._seeded or any(block.get("type") in _THINKING for block in content):
                yield f"messages.{at}: this answer was not given by this server"


class PromptCache:
    """The prompt cache as the API documents it: entries at markers, looked for at most 20 blocks back from a marker.

    Tokens are estimated as a quarter of the JSON's characters. Smallest cacheable sizes and expiry are left out.
    """

    def __init__(self) -> None:
        self._entries: set[str] = set()

    def usage_of(self, body: Mapping[str, Any]) -> dict[str, int]:
        """Input counts of a request; its marked prefixes are cached from then on."""
        digest = hashlib.sha256(body["model"].encode())
        prefixes: list[str] = []
        sizes: list[int] = [0]
        marks: list[int] = []
        for at, block in enumerate(_blocks(body)):
            dumped = _dump(clean(block))
            digest.update(dumped.encode("utf-8", "replace"))
            prefixes.append(digest.hexdigest())
            sizes.append(sizes[-1] + len(dumped) // 4 + 1)
            if block.get("cache_control"):
                marks.append(at)
        hits = [
            at for mark in marks for at in range(max(0, mark - LOOK_BACK), mark + 1) if prefixes[at] in self._entries
        ]
        self._entries.update(prefixes[mark] for mark in marks)
        read = sizes[max(hits) + 1] if hits else 0
        marked = sizes[marks[-1] + 1] if marks else 0
        written = max(0, marked - read)
        return {
            "input_tokens": sizes[-1] - read - written,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
        }


def clean(value: Any) -> Any:
    """Blocks without cache markers, which are no part of a conversation. A tool's own input is left alone."""
    if isinstance(value, list):
        return [clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: item for key, item in value.items() if key != "cache_control"}
    return kept | {"content": clean(kept["content"])} if isinstance(kept.get("content"), list) else kept


def _blocks(body: Mapping[str, Any]) -> Iterator[Json]:
    yield from body.get("tools") or []
    system = body.get("system") or []
    yield from [{"type": "text", "text": system}] if isinstance(system, str) else system
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield {"role": message["role"], **block}


def _parts(body: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """System, tools and each message as JSON, so that comparing them compares bytes."""
    system, tools = _dump(clean(body.get("system") or [])), _dump(clean(body.get("tools") or []))
    return system, tools, [_dump(clean(message)) for message in body["messages"]]


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_answer(content: list[Json], served: list[Json]) -> bool:
    """Whether `content` is what was served, or what may stay of it after an interruption: a start without calls."""
    if content == served:
        return True
    start = [block for block in served if block.get("type") != "tool_use"]
    return bool(content) and content == start[: len(content)]


def _change(served: _Served, now: _Served) -> str | None:
    """The first part of the prefix that differs, or None."""
    if served.system != now.system:
        return "system has changed"
    if served.tools != now.tools:
        return "tools have changed"
    if served.messages == now.messages:
        return None
    pairs = zip(served.messages, now.messages, strict=False)
    at = next((i for i, (old, new) in enumerate(pairs) if old != new), min(len(served.messages), len(now.messages)))
    return f"messages.{at} has changed"
