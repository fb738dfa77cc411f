"""Environments of their own for packages that only some tests need, made once and kept in `.cache`."""

from __future__ import annotations

import fcntl
import os
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[1] / ".cache"


def separate_environment(name: str, *installs: Sequence[str]) -> Path:
    """The environment `name`, with one `pip install` for each of `installs`, its arguments.

    Where that fails the test is skipped visibly, or fails in CI.
    """
    home = CACHE / name
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (home / "ready").exists():
            return home
        venv.create(home, with_pip=True, clear=True)
        for arguments in installs:
            command = [str(home / "bin" / "pip"), "install", "--quiet", *arguments]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                report = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
                report(f"{' '.join(arguments)} could not be installed: {done.stderr[-300:]}")
        (home / "ready").touch()
    return home
