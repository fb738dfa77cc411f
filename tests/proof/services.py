"""PostgreSQL and Redis for real: started on free ports, stopped and started again at will."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(ready: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Ask until it is so. Raises `AssertionError` that names `what` when the time is up."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.05)


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def require(program: str, *places: str) -> str:
    """The path of a program, also from `places` (glob patterns). Absent: skipped here, a failure in CI."""
    found = shutil.which(program)
    if found is None:
        candidates = sorted(str(path) for place in places for path in Path("/").glob(place.lstrip("/")))
        found = candidates[-1] if candidates else None
    if found is None:
        report = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        report(f"needs {program}")
    return found


class _Server:
    """A child process on a port of its own, with a directory that outlives a stop. A context manager."""

    url: str

    def __init__(self) -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="expert-devops-proof-"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """End it at once, as an outage would; afterwards nothing listens."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(20)
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class PostgreSQL(_Server):
    """A fresh cluster with the superuser and the database `app`. As root it runs as `postgres`, which it demands."""

    def __init__(self) -> None:
        super().__init__()
        self.url = f"postgresql://app:app@127.0.0.1:{self.port}/app"
        self._user = "postgres" if os.geteuid() == 0 else None
        self._data = self.directory / "data"
        if self._user:
            shutil.chown(self.directory, self._user)
        initdb = _postgres_program("initdb")
        command = [initdb, "-D", str(self._data), "-U", "app", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run(command)

    def start(self) -> None:
        options = [
            f"-c{name}"
            for name in ("listen_addresses=127.0.0.1", "fsync=off", f"unix_socket_directories={self.directory}")
        ]
        command = [_postgres_program("postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, user=self._user, cwd=self.directory, stdout=log, stderr=log)
        ask = [_postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until(lambda: subprocess.run(ask, check=False).returncode == 0, "PostgreSQL accepting connections")
        if "app" not in self.query("SELECT datname FROM pg_database", "postgres").split():
            self.query("CREATE DATABASE app", "postgres")

    def query(self, sql: str, database: str = "app") -> str:
        """What `psql` prints for a statement, unaligned and without headers."""
        host = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "app", "-d", database]
        return self._run([_postgres_program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", *host, "-c", sql])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, user=self._user, cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Redis(_Server):
    """An empty Redis that keeps nothing on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory), "--save", ""]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen([require("redis-server"), *options], stdout=quiet, stderr=quiet)
        wait_until(lambda: self.command("PING") == "+PONG", "Redis answering")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None

    def command(self, line: str) -> str:
        """The first line Redis answers to an inline command; empty when nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as client:
                client.sendall(line.encode() + b"\r\n")
                return client.recv(4096).split(b"\r\n")[0].decode()
        except OSError:
            return ""


def _postgres_program(name: str) -> str:
    return require(name, f"/usr/lib/postgresql/*/bin/{name}", f"/opt/homebrew/opt/postgresql*/bin/{name}")


@contextmanager
def postgres_and_redis() -> Iterator[tuple[PostgreSQL, Redis]]:
    """Both at once."""
    with PostgreSQL() as database, Redis() as cache:
        yield database, cache
