"""How full a model's window is: the server's own count of the last answer, and an estimate of what came after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.models.catalog import facts
from agent.models.port import Json

_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_CHARACTERS_A_TOKEN = 3  # on the safe side: JSON and code take more tokens than prose
_IMAGE_TOKENS = 2_000


@dataclass(frozen=True, slots=True)
class AutoCompact:
    """Whether a conversation is summarised unasked, and as if a window held no more than `window` tokens."""

    enabled: bool = True
    window: int | None = None


@dataclass(slots=True)
class Window:
    """`filled` tokens were counted for the first `counted` messages. `refused`: a request was too long since then."""

    filled: int = 0
    counted: int = 0
    refused: bool = False

    def note(self, usage: Mapping[str, Any], counted: int) -> None:
        """An answer came: its usage covers `counted` messages, the answer included."""
        self.filled, self.counted = tokens_in(usage), counted

    def tokens(self, history: Sequence[Json]) -> int:
        """Tokens the next request will have, the answer not included."""
        return self.filled + estimate(history[self.counted :])


def tokens_in(usage: Mapping[str, Any]) -> int:
    """The size of the conversation by an answer's usage. Compactions on the server's side are counted apart there."""
    iterations = [entry for entry in usage.get("iterations") or [] if entry.get("type") == "message"]
    counts = iterations[-1] if iterations else usage
    return sum(counts.get(name) or 0 for name in _COUNTS)


def estimate(messages: Iterable[Json]) -> int:
    """About how many tokens messages take, rather too many than too few."""
    return sum(_size(message["content"]) for message in messages)


def _size(content: Any) -> int:
    if isinstance(content, str):
        return len(content) // _CHARACTERS_A_TOKEN + 1
    if isinstance(content, list):
        return sum(_size(part) for part in content)
    if not isinstance(content, Mapping):
        return len(str(content)) // _CHARACTERS_A_TOKEN + 1
    if content.get("type") in ("image", "document") and "source" in content:
        return _IMAGE_TOKENS
    return sum(_size(value) for value in content.values())


def room(model_id: str, max_tokens: int, most: int | None = None) -> int | None:
    """The most tokens a conversation may have before it is summarised; None for a model whose window is not known.

    An answer must fit behind it, and so must the summary's. `most` takes the window for no larger than that.
    """
    known = facts(model_id)
    sizes = [size for size in (known.window if known else None, most) if size is not None]
    return None if not sizes else min(sizes) - min(max_tokens, min(sizes) // 5) - min(sizes) // 25
