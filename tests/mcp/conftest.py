"""Real peers from npm at fixed versions, and a place for what was approved."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.mcp.pins import Pins

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "npm" / "mcp"
PACKAGES = {
    "@modelcontextprotocol/server-everything": "2026.8.31",
    "@modelcontextprotocol/server-filesystem": "2026.8.31",
    "@upstash/context7-mcp": "4.1.1",
    "@modelcontextprotocol/inspector": "2.12.0",
}


@pytest.fixture(scope="session")
def npm() -> Path:
    """The directory of the packages' programs, installed on first use."""
    with _lock():
        wanted = {"private": True, "dependencies": PACKAGES}
        manifest = CACHE / "package.json"
        if not (CACHE / "node_modules" / ".bin").is_dir() or json.loads(manifest.read_text()) != wanted:
            manifest.write_text(json.dumps(wanted))
            _install()
    return CACHE / "node_modules" / ".bin"


def _install() -> None:
    try:
        subprocess.run(
            ["npm", "install", "--no-fund", "--no-audit", "--no-save", "--ignore-scripts"],
            cwd=CACHE,
            capture_output=True,
            text=True,
            timeout=110,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = f"npm install failed: {getattr(error, 'stderr', None) or error}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@contextmanager
def _lock() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def pins(tmp_path: Path) -> Pins:
    return Pins(tmp_path / "pins.json")
