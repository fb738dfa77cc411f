"""MCP servers of `-p` and `run`: from `.mcp.json` where it is trusted, from flags, and dead ones."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.surfaces.cli import main
from agent.testing import FakeMessagesServer, call
from agent.testing.script import TurnLike

ODD = Path(__file__).parents[1] / "mcp" / "odd_server.py"
DESK = {"command": sys.executable, "args": [str(ODD), "plain"]}
DEAD = {"command": "/nowhere/no-such-program"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / ".mcp.json").write_text(json.dumps({"mcpServers": {"desk": DESK, "dead": DEAD}}))
    monkeypatch.chdir(directory)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-key-of-the-suite")
    monkeypatch.setenv("MCP_TIMEOUT", "30000")  # as long as a busy machine needs
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    own = os.dup(1)  # the command gives stdout to itself alone
    yield directory
    os.dup2(own, 1)
    os.close(own)


def offered(monkeypatch: pytest.MonkeyPatch, turns: list[TurnLike], *words: str) -> tuple[int, set[str], list[str]]:
    """Exit code, the MCP tools that the model was offered, and the results it was sent."""
    with FakeMessagesServer(turns) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        code = main([*words, "--model", "claude-sonnet-5-5"])
    names = {tool["name"] for tool in server.requests[0].body["tools"]}
    results = [
        str(block["content"])
        for request in server.requests[1:]
        for block in request.body["messages"][-1]["content"]
        if isinstance(block, dict) and block.get("type") == "tool_result"
    ]
    return code, {name for name in names if name.startswith("mcp__desk")}, results


@pytest.mark.slow
def test_the_projects_servers_need_trust(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert offered(monkeypatch, ["Hi."], "-p", "Hi") == (0, set(), [])
    assert "not trusted" in capfd.readouterr().err
    turns: list[TurnLike] = [call("mcp__desk__echo"), "Done."]
    code, names, results = offered(monkeypatch, turns, "-p", "Hi", "--trust", "--allowedTools", "mcp__desk")
    assert (code, names, len(results)) == (0, {"mcp__desk__echo"}, 1)
    assert "MCP server dead failed" in capfd.readouterr().err


@pytest.mark.slow
def test_servers_of_the_flag_and_strictly_those(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = json.dumps({"mcpServers": {"desk": DESK}})
    assert offered(monkeypatch, ["Hi."], "-p", "Hi", "--mcp-config", config)[1] == {"mcp__desk__echo"}
    removed = ("--mcp-config", config, "--disallowedTools", "mcp__desk")
    assert offered(monkeypatch, ["Hi."], "-p", "Hi", *removed)[1] == set()
    strict = ("--trust", "--strict-mcp-config", "--mcp-config", '{"mcpServers": {}}')
    assert offered(monkeypatch, ["Hi."], "-p", "Hi", *strict)[1] == set()


@pytest.mark.slow
def test_run_has_the_servers_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, names, _ = offered(monkeypatch, ["I stop."] * 5, "run", "--trust", "--max-turns", "1")
    assert names == {"mcp__desk__echo"}
