"""What each server's tools looked like when they were approved: a hash of name, description and schema.

A server may change a tool after it was trusted ("rug pull"). The first listing of a server, known by the digest of its
configuration, is taken as trusted with it; a tool that is new or different later is asked about again, and recorded
once a call of it was permitted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.session.journal import state_home
from agent.session.private import write_private

Hashes = dict[str, str]
"""Tool name, as the server spells it -> hash."""


def hash_of(name: str, description: str, schema: Mapping[str, Any]) -> str:
    """The hash of one tool as it is offered."""
    text = json.dumps([name, description, schema], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Pins:
    """The recorded hashes, in one 0600 file. A file that cannot be read counts as empty, one not written is told."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or state_home() / "mcp-tools.json"

    def known(self, server: str) -> Hashes | None:
        """The hashes of a server by its configuration's digest; None for one never seen."""
        hashes = self._read().get(server)
        return hashes if isinstance(hashes, dict) else None

    def record(self, server: str, hashes: Mapping[str, str]) -> None:
        """Add or replace hashes of a server. Raises `OSError`."""
        known = self._read()
        known[server] = {**known.get(server, {}), **hashes}
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path, {"version": 1, "servers": known})

    def _read(self) -> dict[str, Hashes]:
        with suppress(OSError, ValueError, RecursionError):
            data = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(data, dict) and isinstance(servers := data.get("servers"), dict):
                return {key: value for key, value in servers.items() if isinstance(value, dict)}
        return {}
