"""Every event of a run, through real scripts and through callbacks: when it fires, and what its answer does."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.events import Event, HookRan, RunFinished, ToolFinished
from agent.hooks import EVENTS, Handler, callback_handler, read_hooks
from agent.models.port import ModelError
from agent.permissions import Rules
from agent.result import Completed, Failed, Refused, Result
from agent.testing import ScriptedModel, call
from tools.ports import PermissionAnswer
from tools.tool import ToolContext, ToolError, ToolResult, tool

KINDS = pytest.mark.parametrize("kind", ["command", "callback"])


@tool("Echo", effects={"reads"})
async def echo(ctx: ToolContext, word: str) -> ToolResult:
    """Say it back."""
    if word == "fail":
        raise ToolError("it broke")
    return ToolResult(word, data={"word": word})


@tool("mcp__shop__price", effects={"reads"})
async def price(ctx: ToolContext) -> ToolResult:
    """A tool of a server."""
    return ToolResult("3")


class Person:
    """Somebody who is asked, and says no."""

    async def questions(self, questions: Any) -> Any:
        raise AssertionError

    async def permission(self, request: Any) -> PermissionAnswer:
        return PermissionAnswer("deny", "No.")


def listen(kind: str, log: Path, answers: Mapping[str, Any]) -> tuple[Handler, ...]:
    """Handlers of every event that note their input in `log` and say `answers[event]`."""
    if kind == "command":
        note = (
            f"given=$(cat); printf '%s\\n' \"$given\" >> {shlex.quote(str(log))}"  # one write: hooks run side by side
        )
        says = {event: f"; printf %s {shlex.quote(json.dumps(answers[event]))}" for event in answers}
        events = {event: [{"hooks": [{"command": note + says.get(event, "")}]}] for event in EVENTS}
        handlers, remarks = read_hooks(events, "settings.json")
        assert not remarks
        return handlers

    async def called(given: Mapping[str, Any], _call_id: str | None) -> Mapping[str, Any]:
        with log.open("a") as file:
            file.write(json.dumps(given) + "\n")
        answer: Mapping[str, Any] = answers.get(given["hook_event_name"], {})
        return answer

    return tuple(callback_handler(event, called) for event in EVENTS)


class Ran:
    """A run with hooks on every event: what they were given, what came of it."""

    def __init__(self, events: Sequence[Event], result: Result, model: ScriptedModel, log: Path) -> None:
        self.events, self.result, self.model = events, result, model
        lines = log.read_text().splitlines() if log.exists() else []
        self.given: list[dict[str, Any]] = [json.loads(line) for line in lines if line]
        self.order = [given["hook_event_name"] for given in self.given]

    def one(self, event: str) -> dict[str, Any]:
        (given,) = [given for given in self.given if given["hook_event_name"] == event]
        return given

    def last_sent(self) -> str:
        return json.dumps(self.model.requests[-1].messages[-1], ensure_ascii=False)


async def run(
    tmp_path: Path, kind: str, turns: Sequence[Any], answers: Mapping[str, Any] | None = None, **options: Any
) -> Ran:
    (project := tmp_path / "project").mkdir()
    model = ScriptedModel(turns)
    given: dict[str, Any] = {"tools": [echo, price], "rules": Rules.parse(allow=["Echo", "mcp__shop"])}
    hooks = listen(kind, tmp_path / "log", answers or {})
    going = Agent(cwd=project, model=model, env={}, hooks=hooks, **(given | options)).start("go")
    events = [event async for event in going]
    return Ran(events, going.result, model, tmp_path / "log")


def specific(event: str, **fields: Any) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": event, **fields}}


@KINDS
async def test_the_events_of_a_run_come_in_order(tmp_path: Path, kind: str) -> None:
    calls = [call("Echo", word="a")], [call("Echo", word="fail")], [call("Write", file_path="x", content="y")]
    rules = Rules.parse(allow=["Echo"], deny=["Write"])
    from tools.catalogue import builtin_tools

    tools = [echo, builtin_tools()["Write"]]
    ran = await run(tmp_path, kind, [*calls, "Done."], tools=tools, rules=rules)
    assert ran.order == [
        *("SessionStart", "UserPromptSubmit"),
        *("PreToolUse", "PostToolUse", "PostToolBatch"),
        *("PreToolUse", "PostToolUseFailure", "PostToolBatch"),
        *("PreToolUse", "PermissionDenied", "PostToolBatch"),
        *("Stop", "SessionEnd"),
    ]
    assert isinstance(ran.result, Completed)
    assert ran.one("PostToolUse")["tool_response"] == {"word": "a"}
    assert ran.one("PostToolUseFailure")["error"] == "it broke"


@KINDS
async def test_a_batch_is_told_once_with_all_its_calls(tmp_path: Path, kind: str) -> None:
    calls = [call("Echo", word="a"), call("Nothing"), call("Echo", word="fail")]
    answer = specific("PostToolBatch", additionalContext="look closer")
    ran = await run(tmp_path, kind, [calls, "Done."], {"PostToolBatch": answer})
    told = [(each["tool_name"], each["tool_response"]) for each in ran.one("PostToolBatch")["tool_calls"]]
    assert [name for name, _ in told] == ["Echo", "Nothing", "Echo"]
    assert (told[0][1], told[2][1]) == ("a", "it broke")
    assert "There is no tool" in told[1][1]
    assert "look closer" in ran.last_sent()


STOPS = {"continue": False, "stopReason": "enough for today"}


@KINDS
@pytest.mark.parametrize(
    ("event", "turns"),
    [
        ("SessionStart", []),
        ("UserPromptSubmit", []),
        ("PreToolUse", [[call("Echo", word="a")]]),
        ("PostToolUse", [[call("Echo", word="a")]]),
        ("PostToolUseFailure", [[call("Echo", word="fail")]]),
        ("PostToolBatch", [[call("Echo", word="a")]]),
        ("Stop", ["Done."]),
    ],
)
async def test_a_hook_that_ends_the_run_is_what_the_result_says(
    tmp_path: Path, kind: str, event: str, turns: list[Any]
) -> None:
    ran = await run(tmp_path, kind, turns, {event: STOPS})
    assert isinstance(ran.result, Refused)
    assert (ran.result.by, ran.result.reason, ran.result.stop_reason) == ("hook", "enough for today", "hook_stopped")
    assert ran.result.exit_code == 6
    ran.model.assert_complete()
    assert [e for e in ran.events if isinstance(e, ToolFinished)] == [] or event != "PreToolUse"


@KINDS
async def test_a_batch_that_is_blocked_ends_the_run(tmp_path: Path, kind: str) -> None:
    answer = {"decision": "block", "reason": "the tests fail"}
    ran = await run(tmp_path, kind, [[call("Echo", word="a")]], {"PostToolBatch": answer})
    assert isinstance(ran.result, Refused)
    assert (ran.result.by, ran.result.reason) == ("hook", "the tests fail")


@KINDS
async def test_a_failed_request_is_told_with_its_known_name(tmp_path: Path, kind: str) -> None:
    error = ModelError("authentication", "The key is wrong.", status=401)
    ran = await run(tmp_path, kind, [error], {"StopFailure": {"decision": "block", "reason": "go on"}})
    assert isinstance(ran.result, Failed)  # nothing a hook says changes that
    assert ran.one("StopFailure")["error"] == "authentication_failed"
    assert ran.one("StopFailure")["error_details"] == "The key is wrong."
    assert "Stop" not in ran.order


@KINDS
async def test_a_person_who_is_asked_is_notified_first(tmp_path: Path, kind: str) -> None:
    asking: dict[str, Any] = {"rules": Rules.parse(ask=["Echo"]), "asker": Person()}
    ran = await run(tmp_path, kind, [[call("Echo", word="a")], "Done."], **asking)
    assert ran.order[2:6] == ["PreToolUse", "PermissionRequest", "Notification", "PermissionDenied"]
    assert ran.one("Notification")["notification_type"] == "permission_prompt"
    assert "Echo" in ran.one("Notification")["message"]


@KINDS
async def test_nobody_is_notified_where_nobody_is(tmp_path: Path, kind: str) -> None:
    ran = await run(tmp_path, kind, [[call("Echo", word="a")], "Done."], rules=Rules.parse(ask=["Echo"]))
    assert "PermissionRequest" in ran.order
    assert "Notification" not in ran.order


@KINDS
@pytest.mark.parametrize(("behavior", "sent"), [("allow", '"a"'), ("deny", "not now")])
async def test_a_hook_answers_in_a_persons_place(tmp_path: Path, kind: str, behavior: str, sent: str) -> None:
    answer = specific("PermissionRequest", decision={"behavior": behavior, "message": "not now"})
    turns = [[call("Echo", word="a")], "Done."]
    ran = await run(tmp_path, kind, turns, {"PermissionRequest": answer}, rules=Rules.parse(ask=["Echo"]))
    assert sent in ran.last_sent()


@KINDS
@pytest.mark.parametrize(
    ("replacement", "shown"),
    [
        ("seven", '"seven"'),
        ([{"type": "text", "text": "seven"}], '{"type": "text", "text": "seven"}'),
        ({"content": [{"type": "text", "text": "seven"}]}, '"content": [{"type": "text", "text": "seven"}]'),
        ({"cost": 7}, "cost"),
    ],
)
async def test_the_output_of_a_servers_tool_is_replaced(
    tmp_path: Path, kind: str, replacement: Any, shown: str
) -> None:
    answer = specific("PostToolUse", updatedMCPToolOutput=replacement)
    calls = [call("mcp__shop__price"), call("Echo", word="a")]
    ran = await run(tmp_path, kind, [calls, "Done."], {"PostToolUse": answer})
    assert shown in ran.last_sent()
    assert '"content": "3"' not in ran.last_sent()
    assert '"content": "a"' in ran.last_sent()  # a built-in tool is none of a server's


DELEGATE = call("Delegate", to="expert-backend", subject="Look", task="Look at the README and report.")


@KINDS
async def test_children_start_and_stop_under_the_same_hooks(tmp_path: Path, kind: str) -> None:
    answers = {"SubagentStart": specific("SubagentStart", additionalContext="mind the port")}
    turns = [[DELEGATE], [call("Glob", pattern="*")], "It holds nothing.", "The sibling found nothing."]
    ran = await run(tmp_path, kind, turns, answers, tools=None, rules=None)
    assert isinstance(ran.result, Completed)
    start, stop = ran.one("SubagentStart"), ran.one("SubagentStop")
    assert start["agent_type"] == stop["agent_type"] == "expert-backend"
    assert start["agent_id"] == stop["agent_id"]
    assert stop["last_assistant_message"] == "It holds nothing."
    inner = [given for given in ran.given if given.get("tool_name") == "Glob"]
    assert {given["agent_id"] for given in inner} == {start["agent_id"]}
    assert "mind the port" in json.dumps(ran.model.requests[1].messages)
    assert "agent_id" not in ran.one("Stop")


@KINDS
async def test_a_hook_that_ends_the_run_ends_it_from_within_a_child(tmp_path: Path, kind: str) -> None:
    turns = [[DELEGATE], [call("Glob", pattern="*")]]
    hooks = {"PostToolUse": STOPS}
    ran = await run(tmp_path, kind, turns, hooks, tools=None, rules=None)
    assert isinstance(ran.result, Refused)
    assert ran.result.reason == "enough for today"
    assert [event.status for event in ran.events if isinstance(event, RunFinished)] == ["refused", "refused"]
    ran.model.assert_complete()


async def test_every_run_of_a_hook_is_an_event(tmp_path: Path) -> None:
    turns = [[DELEGATE], [call("Glob", pattern="*")], "Nothing.", "Nothing."]
    ran = await run(tmp_path, "command", turns, tools=None, rules=None)
    hooks = [event for event in ran.events if isinstance(event, HookRan)]
    begun = {event.id: event for event in hooks if event.outcome == "started"}
    ended = {event.id: event for event in hooks if event.outcome == "success"}
    assert begun.keys() == ended.keys()
    assert len(begun) == len(ran.given)
    assert {event.hook for event in begun.values()} >= {"SessionStart:startup", "PreToolUse:Glob", "PostToolBatch"}
    of_child = {event.hook for event in hooks if event.agent_id is not None}
    assert {"SubagentStart:expert-backend", "PreToolUse:Glob", "SubagentStop:expert-backend"} <= of_child
    assert all(event.parent_call_id for event in hooks if event.agent_id is not None)


async def test_hooks_are_told_the_mode_and_place_of_the_moment(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    seen: list[str] = []
    model = ScriptedModel([[call("Echo", word="a")], [call("Echo", word="b")], "Done."])

    async def note(given: Mapping[str, Any], _call_id: str | None) -> Mapping[str, Any]:
        seen.append(given["permission_mode"])
        assert going.talk is not None
        calls = going.talk.calls
        from dataclasses import replace

        calls.permissions = replace(calls.permissions, mode="plan")
        return {}

    hooks = [callback_handler("PreToolUse", note)]
    rules = Rules.parse(allow=["Echo"])
    going = Agent(cwd=tmp_path / "project", model=model, env={}, tools=[echo], rules=rules, hooks=hooks).start("go")
    async for _event in going:
        pass
    assert seen == ["default", "plan"]
