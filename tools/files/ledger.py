"""Which files this run has read, so that nothing unread or changed is overwritten.

A file may be edited where it was read: `Edit` needs the text it replaces to have been shown, `Write` and a replacement
of all matches need the whole file. "Unchanged" means the same SHA-256 as when it was read, which holds also where
times are coarse or were set back.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tools.paths import Place
from tools.tool import ToolContext, ToolError


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of one file. `parts` are the pieces shown, of use only while `whole` is false."""

    digest: bytes
    whole: bool = True
    lines: frozenset[int] = frozenset()
    parts: tuple[str, ...] = ()


@dataclass(slots=True)
class Ledger:
    """Kept in `ctx.state["files"]`. `lock` makes check and write of one call a unit when calls run in threads."""

    seen: dict[Path, Seen] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def ledger(ctx: ToolContext) -> Ledger:
    """The run's ledger."""
    found: Ledger = ctx.state.setdefault("files", Ledger())
    return found


def dump(ctx: ToolContext) -> dict[str, str]:
    """Path -> SHA-256 of each file that was read whole, for a later turn. Parts are left out: they hold text."""
    return {str(path): seen.digest.hex() for path, seen in ledger(ctx).seen.items() if seen.whole}


def load(ctx: ToolContext, dumped: Mapping[str, str]) -> None:
    """Take up what an earlier turn read. A file that changed since counts as changed, as ever."""
    ledger(ctx).seen.update({Path(path): Seen(bytes.fromhex(digest)) for path, digest in dumped.items()})


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def note_whole(ctx: ToolContext, place: Place, content: bytes) -> None:
    """The whole file is known: it was read, or just written."""
    ledger(ctx).seen[place.real] = Seen(_digest(content))


def note_part(ctx: ToolContext, place: Place, content: bytes, part: str, lines: Iterable[int], total: int) -> None:
    """Lines of the file were shown. Enough parts make a whole."""
    digest = _digest(content)
    before = ledger(ctx).seen.get(place.real)
    if before is None or before.digest != digest:
        before = Seen(digest, whole=False)
    shown = before.lines | set(lines)
    whole = before.whole or len(shown) == total
    kept = Seen(digest) if whole else Seen(digest, False, shown, (*before.parts, part))
    ledger(ctx).seen[place.real] = kept


def require_read(ctx: ToolContext, place: Place, content: bytes) -> Seen:
    """What was read of the file that now holds `content`. Raises `ToolError` if nothing, or if it changed since."""
    seen = ledger(ctx).seen.get(place.real)
    if seen is None:
        raise ToolError(f"{place.shown} exists and has not been read in this conversation. Read it first.")
    if seen.digest != _digest(content):
        raise ToolError(f"{place.shown} has changed since it was read. Read it again before changing it.")
    return seen


def require_whole(ctx: ToolContext, place: Place, content: bytes) -> None:
    """As `require_read`, for calls that could destroy text nobody has seen."""
    if not require_read(ctx, place, content).whole:
        raise ToolError(
            f"Only a part of {place.shown} has been read. Read the rest first (offset, limit), or change a part that "
            "was read with Edit. Lines that were cut when shown count as unread."
        )


def note_edit(ctx: ToolContext, place: Place, content: bytes, old: str, new: str) -> None:
    """An edit of a part was written: the parts read before are still known, as they are now."""
    seen = ledger(ctx).seen[place.real]
    parts = tuple(part.replace(old, new) for part in seen.parts)
    # Line numbers may have moved, so they no longer count towards a whole.
    ledger(ctx).seen[place.real] = replace(seen, digest=_digest(content), lines=frozenset(), parts=parts)
