"""The sessions of one agent: where they are kept, and the one that lasts for several runs of this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory


class Leaving(Protocol):
    """What is told that a session is left: its hooks."""

    async def session_end(self, reason: str) -> object: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class Sessions:
    """`store` is where journals are kept, by default the user's own place; `transcripts` also writes sessions in
    Claude Code's layout. `lasting`: a session begins once and ends once, however many runs it has, and whoever sets
    this calls `aclose` in the end; without it every run is a session of its own.
    """

    store: Path | None = None
    transcripts: bool = False
    lasting: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)  # what its hooks export to shell commands
    _source: str = "startup"  # why the next new session begins
    _going: str = ""
    _hooks: Leaving | None = None
    _passing: TemporaryDirectory[str] | None = None

    @classmethod
    def passing(cls) -> Sessions:
        """Lasting sessions in a place that is gone when they are closed."""
        from tempfile import TemporaryDirectory

        place = TemporaryDirectory(prefix="expert-devops-")
        return cls(store=Path(place.name), lasting=True, _passing=place)

    def begins(self, session_id: str, source: str | None) -> str | None:
        """Why `session_id` begins with the coming run (`source`, where it was there before), or None if it goes on."""
        return None if session_id == self._going else source or self._source

    async def pause(self, session_id: str, environment: Mapping[str, str], hooks: Leaving | None) -> None:
        """A run of `session_id` is over. A lasting session may go on; any other ends with it."""
        if self.lasting:
            if session_id != self._going:
                self.environment = {}
            self._going, self._hooks = session_id, hooks
            self.environment = {**self.environment, **environment}
        elif hooks is not None:
            await hooks.session_end("other")
        if hooks is not None:
            await hooks.aclose()

    async def end(self, reason: str) -> None:
        """The session is left: its SessionEnd hooks run. A next one begins because of `clear` if that is the reason."""
        hooks, self._hooks = self._hooks, None
        self._going, self.environment = "", {}
        self._source = "clear" if reason == "clear" else "startup"
        if hooks is not None:
            await hooks.session_end(reason)
            await hooks.aclose()

    async def aclose(self, reason: str) -> None:
        """End the session that goes on; those of a passing place are gone."""
        try:
            await self.end(reason)
        finally:
            if self._passing is not None:
                self._passing.cleanup()
