"""What in a writable directory stays read-only, and how each such path is mounted.

Three things keep a protected path from being changed: it is mounted over itself read-only; an absent one is covered
by an empty read-only directory; and the directories that lead to it are mounted over themselves, because a mount point
can not be renamed, while the parent of one can.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from tools.paths import within
from tools.text import clean
from tools.tool import ToolError

_SEARCH_DEPTH, _SEARCH_DIRECTORIES = 4, 3000


@dataclass(slots=True)
class Protection:
    """Mounts in one writable directory: `pinned` over themselves, `readonly`, `absent` covered by empty directories."""

    pinned: set[Path] = field(default_factory=set)
    readonly: set[Path] = field(default_factory=set)
    absent: set[Path] = field(default_factory=set)

    def arguments(self) -> Iterator[str]:
        """For bubblewrap, outer paths first: a later mount covers an earlier one below it."""
        for path in sorted(self.pinned | self.readonly | self.absent, key=lambda path: (len(path.parts), path)):
            if path in self.absent:
                yield from ("--size", "4096", "--tmpfs", str(path), "--remount-ro", str(path))
            elif path in self.readonly:
                yield from ("--ro-bind", str(path), str(path))
            else:
                yield from ("--bind", str(path), str(path))


def protect(root: Path, nested: Sequence[Path] = ()) -> Protection:
    """What to mount in `root`. `nested` are further paths, as `find_nested` found them.

    Raises `ToolError` where a protected path is a link: the mount would lie on its target, and the link could still be
    replaced.
    """
    found = Protection()
    names = places()["protected"]
    for path in (*map(root.joinpath, (*names["always"], *_bare_repository(root))), *_own_programs(root)):
        _add(found, root, path.relative_to(root).parts, create=False)
    for name in names["present"]:
        _add(found, root, Path(name).parts, create=True)
    for path in nested:
        _add(found, root, path.relative_to(root).parts, create=True)
    for directory in _git_directories(root):
        _add(found, root, directory.relative_to(root).parts, create=True)
    return found


def _add(found: Protection, root: Path, parts: Sequence[str], *, create: bool) -> None:
    """Protect one path. `create`: where it is absent it may be made."""
    path = root
    for depth, part in enumerate(parts, start=1):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            if not create:
                found.absent.add(path)
            return
        if stat.S_ISLNK(mode):
            raise ToolError(
                f"The sandbox cannot protect {clean(str(path))}: it is a link, and a command could replace it. Put the "
                "directory or file itself there, or run the command outside the sandbox with the user's permission."
            )
        if depth == len(parts) or not stat.S_ISDIR(mode):
            found.readonly.add(path)
            return
        found.pinned.add(path)


def _bare_repository(root: Path) -> tuple[str, ...]:
    """Names that would make `root` itself a repository: git takes HEAD, objects and refs for one."""
    if (root / ".git" / "HEAD").exists() or (root / ".git").is_file():
        return ()
    return ("HEAD", "config", "hooks") if (root / "HEAD").exists() else ("HEAD",)


def _own_programs(root: Path) -> Iterator[Path]:
    """Where this program itself, and what it starts outside the sandbox, comes from."""
    for path in map(Path, (sys.prefix, *os.get_exec_path())):
        if path.is_absolute() and within(path, root) and path != root:
            yield path


def _git_directories(root: Path) -> Iterator[Path]:
    """Where `.git` is a file that points into `root`: the repository it points to. Others are read-only anyway."""
    try:
        line = (root / ".git").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    target = line.partition("gitdir:")[2].strip()
    if target and "\0" not in target:
        path = Path(os.path.realpath(root / target))
        if within(path, root) and path != root:
            yield path


def find_nested(root: Path) -> tuple[Path, ...]:
    """Protected names below the first level of `root`: other repositories, agent and editor settings of its parts.

    Looks four levels deep into at most 3000 directories and follows no links.
    """
    names = places()["protected"]
    wanted, skipped = frozenset(names["nested"]), frozenset(names["not_searched"])
    found: list[Path] = []
    queue = [(root, 0)]
    for directory, depth in queue:  # grows while it is walked
        if len(queue) > _SEARCH_DIRECTORIES:
            break
        try:
            with os.scandir(directory) as entries:
                inside = [entry for entry in entries if not entry.is_symlink()]
        except OSError:
            continue
        for entry in inside:
            path = Path(entry.path)
            if entry.name in wanted:
                found.extend([path] if depth else [])
            elif entry.name not in skipped and entry.is_dir() and depth < _SEARCH_DEPTH:
                queue.append((path, depth + 1))
    return tuple(found)


@cache
def places() -> Mapping[str, Any]:
    """places.yaml."""
    import yaml

    text = (Path(__file__).parent / "places.yaml").read_text(encoding="utf-8")
    return cast("Mapping[str, Any]", yaml.safe_load(text))
