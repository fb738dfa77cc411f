"""A child's rights: never more than its parent's, bound by the same rules, hooks, sandbox and claims."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.events import PermissionDecided, RunFinished, ToolFinished
from agent.hooks.config import callback_handler
from agent.models.port import Request
from agent.permissions import Rules
from agent.testing import call
from tools.ports import Answers, PermissionAnswer, PermissionRequest, Question
from tools.tool import ToolContext, ToolResult, tool

Build = Callable[..., Any]
Member = Callable[..., Any]


def delegate(to: str, subject: str = "a subtask", task: str = "Do it.", **more: Any) -> dict[str, Any]:
    return call("Delegate", to=to, subject=subject, task=task, **more)


def boss_says(*turns: Any) -> Callable[[Request], Any]:
    """The parent's turns, told apart by how many it has had."""
    return lambda request: turns[sum(m["role"] == "assistant" for m in request.messages)]


def names_in(folder: Path, pattern: str) -> list[str]:
    return [path.name for path in folder.glob(pattern)]


async def test_a_child_has_no_more_rights_than_its_parent(family: Build, member: Member, tmp_path: Path) -> None:
    secret = tmp_path / "project" / ".env"

    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("greedy")], "Done.")(request)
        if len(request.messages) == 1:
            return [
                call("Read", file_path=str(secret)),
                call("Bash", command="curl http://example.com"),
                call("Write", file_path="/etc/passwd", content="x"),
                call("Echo", word="fine"),
            ]
        return "Tried."

    greedy = member("greedy", permission_mode="bypassPermissions")
    rules = Rules.parse(deny=["Read(.env)", "Bash(curl:*)"], allow=["Echo"], anchor=tmp_path / "project")
    kin = family(script, [greedy], rules=rules, mode="default")
    secret.write_text("TOKEN=abc")
    await kin.run()
    decided = {e.tool: e.behavior for e in kin.ended(PermissionDecided) if e.agent_id}
    assert decided == {"Read": "deny", "Bash": "deny", "Write": "deny", "Echo": "allow"}
    data = next(e for e in kin.ended(ToolFinished) if e.tool == "Delegate").data
    assert sorted(data["denials"]) == ["Bash", "Read", "Write"]
    assert "Calls that were denied: Read, Bash, Write." in kin.results()[0]["content"]


async def test_a_tool_outside_its_list_does_not_exist_for_a_child(family: Build, member: Member) -> None:
    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("reader")], "Done.")(request)
        if len(request.messages) == 1:
            return [call("Bash", command="true")]
        return "Said: " + request.messages[-1]["content"][0]["content"]

    kin = family(script, [member("reader", tools=("Read",), spawns_subagents=False)])
    await kin.run()
    assert "There is no tool 'Bash'. Available: Read." in kin.results()[0]["content"]


async def test_an_agent_without_any_tool_left_is_not_started(family: Build, member: Member) -> None:
    boss = boss_says([delegate("odd")], "Done.")
    kin = family(lambda who, r: boss(r), [member("odd", tools=("AskUserQuestion",))])
    await kin.run()
    assert "no tool is left to use here" in kin.results()[0]["content"]


async def test_what_a_child_asks_goes_to_the_person_with_its_name(family: Build, member: Member) -> None:
    asked: list[PermissionRequest] = []

    class Person:
        async def questions(self, questions: list[Question]) -> Answers:
            raise AssertionError("a child does not ask questions")

        async def permission(self, request: PermissionRequest) -> PermissionAnswer:
            asked.append(request)
            return PermissionAnswer("deny", "No.")

    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("worker")], "Done.")(request)
        return [call("Bash", command="make deploy")] if len(request.messages) == 1 else "Denied."

    kin = family(script, [member("worker")], asker=Person())
    await kin.run()
    (request,) = asked
    assert request.agent_id is not None
    assert request.agent_id.startswith("worker-")


async def test_a_dry_run_offers_no_tool_that_acts(family: Build, member: Member) -> None:
    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("worker")], "Done.")(request)
        assert {t["name"] for t in request.tools} == {"Echo", "Read", "Delegate", "Agent"}
        return "Report."

    kin = family(script, [member("worker")], state={"dry_run": True})
    await kin.run()
    assert not kin.results()[0].get("is_error")


