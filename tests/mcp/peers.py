"""Servers for tests: any program, and a small one of our own that misbehaves on demand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agent.mcp.config import ServerConfig

HERE = Path(__file__).parent


def stdio(name: str, *command: str, env: dict[str, str] | None = None, **other: Any) -> ServerConfig:
    """A stdio server, as `find_servers` gives it."""
    return ServerConfig(name, "user", "test", f"digest of {name}", command[0], command[1:], env or {}, **other)


def odd(name: str, *words: str, **other: Any) -> ServerConfig:
    """The misbehaving server (`odd_server.py`) in one of its modes."""
    return stdio(name, sys.executable, str(HERE / "odd_server.py"), *words, **other)
