"""Instruction files: CLAUDE.md and AGENTS.md of the organisation, the user and the project, with what they import.

Broadest first: managed, the user's, then every directory from the top of the file system to the working one; in each
`AGENTS.md`, `CLAUDE.md`, `.claude/CLAUDE.md`, `CLAUDE.local.md`. A file that is reached twice counts once. `@path` in a
text imports a file, at most five deep, from inside the same root and never a file of credentials. Directories that are
not believed are left out (Claude Code documentation on memory, August 2026).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.knowledge.fields import DefinitionError, read_text
from agent.settings.places import Level, Places
from agent.settings.remarks import Remark, remark
from tools.text import clean, unseen

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MAX_FILE_CHARS = 40_000
MAX_TOTAL_CHARS = 200_000
_DEEPEST = 5

_FENCE = re.compile(r"[ \t]*(```+|~~~+)")
_TICKS = re.compile(r"(`+)")
_IMPORT = re.compile(r"(?:(?<=\s)|^)@((?:[^\s\\]|\\ )+)")


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """One file's text. `importer` is the file that named it with `@path`, None for one found in its own place."""

    path: Path
    level: Level
    text: str
    importer: Path | None = None

    def render(self) -> str:
        """The block as the model reads it, with its source."""
        came = f", imported by {self.importer}" if self.importer else ""
        return f"Contents of {self.path} ({_MEANING[self.level]}{came}):\n\n{self.text}"


_MEANING = {
    "managed": "the organisation's instructions",
    "user": "the user's instructions for all projects",
    "project": "the project's instructions",
    "local": "the user's private instructions for this project",
}


@dataclass(frozen=True, slots=True)
class Memory:
    """All blocks, broadest first; `problems` tell what was changed or cannot be used, `dropped` what was left out."""

    blocks: tuple[MemoryBlock, ...] = ()
    problems: tuple[Remark, ...] = ()
    dropped: tuple[Remark, ...] = ()

    def render(self) -> tuple[str, ...]:
        """Text blocks for the system prompt."""
        return tuple(block.render() for block in self.blocks)


def load_memory(places: Places, excludes: Sequence[str] = ()) -> Memory:
    """The instruction files in force. `excludes` are the globs of `claudeMdExcludes`, matched on absolute paths."""
    reader = _Reader(places, excludes)
    for path, level, root in _files(places):
        reader.add(path, level, root)
    return Memory(tuple(reader.blocks), tuple(reader.problems), tuple(reader.dropped))


def _files(places: Places) -> Iterator[tuple[Path, Level, Path]]:
    """Files in order, each with the root its imports must lie in; they need not exist."""
    yield places.managed / "CLAUDE.md", "managed", places.managed
    if "user" in places.sources:
        yield places.user / "CLAUDE.md", "user", places.home
        yield places.user / "AGENTS.md", "user", places.home
    top = places.project[-1] if places.project else places.cwd
    for directory in (*reversed([places.cwd, *places.cwd.parents]), *places.directories):
        root = top if directory.is_relative_to(top) else directory
        if "project" in places.sources:
            for name in ("AGENTS.md", "CLAUDE.md", ".claude/CLAUDE.md"):
                yield directory / name, "project", root
        if "local" in places.sources:
            yield directory / "CLAUDE.local.md", "local", root


