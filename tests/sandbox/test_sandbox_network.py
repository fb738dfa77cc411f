"""The way out of a sandbox with allowed domains: what it lets through, and what it does not."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.sandbox import BubblewrapLauncher
from agent.sandbox.proxy import DomainProxy
from tools.shell import bash, shell
from tools.tool import ToolContext, child_environment
from tools.web import WebPolicy

# Speaks with the proxy from inside: the request line, then what to send on; prints what comes back.
CLIENT = """
import socket, sys
proxy = socket.create_connection(("127.0.0.1", 3128), timeout=10)
proxy.sendall(sys.argv[1].encode("latin-1").decode("unicode_escape").encode("latin-1"))
answer = proxy.recv(1000)
if answer.startswith(b"HTTP/1.1 200") and len(sys.argv) > 2:
    proxy.sendall(sys.argv[2].encode()); proxy.shutdown(socket.SHUT_WR)
while more := proxy.recv(1000): answer += more
print(answer.decode())
"""


@asynccontextmanager
async def greeter() -> AsyncIterator[int]:
    """A server that says `hello` to what it is sent. Yields its port."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello " + await reader.read())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[ToolContext]:
    (tmp_path / "project").mkdir()
    (tmp_path / "scratch").mkdir()
    context = ToolContext(
        root=tmp_path / "project", cwd=tmp_path / "project", scratch=tmp_path / "scratch", env=child_environment()
    )
    yield context
    launcher = shell(context).launcher
    assert isinstance(launcher, BubblewrapLauncher)
    await launcher.aclose()


def allow(ctx: ToolContext, domains: list[str], policy: WebPolicy | None = None) -> None:
    launcher = BubblewrapLauncher([ctx.root], ctx.scratch / "tmp", domains=domains)
    launcher._proxy = DomainProxy(domains, policy)
    shell(ctx).launcher = launcher


async def ask(ctx: ToolContext, request: str, *then: str) -> str:
    (ctx.root / "client.py").write_text(CLIENT)
    words = " ".join(f"'{word}'" for word in (request, *then))
    return str((await bash(ctx, command=f"{sys.executable} -I client.py {words}")).content)


@pytest.mark.needs("bwrap")
async def test_a_connection_to_an_allowed_host_goes_through_both_ways(ctx: ToolContext) -> None:
    async with greeter() as port:
        allow(ctx, ["localhost"], WebPolicy(allow_private_hosts=frozenset({"localhost"})))
        answer = await ask(ctx, rf"CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost\r\n\r\n", "world")
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith("hello world")


@pytest.mark.needs("bwrap")
async def test_there_is_no_other_way(ctx: ToolContext) -> None:
    async with greeter() as port:
        allow(ctx, ["localhost"], WebPolicy(allow_private_hosts=frozenset({"localhost"})))
        command = (
            f"(exec 3<>/dev/tcp/127.0.0.1/{port}) && echo ESCAPED; (exec 3<>/dev/udp/8.8.8.8/53) && echo ESCAPED; env"
        )
        output = str((await bash(ctx, command=command)).content)
    assert "ESCAPED" not in output
    assert "HTTPS_PROXY=http://127.0.0.1:3128" in output


@pytest.mark.needs("bwrap")
async def test_several_sandboxes_at_once_have_their_own(ctx: ToolContext) -> None:
    async with greeter() as port:
        allow(ctx, ["localhost"], WebPolicy(allow_private_hosts=frozenset({"localhost"})))
        request = rf"CONNECT localhost:{port} HTTP/1.1\r\n\r\n"
        answers = await asyncio.gather(*(ask(ctx, request, str(n)) for n in range(4)))
    assert [answer[-7:] for answer in answers] == [f"hello {n}" for n in range(4)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Addresses that host names resolve to."""
    known: dict[str, str] = {}

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(-2, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


async def answer_to(proxy: DomainProxy, request: bytes) -> bytes:
    """What the proxy says to a request, asked over loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = await proxy.serve(listener)
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(request)
        writer.write_eof()
        async with asyncio.timeout(15):
            answer = await reader.read()
        writer.close()
        return answer
    finally:
        server.close()


@pytest.mark.parametrize(
    ("request_line", "domains", "status"),
    [
        ("CONNECT other.test:443 HTTP/1.1", ["allowed.test"], 403),
        ("CONNECT allowed.test.other.test:443 HTTP/1.1", ["allowed.test"], 403),
        ("CONNECT notallowed.test:443 HTTP/1.1", ["allowed.test"], 403),
        ("CONNECT sub.allowed.test:443 HTTP/1.1", ["allowed.test"], 403),
        ("CONNECT allowed.test:443 HTTP/1.1", ["*.allowed.test"], 403),
        ("CONNECT allowed.test:80 HTTP/1.1", ["allowed.test"], 403),
        ("CONNECT allowed.test:22 HTTP/1.1", ["allowed.test"], 403),
        ("CONNECT private.test:443 HTTP/1.1", ["private.test"], 403),
        ("CONNECT metadata.test:443 HTTP/1.1", ["*"], 403),
        ("CONNECT 2852039166:443 HTTP/1.1", ["*"], 403),
        ("CONNECT 127.0.0.1:443 HTTP/1.1", ["*"], 403),
        ("CONNECT [::1]:443 HTTP/1.1", ["*"], 403),
        ("CONNECT missing.test:443 HTTP/1.1", ["*"], 403),
        ("CONNECT other.test\0.allowed.test:443 HTTP/1.1", ["*.allowed.test"], 405),
        ("CONNECT user@allowed.test:443 HTTP/1.1", ["allowed.test"], 405),
        ("CONNECT allowed.test:443", ["allowed.test"], 405),
        ("GET http://allowed.test/ HTTP/1.1", ["allowed.test"], 405),
        ("GET / HTTP/1.1", ["allowed.test"], 405),
    ],
)
async def test_everything_else_is_refused(
    names: dict[str, str], request_line: str, domains: list[str], status: int
) -> None:
    for public in ("allowed.test", "other.test", "sub.allowed.test", "notallowed.test"):
        names[public] = "93.184.215.14"
    names |= {
        "allowed.test.other.test": "93.184.215.14",
        "private.test": "10.0.0.1",
        "metadata.test": "169.254.169.254",
        "2852039166": "169.254.169.254",
        "127.0.0.1": "127.0.0.1",
        "::1": "::1",
    }
    answer = await answer_to(DomainProxy(domains), f"{request_line}\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("request_bytes", [b"", b"CONNECT allowed", b"x" * 100_000, b"CONNECT a.test:443 HTTP/1.1\r\n"])
async def test_a_request_that_never_ends_gets_no_connection(request_bytes: bytes) -> None:
    assert not (await answer_to(DomainProxy(["a.test"]), request_bytes)).startswith(b"HTTP/1.1 200")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_break_it_or_get_through(request_bytes: bytes) -> None:
    answer = asyncio.run(answer_to(DomainProxy(["a.test"]), b"CONNECT " + request_bytes + b"\r\n\r\n"))
    assert answer == b"" or answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 405"))
