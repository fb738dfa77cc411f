"""Hooks written with Claude's Python SDK: every event it knows, and every answer that changes something."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.testing import call

pytestmark = pytest.mark.slow  # the SDK is installed first; a process for each test

KNOWN = (
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "UserPromptSubmit",
    "Stop",
    "SubagentStop",
    "PreCompact",
    "Notification",
    "SubagentStart",
    "PermissionRequest",
)
"""The events the SDK's types name."""


async def turn(client: Any, prompt: str) -> list[Any]:
    await client.query(prompt)
    return [message async for message in client.receive_response()]


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def answering(sdk: Any, answers: dict[str, Any], seen: list[dict[str, Any]]) -> dict[str, Any]:
    """Hooks on all known events that note what they are given and answer `answers[event]`."""

    async def hook(given: Any, _tool_use_id: Any, _context: Any) -> Any:
        seen.append(given)
        return answers.get(given["hook_event_name"], {})

    return {event: [sdk.HookMatcher(hooks=[hook])] for event in KNOWN}


Run = Callable[..., Any]


@pytest.fixture
def run(sdk: Any, served: Any, options: Any) -> Run:
    """Answer one prompt with these turns and hooks: the messages, what hooks were given, the server."""

    async def one(turns: Any, answers: dict[str, Any] | None = None, **more: Any) -> tuple[list[Any], list[Any], Any]:
        seen: list[dict[str, Any]] = []
        server = served(turns)
        given = options(server, hooks=answering(sdk, answers or {}, seen), **more)
        async with sdk.ClaudeSDKClient(given) as client:
            return await turn(client, "Go."), seen, server

    return one


def specific(event: str, **fields: Any) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": event, **fields}}


async def test_every_event_the_sdk_knows_is_fired(sdk: Any, run: Run, project: Path) -> None:
    async def deny(_tool: str, _given: Any, _context: Any) -> Any:
        return sdk.PermissionResultDeny(message="No.")

    task = call("Delegate", to="expert-backend", subject="Look", task="Look around.")
    turns = [
        [call("Bash", command="ls")],
        [call("Read", file_path=str(project / "absent"))],
        [call("Write", file_path=str(project / "made"), content="x")],
        [task],
        "Nothing there.",
        "Done.",
    ]
    messages, seen, _ = await run(turns, can_use_tool=deny)
    assert messages[-1].result == "Done."
    assert {given["hook_event_name"] for given in seen} == {*KNOWN} - {"PreCompact"}
    by_event = {given["hook_event_name"]: given for given in seen}
    assert by_event["PermissionRequest"]["tool_name"] == "Write"
    assert by_event["Notification"]["notification_type"] == "permission_prompt"
    assert by_event["PostToolUseFailure"]["tool_name"] == "Read"
    assert by_event["SubagentStart"]["agent_id"] == by_event["SubagentStop"]["agent_id"]
    assert by_event["Stop"]["last_assistant_message"] == "Done."
    assert all(given["session_id"] == messages[-1].session_id for given in seen)


async def test_a_compaction_asks_its_hook(sdk: Any, served: Any, options: Any) -> None:
    seen: list[dict[str, Any]] = []
    server = served(["One.", "Two."], check=False)
    refused = {"PreCompact": {"decision": "block", "reason": "keep it all"}}
    async with sdk.ClaudeSDKClient(options(server, hooks=answering(sdk, refused, seen))) as client:
        await turn(client, "Hello.")
        messages = await turn(client, "/compact")
    (asked,) = [given for given in seen if given["hook_event_name"] == "PreCompact"]
    assert asked["trigger"] == "manual"
    assert type(messages[-1]).__name__ == "ResultMessage"
    assert len(server.requests) == 1  # what is not compacted needs no summary


async def test_a_rewritten_input_runs(run: Run, project: Path) -> None:
    rewrite = specific("PreToolUse", permissionDecision="allow", updatedInput={"command": "touch other"})
    await run([[call("Bash", command="touch made")], "Done."], {"PreToolUse": rewrite})
    assert names_in(project) == ["other"]


async def test_a_hook_asks_for_a_person(sdk: Any, run: Run, project: Path) -> None:
    asked: list[str] = []

    async def permit(tool: str, _given: Any, _context: Any) -> Any:
        asked.append(tool)
        return sdk.PermissionResultAllow()

    ask = specific("PreToolUse", permissionDecision="ask", permissionDecisionReason="Look at it first.")
    turns = [[call("Bash", command="touch made")], "Done."]
    await run(turns, {"PreToolUse": ask}, can_use_tool=permit, allowed_tools=["Bash(touch *)"])
    assert asked == ["Bash"]
    assert (project / "made").exists()


