"""A command hook as a process: input on standard input, clean environment, a time limit, bounded output.

A hook that ends while something it started still holds its output, that takes too long, writes without end or is
cancelled, is ended with everything it started. What has let go of the output (a server started on purpose) is left.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from agent.hooks.config import Handler
from tools.processes import Output, Process, start

_KEPT_BYTES = 1_000_000
_SHOWN_CHARS = 10_000
_FLUSH_SECONDS = 1.0

# Input comes from a file, so that a hook that does not read it, or reads it late, blocks nobody.
_WITH_INPUT = 'exec "$@" <"$0"'


@dataclass(frozen=True, slots=True)
class Raw:
    """What a handler gave back. `failure` is a reason when it did not run to its end by itself."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    failure: str = ""
    seconds: float = 0.0


class _Lines(Output):
    """Standard output that notices `{"async": true}` on its first line: the hook goes on in the background."""

    released: asyncio.Event

    def feed(self, data: bytes) -> None:
        Output.feed(self, data)
        if not self.released.is_set() and self.head.lstrip().startswith(b"{") and b"\n" in data:
            first = bytes(self.head).lstrip().split(b"\n", 1)[0]
            with suppress(ValueError):
                if json.loads(first).get("async") is True:
                    self.released.set()


class Command:
    """One running command hook. `released` is set once it asks to go on in the background."""

    def __init__(self, process: Process, outputs: Mapping[int, Output], given: Path, released: asyncio.Event) -> None:
        self._process = process
        self._outputs = outputs
        self._given = given
        self._started = time.monotonic()
        self.released = released

    @classmethod
    async def start(cls, handler: Handler, payload: str, cwd: Path, env: Mapping[str, str], scratch: Path) -> Command:
        """Start the handler's command. Raises `OSError` or `ValueError` when that is not possible."""
        stem = scratch / f"hook-{uuid4().hex}"
        given = stem.with_suffix(".json")
        await asyncio.to_thread(_write_privately, given, payload)
        stdout = _Lines(stem.with_suffix(".out"), _KEPT_BYTES)
        stdout.released = asyncio.Event()
        outputs = {1: stdout, 2: Output(stem.with_suffix(".err"), _KEPT_BYTES)}
        argv = ["/bin/sh", "-c", _WITH_INPUT, str(given), *_argv(handler, env)]
        try:
            process = await start(argv, cwd=cwd, env=env, outputs=outputs)
        except BaseException:
            given.unlink(missing_ok=True)
            raise
        return cls(process, outputs, given, stdout.released)

    async def finish(self, seconds: float) -> Raw:
        """Wait until it ends, at most `seconds`, then give what it said."""
        failure = ""
        try:
            match await self._process.wait(seconds):
                case "timeout":
                    failure = f"it took longer than {seconds:g} s"
                case "overfull":
                    failure = "it wrote without end"
                case _:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._process.closed.wait(), _FLUSH_SECONDS)
        finally:
            if self._process.exited.is_set() and self._process.closed.is_set():
                self._process.transport.close()
            else:
                await self._process.end()
            for output in self._outputs.values():
                output.close()
            self._given.unlink(missing_ok=True)
        return Raw(
            _text(self._outputs[1]),
            _text(self._outputs[2]),
            self._process.returncode,
            failure,
            time.monotonic() - self._started,
        )


def _write_privately(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _text(output: Output) -> str:
    """All of a usual output; of a huge one the beginning and end, and where the rest lies."""
    return output.text(_SHOWN_CHARS) if output.size > _KEPT_BYTES else output.head.decode("utf-8", "replace")


def _argv(handler: Handler, env: Mapping[str, str]) -> list[str]:
    if handler.args is not None:
        place = "${CLAUDE_PROJECT_DIR}"
        return [part.replace(place, env["CLAUDE_PROJECT_DIR"]) for part in (handler.command, *handler.args)]
    if handler.shell == "powershell":
        return ["pwsh", "-NoProfile", "-NonInteractive", "-Command", handler.command]
    return [shutil.which("bash", path=env.get("PATH")) or "/bin/sh", "-c", handler.command]


async def sourced(script: Path, cwd: Path, env: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The variables that a shell has in addition, or changed, after reading `script`. Raises `OSError`."""
    reader = Handler(event="SessionStart", where=str(script), command=f'. "{script}" >&2 && env -0')
    command = await Command.start(reader, "", cwd, env, scratch)
    raw = await command.finish(10.0)
    if raw.exit_code != 0 or raw.failure:
        raise OSError(f"{script} cannot be read as a shell script: {raw.failure or raw.stderr.strip()[:500]}")
    found = dict(entry.split("=", 1) for entry in raw.stdout.split("\0") if "=" in entry)
    return {name: value for name, value in found.items() if env.get(name) != value and name not in _SHELLS_OWN}


_SHELLS_OWN = frozenset({"_", "SHLVL", "PWD", "OLDPWD", "EXPERT_DEVOPS_CALL"})
