"""This agent as an MCP server, driven by real clients: over stdio and HTTP, old protocol and new."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult, InputRequiredResult

from agent import Agent
from agent.mcp.client import Servers
from agent.mcp.config import ServerConfig
from agent.mcp.pins import Pins
from agent.mcp.served import SERVED, Serving
from agent.mcp.server import ToolServer
from agent.session.listing import list_sessions
from tools.ports import Option, PermissionRequest, Question
from tools.resources import data_root
from tools.tool import ToolContext, ToolResult, tool

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, str(Path(__file__).parent / "serve.py"), "--model", "playbook"]
ERAS = pytest.mark.parametrize("mode", ["legacy", "auto"])


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with one bundled example in it, as `shop`."""
    shutil.copytree(data_root() / "examples" / "clinic-queue", tmp_path / "work" / "shop")
    return tmp_path / "work"


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(ROOT)}


class _Person:
    """At the client: takes the first offer of every question, allows every call, or neither."""

    def __init__(self, action: str = "accept") -> None:
        self.messages: list[str] = []
        self._action = action

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        self.messages.append(params.message)
        if self._action != "accept":
            return ElicitResult(action="decline")
        properties: Mapping[str, Any] = params.requested_schema["properties"]
        return ElicitResult(action="accept", content={name: _first(spec) for name, spec in properties.items()})


def _first(spec: Mapping[str, Any]) -> Any:
    if spec["type"] == "boolean":
        return True
    if spec["type"] == "array":
        return [spec["items"]["anyOf"][0]["const"]]
    return spec["oneOf"][0]["const"] if "oneOf" in spec else ""


def _client(root: Path, mode: str, person: _Person | None = None) -> Client:
    server = StdioServerParameters(command=SERVE[0], args=[*SERVE[1:], "-C", str(root)], env=_environment())
    return Client(server, mode=mode, elicitation_callback=person)


@pytest.mark.slow
@ERAS
async def test_looking_at_a_project(shop: Path, mode: str) -> None:
    async with _client(shop, mode) as client:
        listed = {each.name: each for each in (await client.list_tools()).tools}
        assert set(listed) == {"run", "check", "detect", "spec", "explain", "delegate"}
        assert {n for n, t in listed.items() if t.annotations and t.annotations.read_only_hint} == {
            "detect",
            "spec",
            "explain",
        }
        found = await client.call_tool("detect", {"directory": "shop"})
        assert [unit["path"] for unit in found.structured_content["units"]] == ["backend", "frontend"]
        said = await client.call_tool("spec", {"directory": "shop"})
        assert said.structured_content["deployment"]["database"]["status"] == "stated"
        judged = await client.call_tool("explain", {"tool": "Bash", "input": {"command": "git push"}, "deny": ["Bash"]})
        assert judged.structured_content["decision"] == "deny"
        for directory in ("..", "/etc", "shop/../..", "nowhere", "\0"):
            refused = await client.call_tool("detect", {"directory": directory})
            assert refused.is_error, directory
        outside = await client.call_tool("spec", {"directory": "shop", "spec": "../../../etc/passwd"})
        assert "outside the project" in str(outside.content)
        assert (await client.call_tool("detect", {"wrong": 1})).is_error
        assert (await client.call_tool("nothing", {})).is_error


@ERAS
@pytest.mark.slow
async def test_a_run_asks_the_person_reports_progress_and_completes(shop: Path, mode: str) -> None:
    person, lines = _Person(), list[str]()

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        lines.append(message or "")

    async with _client(shop, mode, person) as client:
        result = await client.call_tool("run", {"directory": "shop"}, progress_callback=progress)
    assert result.structured_content["status"] == "completed"
    assert not result.is_error
    assert len(person.messages) == 1
    assert "8/8 verified" in lines
    assert (shop / "shop" / ".github" / "workflows").is_dir()


@pytest.mark.slow
@ERAS
async def test_without_a_person_the_questions_are_the_result_and_a_second_call_answers(shop: Path, mode: str) -> None:
    arguments = {"directory": "shop", "last_step": 2}
    async with _client(shop, mode) as client:
        first = await client.call_tool("run", arguments)
        assert first.structured_content["status"] == "needs_input"
        assert not first.is_error
        question = first.structured_content["questions"][0]
        again = {"session": first.structured_content["session_id"], "answers": {question["key"]: "Railway"}}
        second = await client.call_tool("run", {**arguments, **again})
        assert second.structured_content["status"] == "completed"
        assert (await client.call_tool("run", {"directory": "shop", "session": "no-such-session"})).is_error


