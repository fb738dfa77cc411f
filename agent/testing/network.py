"""A switch that keeps tests off the network."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


class NetworkBlockedError(RuntimeError):
    """A test tried to leave this machine. Not an `OSError`, so that no retry takes it for a bad connection."""


@contextmanager
def block_network() -> Iterator[None]:
    """Let connections and name look-ups inside the block reach this machine only, in every thread.

    As a fixture for a whole suite:

        @pytest.fixture(autouse=True)
        def _no_network():
            with block_network():
                yield
    """
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _require_local(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _require_local(address)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        _require_local((host,))
        return look_up(host, *args, **kwargs)

    with (
        patch.object(socket.socket, "connect", guarded_connect),
        patch.object(socket.socket, "connect_ex", guarded_connect_ex),
        patch.object(socket, "getaddrinfo", guarded_look_up),
    ):
        yield


def _require_local(address: Any) -> None:
    if not isinstance(address, tuple):
        return  # a path: a Unix socket
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in (None, "", "localhost"):
        return
    try:
        local = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        local = False
    if not local:
        raise NetworkBlockedError(f"This test may not reach {host!r}. Use FakeMessagesServer or ScriptedModel.")
