"""The files of a directory, in a fixed order, as Grep and Glob see them.

Directories are opened one below the other without following links, so the walk never leaves its start. `.gitignore`
files from the workspace root downwards count; `.git` and its like are left out; other hidden files are files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.paths import Place, failure, open_directory, open_regular
from tools.tool import ToolError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".jj", ".bzr", ".sl"})
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 200
_MAX_RULES_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The `.gitignore` of one directory, `base` being that directory's path with a final slash ("" for the anchor)."""

    base: str
    spec: GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class Walk:
    """What to walk: the files below `start`. For `names` only, links and ignored files count as well: `.env` is there,
    even if git does not see it; an ignored directory such as `node_modules` is still not entered.
    """

    start: Place
    names: bool = False

    def files(self) -> Iterator[str]:
        """Paths relative to the start, sorted by component. Raises `ToolError` when it cannot be opened."""
        anchor = self.start.anchor
        steps = self.start.real.relative_to(anchor).parts
        base = "".join(f"{step}/" for step in steps)
        try:
            with open_directory(anchor, steps) as fd:
                for path in self._descend(fd, base, _rules_above(anchor, steps), 0):
                    yield path.removeprefix(base)
        except OSError as error:
            raise failure(error, "search", self.start) from error

    def _descend(self, fd: int, base: str, rules: tuple[Rules, ...], depth: int) -> Iterator[str]:
        with os.scandir(fd) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        if any(entry.name == ".gitignore" for entry in entries):
            rules = (*rules, *_rules_in(fd, base))
        for entry in entries:
            path = base + entry.name
            if not entry.is_dir(follow_symlinks=False):
                if self._counts(entry, path, rules):
                    yield path
            elif entry.name not in _VERSION_CONTROL and depth < _MAX_DEPTH and not _ignored(rules, f"{path}/"):
                # A directory that vanished, may not be read or became a link is passed over.
                with suppress(OSError), _opened(entry.name, fd) as child:
                    yield from self._descend(child, f"{path}/", rules, depth + 1)

    def _counts(self, entry: os.DirEntry[str], path: str, rules: tuple[Rules, ...]) -> bool:
        if self.names:
            return entry.is_file(follow_symlinks=False) or entry.is_symlink()
        return entry.is_file(follow_symlinks=False) and not _ignored(rules, path)


@contextmanager
def _opened(name: str, parent: int) -> Iterator[int]:
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


def _ignored(rules: tuple[Rules, ...], path: str) -> bool:
    """Whether the innermost rules that know `path` ignore it; a directory's path ends in a slash."""
    for rule in reversed(rules):
        verdict = rule.spec.check_file(path.removeprefix(rule.base)).include
        if verdict is not None:
            return verdict
    return False


def _rules_above(anchor: Path, steps: tuple[str, ...]) -> tuple[Rules, ...]:
    """Rules of the directories above the start; none if they ignore the start itself, since it was asked for."""
    rules: tuple[Rules, ...] = ()
    base = ""
    for depth, step in enumerate(steps):
        with open_directory(anchor, steps[:depth]) as fd:
            rules = (*rules, *_rules_in(fd, base))
        base += f"{step}/"
        if _ignored(rules, base):
            return ()
    return rules


def _rules_in(fd: int, base: str) -> list[Rules]:
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    try:
        with os.fdopen(open_regular(fd, ".gitignore"), "rb") as file:
            lines = file.read(_MAX_RULES_BYTES).decode("utf-8", "replace").splitlines()
    except (OSError, ToolError):
        return []
    patterns = []
    for line in lines:
        with suppress(ValueError):  # git passes over a malformed line as well
            patterns.append(GitIgnoreSpecPattern(line))
    # RE2 matches in linear time; the other engines could be held up by a hostile file.
    return [Rules(base, GitIgnoreSpec(patterns, backend="re2"))] if patterns else []
