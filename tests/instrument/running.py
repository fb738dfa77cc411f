"""An instrumented application as a process: what it answers, what it logs, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.proof.services import PostgreSQL, Redis, free_port, is_listening, wait_until


class Running:
    """The process of a command in a folder. A context manager; `{port}` in the command is filled in."""

    def __init__(self, folder: Path, command: str, services: tuple[PostgreSQL, Redis], programs: Path | None) -> None:
        self.port = free_port()
        database, cache = services
        path = os.pathsep.join(filter(None, [str(programs) if programs else "", os.environ["PATH"]]))
        self._log = folder.parent / "log.txt"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command.format(port=self.port).split(),
                cwd=folder,
                stdout=log,
                stderr=log,
                env={
                    "PATH": path,
                    "HOME": os.environ["HOME"],
                    "PORT": str(self.port),
                    "DATABASE_URL": database.url,
                    "REDIS_URL": cache.url,
                    "NEXT_TELEMETRY_DISABLED": "1",
                },
            )

    def __enter__(self) -> Self:
        wait_until(lambda: self.process.poll() is not None or is_listening(self.port), "the application listening")
        assert self.process.poll() is None, self.output
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def health(self) -> tuple[int, dict[str, str], float]:
        """Status, body and seconds of `/health`."""
        started = time.monotonic()
        status, body = self.get("/health")
        return status, json.loads(body), time.monotonic() - started

    def logs(self, plain: str) -> list[dict[str, Any]]:
        """Every line as JSON, without the ones a server writes by itself. Another line that is no JSON fails."""
        lines = [line for line in self.output.splitlines() if not re.match(plain, line)]
        return [json.loads(line) for line in lines]

    def end(self) -> int:
        """Ask it to end, as a platform does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def frozen(database: PostgreSQL) -> Iterator[None]:
    """PostgreSQL accepts connections and never answers: every process of it is stopped."""
    assert database.process is not None
    parent = database.process.pid

    def signal_all(number: signal.Signals) -> None:
        tasks = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, tasks)):
            os.kill(pid, number)

    signal_all(signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(signal.SIGCONT)


def written(folder: Path) -> Mapping[str, str]:
    """Every file of the folder with its text."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()
    }