@pytest.mark.slow
async def test_work_of_others_leaves_as_requests_and_comes_back_as_results(shop: Path) -> None:
    (shop / "bare").mkdir()
    (shop / "bare" / "requirements.txt").write_text("fastapi==0.115.0\n")
    (shop / "bare" / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    arguments = {"directory": "bare", "siblings": "request", "take_defaults": True}
    async with _client(shop, "auto") as client:
        first = await client.call_tool("run", {**arguments, "first_step": 8})
        asked = [request["to"] for request in first.structured_content["delegations"]]
        assert "expert-backend" in asked
        assert "Requested of expert-backend" in str(first.content)
        done = [{"agent": name, "text": "Done."} for name in asked]
        again = {"session": first.structured_content["session_id"], "delegation_results": done}
        second = await client.call_tool("run", {**arguments, **again})
        assert second.structured_content["status"] == "completed"
        assert second.structured_content["delegations"] == []
        for wrong in (again, {"delegation_results": done}, {**again, "delegation_results": [{"agent": "x"}]}):
            assert (await client.call_tool("run", {**arguments, **wrong})).is_error


@pytest.mark.slow
async def test_a_person_who_declines_leaves_the_question_open(shop: Path) -> None:
    async with _client(shop, "auto", _Person("decline")) as client:
        result = await client.call_tool("run", {"directory": "shop", "last_step": 2})
    assert result.structured_content["status"] == "needs_input"


@pytest.mark.slow
async def test_a_task_in_words_goes_to_the_agent_or_is_refused(shop: Path) -> None:
    async with _client(shop, "auto") as client:
        result = await client.call_tool("delegate", {"directory": "shop", "task": "What platform is this project for?"})
        assert result.structured_content["status"] == "completed"
        unknown = await client.call_tool("delegate", {"task": "x", "to": "nobody"})
        assert "There is no agent" in str(unknown.content)


async def test_the_users_settings_and_hooks_hold_for_served_runs(shop: Path) -> None:
    home = Path(os.environ["HOME"]) / ".claude"
    home.mkdir()
    hook = {"hooks": [{"type": "command", "command": "echo not while I sleep >&2; exit 2"}]}
    (home / "settings.json").write_text(json.dumps({"hooks": {"UserPromptSubmit": [hook]}}))
    async with _client(shop, "auto") as client:
        result = await client.call_tool("delegate", {"directory": "shop", "task": "What platform is this for?"})
    assert (result.is_error, result.structured_content["status"]) == (True, "refused")
    assert "not while I sleep" in result.structured_content["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["accept", "decline"])
async def test_a_sibling_does_its_work_where_the_person_allows_it(shop: Path, answer: str) -> None:
    code = "from fastapi import FastAPI\n\napp = FastAPI()\n"
    (shop / "bare").mkdir()
    (shop / "bare" / "requirements.txt").write_text("fastapi==0.115.0\n")
    (shop / "bare" / "main.py").write_text(code)
    asked = {"directory": "bare", "to": "code-backend", "task": "헬스 엔드포인트를 추가해 주세요."}
    async with _client(shop, "auto", _Person(answer)) as client:
        result = await client.call_tool("delegate", asked)
        again = await client.call_tool("delegate", {**asked, "session": result.structured_content["session_id"]})
    assert ((shop / "bare" / "main.py").read_text() == code) is (answer == "decline")
    assert "헬스 엔드포인트를 추가해 주세요." in str(result.content)
    assert bool(result.structured_content["denials"]) is (answer == "decline")
    assert again.is_error
    assert "cannot be resumed" in str(again.content)


# --- the bridge, with a tool that tells what happened to it ---


@tool("slow", effects={"reads"})
async def slow(ctx: ToolContext) -> ToolResult:
    """Say that it began, then wait for ever."""
    ctx.progress("began")
    try:
        await asyncio.Event().wait()
    finally:
        ctx.state["seen"].append("cancelled")
    return ToolResult("never")


async def test_a_cancelled_call_is_cancelled_here_too(tmp_path: Path) -> None:
    seen: list[str] = []
    begun = asyncio.Event()

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        begun.set()

    bridge = ToolServer([slow], tmp_path, state={"seen": seen})
    async with bridge._server() as server, Client(server, mode="legacy") as client:
        call = asyncio.create_task(client.call_tool("slow", {}, progress_callback=progress))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(10):
            while bridge._tasks:
                await asyncio.wait(bridge._tasks)
    assert seen == ["cancelled"]


async def test_a_cancelled_run_is_interrupted_and_can_be_continued(shop: Path) -> None:
    begun = asyncio.Event()

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        begun.set()

    bridge = ToolServer(
        SERVED,
        shop,
        state={"serving": Serving(lambda cwd, asker, mode: Agent(cwd=cwd, model="playbook", asker=asker, mode=mode))},
    )
    async with bridge._server() as server, Client(server, mode="legacy") as client:
        arguments = {"directory": "shop", "take_defaults": True, "last_step": 2}
        call = asyncio.create_task(client.call_tool("run", arguments, progress_callback=progress))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(10):
            while bridge._tasks:
                await asyncio.wait(bridge._tasks)
        (session,) = list_sessions(shop / "shop", {})
        assert session.status == "interrupted"
        again = await client.call_tool("run", {**arguments, "session": session.id})
    assert again.structured_content["status"] == "completed"
    assert again.structured_content["session_id"] == session.id


@tool("asks", effects={"asks"})
async def asks(ctx: ToolContext) -> ToolResult:
    """Ask for leave, then two questions."""
    leave = await ctx.asker.permission(PermissionRequest("Bash", {"command": "git push"}, "No rule allows it."))
    color = Question("Which color?", "Color", (Option("red"), Option("green")))
    size = Question("Which sizes?", "Size", (Option("s"), Option("m")), multi_select=True)
    answers = await ctx.asker.questions([color, size])
    return ToolResult(f"{leave.behavior} {answers['Which color?']} {answers['Which sizes?']}")


@ERAS
async def test_a_tool_may_ask_several_times(tmp_path: Path, mode: str) -> None:
    person = _Person()
    bridge = ToolServer([asks], tmp_path)
    async with bridge._server() as server, Client(server, mode=mode, elicitation_callback=person) as client:
        result = await client.call_tool("asks", {})
        assert not bridge._waiting
    assert result.content[0].text == "allow red s"  # type: ignore[union-attr]  # the one block is text
    assert "git push" in person.messages[0]


@ERAS
async def test_a_client_that_cannot_ask_allows_nothing(tmp_path: Path, mode: str) -> None:
    bridge = ToolServer([asks], tmp_path)
    async with bridge._server() as server, Client(server, mode=mode) as client:
        result = await client.call_tool("asks", {})
    assert result.is_error
    assert "An answer is needed first: Which color?" in str(result.content)


async def test_a_question_nobody_comes_back_for_ends_the_call(tmp_path: Path) -> None:
    bridge = ToolServer([asks], tmp_path)
    async with bridge._server() as server, Client(server, elicitation_callback=_Person()) as client:
        first = await client.session.call_tool("asks", {}, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        (key,) = bridge._waiting
        assert first.request_state == key
        bridge._expire(key)
        async with asyncio.timeout(10):
            await asyncio.gather(*bridge._tasks)
        late = await client.call_tool("asks", {}, request_state=key)
    assert "expired" in str(late.content)


async def test_a_made_up_state_answers_nothing(tmp_path: Path) -> None:
    bridge = ToolServer([slow], tmp_path)
    async with bridge._server() as server, Client(server) as client:
        result = await client.call_tool("slow", {}, request_state="guess")
    assert "expired" in str(result.content)


# --- HTTP ---


def _headers(token_file: str) -> dict[str, str]:
    """What to send, from a file that nobody else may read."""
    path = Path(token_file)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    headers: dict[str, str] = json.loads(path.read_text())["headers"]
    return headers


@asynccontextmanager
async def _http(root: Path) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """URL and headers of a served process."""
    process = await asyncio.create_subprocess_exec(
        *SERVE, "-C", str(root), "--http", stdout=asyncio.subprocess.PIPE, env=_environment()
    )
    assert process.stdout is not None
    try:
        told = json.loads(await process.stdout.readline())
        headers = _headers(told["token_file"])
        assert headers["Authorization"] not in json.dumps(told)
        yield told["url"], headers
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0
    assert not os.path.exists(told["token_file"])  # noqa: ASYNC240, PTH110 - the process has ended


async def test_http_serves_with_the_token_and_refuses_everyone_else(shop: Path) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    async with _http(shop) as (url, headers):
        for mode in ("legacy", "auto"):
            async with (
                httpx2.AsyncClient(headers=headers) as http,
                Client(streamable_http_client(url, http_client=http), mode=mode) as client,
            ):
                found = await client.call_tool("detect", {"directory": "shop"})
                assert len(found.structured_content["units"]) == 2
                asked = await client.call_tool("run", {"directory": "shop", "last_step": 2})
                assert asked.structured_content["status"] == "needs_input"
        async with httpx2.AsyncClient(headers=accept) as http:
            wrong = {"Authorization": "Bearer guess"}
            assert (await http.post(url, json=hello)).status_code == 401
            assert (await http.post(url, json=hello, headers=wrong)).status_code == 401
            foreign = await http.post(url, json=hello, headers={**headers, "Host": "evil.test"})
            page = await http.post(url, json=hello, headers={**headers, "Origin": "https://evil.test"})
            assert (foreign.status_code, page.status_code) == (421, 403)


@pytest.mark.slow
async def test_http_asks_the_person_on_both_protocols(shop: Path) -> None:
    async with _http(shop) as (url, headers):
        for mode in ("legacy", "auto"):
            person = _Person()
            async with (
                httpx2.AsyncClient(headers=headers, timeout=60) as http,
                Client(streamable_http_client(url, http_client=http), mode=mode, elicitation_callback=person) as client,
            ):
                result = await client.call_tool("run", {"directory": "shop", "last_step": 2, "dry_run": True})
                assert result.structured_content["status"] == "completed"
                assert len(person.messages) == 1


@pytest.mark.slow
async def test_our_own_client_uses_our_server_over_http(shop: Path, pins: Pins) -> None:
    async with _http(shop) as (url, headers):
        good = ServerConfig("peer", "user", "test", "one", url=url, headers=headers)
        wrong = ServerConfig("wrong", "user", "test", "two", url=f"{url}?key=not-to-be-shown", headers={})
        servers = Servers([good, wrong], root=shop, env={}, pins=pins)
        try:
            await servers.start()
            await servers.start()
            tools = {each.name: each for each in servers.tools}
            result = await tools["mcp__peer__detect"].invoke(ToolContext.at(shop), {"directory": "shop"})
            assert "untrusted-data" in str(result.content)
            assert len(result.data["structuredContent"]["units"]) == 2
            assert tools["mcp__peer__detect"].effects == {"network"}
            described = {each["name"]: each for each in servers.describe()}
            assert described["wrong"]["status"] == "failed"
            assert "wants a login" in described["wrong"]["error"]
            shown = json.dumps(list(described.values()))
            assert "not-to-be-shown" not in shown
            assert headers["Authorization"] not in shown
        finally:
            await servers.aclose()


@pytest.mark.slow
def test_wrong_flags_are_told_in_a_line(tmp_path: Path) -> None:
    from agent.surfaces.errors import UsageProblem

    for flags in (["-C", str(tmp_path / "none")], ["-C", str(tmp_path), "--http", "--port", "70000"]):
        done = subprocess.run([*SERVE, *flags], capture_output=True, text=True, env=_environment(), timeout=60)
        assert done.returncode != 0
        assert UsageProblem.__name__ in done.stderr


@pytest.mark.slow
@pytest.mark.needs("node", "npm")
def test_the_inspector_lists_and_calls(npm: Path, shop: Path) -> None:
    command = [str(npm / "mcp-inspector"), "--cli", *SERVE, "-C", str(shop)]
    environment = {**_environment(), "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    for extra, expected in (
        (["--method", "tools/list"], '"delegate"'),
        (["--method", "tools/call", "--tool-name", "detect", "--tool-arg", "directory=shop"], '"units"'),
    ):
        done = subprocess.run([*command, *extra], capture_output=True, text=True, env=environment, timeout=100)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


def test_the_command_serves(shop: Path) -> None:
    command = [sys.executable, "-m", "agent.surfaces.cli", "mcp", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), timeout=60)
    assert done.returncode == 0
    assert "--http" in done.stdout