async def test_a_file_that_one_child_writes_is_refused_to_another(family: Build, member: Member) -> None:
    turns = asyncio.Event()

    @tool("Hold", effects={"reads"})
    async def hold(ctx: ToolContext) -> ToolResult:
        """Waits until the other one was refused."""
        await asyncio.wait_for(turns.wait(), 5)
        return ToolResult("held")

    @tool("Let_go", effects={"reads"})
    async def let_go(ctx: ToolContext) -> ToolResult:
        """Ends the waiting."""
        turns.set()
        return ToolResult("ok")

    def script(who: str, request: Request) -> Any:
        step = sum(m["role"] == "assistant" for m in request.messages)
        if who == "boss":
            both, again = [delegate("first"), delegate("second")], [delegate("third")]
            return (both, again, "Done.")[step]
        write = call("Write", file_path="app.py", content=who)
        if who == "first":
            return ([write], [call("Hold")], "First.")[step]
        if who == "second":
            said = str(request.messages[-1]["content"])
            return ([call("Echo", word="x")], [write], [call("Let_go")], f"Second: {'first' in said}")[step]
        return ([call("Read", file_path="app.py")], [write], "Third.")[step]

    rules = Rules.parse(allow=["Hold", "Let_go", "Echo"])
    agents = [member(name) for name in ("first", "second", "third")]
    kin = family(script, agents, pool={"Hold": hold, "Let_go": let_go}, rules=rules)
    await kin.run()
    refused = [e.block["content"] for e in kin.ended(ToolFinished) if e.tool == "Write" and e.block.get("is_error")]
    (text,) = refused
    assert "app.py is being written by first, which has not ended" in text
    assert (kin.talk.calls.context.root / "app.py").read_text() == "third"
    files = {e.data["agent"]: e.data["files"] for e in kin.ended(ToolFinished) if e.tool == "Delegate"}
    assert files == {"first": ["app.py"], "second": [], "third": ["app.py"]}


async def test_a_parent_that_waits_does_not_keep_its_files_from_its_child(family: Build, member: Member) -> None:
    def script(who: str, request: Request) -> Any:
        step = sum(m["role"] == "assistant" for m in request.messages)
        if who == "boss":
            return ([delegate("one")], "Done.")[step]
        if who == "one":
            return ([call("Write", file_path="app.py", content="one")], [delegate("two")], "Done.")[step]
        return ([call("Read", file_path="app.py")], [call("Write", file_path="app.py", content="two")], "Done.")[step]

    kin = family(script, [member("one"), member("two")])
    await kin.run()
    assert (kin.talk.calls.context.root / "app.py").read_text() == "two"


async def test_the_hooks_of_the_run_and_its_own_bind_a_child(family: Build, member: Member) -> None:
    seen: list[tuple[str, str | None]] = []

    async def watch(payload: Mapping[str, Any], _call_id: str | None) -> Mapping[str, Any]:
        seen.append((payload["tool_name"], payload.get("agent_type")))
        denied = {"hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": "not here"}
        return {"hookSpecificOutput": denied} if payload["tool_name"] == "Read" else {}

    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("worker")], "Done.")(request)
        if len(request.messages) == 1:
            return [call("Read", file_path="app.py"), call("Echo", word="x")]
        return "Said: " + json.dumps(request.messages[-1]["content"])

    own = {"PreToolUse": [{"matcher": "Echo", "hooks": [{"type": "command", "command": "echo no >&2; exit 2"}]}]}
    kin = family(script, [member("worker", hooks=own)], hooks=[callback_handler("PreToolUse", watch)])
    await kin.run()
    assert ("Read", "worker") in seen
    denied = [e.tool for e in kin.ended(PermissionDecided) if e.agent_id and e.behavior == "deny"]
    assert denied == ["Read", "Echo"]


@pytest.mark.needs("bwrap")
async def test_every_child_has_a_confined_shell(family: Build, member: Member, tmp_path: Path) -> None:
    def script(who: str, request: Request) -> Any:
        step = sum(m["role"] == "assistant" for m in request.messages)
        if who == "boss":
            return ([delegate("one")], [delegate("two")], "Done.")[step]
        return ([call("Bash", command=f"echo in > {who}; echo out > {tmp_path}/out-{who}")], "Tried.")[step]

    rules = Rules.parse(allow=["Bash"])
    kin = family(script, [member("one"), member("two")], rules=rules, mode="bypassPermissions", sandbox=True)
    await kin.run()
    root = kin.talk.calls.context.root
    assert [(root / name).read_text() for name in ("one", "two")] == ["in\n", "in\n"]
    assert not names_in(tmp_path, "out-*")


@pytest.mark.parametrize("to", ["expert-backend", "code_backend", "Expert Backend"])
async def test_a_rule_on_an_agent_holds_for_its_other_names(family: Build, member: Member, to: str) -> None:
    boss = boss_says([delegate(to)], "Done.")
    kin = family(lambda who, r: boss(r), [member("expert-backend")], rules=Rules.parse(deny=["Agent(expert-backend)"]))
    await kin.run()
    assert kin.results()[0]["is_error"]
    assert not kin.ended(RunFinished)


async def test_a_strange_name_does_not_lead_out_of_the_scratch_directory(family: Build, member: Member) -> None:
    boss = boss_says([delegate("../../x")], "Done.")
    kin = family(lambda who, r: boss(r) if who == "boss" else "Report.", [member("../../x")])
    await kin.run()
    (finished,) = kin.ended(RunFinished)
    assert finished.agent_id.startswith("-x-")
