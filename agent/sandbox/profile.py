"""The mounts, namespaces and limits of one sandboxed command, as arguments of bubblewrap. Looks at the disk, changes
nothing.

The whole file system is there read-only; over it lie empty directories where credentials and sockets live, toolchains
out of the hidden home directories, and the writable directories with their protected paths.
"""

from __future__ import annotations

import os
import pwd
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from agent.sandbox.protect import Protection, places
from agent.session.journal import state_home
from tools.paths import within
from tools.text import clean
from tools.tool import ToolError

_ROOT = Path("/")
_TMP = Path("/tmp")  # noqa: S108 - a mount point inside the sandbox
_SYSTEM = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys")))
_USABLE = frozenset(map(Path, ("/tmp", "/var/tmp", "/run", "/home")))  # noqa: S108 - the same
_MEMORY = str(256 * 2**20)  # bytes of each temporary file system that commands may write to
_SCARCELY_ANY = "4096"
_NAMESPACES = (
    "--unshare-user",
    "--unshare-all",
    "--disable-userns",
    "--cap-drop",
    "ALL",
    "--die-with-parent",
    "--new-session",
    "--hostname",
    "sandbox",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--size",
    _MEMORY,
    "--tmpfs",
    "/dev/shm",  # noqa: S108 - a mount point inside the sandbox
    "--remount-ro",
    "/dev",
    "--proc",
    "/proc",
    # To root in a user namespace of one's own, files of the kernel such as /proc/sys/kernel/core_pattern stay writable.
    "--remount-ro",
    "/proc",
)


class Profile:
    """What a command may write to: `writable` directories, resolved, and `temporary`, its directory for TMPDIR.

    `/tmp` shows `temporary`, too, so that both outlive the call, unless a writable directory lies in `/tmp`. What is
    hidden and what is visible is settled here, once. Raises `ToolError` for directories that cannot be writable while
    their neighbours stay protected.
    """

    def __init__(self, writable: Sequence[Path], temporary: Path) -> None:
        self.writable = tuple(writable)
        self.temporary = temporary
        hidden = hidden_directories()
        for root in self.writable:
            if root == _ROOT or root in hidden:
                raise ToolError(
                    f"The sandbox cannot work in {clean(str(root))}: making all of it writable would open what it has "
                    "to protect. Work in a directory of its own."
                )
        inside = [path for path in hidden if any(within(path, root) for root in self.writable)]
        outside = [path for path in hidden if path not in inside]
        self._before = [*_NAMESPACES, *self._around(outside)]
        self._after = [*_cover(_outermost(inside)), "--bind", str(temporary), str(temporary)]
        self._after += [part for path in _outermost(inside) for part in ("--remount-ro", str(path))]

    def arguments(self, protections: Iterable[Protection]) -> list[str]:
        """Everything but environment, filter and command. Order matters: a later mount covers an earlier one."""
        return [*self._before, *(part for each in protections for part in each.arguments()), *self._after]

    def _around(self, hidden: Sequence[Path]) -> Iterator[str]:
        """The mounts outside the writable directories, and these themselves."""
        usable = {*_USABLE, *_homes()}
        for path in _outermost(hidden):
            if path == _TMP and not any(within(place, _TMP) for place in (*self.writable, self.temporary)):
                # Only where nothing else is mounted below it: what a command leaves there may not lead a mount astray.
                yield from ("--bind", str(self.temporary), str(_TMP))
            else:
                yield from ("--size", _MEMORY if path in usable else _SCARCELY_ANY, "--tmpfs", str(path))
        for path in _hidden_files():
            yield from ("--ro-bind", "/dev/null", str(path))
        for home in _homes():
            if any(within(home, path) for path in hidden):
                yield from ("--dir", str(home))
        for path in _visible(hidden):
            yield from ("--ro-bind", str(path), str(path))
        for root in self.writable:
            yield from ("--bind", str(root), str(root))


def hidden_directories() -> tuple[Path, ...]:
    """Existing directories that are empty inside: homes, this program's state, temporary files, sockets, services."""
    named = map(Path, places()["hidden"]["directories"])
    candidates = [*named, *_homes(), state_home(), Path(tempfile.gettempdir())]
    resolved = dict.fromkeys(Path(os.path.realpath(path)) for path in candidates)
    return tuple(path for path in resolved if _is_directory(path) and path != _ROOT and not _is_system(path))


def _is_system(path: Path) -> bool:
    """A service account's home may be `/bin`; hiding that would hide the programs. Below /etc all named is hidden."""
    return path in _SYSTEM or any(within(path, system) for system in _SYSTEM if system != Path("/etc"))


def _homes() -> list[Path]:
    """The home directory by environment and by account."""
    found = [Path.home()]
    with suppress(KeyError):  # an account without an entry, as in many containers
        found.append(Path(pwd.getpwuid(os.getuid()).pw_dir))
    return [Path(os.path.realpath(home)) for home in dict.fromkeys(found) if home.is_absolute()]


def _hidden_files() -> list[Path]:
    resolved = dict.fromkeys(Path(os.path.realpath(path)) for path in places()["hidden"]["files"])
    return [path for path in resolved if os.path.isfile(path)]  # noqa: PTH113 - as in _is_directory


def _visible(hidden: Sequence[Path]) -> list[Path]:
    """What stays to be seen of hidden directories: toolchains, programs on the path, the Python that runs this."""
    toolchains = [home / name for home in _homes() for name in places()["hidden"]["home"]]
    programs = [Path(entry) for entry in os.get_exec_path() if entry.startswith("/")]
    python = [Path(sys.prefix), Path(sys.base_prefix)]
    found = []
    for path in dict.fromkeys([*toolchains, *programs, *python]):
        covered = any(within(path, directory) and path != directory for directory in hidden)
        exposes = any(within(directory, path) for directory in (*hidden, *_homes()))
        if covered and not exposes and _is_directory(path):
            found.append(path)
    return _outermost(found)


def _is_directory(path: Path) -> bool:
    """Also answers for what may not be looked at, which then needs no hiding."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises there


def _cover(paths: Iterable[Path]) -> list[str]:
    return [part for path in paths for part in ("--size", _SCARCELY_ANY, "--tmpfs", str(path))]


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Without those that lie in another one, outer ones first."""
    found: list[Path] = []
    for path in sorted(paths, key=lambda path: len(path.parts)):
        if not any(within(path, other) for other in found):
            found.append(path)
    return found
