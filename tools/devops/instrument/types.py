"""What instrumenting a unit would change, and the pieces a framework hands back for it."""

from __future__ import annotations

from dataclasses import dataclass, field


class InstrumentError(Exception):
    """The changes could not be made. The message names the file, the cause and the next thing to try."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file. `path` is relative to the project root; `before` is None for a new file; `diff` is a unified diff."""

    path: str
    before: str | None
    after: str
    diff: str


@dataclass(frozen=True, slots=True)
class Instrumentation:
    """The changes that give a unit what it lacks.

    `added` holds the readiness subjects the changes bring, `unsupported` a sentence for each subject that they do not
    bring and what to do about it, `notes` what a reader of the diff should know.
    """

    changes: tuple[FileChange, ...] = ()
    added: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Draft:
    """What a framework module collects: texts of new and edited files by path relative to the unit."""

    new: dict[str, str] = field(default_factory=dict)
    edited: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Handle:
    """The application's own database engine or cache client, as found in its code.

    `role` is `database` or `cache`; `kind` says how to ask it (a key of `KINDS`); `file` (relative to the unit)
    defines `name`. Without a `file`, `name` is the environment variable from which the check opens a connection of
    its own, or "" where the framework itself knows the connection.
    """

    role: str
    kind: str
    name: str
    file: str = ""
    line: int = 0

    @property
    def is_given(self) -> bool:
        """Whether the application hands it to the check."""
        return bool(self.file)

    @property
    def is_own_connection(self) -> bool:
        return bool(self.name) and not self.file
