"""Child processes that are ended with all they started, and their output, kept within limits while it is read.

On Linux that reaches descendants that left the process group as well: each carries the call's mark in its environment.
Only one that clears its environment and makes a session of its own gets away; a sandbox with a process namespace
takes that one along too.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tools.text import cap, clean

_MARK = "EXPERT_DEVOPS_CALL"
_MAX_BYTES = 64_000_000
_FLUSH_SECONDS = 0.2
_GRACE_SECONDS = 2.0


@dataclass(slots=True)
class Output:
    """What a process writes: its beginning and its end in memory, all of it in `path` once it is long.

    With `at_once` the file is there from the first byte, for reading while the process runs.
    """

    path: Path
    keep: int
    at_once: bool = False
    size: int = 0
    head: bytearray = field(default_factory=bytearray)
    tail: bytes = b""
    file: BinaryIO | None = None
    problem: str = ""

    @property
    def full(self) -> bool:
        """Whether more came than is kept anywhere; whoever runs the process should stop it."""
        return self.size > _MAX_BYTES

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        room = self.keep - len(self.head)
        self.size += len(data)
        if self.at_once or self.size > self.keep:
            self._write(data)
        self.head += data[:room]
        self.tail = (self.tail + data[room:])[-self.keep :]

    def _write(self, data: bytes) -> None:
        try:
            if self.file is None:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                self.file = os.fdopen(fd, "wb", buffering=0)
                self.file.write(self.head)
            if not self.full:
                self.file.write(data)
        except OSError as error:  # a full disk must not take the command's result along
            self.problem = os.strerror(error.errno or 0)

    def save(self) -> None:
        """Put what there is into the file, if it is not there yet."""
        if self.file is None:
            self._write(b"")

    def close(self, footer: str = "") -> None:
        """Free the file, after a last line in it."""
        if self.file is not None:
            with suppress(OSError):
                self.file.write(footer.encode())
            self.file.close()

    def text(self, limit: int) -> str:
        """Clean text of at most about `limit` characters; if that is not all of it, the file has the rest."""
        if self.size <= self.keep:
            text = _readable(self.head)
        else:
            left_out = self.size - len(self.head) - len(self.tail)
            gap = f"\n[... {left_out} bytes ...]\n" if left_out else ""
            text = _readable(self.head) + gap + _readable(self.tail)
        if len(text) <= limit and self.size <= self.keep:
            return text
        self.save()
        kept = f"could not be kept: {self.problem}" if self.problem else f"all {self.size} bytes are in {self.path}"
        return cap(text, limit, note=kept)


def _readable(data: bytes | bytearray) -> str:
    """Output as lines: a carriage return, as progress bars use it, begins a new one."""
    return clean(data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n"))


class Process(asyncio.SubprocessProtocol):
    """One process with all its descendants. Make it with `start`."""

    def __init__(self, outputs: Mapping[int, Output], mark: str) -> None:
        self.outputs = outputs
        self.mark = mark
        self.exited, self.closed, self.overfull = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.open_pipes = set(outputs)
        self.transport: asyncio.SubprocessTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)  # noqa: S101 - asyncio's promise
        self.transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.outputs[fd].feed(data)
        if self.outputs[fd].full:
            self.overfull.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.open_pipes.discard(fd)
        if not self.open_pipes:
            self.closed.set()

    def process_exited(self) -> None:
        self.exited.set()

    @property
    def returncode(self) -> int | None:
        """As `subprocess` has it: negative for a signal, None while it runs."""
        return self.transport.get_returncode()

    async def wait(self, seconds: float) -> str:
        """Until it ends by itself: "exited", or else "timeout", or "overfull" when it wrote too much."""
        waits = {
            asyncio.create_task(self.exited.wait(), name="exited"),
            asyncio.create_task(self.overfull.wait(), name="overfull"),
        }
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        return "exited" if self.exited.is_set() else done.pop().get_name() if done else "timeout"

    async def end(self) -> None:
        """End whatever is left of it, politely if it still runs. Safe to call twice; the outputs stay open."""
        if not self.exited.is_set():
            with suppress(ProcessLookupError):
                os.killpg(self.transport.get_pid(), signal.SIGTERM)
            await _within(self.exited, _GRACE_SECONDS)
        # What a pipeline still flushes may come through; what holds the pipe open for longer is left over.
        await _within(self.closed, _FLUSH_SECONDS)
        await asyncio.to_thread(self.kill)
        await _within(self.exited, _GRACE_SECONDS)
        await _within(self.closed, _GRACE_SECONDS)
        self.transport.close()

    def kill(self) -> None:
        """SIGKILL the process, its group and session, and every descendant that carries its mark."""
        pid = self.transport.get_pid()
        if not self.exited.is_set():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if not sys.platform.startswith("linux"):
            return
        # A process may fork while we look: look again until none is left.
        for _ in range(50):
            left = _descendants(pid, self.mark)
            if not left:
                return
            for other in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(other, signal.SIGKILL)


async def _within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _descendants(session: int, mark: str) -> list[int]:
    """Living processes of the session, or with the mark in their environment."""
    found = []
    for entry in (path.name for path in Path("/proc").iterdir()):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with suppress(OSError):
            # After the name, which is in parentheses and may hold anything: state, parent, group, session.
            state, _, _, own_session = _bytes(f"/proc/{entry}/stat").rpartition(b")")[2].split()[:4]
            if state not in (b"Z", b"X") and (
                int(own_session) == session or mark.encode() in _bytes(f"/proc/{entry}/environ")
            ):
                found.append(int(entry))
    return found


def _bytes(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - called for every process of the machine
        return file.read()


async def start(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    outputs: Mapping[int, Output],
    pass_fds: Sequence[int] = (),
) -> Process:
    """Start `argv` in a session of its own, without input, with exactly `env` and the mark.

    `outputs` takes descriptors 1 and 2; with 1 alone both go into one. Raises `OSError`.
    """
    mark = secrets.token_hex(16)
    starting = asyncio.create_task(
        asyncio.get_running_loop().subprocess_exec(
            lambda: Process(outputs, mark),
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if 2 in outputs else asyncio.subprocess.STDOUT,
            cwd=cwd,
            # The marks of calls that this process itself runs in are kept, so that those find our children, too.
            env={**env, _MARK: ".".join(filter(None, [os.environ.get(_MARK), mark]))},
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    )
    try:
        _, process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The process may run already; asyncio alone would not reach what it has started.
        with suppress(OSError):
            _, process = await starting
            await process.end()
        raise
    return process