async def test_a_hook_grants_in_a_persons_place(run: Run, project: Path) -> None:
    allow = specific("PermissionRequest", decision={"behavior": "allow"})
    await run([[call("Bash", command="touch made")], "Done."], {"PermissionRequest": allow})
    assert (project / "made").exists()


async def test_no_hook_lifts_a_rule(run: Run, project: Path) -> None:
    allow = specific("PreToolUse", permissionDecision="allow")
    settings = json.dumps({"permissions": {"deny": ["Bash(touch *)"]}})
    messages, _, _ = await run(
        [[call("Bash", command="touch made")], "Denied."], {"PreToolUse": allow}, settings=settings
    )
    assert not (project / "made").exists()
    assert messages[-1].permission_denials[0]["tool_name"] == "Bash"


async def test_a_prompt_is_held_back(run: Run) -> None:
    messages, _, server = await run([], {"UserPromptSubmit": {"decision": "block", "reason": "no secrets please"}})
    assert server.requests == []
    assert messages[-1].is_error is False
    assert "no secrets please" in messages[-1].result


async def test_the_agent_is_sent_back_to_work_once(sdk: Any, served: Any, options: Any) -> None:
    async def stop(given: Any, _tool_use_id: Any, _context: Any) -> Any:
        return {} if given["stop_hook_active"] else {"decision": "block", "reason": "the tests fail"}

    server = served(["Done.", "Really done."])
    async with sdk.ClaudeSDKClient(options(server, hooks={"Stop": [sdk.HookMatcher(hooks=[stop])]})) as client:
        messages = await turn(client, "Go.")
    assert messages[-1].result == "Really done."
    assert "the tests fail" in str(server.requests[1].body["messages"][-1])


async def test_a_run_is_ended_with_its_reason(run: Run) -> None:
    stop = {"continue_": False, "stopReason": "enough for today"}
    messages, _, server = await run([[call("Bash", command="ls")]], {"PostToolUse": stop})
    result = messages[-1]
    assert len(server.requests) == 1
    assert (result.subtype, result.is_error, result.terminal_reason) == ("success", False, "hook_stopped")
    assert "enough for today" in result.result


async def test_a_guard_that_raises_blocks(sdk: Any, served: Any, options: Any, project: Path) -> None:
    async def broken(_given: Any, _tool_use_id: Any, _context: Any) -> Any:
        raise RuntimeError("the guard is broken")

    server = served([[call("Bash", command="touch made")], "Blocked."])
    hooks = {"PreToolUse": [sdk.HookMatcher(matcher="Bash", hooks=[broken])]}
    async with sdk.ClaudeSDKClient(options(server, hooks=hooks, allowed_tools=["Bash"])) as client:
        messages = await turn(client, "Go.")
    assert not (project / "made").exists()
    assert messages[-1].permission_denials[0]["tool_name"] == "Bash"


async def test_a_guard_that_hangs_blocks(sdk: Any, served: Any, options: Any, project: Path) -> None:
    async def hanging(_given: Any, _tool_use_id: Any, _context: Any) -> Any:
        await asyncio.Event().wait()

    server = served([[call("Bash", command="touch made")], "Blocked."])
    hooks = {"PreToolUse": [sdk.HookMatcher(matcher="Bash", hooks=[hanging], timeout=0.3)]}
    async with sdk.ClaudeSDKClient(options(server, hooks=hooks, allowed_tools=["Bash"])) as client:
        await turn(client, "Go.")
    assert not (project / "made").exists()


async def test_the_output_of_the_hosts_own_tool_is_replaced(sdk: Any, run: Run) -> None:
    async def price(_given: Any) -> Any:
        return {"content": [{"type": "text", "text": "3"}]}

    shop = sdk.create_sdk_mcp_server("shop", tools=[sdk.tool("price", "The price", {})(price)])
    replaced = specific("PostToolUse", updatedMCPToolOutput="seven")
    turns = [[call("mcp__shop__price")], "Done."]
    _, _, server = await run(turns, {"PostToolUse": replaced}, mcp_servers={"shop": shop}, allowed_tools=["mcp__shop"])
    assert "seven" in str(server.requests[1].body["messages"][-1])
    assert "'3'" not in str(server.requests[1].body["messages"][-1])
