"""The sessions of one process: each begins once and ends once here, however many turns it has.

A surface that answers more than one prompt keeps a `Sitting` on its agent and ends it when it leaves. Without one,
every run is a session of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Leaving(Protocol):
    """What is told that a session is left: its hooks."""

    async def session_end(self, reason: str) -> object: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class Sitting:
    """`source` is why the next new session begins. `environment` is what its hooks export to shell commands."""

    source: str = "startup"
    session_id: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    _hooks: Leaving | None = None

    def begins(self, session_id: str, source: str | None) -> str | None:
        """Why `session_id` begins with the coming run (`source`, where it was there before), or None if it goes on."""
        return None if session_id == self.session_id else source or self.source

    def keep(self, session_id: str, environment: Mapping[str, str], hooks: Leaving | None) -> None:
        """A run of `session_id` is over; the session may go on."""
        if session_id != self.session_id:
            self.environment = {}
        self.session_id, self._hooks = session_id, hooks
        self.environment = {**self.environment, **environment}

    async def end(self, reason: str) -> None:
        """The session is left: its SessionEnd hooks run. A next one begins because of `clear` if that is the reason."""
        hooks, self._hooks = self._hooks, None
        self.session_id, self.environment = "", {}
        self.source = "clear" if reason == "clear" else "startup"
        if hooks is not None:
            await hooks.session_end(reason)
            await hooks.aclose()
