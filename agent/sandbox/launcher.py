"""Starting a command in the sandbox: what `tools.shell` and whoever else starts programs puts in front of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from agent.sandbox import filter as system_calls
from agent.sandbox.profile import Profile
from agent.sandbox.protect import Protection, find_nested, protect
from agent.sandbox.stubs import Stubs
from tools.shell import Launch
from tools.tool import ToolError

if TYPE_CHECKING:
    from agent.sandbox.proxy import DomainProxy

_PROGRAMS = ("/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap")
_MOST_PROCESSES = 1024
_MOST_FILE_KB = 1024 * 1024
_PROXY_PORT = 3128
_PROXY_URL = f"http://127.0.0.1:{_PROXY_PORT}"

# Limits are set inside: outside, the limit on processes would count everything else the user runs.
_LIMITED = f'ulimit -c 0; ulimit -f {_MOST_FILE_KB}; ulimit -u {_MOST_PROCESSES}; exec "$@"'
# Makes the listener of the proxy in the sandbox's own network, hands it to the parent, and becomes the command.
_LISTENING = f"""
import os, socket, sys
listener = socket.create_server(("127.0.0.1", {_PROXY_PORT}), backlog=128)
channel = socket.socket(fileno=int(sys.argv[1]))
socket.send_fds(channel, [b"listener"], [listener.fileno()])
channel.close()
listener.close()
os.execvp(sys.argv[2], sys.argv[2:])
"""


def bubblewrap() -> str | None:
    """The installed bubblewrap: the system's own first, since distributions permit user namespaces by path."""
    return next((path for path in _PROGRAMS if os.access(path, os.X_OK)), None) or shutil.which("bwrap")


class Descriptors(Sequence[int]):
    """Descriptors for a child process, closed here once nothing refers to them: after the start they are the child's.

    `tools.shell` keeps the launch it was given until the process has started, and drops it then.
    """

    def __init__(self, own: Iterable[int], passed: Iterable[int] = ()) -> None:
        self._own: tuple[int, ...] = tuple(own)
        self._all = (*self._own, *passed)

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> int:  # type: ignore[override]  # no slices: it is only iterated
        return self._all[index]

    def close(self) -> None:
        """Close them now. Safe to call twice."""
        own, self._own = self._own, ()
        for descriptor in own:
            os.close(descriptor)

    __del__ = close


