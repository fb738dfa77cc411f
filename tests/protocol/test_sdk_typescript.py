"""Our command line under Claude's TypeScript SDK: texts, tools, permission callbacks, hooks, interrupts, own tools."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.testing import Fault, Turn, call
from tests.environments import separate_node_modules

pytestmark = [pytest.mark.slow, pytest.mark.needs("node", "npm")]

VERSION = "0.3.331"
PEERS = ("@anthropic-ai/sdk@0.93.0", "@modelcontextprotocol/sdk@1.29.0", "zod@4.0.0")
DRIVER = Path(__file__).with_name("driver.mjs")


class Told:
    """What a host saw: messages of the SDK, calls of its callbacks, and why it ended."""

    def __init__(self, lines: str) -> None:
        self.rows = [json.loads(line) for line in lines.splitlines()]
        self.messages: list[dict[str, Any]] = [row["message"] for row in self.rows if "message" in row]
        self.results = [message for message in self.messages if message["type"] == "result"]
        self.failure = self.rows[-1]["failure"]

    def callbacks(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row.get("callback") == name]

    def tool_results(self) -> list[dict[str, Any]]:
        contents = [m["message"]["content"] for m in self.messages if m["type"] == "user"]
        return [block for content in contents if isinstance(content, list) for block in content]


@pytest.fixture
def host(launcher: Path, project: Path, served: Any) -> Callable[..., tuple[Told, Any]]:
    """Run the SDK with prompts against a script of turns."""
    modules = separate_node_modules(f"sdk-ts-{VERSION}", f"@anthropic-ai/claude-agent-sdk@{VERSION}", *PEERS)

    def run(turns: Any, *prompts: str, **more: Any) -> tuple[Told, Any]:
        server = served(turns)
        given = {
            "sdk": str(modules / "@anthropic-ai" / "claude-agent-sdk" / "sdk.mjs"),
            "zod": str(modules / "zod" / "index.js"),
            "cli": str(launcher),
            "cwd": str(project),
            "env": {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite"},
            "prompts": prompts,
            **more,
        }
        command = ["node", str(DRIVER), json.dumps(given)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
        assert done.returncode == 0, done.stderr
        return Told(done.stdout), server

    return run


def test_texts_of_several_turns(host: Any) -> None:
    told, _ = host(["One.", "Two."], "First", "Second")
    assert told.failure is None
    assert [message["result"] for message in told.results] == ["One.", "Two."]
    first = told.messages[0]
    assert (first["type"], first["subtype"], first["model"]) == ("system", "init", "claude-sonnet-5-5")
    assert len({message["session_id"] for message in told.messages}) == 1
    assert told.callbacks("stderr") == []


def test_a_tool_runs(host: Any, project: Path) -> None:
    turns = [[call("Bash", command="touch made && echo hi")], "Done."]
    told, _ = host(turns, "Go.", options={"allowedTools": ["Bash"]})
    assert (project / "made").exists()
    assert "hi" in str(told.tool_results()[0]["content"])
    assert told.results[0]["num_turns"] == 2


def test_a_permission_callback_denies(host: Any, project: Path) -> None:
    turns = [[call("Bash", command="touch made")], "I may not."]
    told, _ = host(turns, "Go.", permit={"behavior": "deny", "message": "Not on a Friday."})
    (asked,) = told.callbacks("permit")
    assert (asked["tool"], asked["input"], asked["toolUseID"]) == ("Bash", {"command": "touch made"}, "toolu_0001_0")
    assert not (project / "made").exists()
    assert "Not on a Friday." in str(told.tool_results()[0]["content"])


def test_a_permission_callback_changes_the_input(host: Any, project: Path) -> None:
    turns = [[call("Bash", command="touch made")], "Done."]
    told, _ = host(turns, "Go.", permit={"behavior": "allow", "updatedInput": {"command": "touch other"}})
    assert told.failure is None
    assert [path.name for path in project.iterdir()] == ["other"]


def test_hooks_guard_and_inform(host: Any, project: Path) -> None:
    guard = {"hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": "No touching."}
    hooks = {"PreToolUse": {"hookSpecificOutput": guard}, "PostToolBatch": {}, "Stop": {}}
    turns = [[call("Bash", command="touch made")], "I may not."]
    told, _ = host(turns, "Go.", hooks=hooks, options={"allowedTools": ["Bash"]})
    assert [row["event"] for row in told.callbacks("hook")] == ["PreToolUse", "PostToolBatch", "Stop"]
    assert told.callbacks("hook")[0]["toolUseID"] == "toolu_0001_0"
    assert not (project / "made").exists()
    assert "No touching." in str(told.tool_results()[0]["content"])


def test_a_hook_ends_the_run(host: Any) -> None:
    hooks = {"PostToolUse": {"continue": False, "stopReason": "enough"}}
    told, _ = host([[call("Bash", command="ls")]], "Go.", hooks=hooks)
    assert told.failure is None
    result = told.results[0]
    assert (result["subtype"], result["terminal_reason"], result["status"]) == ("success", "hook_stopped", "refused")
    assert "enough" in result["result"]


def test_an_interrupt_ends_the_turn_and_the_next_one_works(host: Any) -> None:
    turns = [Turn(["Slow " * 50], fault=Fault(stall_after=600)), "Fast."]
    told, server = host(
        turns, "Talk.", "And now?", options={"includePartialMessages": True}, interruptAt="stream_event"
    )
    assert server.client_left.wait(10)
    assert [result["subtype"] for result in told.results] == ["error_during_execution", "success"]
    assert told.results[1]["result"] == "Fast."


def test_a_tool_in_the_hosts_process_is_called(host: Any) -> None:
    turns = [[call("mcp__shop__price", thing="tea")], "Three."]
    told, _ = host(turns, "What is tea?", shop=True, options={"allowedTools": ["mcp__shop__price"]})
    assert [row["thing"] for row in told.callbacks("tool")] == ["tea"]
    assert "tea costs 3" in str(told.tool_results()[0]["content"])


def test_mode_and_model_change_between_turns(host: Any, project: Path) -> None:
    turns = ["One.", [call("Write", file_path=str(project / "made"), content="x")], "Two."]
    told, server = host(turns, "First", "Second", thenMode="acceptEdits", thenModel="claude-haiku-5-5")
    assert told.failure is None
    assert (project / "made").read_text() == "x"
    models = [request.body["model"] for request in server.requests]
    assert models == ["claude-sonnet-5-5", "claude-haiku-5-5", "claude-haiku-5-5"]


def test_an_agent_of_the_hosts_own_is_started(host: Any) -> None:
    agents = {"poet": {"description": "Writes poems", "prompt": "You are a poet.", "tools": ["Read"]}}
    task = call("Delegate", to="poet", subject="A poem", task="Write a poem on ports.")
    told, server = host([[task], "Roses.", "The poet says: roses."], "Ask.", options={"agents": agents})
    assert told.results[0]["result"] == "The poet says: roses."
    assert "You are a poet." in str(server.requests[1].body["system"])
