"""Where file tools may reach, and how they get there without being led elsewhere.

A path is first resolved completely, then compared by components with the places this run may touch: the workspace, its
scratch directory, and what was granted. Opening walks down from that place one component at a time with `O_NOFOLLOW`,
so a link put in the way after the check is refused, not followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tools.atomic import replacing
from tools.text import clean
from tools.tool import ToolContext, ToolError

_NO_LINKS = os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS
_PSEUDO = (Path("/proc"), Path("/sys"), Path("/dev"))
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A path that may be used: `path` absolute as spelled, `real` with links resolved, `anchor` that holds it."""

    path: Path
    real: Path
    anchor: Path

    @property
    def shown(self) -> str:
        """The path as text for a message."""
        return clean(str(self.path))


def grant(ctx: ToolContext, path: Path) -> None:
    """Let this run's file tools reach `path` (a file or a directory), outside the workspace too.

    For whoever has settled that it may: an added directory, a skill's files, a call the user approved.
    """
    ctx.state.setdefault("paths", set()).add(Path(os.path.realpath(path)))


def only_readable(ctx: ToolContext, allowed: Callable[[Path], bool]) -> None:
    """Keep files for which `allowed` is false out of every search of this run: denied to Read, denied to Grep."""
    ctx.state["search"] = allowed


def within(path: Path, directory: Path) -> bool:
    """Whether `path` is `directory` or lies below it, compared by components."""
    return path == directory or directory in path.parents


def locate(ctx: ToolContext, path: str) -> Place:
    """Resolve `path` against the current directory. Raises `ToolError` where file tools may not go."""
    if not path or "\0" in path:
        raise ToolError("The path is empty or contains a NUL character. Give an absolute path.")
    if path.startswith("~") and path != "~" and not path.startswith("~/"):
        raise ToolError("Only ~/ is expanded, not the home of another user. Write ./~ for a name that begins with ~.")
    try:
        spelled = ctx.resolve(path)
        real = Path(os.path.realpath(spelled))
    except UnicodeEncodeError as error:
        raise ToolError("The path contains a character that no file name can have.") from error
    anchors = [Path(os.path.realpath(a)) for a in (ctx.root, ctx.scratch)] + list(ctx.state.get("paths", ()))
    holding = [anchor for anchor in anchors if within(real, anchor)]
    if any(within(p, pseudo) for p in (spelled, real) for pseudo in _PSEUDO):
        raise ToolError(f"{clean(str(spelled))} belongs to the kernel, not to the project. File tools do not open it.")
    if not holding:
        leads = f" leads to {clean(str(real))}, which" if real != spelled else ""
        raise ToolError(
            f"{clean(str(spelled))}{leads} is outside the workspace {clean(str(ctx.root))}. Use a path inside it, or "
            "ask the user to add that directory."
        )
    return Place(spelled, real, max(holding, key=lambda anchor: len(anchor.parts)))


@contextmanager
def open_directory(anchor: Path, steps: Iterable[str], *, create: bool = False) -> Iterator[int]:
    """The directory `steps` below `anchor` as an open descriptor. `create` makes missing directories.

    Raises `OSError`; `ELOOP` or `ENOTDIR` where a component is a link.
    """
    current = os.open(anchor, _DIRECTORY)
    try:
        for step in steps:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(step, dir_fd=current)
            below = os.open(step, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


@contextmanager
def directory_of(place: Place, *, create: bool = False) -> Iterator[tuple[int, str]]:
    """The directory that holds `place`, as `open_directory` opens it, and the name in it."""
    # A granted file is its own anchor.
    anchor = place.anchor if place.real != place.anchor else place.anchor.parent
    with open_directory(anchor, place.real.parent.relative_to(anchor).parts, create=create) as directory:
        yield directory, place.real.name


def open_regular(directory: int, name: str) -> int:
    """Open the regular file `name` for reading. Raises `OSError`, and `ToolError` for anything that is not a file."""
    _require_regular(os.stat(name, dir_fd=directory, follow_symlinks=False), name)
    fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | _NO_LINKS, dir_fd=directory)
    try:
        _require_regular(os.fstat(fd), name)
    except ToolError:
        os.close(fd)
        raise
    return fd


def _require_regular(status: os.stat_result, name: str) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise ToolError(f"{clean(name)} is a directory. List it with Glob, or with `ls` in Bash.")
    if kind != stat.S_IFREG:
        raise ToolError(f"{clean(name)} is {_KINDS.get(kind, 'not a regular file')}. Only regular files are opened.")


def read_bytes(place: Place, limit: int) -> tuple[bytes, os.stat_result]:
    """The content of a regular file and its status. Raises `OSError`, and `ToolError` above `limit` bytes."""
    with directory_of(place) as (directory, name):
        fd = open_regular(directory, name)
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            content = file.read(limit + 1)
    if len(content) > limit:
        raise ToolError(
            f"{place.shown} is larger than {limit // 1_000_000} MB, which is too large to open here. "
            "Search it with Grep, or take a part with Bash (`head`, `tail`, `sed -n`)."
        )
    return content, status


def replace_bytes(place: Place, content: bytes, before: os.stat_result | None) -> None:
    """Put `content` in the file in one step: readers see the old file or the new one, never a part.

    `before` is the status of the file that is replaced; mode and owner are kept, set-id bits are not. None creates the
    file and its missing directories. Raises `OSError` with nothing left behind, and `ToolError` when the file is no
    longer the one that `before` describes.
    """
    with (
        directory_of(place, create=before is None) as (directory, name),
        replacing(Path(name), directory=directory) as file,
    ):
        if before is not None:
            _keep_owner_and_mode(file.fileno(), before)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # what takes longest is over when the file is compared
        _require_same(directory, name, before, place)


def _keep_owner_and_mode(fd: int, before: os.stat_result) -> None:
    own = os.fstat(fd)
    if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid):
        with suppress(PermissionError):  # only root may give files away
            os.fchown(fd, before.st_uid, before.st_gid)
    os.fchmod(fd, stat.S_IMODE(before.st_mode) & 0o777)


def _require_same(directory: int, name: str, before: os.stat_result | None, place: Place) -> None:
    try:
        now: os.stat_result | None = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        now = None
    if _identity(now) != _identity(before):
        raise ToolError(f"{place.shown} was changed by someone else during this call. Read it again, then repeat.")


def _identity(status: os.stat_result | None) -> tuple[int, ...] | None:
    return status and (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def failure(error: OSError, doing: str, place: Place) -> ToolError:
    """An operating-system error as what the model should hear: `doing` is a verb such as "read" or "write"."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    return ToolError(f"Cannot {doing} {place.shown}: {reason}.{'' if doing == 'read' else ' Nothing was changed.'}")