class BubblewrapLauncher:
    """A `tools.shell.Launcher`: no network, nothing writable but `writable` and `temporary`, no credentials in sight.

    `writable` comes from the session, never from a tool's input. With `domains` (`example.com`, `*.example.com`) a
    proxy lets TLS connections to these hosts through. Use it in a running event loop. Raises `ToolError` for
    directories that cannot be sandboxed.
    """

    def __init__(self, writable: Sequence[Path], temporary: Path, *, domains: Iterable[str] = ()) -> None:
        program = bubblewrap()
        if program is None:
            raise ToolError("bubblewrap (bwrap) is not installed.")
        self._program = program
        temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        roots = tuple(Path(os.path.realpath(path)) for path in writable)
        self._profile = Profile(roots, Path(os.path.realpath(temporary)))
        self._nested = {root: find_nested(root) for root in roots}
        for root, nested in self._nested.items():
            protect(root, nested)  # what cannot be protected is better said now than at the first command
        self._filter = system_calls.program()
        self._proxy = _proxy(tuple(domains))
        self._running: set[asyncio.Future[None]] = set()
        self._handed_out: WeakSet[Descriptors] = WeakSet()

    def wrap(self, launch: Launch, cwd: Path) -> Launch:
        """`launch` inside the sandbox. Raises `ToolError` where it cannot be made; then nothing may be started."""
        held, ours, wrapped = self.prepare(launch, cwd)
        ended = asyncio.ensure_future(self._watch(ours, held))
        self._running.add(ended)
        ended.add_done_callback(self._running.discard)
        return wrapped

    async def aclose(self) -> None:
        """Wait until everything started has ended and been cleaned up after. Ends nothing itself."""
        for descriptors in list(self._handed_out):  # of launches that were never started
            descriptors.close()
        await asyncio.gather(*self._running)

    def prepare(self, launch: Launch, cwd: Path) -> tuple[ExitStack, socket.socket, Launch]:
        """The launch, what to close when it has ended, and a socket that then reads as ended.

        Everything may be started once. For callers without an event loop; others use `wrap`.
        """
        with ExitStack() as stack:
            try:
                arguments = [*self._profile.arguments(self._protected(stack)), *self._environment(launch.env)]
            except OSError as error:
                raise ToolError(f"The sandbox cannot protect the project: {error}.") from error
            held = stack.pop_all()
        ours, theirs = socket.socketpair()
        lifeline = theirs.detach()
        own = [lifeline]
        command = ["bash", "--noprofile", "--norc", "-c", _LIMITED, "bash", *launch.argv]
        if self._proxy is not None:
            own.append(os.dup(lifeline))
            command = [sys.executable, "-I", "-S", "-c", _LISTENING, str(own[-1]), *command]
        where = cwd if cwd.is_dir() else self._profile.writable[0]
        own.append(_memory_file(self._filter))
        # The sync descriptor stays open in the sandbox's first process alone, and so for as long as anything runs.
        arguments += ["--chdir", str(where), "--sync-fd", str(lifeline), "--seccomp", str(own[-1])]
        own.append(_memory_file("\0".join([*arguments, ""]).encode("utf-8", "surrogateescape")))
        argv = [self._program, "--args", str(own[-1]), "--", *command]
        descriptors = Descriptors(own, launch.pass_fds)
        self._handed_out.add(descriptors)
        # bubblewrap's own environment stays readable inside as that of process 1: it gets none of ours.
        return held, ours, Launch(argv, {"PATH": os.defpath}, descriptors)

    def _protected(self, held: ExitStack) -> list[Protection]:
        """What to mount in each writable directory, with places held for what is absent."""
        found = []
        for root, nested in self._nested.items():
            stubs = Stubs(root)  # before looking: it keeps what others hold from being removed meanwhile
            held.callback(stubs.release)
            found.append(protect(root, nested))
            stubs.make(found[-1].absent)
        return found

    def _environment(self, env: Mapping[str, str]) -> list[str]:
        values = {**env, "TMPDIR": str(self._profile.temporary)}
        if self._proxy is not None:
            for name in ("http_proxy", "https_proxy", "all_proxy"):
                values |= {name: _PROXY_URL, name.upper(): _PROXY_URL}
            values |= dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1,::1")
        if any("\0" in text for pair in values.items() for text in pair):
            raise ToolError("An environment variable contains a NUL character.")
        return [part for name, value in values.items() for part in ("--setenv", name, value)]

    async def _watch(self, ours: socket.socket, held: ExitStack) -> None:
        """Serve the proxy while the sandbox runs; clean up when it has ended."""
        loop = asyncio.get_running_loop()
        ours.setblocking(False)
        server: asyncio.Server | None = None
        try:
            if self._proxy is not None and (listener := await _received(ours)) is not None:
                server = await self._proxy.serve(listener)
            while await loop.sock_recv(ours, 64):  # nothing is expected, and what comes means nothing
                pass
        finally:
            if server is not None:
                server.close()
            ours.close()
            held.close()


def _proxy(domains: Sequence[str]) -> DomainProxy | None:
    if not domains:
        return None
    from agent.sandbox.proxy import DomainProxy

    return DomainProxy(domains)


async def _received(channel: socket.socket) -> socket.socket | None:
    """The listening socket the sandbox sends first; None when it ended before."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(channel, _settle, readable)
    try:
        await readable
    finally:
        loop.remove_reader(channel)
    _, descriptors, _, _ = socket.recv_fds(channel, 64, 1)
    return socket.socket(fileno=descriptors[0]) if descriptors else None


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _memory_file(content: bytes) -> int:
    """A descriptor that reads as `content`."""
    descriptor = os.memfd_create("sandbox", os.MFD_CLOEXEC)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
