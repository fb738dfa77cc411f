"""Http hooks against a real local server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.hooks import HookOutcome, HookRunner, read_hooks


class Server(ThreadingHTTPServer):
    daemon_threads = True
    answer: tuple[int, bytes, dict[str, str]] = (200, b"", {})

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.hang = threading.Event()
        self.received: list[tuple[dict[str, str], Any]] = []


class Request(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), json.loads(body)))
        status, text, headers = self.server.answer
        if status == 0:
            self.server.hang.wait(30)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.hang.set()
        running.shutdown()
        thread.join()


async def ask(tmp_path: Path, url: str, event: str = "PreToolUse", **fields: Any) -> HookOutcome:
    handlers, remarks = read_hooks({event: [{"hooks": [{"type": "http", "url": url, **fields}]}]}, "settings.json")
    assert not remarks
    hooks = HookRunner(handlers=handlers, root=tmp_path, scratch=tmp_path / "s")
    return await hooks.run(event, {"tool_name": "Bash", "tool_input": {"command": "ls"}}, matcher_value="Bash")


def url(server: Server, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{server.server_port}/hook"


async def test_the_answer_is_the_output(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "t0ken")
    monkeypatch.setenv("OTHER", "private")
    server.answer = (200, json.dumps({"decision": "block", "reason": "no"}).encode(), {})
    headers = {"Authorization": "Bearer $HOOK_TOKEN", "X-Other": "${OTHER}"}
    outcome = await ask(tmp_path, url(server), headers=headers, allowedEnvVars=["HOOK_TOKEN"])
    assert (outcome.decision, outcome.reason) == ("deny", "no")
    [(received, body)] = server.received
    assert received["Authorization"] == "Bearer t0ken"
    assert received["X-Other"] == ""
    assert body["hook_event_name"] == "PreToolUse"
    assert body["tool_input"] == {"command": "ls"}


async def test_plain_text_and_an_empty_answer_are_success(tmp_path: Path, server: Server) -> None:
    server.answer = (200, b"hello", {})
    assert (await ask(tmp_path, url(server), "SessionStart")).context == ("hello",)
    server.answer = (204, b"", {})
    outcome = await ask(tmp_path, url(server))
    assert (outcome.decision, outcome.messages) == (None, ())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((500, b'{"decision": "block"}', {}), "status 500"),
        ((302, b"", {"Location": "http://example.com/"}), "status 302"),
        ((200, b"{broken", {}), "valid JSON"),
        ((200, b"x" * 1_100_000, {}), "too long"),
        ((0, b"", {}), "longer than 2 s"),
    ],
)
async def test_failures_are_shown_and_block_on_request(
    tmp_path: Path, server: Server, answer: tuple[int, bytes, dict[str, str]], why: str
) -> None:
    server.answer = answer
    outcome = await ask(tmp_path, url(server), timeout=2)
    assert outcome.decision is None
    assert why in outcome.messages[0]
    assert (await ask(tmp_path, url(server), timeout=0.5, onFailure="block")).blocked


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "http://user:pw@127.0.0.1/",
        "nonsense",
        "http://127.0.0.1:1/",
    ],
)
async def test_addresses_that_are_not_posted_to(tmp_path: Path, target: str) -> None:
    outcome = await ask(tmp_path, target)
    assert outcome.decision is None
    assert "failed" in outcome.messages[0]


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "fe80::1"])
async def test_no_name_leads_to_a_metadata_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    answers = [(family, socket.SOCK_STREAM, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answers)
    outcome = await ask(tmp_path, "http://hooks.example/")
    assert "metadata" in outcome.messages[0]
