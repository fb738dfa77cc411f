"""Parts of the protocol on their own: flags, lines, grants, children, the tunnel to in-process servers."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Event, ModelAnswered, RunFinished, ToolFinished, ToolStarted, TurnStarted
from agent.models.port import ModelError, Request
from agent.permissions import Rules
from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags, parse_flags
from agent.surfaces.grants import GrantError, Grants
from agent.surfaces.protocol.children import Children
from agent.surfaces.protocol.host import Host, HostError, HostGoneError
from agent.surfaces.protocol.sdk_mcp import HostServer, SessionServers
from agent.surfaces.protocol.wire import MOST_BYTES, LineTooLongError, Wire, read_lines
from agent.surfaces.steering import SteeredModel, thinking
from agent.testing import ScriptedModel
from tools.tool import ToolContext, ToolError

# --- flags ---

BOTH = [
    ("--model", "model", "opus", "opus"),
    ("--resume", "resume", "abc", "abc"),
    ("--max-turns", "max_turns", "3", 3),
    ("--max-budget-usd", "max_budget_usd", "0.5", 0.5),
    ("--allowedTools", "allowed_tools", "Read,Bash(git log:*, -n)", ("Read", "Bash(git log:*, -n)")),
    ("--disallowed-tools", "disallowed_tools", "Bash", ("Bash",)),
    ("--tools", "tools", "", ()),
    ("--mcp-config", "mcp_config", '{"mcpServers": {}}', ('{"mcpServers": {}}',)),
    ("--system-prompt", "system_prompt", "-dash first", "-dash first"),
    ("--append-system-prompt", "append_system_prompt", "--model", "--model"),
    ("--setting-sources", "setting_sources", "", ""),
    ("--permission-prompt-tool", "permission_prompt_tool", "stdio", "stdio"),
]


@pytest.mark.parametrize(("flag", "name", "text", "value"), BOTH)
def test_both_spellings_mean_the_same(flag: str, name: str, text: str, value: Any) -> None:
    assert getattr(parse_flags([f"{flag}={text}"]), name) == value
    if not (flag == "--resume" and text.startswith("-")):
        assert getattr(parse_flags([flag, text, "--verbose"]), name) == value


def test_lists_may_be_spread_and_repeated() -> None:
    flags = parse_flags(["--add-dir", "a", "b", "--add-dir=c", "--allowed-tools", "Read", "Edit,Grep", "--verbose"])
    assert flags.add_dir == ("a", "b", "c")
    assert flags.allowed_tools == ("Read", "Edit", "Grep")


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        (["-p", "Hello"], "Hello"),
        (["Hello", "-p", "--resume"], "Hello"),
        (["-p", "Hello", "--from-the-future", "value"], "Hello"),
        (["--from-the-future", "-p", "Hello"], "Hello"),
        (["--task-budget", "500", "-p", "Hello"], "Hello"),
        (["-p", "--", "--not-a-flag"], "--not-a-flag"),
        (["-p"], None),
    ],
)
def test_the_prompt_is_found_among_flags(words: list[str], prompt: str | None) -> None:
    assert parse_flags(words).prompt == prompt


def test_flags_without_effect_are_named_once() -> None:
    flags = parse_flags(["--from-the-future=x", "--bare", "--bare", "--max-turns=2"])
    assert flags.unknown == ("--from-the-future", "--bare")
    assert len(flags.notices) == 2


@given(st.lists(st.text(max_size=12) | st.sampled_from([flag for flag, *_ in BOTH]), max_size=8))
def test_any_words_give_flags_or_one_clear_problem(words: list[str]) -> None:
    try:
        said: object = parse_flags(words)
    except UsageProblem as problem:
        said = str(problem)
    assert isinstance(said, Flags) or said


# --- lines ---


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def sent(tmp_path: Path, message: Any) -> bytes:
    path = tmp_path / "out"
    spill = tmp_path / "spill"
    spill.mkdir(exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    Wire(fd, lambda: spill).send(message)
    os.close(fd)
    return path.read_bytes()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), values, max_size=4))
def test_a_message_is_one_ascii_line_and_comes_back_whole(message: dict[str, Any]) -> None:
    reading, writing = os.pipe()
    try:
        Wire(writing, Path.cwd).send(message)
        line = os.read(reading, 1 << 20)
    finally:
        os.close(reading)
        os.close(writing)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert json.loads(line) == message


@pytest.mark.parametrize(
    "message",
    [
        {"type": "user", "message": {"content": [{"type": "tool_result", "content": "끝" * 2_000_000}]}},
        {"type": "user", "a": "x" * 600_000, "b": ["y" * 600_000]},
        {"type": "assistant", "many": ["z" * 5_000] * 1_000},
        {"type": "system", "numbers": list(range(400_000))},
    ],
)
def test_a_long_message_is_shortened_and_kept_whole_in_files(tmp_path: Path, message: dict[str, Any]) -> None:
    line = sent(tmp_path, message)
    assert len(line) < MOST_BYTES
    assert json.loads(line)["type"] in {message["type"], "system"}
    kept = sum(path.stat().st_size for path in (tmp_path / "spill").iterdir())
    assert kept > 500_000


def test_a_long_image_gives_way_to_a_text(tmp_path: Path) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 2_000_000}}
    block = json.loads(sent(tmp_path, {"type": "user", "message": {"content": [image]}}))["message"]["content"][0]
    assert block["type"] == "text"
    assert Path(block["text"].rsplit(" ", 1)[-1].rstrip("]")).stat().st_size == 2_000_000


def test_what_is_acted_upon_is_never_shortened(pipe: tuple[int, int]) -> None:
    with pytest.raises(LineTooLongError, match="more than a host reads"):
        Wire(pipe[1], Path.cwd).send_whole({"input": "x" * MOST_BYTES})


@given(st.lists(st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"")), max_size=6), st.booleans())
def test_lines_are_delivered_one_by_one(lines: list[bytes], ended: bool) -> None:
    reading, writing = os.pipe()
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    os.write(writing, data)
    os.close(writing)
    got: list[bytes | None] = []
    read_lines(reading, got.append)
    os.close(reading)
    assert got[-1] is None
    assert [line for line in got[:-1] if line] == [line for line in lines if line]


# --- the host ---


async def test_answers_find_their_questions_in_any_order() -> None:
    asked: list[Any] = []
    host = Host(asked.append)
    first, second = asyncio.ensure_future(host.ask("a")), asyncio.ensure_future(host.ask("b", none=None))
    await asyncio.sleep(0)
    ids = [frame["request_id"] for frame in asked]
    assert asked[1]["request"] == {"subtype": "b"}
    host.answered({"subtype": "error", "request_id": ids[1], "error": "no"})
    host.answered({"subtype": "success", "request_id": ids[0], "response": {"x": 1}})
    host.answered({"subtype": "success", "request_id": "unheard of"})
    assert await first == {"x": 1}
    with pytest.raises(HostError, match="no"):
        await second


async def test_a_host_that_leaves_ends_all_waiting() -> None:
    host = Host(lambda _message: None)
    waiting = asyncio.ensure_future(host.ask("a"))
    await asyncio.sleep(0)
    host.left()
    with pytest.raises(HostGoneError):
        await waiting
    with pytest.raises(HostGoneError):
        await host.ask("b")


# --- grants ---

ADD = {"type": "addRules", "behavior": "allow", "rules": [{"toolName": "Bash", "ruleContent": "npm test"}]}


def test_updates_are_carried_out_together_or_not_at_all() -> None:
    grants = Grants(mode="default", base=Rules())
    for bad in [
        {"type": "setMode", "mode": "bypassPermissions"},
        {"type": "setMode", "mode": "whatever"},
        {"type": "addDirectories", "directories": ["/"]},
        {"type": "addRules", "behavior": "maybe", "rules": []},
        {"type": "addRules", "behavior": "deny", "rules": [{"toolName": "Bash", "ruleContent": "("}, {}]},
        "all",
    ]:
        with pytest.raises(GrantError):
            grants.apply([ADD, bad])
        assert grants.added.allow == ()
        assert grants.in_force == "default"


def test_rules_are_added_replaced_and_removed() -> None:
    grants = Grants(mode=None, base=Rules())
    changes: list[str] = []
    grants.changed = lambda: changes.append(grants.in_force)
    assert grants.apply([ADD, {"type": "setMode", "mode": "acceptEdits"}]) == ("Bash(npm test)",)
    replaced = {"type": "replaceRules", "behavior": "allow", "rules": [{"toolName": "Read"}]}
    assert grants.apply([replaced]) == ("Read",)
    assert [rule.text for rule in grants.rules.allow] == ["Read"]
    grants.apply([replaced | {"type": "removeRules"}])
    assert grants.rules.allow == ()
    assert changes == ["acceptEdits"] * 3


def test_settings_give_way_to_the_command_line_but_may_forbid_bypassing() -> None:
    grants = Grants(mode="plan", base=Rules())
    grants.settle("acceptEdits", Rules.parse(deny=["Bash"]), bypass_allowed=True)
    assert grants.in_force == "plan"
    assert [rule.text for rule in grants.rules.deny] == ["Bash"]
    forbidden = Grants(mode="bypassPermissions", base=Rules(), may_bypass=True)
    forbidden.settle(None, None, bypass_allowed=False)
    assert forbidden.in_force == "default"
    with pytest.raises(GrantError, match="locked"):
        forbidden.set_mode("bypassPermissions")


# --- the model ---


def test_a_thinking_budget_becomes_what_the_model_takes() -> None:
    assert thinking("claude-sonnet-4-5", 4000) == {"type": "enabled", "budget_tokens": 4000}
    assert thinking("claude-sonnet-4-5", 10) == {"type": "enabled", "budget_tokens": 1024}
    assert thinking("claude-opus-5-5", 4000) == {"type": "adaptive"}
    assert thinking("claude-opus-5-5", 0) is None
    assert thinking("claude-haiku-5-5", 0) == {"type": "disabled"}


async def test_the_fallback_takes_over_after_three_overloads() -> None:
    model = SteeredModel("first", {}, fallback="second")
    busy = ModelError("overloaded", "busy", status=529, retryable=True)
    first, second = ScriptedModel([busy, busy, busy], model_id="first"), ScriptedModel(["Hello."], model_id="second")
    model._models = {"first": first, "second": second}
    model.options |= {"effort": "low", "betas": None}
    for _ in range(3):
        with pytest.raises(ModelError):
            async for _event in model.stream(Request(messages=[])):
                pass
    events = [event async for event in model.stream(Request(messages=[], options={"tool_choice": "x"}))]
    assert events[-1]["type"] == "message_stop"
    assert model.id == "second"
    assert second.requests[0].options == {"tool_choice": "x", "effort": "low"}
    model.use(None)
    assert model.id == "first"


# --- children ---


def told(children: Children, *events: Event) -> list[dict[str, Any]]:
    return [message for event in events for message in children.messages(event)]


def test_a_child_is_announced_followed_and_ended_once() -> None:
    children = Children()
    started = ToolStarted(
        call_id="c1", tool="Delegate", effects=["runs"], input={"to": "expert-backend", "subject": "S"}
    )
    child: Any = {"agent_id": "a1", "parent_call_id": "c1"}
    usage = {"input_tokens": 10, "output_tokens": 5}
    answered = ModelAnswered(model="m", usage=usage, cost_usd=0.0, stop_reason="tool_use", seconds=0.1, **child)
    finished = ToolFinished(call_id="t1", tool="Read", block={"content": "x"}, data={}, seconds=0.1, **child)
    ended = ToolFinished(call_id="c1", tool="Delegate", block={"content": "All well."}, data={}, seconds=1.0)
    messages = told(children, started, TurnStarted(turn=1, **child), answered, finished, ended, ended)

    assert [message["subtype"] for message in messages] == ["task_started", "task_progress", "task_notification"]
    begun, progress, notification = messages
    assert (begun["task_id"], begun["tool_use_id"], begun["subagent_type"]) == ("a1", "c1", "expert-backend")
    assert (begun["description"], begun["task_type"]) == ("S", "local_agent")
    assert (progress["usage"]["total_tokens"], progress["last_tool_name"]) == (15, "Read")
    assert (notification["status"], notification["summary"]) == ("completed", "All well.")
    assert list(children.end_all()) == []


@pytest.mark.parametrize(
    ("status", "shown"), [("completed", "completed"), ("failed", "failed"), ("interrupted", "stopped")]
)
def test_a_child_ends_with_its_run(status: str, shown: str) -> None:
    finished = RunFinished(status=status, result={"text": "Bye."}, agent_id="a1", parent_call_id="c1")
    messages = told(Children(), TurnStarted(turn=1, agent_id="a1", parent_call_id="c1"), finished)
    assert messages[-1]["status"] == shown


def test_children_that_never_ended_are_ended_with_the_turn() -> None:
    children = Children()
    told(children, TurnStarted(turn=1, agent_id="a1"), TurnStarted(turn=1, agent_id="a2"))
    assert [message["status"] for message in children.end_all()] == ["stopped", "stopped"]


# --- in-process servers ---


class Desk:
    """A host that answers MCP requests from a table; a callable is given the request."""

    def __init__(self, **results: Any) -> None:
        self.host = Host(self.take)
        self.results = {"initialize": {"serverInfo": {"name": "desk"}}, "notifications/initialized": {}} | {
            name.replace("_", "/"): value for name, value in results.items()
        }

    def take(self, frame: Any) -> None:
        if frame["type"] != "control_request":
            return
        message = frame["request"]["message"]
        answer = self.results.get(message["method"])
        body = answer(message["params"]) if callable(answer) else {"result": answer}
        response = {"subtype": "success", "request_id": frame["request_id"], "response": {"mcp_response": body}}
        asyncio.get_running_loop().call_soon(self.host.answered, response)


async def servers_of(desk: Desk, tmp_path: Path, *removed: str) -> SessionServers:
    servers = SessionServers(
        (), [HostServer("my desk", desk.host, tmp_path, {})], removed=removed, root=tmp_path, env={}
    )
    await servers.start()
    return servers


async def test_tools_are_listed_page_by_page_and_unusable_ones_left_out(tmp_path: Path) -> None:
    pages = {None: (["one", "two"], "next"), "next": (["three"], None)}

    def listed(params: Any) -> Any:
        names, cursor = pages[params.get("cursor")]
        tools = [{"name": name, "description": "\u202eX", "inputSchema": {"properties": {}}} for name in names]
        odd = [{"name": "odd", "inputSchema": {"type": "string"}}, {"description": "nameless"}, "nonsense"]
        return {"result": {"tools": [*tools, *odd], "nextCursor": cursor}}

    servers = await servers_of(Desk(tools_list=listed), tmp_path, "mcp__my_desk__two")
    assert [tool.name for tool in servers.tools] == ["mcp__my_desk__one", "mcp__my_desk__three"]
    assert servers.tools[0].input_schema["type"] == "object"
    assert "\u202e" not in servers.tools[0].description
    assert servers.describe()[0]["status"] == "connected"


async def test_a_server_that_fails_is_marked_and_holds_up_nothing(tmp_path: Path) -> None:
    servers = await servers_of(Desk(tools_list=lambda _params: {"error": {"message": "not today"}}), tmp_path)
    assert servers.tools == ()
    assert (servers.describe()[0]["status"], servers.describe()[0]["error"]) == ("failed", "not today")
    assert any("not today" in notice for notice in servers.notices)
    with pytest.raises(ToolError, match="not available"):
        await servers.reconnect("my desk")


async def test_results_and_errors_of_a_call_reach_the_model(tmp_path: Path) -> None:
    def called(params: Any) -> Any:
        if params["arguments"].get("crash"):
            return {"error": {"code": -1, "message": "boom"}}
        return {"result": {"content": [{"type": "text", "text": "3"}], "isError": bool(params["arguments"])}}

    listed = {"tools": [{"name": "price"}]}
    servers = await servers_of(Desk(tools_list=listed, tools_call=called), tmp_path)
    (tool,) = servers.tools
    context = ToolContext.at(tmp_path)
    assert "3" in str((await tool.invoke(context, {})).content)
    assert (await tool.invoke(context, {"x": 1})).is_error
    with pytest.raises(ToolError, match="boom"):
        await tool.invoke(context, {"crash": True})
    await servers.switch("my_desk", on=False)
    with pytest.raises(ToolError, match="switched off"):
        await tool.invoke(context, {})
    with pytest.raises(ToolError, match="no in-process"):
        await servers.switch("other", on=False)
