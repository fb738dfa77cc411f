"""Hooks over the protocol: what a host is shown of them, and what it reads when one ends the run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.testing import call

pytestmark = pytest.mark.slow  # a process for each test


def settings(**commands: str) -> str:
    """A `--settings` value with one command hook an event."""
    return json.dumps({"hooks": {e: [{"hooks": [{"type": "command", "command": c}]}] for e, c in commands.items()}})


def shown(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(f["subtype"], f["hook_name"]) for f in frames if str(f.get("subtype")).startswith("hook_")]


@pytest.mark.parametrize("wanted", [True, False])
def test_hooks_are_shown_as_they_begin_and_end(start: Any, served: Any, wanted: bool) -> None:
    server = served([[call("Bash", command="echo hi")], "Done."])
    given = settings(SessionStart="echo branch main", PreToolUse="echo out; echo err >&2; exit 1")
    flags = ["--settings", given, "--allowed-tools", "Bash", *(["--include-hook-events"] if wanted else [])]
    program = start(server, *flags)
    program.user("Say hi.")
    assert program.finish() == 0

    of_start = [("hook_started", "SessionStart:startup"), ("hook_response", "SessionStart:startup")]
    of_call = [("hook_started", "PreToolUse:Bash"), ("hook_response", "PreToolUse:Bash")]
    assert shown(program.seen) == (of_start + of_call if wanted else of_start)
    if wanted:
        begun, ended = (f for f in program.seen if f.get("hook_event") == "PreToolUse")
        assert begun["hook_id"] == ended["hook_id"]
        said = {"output": "out\nerr\n", "stdout": "out\n", "stderr": "err\n", "exit_code": 1, "outcome": "error"}
        assert said.items() <= ended.items()
        assert ended["uuid"] != begun["uuid"]


def test_a_hook_of_the_host_is_not_told_to_the_host(start: Any, served: Any) -> None:
    program = start(served(["Done."]), "--include-hook-events")
    program.control("initialize", hooks={"Stop": [{"matcher": None, "hookCallbackIds": ["h1"]}]})
    program.user("Hello.")
    asked = program.until("control_request/hook_callback")
    assert asked["request"]["input"]["hook_event_name"] == "Stop"
    program.reply(asked, {})
    assert program.finish() == 0
    assert shown(program.seen) == []


@pytest.mark.parametrize("event", ["UserPromptSubmit", "PreToolUse", "PostToolBatch"])
def test_the_reason_of_a_hook_that_ends_the_run_is_the_result(start: Any, served: Any, event: str) -> None:
    server = served([] if event == "UserPromptSubmit" else [["I try.", call("Bash", command="echo hi")]])
    answer = json.dumps({"continue": False, "stopReason": "enough for today"})
    program = start(server, "--settings", settings(**{event: f"echo '{answer}'"}), "--allowed-tools", "Bash")
    program.user("Go.")
    assert program.finish() == 0
    result = program.seen[-1]
    verdict = ("success", False, "hook_stopped", "refused")
    assert tuple(result[key] for key in ("subtype", "is_error", "terminal_reason", "status")) == verdict
    assert result["result"].endswith("A hook stopped the run: enough for today")
