"""Environments of their own for packages that only some tests need, made once and kept in `.cache`."""

from __future__ import annotations

import fcntl
import os
import subprocess
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[1] / ".cache"


def separate_environment(name: str, *installs: Sequence[str]) -> Path:
    """The environment `name`, with one `pip install` for each of `installs`, its arguments.

    Where that fails the test is skipped visibly, or fails in CI.
    """
    home = CACHE / name
    with _made_once(home) as there:
        if not there:
            venv.create(home, with_pip=True, clear=True)
            for arguments in installs:
                _run(str(home / "bin" / "pip"), "install", "--quiet", *arguments)
    return home


def separate_node_modules(name: str, *packages: str) -> Path:
    """The directory `node_modules` with `packages` from npm, optional dependencies left out. Failures: as above."""
    home = CACHE / name
    with _made_once(home) as there:
        if not there:
            home.mkdir(exist_ok=True)
            (home / "package.json").write_text('{"private": true}\n')
            options = ("--prefix", str(home), "--omit=optional", "--no-fund", "--no-audit", "--silent")
            _run("npm", "install", *options, *packages)
    return home / "node_modules"


@contextmanager
def _made_once(home: Path) -> Iterator[bool]:
    """Whether it is complete already. One test process makes it, the others wait."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield (home / "ready").exists()
        (home / "ready").touch()


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        problem = done.stderr[-300:] if done.returncode else None
    except OSError as error:
        problem = str(error)
    if problem is not None:
        report = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        report(f"{' '.join(command)} failed: {problem}")
