"""The only way out of a sandbox that has allowed domains: a proxy in this process, for TLS connections to port 443.

It listens on a socket made inside the sandbox's own network and handed out of it, so that nothing else can reach it and
the sandbox needs no Unix socket. A host is checked as `WebFetch` checks one: the name against the list, then every
address it resolves to; the connection goes to an address that was checked. What passes is not looked into: data can
leave in anything that is sent to an allowed host.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from contextlib import suppress

from agent.permissions.web import name_matches
from tools.text import clean
from tools.tool import ToolError
from tools.web import WebPolicy
from tools.web.address import parse, resolve

_CONNECT = re.compile(rb"CONNECT ([A-Za-z0-9._\[\]:-]{1,255}):([0-9]{1,5}) HTTP/1\.[01]\r\n")
_HEAD_BYTES = 16_384
_HEAD_SECONDS = _CONNECT_SECONDS = 10.0
_MOST_CONNECTIONS = 128
_CHUNK = 65_536


class DomainProxy:
    """Lets connections to `domains` through: exact names, `*.name` for what is below a name. `policy` is for tests."""

    def __init__(self, domains: Sequence[str], policy: WebPolicy | None = None) -> None:
        self._domains = tuple(domain.lower().removesuffix(".") for domain in domains)
        self._policy = policy or WebPolicy(ports=frozenset({443}))

    async def serve(self, listener: socket.socket) -> asyncio.Server:
        """Serve the connections of one sandbox until the server is closed."""
        slots = asyncio.Semaphore(_MOST_CONNECTIONS)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                if slots.locked():
                    await _answer(writer, 503, "Too many connections at once.")
                else:
                    async with slots:
                        await self._connect(reader, writer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                pass  # the client's connection broke, or it never said what it wants
            finally:
                writer.close()

        return await asyncio.start_server(handle, sock=listener, limit=_HEAD_BYTES)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        asked = _CONNECT.match(head)
        if asked is None:
            await _answer(writer, 405, "Only https connections leave this sandbox.")
            return
        try:
            upstream = await self._upstream(asked[1].decode("ascii"), int(asked[2]))
        except ToolError as error:
            await _answer(writer, 403, str(error))
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_relay(reader, upstream[1]))
                both.create_task(_relay(upstream[0], writer))
        except* OSError:
            pass  # either end broke off
        finally:
            upstream[1].close()

    async def _upstream(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to an allowed host. Raises `ToolError` for any other."""
        url = parse(f"https://{host}:{port}/", self._policy)
        if not any(name_matches(domain, url.host) for domain in self._domains):
            raise ToolError(f"{clean(url.host)} is not among the domains this sandbox may reach.")
        for address in await resolve(url, self._policy):
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(address, url.port or 443)
        raise ToolError(f"{clean(url.host)} does not answer.")


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _answer(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    reason = {403: "Forbidden", 405: "Method Not Allowed", 503: "Service Unavailable"}[status]
    body = f"{text}\n".encode()
    writer.write(
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body
    )
    await writer.drain()