class _Reader:
    """Collects blocks, and remarks on what is left out or changed."""

    def __init__(self, places: Places, excludes: Sequence[str]) -> None:
        self.places = places
        self.blocks: list[MemoryBlock] = []
        self.problems: list[Remark] = []
        self.excludes = list(self._globs(excludes)) if excludes else []
        self.dropped: list[Remark] = []
        self.seen: set[Path] = set()
        self.room = MAX_TOTAL_CHARS

    def _globs(self, patterns: Sequence[str]) -> Iterator[GitIgnoreSpec]:
        from pathspec import GitIgnoreSpec

        for pattern in patterns:
            try:
                yield GitIgnoreSpec.from_lines([pattern])
            except ValueError as error:
                self.problems.append(remark("wrong_type", "claudeMdExcludes", what=pattern, why=error))

    def add(self, path: Path, level: Level, root: Path) -> None:
        """Take in a file found in its own place, if it exists and its directory is believed."""
        if not path.exists() and not path.is_symlink():
            return
        if level in ("project", "local"):
            directory = path.parent.parent if path.parent.name == ".claude" else path.parent
            if not self.places.believes(directory):
                self.dropped.append(remark("untrusted", path, what=path.name))
                return
            if not _real(path).is_relative_to(root):
                self.dropped.append(remark("outside", path, what=path.name, root=root))
                return
        self._read(path, level, root, None, 0)

    def _read(self, path: Path, level: Level, root: Path, importer: Path | None, depth: int) -> None:
        real = _real(path)
        if real in self.seen:
            return
        self.seen.add(real)
        if level != "managed" and any(spec.match_file(str(path).lstrip("/")) for spec in self.excludes):
            self.dropped.append(remark("excluded", path, what=path.name))
            return
        try:
            text = read_text(path)
        except DefinitionError as error:
            self.problems.append(remark("unreadable", path, what=path.name, why=error.reason))
            return
        self.blocks.append(MemoryBlock(path, level, self._presentable(text, path), importer))
        for name in _imports(text):
            self._import(name, path, level, root, depth + 1)

    def _presentable(self, text: str, path: Path) -> str:
        """`text` with everything invisible shown, within the limits."""
        if found := unseen(text):
            self.problems.append(remark("unseen", path, what=path.name, found=", ".join(found[:20])))
        text = clean(text).strip()
        limit = min(MAX_FILE_CHARS, self.room)
        if len(text) > limit:
            self.problems.append(remark("cut", path, what=path.name, limit=limit))
            text = f"{text[:limit]}\n[cut at {limit} characters]"
        self.room = max(0, self.room - len(text))
        return text

    def _import(self, name: str, importer: Path, level: Level, root: Path, depth: int) -> None:
        """Follow one `@path`. A name that is no file is ordinary text (`@someone`, a package)."""
        from agent.permissions import paths

        path = self._located(name, importer)
        try:
            if path is None or not path.is_file():
                return
            real = _real(path)
        except (OSError, ValueError):  # too long, or a NUL
            return
        if level != "managed" and not real.is_relative_to(_real(root)):
            self.dropped.append(remark("outside", importer, what=f"@{name}", root=root))
        elif paths.credentials(paths.locate(str(path), importer.parent, self.places.home), self.places.home):
            self.dropped.append(remark("credentials", importer, what=f"@{name}"))
        elif depth > _DEEPEST:
            self.dropped.append(remark("too_deep", importer, what=f"@{name}", limit=_DEEPEST))
        else:
            self._read(path, level, root, importer, depth)

    def _located(self, name: str, importer: Path) -> Path | None:
        name = name.replace("\\ ", " ")
        if name.startswith("~/"):
            return self.places.home / name[2:]
        for candidate in (name, name.rstrip(".,;:!?)")):
            path = importer.parent / candidate
            try:
                if candidate and path.is_file():
                    return path
            except (OSError, ValueError):
                continue
        return None


def _real(path: Path) -> Path:
    """`path` with links followed; unlike `Path.resolve`, a loop of links is no error."""
    return Path(os.path.realpath(path))


def _imports(text: str) -> Iterator[str]:
    """The names after `@` in running text: not in code blocks, not between backticks."""
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
        elif mark:
            fence = mark[1]
        elif "@" in line:
            yield from _IMPORT.findall(_without_code(line))


def _without_code(line: str) -> str:
    """`line` without what stands between equal runs of backticks."""
    kept, opened = "", ""
    for part in _TICKS.split(line):
        if part.startswith("`"):
            opened = "" if part == opened else opened or part
        elif not opened:
            kept += part
    return kept
