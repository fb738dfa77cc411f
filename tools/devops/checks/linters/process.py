"""Running a linter: found beside this interpreter or on PATH, with a clean environment and a time limit."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.devops.checks.gate import CouldNotRunError

TIMEOUT_SECONDS = 60.0


def program(name: str) -> Callable[[], Path | None]:
    """A locator for an executable: the interpreter's own folder first, then PATH."""

    def locate() -> Path | None:
        found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
        return Path(found) if found else None

    return locate


def library(module: str) -> Callable[[], Path | None]:
    """A locator for an importable module, without importing it."""

    def locate() -> Path | None:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return None
        return Path(spec.origin) if spec and spec.origin else None

    return locate


def run(
    argv: Sequence[str],
    *,
    ok: Sequence[int],
    cwd: Path | None = None,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Standard output of `argv`; see `_execute` for what the child gets and what is raised."""
    return _execute(argv, ok, cwd, stdin, env, timeout or TIMEOUT_SECONDS)[1]


def exit_code(argv: Sequence[str], *, ok: Sequence[int], stdin: str = "", env: Mapping[str, str] | None = None) -> int:
    """The exit code of `argv`, one of `ok`; see `_execute`."""
    return _execute(argv, ok, None, stdin, env, TIMEOUT_SECONDS)[0]


def _execute(
    argv: Sequence[str],
    ok: Sequence[int],
    cwd: Path | None,
    stdin: str,
    env: Mapping[str, str] | None,
    timeout: float,
) -> tuple[int, str]:
    """Exit code and standard output of `argv`.

    The child gets a private home, which is its working directory without `cwd`, and no proxy or token variables; its
    whole process group is ended on time-out. Raises `CouldNotRunError` when the program is missing or out of time, or
    ends with a code that is not `ok`.
    """
    name = Path(argv[0]).name
    with tempfile.TemporaryDirectory(prefix="expert-devops-lint-") as home:
        try:
            child = subprocess.Popen(
                list(argv),
                cwd=cwd or home,
                env=_environment(home) | dict(env or {}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise CouldNotRunError(f"{name} could not be started: {error.strerror}") from error
        try:
            out, err = child.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise CouldNotRunError(f"{name} took longer than {timeout:.0f} s and was stopped") from error
    if child.returncode not in ok:
        reason = (err.strip() or out.strip()).splitlines()[-1:] or ["no message"]
        raise CouldNotRunError(f"{name} failed with exit code {child.returncode}: {reason[0][:200]}")
    return child.returncode, out


def parse_output(tool: str, text: str) -> Any:
    """JSON that a linter printed. Raises `CouldNotRunError`: output that cannot be read proves nothing."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise CouldNotRunError(f"{tool} printed something that is not JSON") from error


def _environment(home: str) -> dict[str, str]:
    beside = str(Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]),
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
    }
