"""Who goes first among requests made together: an agent waits for those that its file says it depends on.

The dependency is soft: an agent that nobody asked for is not waited for, and a circle is cut where it would close.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Entry:
    """One request: who is asked, whom it waits for, and whether it has ended."""

    name: str
    depends_on: Collection[str]
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    after: list[Entry] = field(default_factory=list)

    def waits_for(self, other: Entry) -> bool:
        return other in self.after or any(entry.waits_for(other) for entry in self.after)


class Order:
    """The requests that are open. `len` is their number."""

    def __init__(self) -> None:
        self._open: list[Entry] = []

    def __len__(self) -> int:
        return len(self._open)

    async def enter(self, name: str, depends_on: Collection[str]) -> Entry:
        """Stand in line, and return when it is this request's turn."""
        entry = Entry(name, depends_on)
        self._open.append(entry)
        try:
            await asyncio.sleep(0)  # calls of the same answer start in one round of the event loop: let them all enter
            entry.after = [
                other
                for other in self._open
                if other.name in depends_on and not (other is entry or other.waits_for(entry))
            ]
            for other in entry.after:
                await other.ended.wait()
        except BaseException:
            self.leave(entry)
            raise
        return entry

    def leave(self, entry: Entry) -> None:
        """The request has ended, however it did."""
        entry.ended.set()
        entry.after.clear()
        self._open.remove(entry)
