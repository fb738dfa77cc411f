"""Places held for protected names that do not exist: empty directories, made before a sandbox starts and removed after.

A mount needs something to lie on, so an absent `.mcp.json` becomes an empty, covered directory while a command runs.
Directories, because removing one can never remove content. They may only be removed when no sandbox runs on the
directory, in this or another process: removing a mount point from outside silently takes the mount away inside. So
every sandbox holds a shared lock on a record of what was made; whoever gets the lock alone removes what the record
names. After a crash the last sandbox of the next run does.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from agent.session.journal import state_home


class Stubs:
    """What a running sandbox relies on in one directory. Take it before looking at what exists, `release` it after."""

    def __init__(self, root: Path) -> None:
        """Raises `OSError` where the state directory cannot be written."""
        directory = state_home() / "sandbox"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = directory / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.stubs"
        self._fd = self._lock()

    def _lock(self) -> int:
        """The record, held together with every other sandbox of the directory."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            fd = os.open(self._path, flags, 0o600)
            fcntl.flock(fd, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), self._path.stat()):
                    return fd
            os.close(fd)  # the last sandbox removed the record while we waited

    def make(self, paths: Iterable[Path]) -> None:
        """Make the empty directories, and note them first. Raises `OSError`."""
        for path in paths:
            os.write(self._fd, os.fsencode(path) + b"\0")
            with suppress(FileExistsError):
                path.mkdir(mode=0o755)

    def release(self) -> None:
        """This sandbox has ended; the last one removes the stubs and the record. Safe to call twice."""
        if self._fd >= 0:
            with suppress(BlockingIOError):  # others still rely on them
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._remove()
            os.close(self._fd)
            self._fd = -1

    def _remove(self) -> None:
        recorded = os.pread(self._fd, os.fstat(self._fd).st_size, 0).split(b"\0")
        for path in filter(None, reversed(recorded)):
            with suppress(OSError):  # gone, or no longer empty: then it is somebody's
                Path(os.fsdecode(path)).rmdir()
        self._path.unlink(missing_ok=True)
