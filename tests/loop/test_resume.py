"""Resuming: whatever line the process died at, the session goes on and no finished side effect is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.events import UNKNOWN_OUTCOME, RunStarted, from_json, to_json
from agent.permissions import Rules
from agent.result import Completed
from agent.session.journal import Journal, SessionError, find_session, read_events, read_lines
from agent.session.listing import list_sessions
from agent.session.resume import restore
from agent.testing import ScriptedModel, call, thinking
from tools.secrets import Redactor
from tools.tool import ToolContext, ToolResult, tool


class Effects:
    """A tool that counts how often each of its effects happened, and one that only reads."""

    def __init__(self) -> None:
        self.done: list[str] = []

        @tool("Deploy", effects={"runs", "network"})
        async def deploy(ctx: ToolContext, name: str) -> ToolResult:
            """Deploys."""
            self.done.append(name)
            return ToolResult(f"deployed {name}")

        @tool("Look", effects={"reads"})
        async def look(ctx: ToolContext) -> ToolResult:
            """Looks."""
            return ToolResult("seen")

        self.tools = (deploy, look)


def script(request: Any) -> Any:
    """Deploys a, then b and c together with a look, then ends; decided from the history alone."""
    answered = [
        block["tool_use_id"]
        for message in request.messages
        if not isinstance(message["content"], str)
        for block in message["content"]
        if block["type"] == "tool_result"
    ]
    match len(answered):
        case 0:
            return [thinking(), call("Deploy", name="a")]
        case 1:
            return [call("Deploy", name="b"), call("Look"), call("Deploy", name="c")]
        case _:
            return "All deployed."


def agent(cwd: Path, effects: Effects) -> Agent:
    rules = Rules.parse(allow=["Deploy", "Look"])
    return Agent(cwd=cwd, model=ScriptedModel(script), tools=effects.tools, rules=rules, env={})


async def test_a_session_resumes_from_every_line_it_may_have_died_at(tmp_path: Path) -> None:
    effects = Effects()
    whole = await agent(tmp_path, effects).run("Deploy all three.")
    directory = find_session(whole.session_id, tmp_path)
    lines = (directory / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert effects.done == ["a", "b", "c"]
    for kept in range(1, len(lines)):
        for torn in (b"", lines[kept][: len(lines[kept]) // 2]):
            (directory / "journal.jsonl").write_bytes(b"".join(lines[:kept]) + torn)
            done = finished_names(directory)
            again = Effects()
            result = await agent(tmp_path, again).run("", resume=whole.session_id)
            assert isinstance(result, Completed), f"died at line {kept}"
            assert not set(done) & set(again.done), f"died at line {kept}: {done} were repeated"
            check_history(directory)


def finished_names(directory: Path) -> list[str]:
    """The deployments whose outcome is in the journal, or whose start is: none of these may run again."""
    return [
        line["input"]["name"]
        for line in read_lines(directory / "journal.jsonl")
        if line["type"] == "tool_started" and line["tool"] == "Deploy"
    ]


def check_history(directory: Path) -> None:
    """Every call has exactly one result, right after it."""
    history = restore(directory).history
    for message, following in zip(history, [*history[1:], None], strict=True):
        if message["role"] != "assistant" or isinstance(message["content"], str):
            continue
        calls = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        if calls:
            assert following is not None
            results = [block["tool_use_id"] for block in following["content"] if block["type"] == "tool_result"]
            assert results == calls


async def test_an_effect_with_an_unknown_outcome_is_reported_as_such(tmp_path: Path) -> None:
    effects = Effects()
    whole = await agent(tmp_path, effects).run("Deploy all three.")
    directory = find_session(whole.session_id, tmp_path)
    path = directory / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if '"tool_started"' in line) + 1
    path.write_text("".join(lines[:cut]))
    model = ScriptedModel(["I will look first."])
    again = Agent(cwd=tmp_path, model=model, tools=effects.tools, env={})
    await again.run("", resume=whole.session_id)
    (sent,) = model.requests[0].messages[-1]["content"]
    assert sent["content"] == UNKNOWN_OUTCOME
    assert sent["is_error"]


async def test_a_resumed_session_sends_the_prefix_it_began_with(tmp_path: Path) -> None:
    effects = Effects()
    first = ScriptedModel(["One."])
    begun = await Agent(cwd=tmp_path, model=first, tools=effects.tools, env={}).run("Hello.")
    second = ScriptedModel(["Two."])
    await Agent(cwd=tmp_path, model=second, tools=effects.tools[:1], env={}).run("And now?", resume=begun.session_id)
    assert second.requests[0].system == first.requests[0].system
    assert second.requests[0].tools == first.requests[0].tools
    assert [message["role"] for message in second.requests[0].messages] == ["user", "assistant", "user"]


async def test_a_session_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    result = await agent(tmp_path, Effects()).run("Deploy.")
    assert find_session(result.session_id[:8], tmp_path).name == result.session_id
    with pytest.raises(SessionError, match="no session"):
        find_session("ffffffff-none", tmp_path)
    (info,) = list_sessions(tmp_path, {})
    assert (info.status, info.title) == ("completed", "Deploy.")


def test_an_empty_or_damaged_journal_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b'\x00\xff{"type": 3}\n[]\nnull\n{"type":"run_started"}\n')
    with pytest.raises(SessionError, match="holds no run"):
        restore(tmp_path)


def test_every_event_survives_the_journal(tmp_path: Path) -> None:
    event = RunStarted(
        session_id="s",
        model="m",
        agent="a",
        cwd="/",
        tools=["Read"],
        mode="default",
        prefix={"system": [], "tools": []},
    )
    journal = Journal(tmp_path, Redactor())
    journal.record(event)
    journal.close()
    (read,) = read_events(tmp_path / "journal.jsonl")
    assert to_json(read) == to_json(event)
    assert from_json({"type": "from_the_future", "x": 1}) is None
