"""Servers of a run: real processes that work, hang, die, lie and change, and real ones from npm."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent import Agent
from agent.mcp.client import McpTool, Servers
from agent.mcp.config import ServerConfig
from agent.mcp.pins import Pins
from agent.mcp.resources import get_prompt, list_prompts, list_resources, read_resource, with_servers
from agent.permissions import Rules
from agent.testing import ScriptedModel, call
from tests.mcp.peers import odd, stdio
from tools import read
from tools.ports import Answers, NeedsInput, PermissionAnswer, PermissionRequest, Question
from tools.tool import Tool, ToolContext, ToolError


@asynccontextmanager
async def _started(pins: Pins, *configs: ServerConfig, root: Path, **env: str) -> AsyncIterator[Servers]:
    servers = Servers(configs, root=root, env={"MCP_TIMEOUT": "30000", **env}, pins=pins)
    try:
        await servers.start()
        yield servers
    finally:
        await servers.aclose()


def _tool(servers: Servers, name: str) -> McpTool:
    return next(tool for tool in servers.tools if tool.name == name)


@pytest.mark.slow
async def test_bad_servers_fail_with_their_reason_and_good_ones_go_on(pins: Pins, tmp_path: Path) -> None:
    configs = [
        odd("good", "plain"),
        odd("crash", "crash"),
        odd("silent", "silent"),
        odd("noise", "noise"),
        stdio("absent", "/no/such/program"),
        ServerConfig("web", "user", "test", "d", url="http://127.0.0.1:9/mcp", headers={}),
    ]
    async with _started(pins, *configs, root=tmp_path, MCP_TIMEOUT="8000") as servers:
        status = {each["name"]: (each["status"], each.get("error", "")) for each in servers.describe()}
        assert {name for name, (state, _) in status.items() if state == "connected"} == {"good", "noise"}
        assert "cannot open the database" in status["crash"][1]
        assert "\x1b" not in status["crash"][1]
        assert "8 seconds" in status["silent"][1]
        assert "/no/such/program" in status["absent"][1]
        assert status["web"][0] == "failed"
        assert len(servers.notices) == 4
        result = await _tool(servers, "mcp__good__echo").invoke(ToolContext.at(tmp_path), {})
        assert "hello" in str(result.content)


async def test_a_dead_server_is_told_and_started_again(pins: Pins, tmp_path: Path) -> None:
    async with _started(pins, odd("dying", "dying", str(tmp_path / "died")), root=tmp_path) as servers:
        tool, ctx = _tool(servers, "mcp__dying__echo"), ToolContext.at(tmp_path)
        with pytest.raises(ToolError, match="whether it took effect is unknown"):
            await tool.invoke(ctx, {})
        assert "hello" in str((await tool.invoke(ctx, {})).content)


@pytest.mark.slow
async def test_a_hanging_call_ends_within_its_time(pins: Pins, tmp_path: Path) -> None:
    async with _started(pins, odd("stuck", "stuck", timeout=0.5), root=tmp_path) as servers:
        with pytest.raises(ToolError, match=r"0\.5 seconds"):
            await _tool(servers, "mcp__stuck__echo").invoke(ToolContext.at(tmp_path), {})


async def test_a_call_that_is_cancelled_here_is_cancelled_at_the_server(pins: Pins, tmp_path: Path) -> None:
    async with _started(pins, odd("deferring", "deferring"), root=tmp_path) as servers:
        tool, ctx = _tool(servers, "mcp__deferring__echo"), ToolContext.at(tmp_path)
        begun = asyncio.Event()
        ctx.progress = lambda _line: begun.set()
        task = asyncio.create_task(tool.invoke(ctx, {}))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "1 cancelled" in str((await tool.invoke(ctx, {})).content)


async def test_what_a_server_says_is_made_safe(pins: Pins, tmp_path: Path) -> None:
    async with _started(pins, odd("hostile", "hostile"), root=tmp_path) as servers:
        assert [tool.name for tool in servers.tools] == ["mcp__hostile__echo", "mcp__hostile__ec_ho"]
        assert (
            len([notice for notice in servers.notices if "ec.ho" in notice or "bad" in notice or "nnnn" in notice]) == 3
        )
        echo = servers.tools[0]
        assert "\x1b" not in echo.description
        assert "\u202e" not in echo.description
        assert len(echo.description) <= 2_048
        assert echo.effects == {"network"}
        result = await echo.invoke(ToolContext.at(tmp_path), {})
        assert isinstance(result.content, list)
        (block,) = result.content
        assert "&lt;/untrusted-data>" in block["text"]
        assert "&lt;system-reminder>" in block["text"]
        assert "\x1b" not in block["text"]


async def test_a_large_result_is_spilled(pins: Pins, tmp_path: Path) -> None:
    async with _started(pins, odd("large", "large"), root=tmp_path, MAX_MCP_OUTPUT_TOKENS="1000") as servers:
        ctx = ToolContext.at(tmp_path)
        shown = str((await _tool(servers, "mcp__large__echo").invoke(ctx, {})).content)
        assert len(shown) < 4_000
        (spilled,) = ctx.scratch.glob("mcp-*.txt")
        assert str(spilled) in shown
        assert spilled.read_text().count("line of text") == 20_000


async def test_a_server_gets_its_own_variables_and_no_keys(
    pins: Pins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-not-for-servers")
    monkeypatch.setenv("SOMETHING_ELSE", "private")
    async with _started(pins, odd("env", "environment", env={"OWN": "yes"}), root=tmp_path) as servers:
        result = await _tool(servers, "mcp__env__echo").invoke(ToolContext.at(tmp_path), {})
        seen = json.loads(result.data["content"][0]["text"])
    assert seen["OWN"] == "yes"
    assert seen["CLAUDE_PROJECT_DIR"] == str(tmp_path)
    assert not {"ANTHROPIC_API_KEY", "SOMETHING_ELSE"} & set(seen)


async def test_a_changed_tool_is_told_and_asks_until_a_call_was_permitted(pins: Pins, tmp_path: Path) -> None:
    marker = tmp_path / "changed"
    config = odd("rug", "changing", str(marker))
    async with _started(pins, config, root=tmp_path) as servers:
        assert (servers.ask, servers.notices) == (frozenset(), [])
    marker.touch()
    for _ in range(2):
        async with _started(pins, config, root=tmp_path) as servers:
            assert servers.ask == {"mcp__rug__echo"}
            assert "changed by its server" in servers.notices[0]
            tool = _tool(servers, "mcp__rug__echo")
    async with _started(pins, config, root=tmp_path) as servers:
        await _tool(servers, tool.name).invoke(ToolContext.at(tmp_path), {})
    async with _started(pins, config, root=tmp_path) as servers:
        assert (servers.ask, servers.notices) == (frozenset(), [])


async def test_a_tool_that_changed_during_the_run_is_not_called(pins: Pins, tmp_path: Path) -> None:
    marker = tmp_path / "changed"
    async with _started(pins, odd("rug", "changing", str(marker)), root=tmp_path) as servers:
        marker.touch()
        server = servers.all["rug"]
        await server.aclose()
        with pytest.raises(ToolError, match="changed or removed its tool"):
            await _tool(servers, "mcp__rug__echo").invoke(ToolContext.at(tmp_path), {})


async def test_a_projects_server_never_replaces_a_built_in_tool(pins: Pins, tmp_path: Path) -> None:
    builtin: dict[str, Tool] = {"mcp__good__echo": read, "Read": read}
    mine = odd("good", "plain")
    theirs = ServerConfig("good", "project", "x", "d", mine.command, mine.args, {})
    for config, replaced in ((mine, True), (theirs, False)):
        async with _started(pins, config, root=tmp_path) as servers:
            tools = with_servers(builtin, servers)
            assert isinstance(tools["mcp__good__echo"], McpTool) is replaced
            assert {"Read", "ReadMcpResourceTool"} <= set(tools)


async def test_an_agent_calls_a_server_under_permission_rules(pins: Pins, tmp_path: Path) -> None:
    async with _started(pins, odd("good", "plain"), root=tmp_path) as servers:
        for rules, answered in ((Rules.parse(allow=["mcp__good"], source="test"), True), (Rules(), False)):
            model = ScriptedModel([[call("mcp__good__echo")], "Done."])
            agent = Agent(cwd=tmp_path, model=model, tools=servers.tools, rules=rules)
            result = await agent.run("say hello")
            assert bool(result.denials) is not answered


async def test_an_agent_starts_its_servers_and_tells_of_failed_ones(pins: Pins, tmp_path: Path) -> None:
    env = {"MCP_TIMEOUT": "30000"}
    servers = Servers([odd("good", "plain"), odd("crash", "crash")], root=tmp_path, env=env, pins=pins)
    model = ScriptedModel([[call("mcp__good__echo")], "Done."])
    options: dict[str, Any] = {"servers": servers, "rules": Rules.parse(allow=["mcp__good"], source="test")}
    notices: list[str] = []
    try:
        async for event in Agent(cwd=tmp_path, model=model, **options).start("say hello"):
            notices += getattr(event, "notices", ())
    finally:
        await servers.aclose()
    model.assert_complete()
    assert "hello" in json.dumps(model.requests[-1].messages)
    assert any("crash" in notice for notice in notices)


async def test_a_slow_server_does_not_hold_up_a_run(
    pins: Pins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.mcp.client._PATIENCE", 0.1)
    servers = Servers([odd("silent", "silent")], root=tmp_path, env={}, pins=pins)
    notices: list[str] = []
    try:
        async for event in Agent(cwd=tmp_path, model=ScriptedModel(["Hello."]), servers=servers).start("hello"):
            notices += getattr(event, "notices", ())
        assert servers.describe()[0]["status"] == "pending"
        assert any("silent is still starting" in notice for notice in notices)
    finally:
        await servers.aclose()
    assert len(asyncio.all_tasks()) == 1


async def test_a_late_server_serves_the_next_conversation(
    pins: Pins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.mcp.client._PATIENCE", 0.0)
    servers = Servers([odd("good", "plain")], root=tmp_path, env={}, pins=pins)
    model = ScriptedModel(["Hello.", "Hello again."])
    agent = Agent(cwd=tmp_path, model=model, servers=servers)
    try:
        await agent.run("hello")
        await servers.connection("good")  # waits for the start that goes on
        await agent.run("hello")
    finally:
        await servers.aclose()
    offered = [
        [tool["name"] for tool in request.tools if tool["name"] == "mcp__good__echo"] for request in model.requests
    ]
    assert offered == [[], ["mcp__good__echo"]]


class _Person:
    """Answers with the first option, or not at all."""

    def __init__(self, *, there: bool = True) -> None:
        self.asked: list[Question] = []
        self._there = there

    async def questions(self, questions: Sequence[Question]) -> Answers:
        self.asked += questions
        if not self._there:
            raise NeedsInput(questions)
        return Answers({q.question: "Kim" if "name" in q.key else q.options[0].label for q in questions})

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        return PermissionAnswer("deny")


@pytest.mark.slow
@pytest.mark.needs("node", "npm")
async def test_the_reference_server_with_everything(npm: Path, pins: Pins, tmp_path: Path) -> None:
    config = stdio("everything", str(npm / "mcp-server-everything"), "stdio")
    async with _started(pins, config, root=tmp_path) as servers:
        ctx, lines = ToolContext.at(tmp_path), list[str]()
        ctx.progress = lines.append
        ctx.state["mcp"] = servers
        echo = await _tool(servers, "mcp__everything__echo").invoke(ctx, {"message": "hi"})
        assert "Echo: hi" in str(echo.content)
        await _tool(servers, "mcp__everything__trigger-long-running-operation").invoke(ctx, {"duration": 1, "steps": 3})
        assert lines == ["1/3", "2/3", "3/3"]
        image = await _tool(servers, "mcp__everything__get-tiny-image").invoke(ctx, {})
        assert [block["type"] for block in image.content if isinstance(block, dict)] == ["text", "image"]
        listed = await list_resources(ctx, "everything")
        uri = listed.data["everything"][0]["uri"]
        assert "untrusted-data" in str((await read_resource(ctx, "everything", uri)).content)
        assert "simple-prompt" in str((await list_prompts(ctx)).content)
        assert "Paris" in str((await get_prompt(ctx, "everything", "args-prompt", {"city": "Paris"})).content)
        with pytest.raises(ToolError, match="There are: everything"):
            await read_resource(ctx, "nothing", uri)


@pytest.mark.slow
@pytest.mark.needs("node", "npm")
async def test_a_servers_questions_reach_the_person(npm: Path, pins: Pins, tmp_path: Path) -> None:
    config = stdio("everything", str(npm / "mcp-server-everything"), "stdio")
    async with _started(pins, config, root=tmp_path) as servers:
        tool = _tool(servers, "mcp__everything__trigger-elicitation-request")
        there, absent = _Person(), _Person(there=False)
        result = await tool.invoke(ToolContext(root=tmp_path, asker=there), {})
        assert there.asked
        assert "Kim" in str(result.content)
        with pytest.raises(NeedsInput):
            await tool.invoke(ToolContext(root=tmp_path, asker=absent), {})


@pytest.mark.slow
@pytest.mark.needs("node", "npm")
async def test_the_filesystem_server_reads_and_refuses(npm: Path, pins: Pins, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("written here")
    config = stdio("files", str(npm / "mcp-server-filesystem"), str(tmp_path))
    async with _started(pins, config, root=tmp_path) as servers:
        read, ctx = _tool(servers, "mcp__files__read_text_file"), ToolContext.at(tmp_path)
        assert "written here" in str((await read.invoke(ctx, {"path": str(tmp_path / "note.txt")})).content)
        assert (await read.invoke(ctx, {"path": "/etc/passwd"})).is_error
        assert (await read.invoke(ctx, {"wrong": 1})).is_error
