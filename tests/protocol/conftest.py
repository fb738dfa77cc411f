"""The command line as a child process: driven by Claude's own Python SDK, or line by line."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from agent.testing import FakeMessagesServer
from tests.environments import separate_environment

SDK_VERSION = "0.2.187"
_WAIT = 30.0

Json = dict[str, Any]


@pytest.fixture(scope="session")
def sdk() -> Any:
    """The package `claude_agent_sdk`, from an environment of its own; the source distribution holds no program."""
    package = ["--no-binary", "claude-agent-sdk", f"claude-agent-sdk=={SDK_VERSION}"]
    home = separate_environment(f"sdk-{SDK_VERSION}", package)
    sys.path.append(str(next(home.glob("lib/python*/site-packages"))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies' own
        return import_module("claude_agent_sdk")


@pytest.fixture(scope="session")
def reference_cli() -> Path:
    """The program that the same release of the SDK brings in its wheel: what ours is compared with, never a part."""
    home = separate_environment(f"sdk-{SDK_VERSION}-bundled", [f"claude-agent-sdk=={SDK_VERSION}"])
    return next(home.glob("lib/python*/site-packages/claude_agent_sdk/_bundled/claude"))


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """What a host is given as the path of the command line."""
    script = tmp_path / "agent-cli"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom agent.surfaces.cli import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    script.chmod(0o755)
    return script


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


@pytest.fixture
def served() -> Iterator[Callable[..., FakeMessagesServer]]:
    """Start scripted Messages API servers; at the end each must have been used up without a violation."""
    with ExitStack() as stack:
        servers: list[tuple[FakeMessagesServer, bool]] = []

        def serve(turns: Any, *, check: bool = True) -> FakeMessagesServer:
            server = stack.enter_context(FakeMessagesServer(turns))
            servers.append((server, check))
            return server

        yield serve
        for server, check in servers:
            if check:
                server.assert_clean()


def environment(server: FakeMessagesServer | None) -> dict[str, str]:
    """What a child needs beyond the test's own environment."""
    if server is None:
        return {}
    return {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite"}


@pytest.fixture
def options(sdk: Any, launcher: Path, project: Path) -> Callable[..., Any]:
    """`ClaudeAgentOptions` that lead to our command line and a scripted model."""

    def make(server: Any, **more: Any) -> Any:
        defaults: dict[str, Any] = {
            "cli_path": launcher,
            "cwd": project,
            "model": "claude-sonnet-5-5",
            "env": environment(server),
        }
        return sdk.ClaudeAgentOptions(**{**defaults, **more})

    return make


@dataclass
class Program:
    """The command line as a child, spoken to in lines."""

    process: subprocess.Popen[bytes]
    seen: list[Json] = field(default_factory=list)
    _lines: queue.Queue[bytes | None] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def send(self, frame: Mapping[str, Any] | bytes) -> None:
        assert self.process.stdin is not None
        line = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def user(self, text: str, **more: Any) -> None:
        self.send({"type": "user", "message": {"role": "user", "content": text}, **more})

    def control(self, subtype: str, **more: Any) -> Json:
        """Send a control request and wait for its response."""
        request_id = f"test_{len(self.seen)}_{subtype}"
        self.send({"type": "control_request", "request_id": request_id, "request": {"subtype": subtype, **more}})
        frame = self.until(lambda f: f["type"] == "control_response" and f["response"]["request_id"] == request_id)
        response: Json = frame["response"]
        return response

    def reply(self, request: Json, payload: Json) -> None:
        response = {"subtype": "success", "request_id": request["request_id"], "response": payload}
        self.send({"type": "control_response", "response": response})

    def until(self, wanted: Callable[[Json], bool] | str) -> Json:
        """The next message that is wanted (a type, `type/subtype`, or a test); all read ones are kept in `seen`."""
        while True:
            line = self._lines.get(timeout=_WAIT)
            assert line is not None, f"the output ended; it held {[kind(frame) for frame in self.seen]}"
            assert line.endswith(b"\n")
            assert len(line) < 1_048_576
            frame: Json = json.loads(line)
            self.seen.append(frame)
            if wanted(frame) if callable(wanted) else wanted in {kind(frame), frame["type"]}:
                return frame

    def finish(self) -> int:
        """End the input, read the rest, give the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        while (line := self._lines.get(timeout=_WAIT)) is not None:
            self.seen.append(json.loads(line))
        return self.process.wait(_WAIT)

    def kinds(self) -> list[str]:
        return [kind(frame) for frame in self.seen]


def kind(frame: Json) -> str:
    """`type`, or `type/subtype`."""
    inner = frame.get("request") or frame
    subtype = inner.get("subtype")
    return f"{frame['type']}/{subtype}" if subtype else str(frame["type"])


Start = Callable[..., Program]


@pytest.fixture
def start(launcher: Path, project: Path) -> Iterator[Start]:
    """Start the command line with frames on stdin (`start(server, *flags)`), in the project."""
    programs: list[Program] = []

    def begin(server: FakeMessagesServer | None, *flags: str, frames: bool = True, env: Any = None) -> Program:
        framing = ("--input-format", "stream-json") if frames else ()
        command: Sequence[str] = [str(launcher), "--output-format", "stream-json", "--verbose", *flags, *framing]
        with (project.parent / "stderr").open("ab") as stderr:
            process = subprocess.Popen(
                command,
                cwd=project,
                env={**os.environ, **environment(server), **(env or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        programs.append(Program(process))
        return programs[-1]

    yield begin
    for program in programs:
        program.process.kill()
        program.process.wait()
        for stream in (program.process.stdin, program.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()
