"""The same job over the wire: a Messages API server gives the playbook's turns as its answers, the client is the real
one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.models.playbook import Playbook
from agent.models.port import Request
from agent.models.stream import MessageBuilder
from agent.testing import FakeMessagesServer, Fault, HttpError, Turn, http_error
from tests.proof.projects import EXAMPLES, Program, copy_example, tree

Json = dict[str, Any]

Fails = Callable[[Turn], Turn | HttpError]
"""What becomes of a turn."""

slow = pytest.mark.slow
KEY = "sk-ant-key-for-this-test-0123456789"
MODEL = ("--model", "claude-sonnet-5-5", "--output-format", "stream-json")


def playbook_turn(body: Json) -> Turn:
    """What the playbook answers to a request, as a turn for the server. Ids are the server's own."""

    async def ask() -> Json:
        builder = MessageBuilder()
        async for event in Playbook().stream(Request(messages=body["messages"])):
            builder.feed(event)
        assert builder.message is not None
        return builder.message

    content = asyncio.run(ask())["content"]
    return Turn([{key: value for key, value in block.items() if key != "id"} for block in content])


def served(program: Program, server: FakeMessagesServer) -> Program:
    """The program with this server in place of Anthropic; `full` asks for everything the first-party API can do."""
    env = {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": KEY, "EXPERT_DEVOPS_ENDPOINT": "full"}
    return Program(program.home, env)


def twins(example: str, place: Path) -> tuple[Path, Path]:
    """Two equal copies of an example."""
    return copy_example(example, place / "ours"), copy_example(example, place / "theirs")


@slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_tool_calls_over_the_wire_give_the_same_files_as_the_playbook(
    example: str, program: Program, tmp_path: Path
) -> None:
    ours, theirs = twins(example, tmp_path)
    program.run(ours, "--yes").expect(0)
    with FakeMessagesServer(playbook_turn, api_key=KEY) as server:
        outcome = served(program, server)("run", "-C", str(theirs), *MODEL, "--yes").expect(0)
    server.assert_clean()

    result = outcome.result
    assert result["status"] == "completed"
    assert len(server.requests) >= result["turns"], "siblings ask for their own answers"
    assert all(step["status"] == "verified" for step in result["report"]["steps"])
    assert tree(theirs) == tree(ours)


@slow
def test_usage_is_counted_and_the_prefix_is_cached(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    with FakeMessagesServer(playbook_turn) as server:
        result = served(program, server)("run", "-C", str(project), *MODEL, "--yes").expect(0).result
    usage = result["usage"]
    assert usage["output_tokens"] > 0
    assert usage["cost_usd"] > 0
    assert usage["cache_read_tokens"] > usage["input_tokens"], "most of each request is read from the cache"
    tools: dict[str, set[str]] = {}
    for request in server.requests:  # one system prompt for each agent: the persona and its siblings
        tools.setdefault(str(request.body["system"]), set()).add(str(request.body["tools"]))
    assert {len(offered) for offered in tools.values()} == {1}, "the prefix stays the same for a whole conversation"
    assert len(tools) < len(server.requests) / 3


@slow
def test_the_key_is_on_the_wire_and_nowhere_else(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    with FakeMessagesServer(playbook_turn, api_key=KEY) as server:
        outcome = served(program, server)("run", "-C", str(project), *MODEL, "--yes").expect(0)
    assert {r.headers["x-api-key"] for r in server.requests} == {KEY}
    assert KEY not in outcome.out + outcome.err
    for path in (*program.home.rglob("*"), *project.rglob("*")):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def troubled(faults: Mapping[int, Fails]) -> Callable[[Json], Turn | HttpError]:
    """The playbook's turns, with faults at some requests (counted from 1)."""
    count = 0

    def answer(body: Json) -> Turn | HttpError:
        nonlocal count
        count += 1
        turn = playbook_turn(body)
        return faults[count](turn) if count in faults else turn

    return answer


@slow
def test_overload_limits_and_cut_answers_on_the_way_change_nothing_in_the_end(program: Program, tmp_path: Path) -> None:
    ours, theirs = twins("repair-api", tmp_path)
    program.run(ours, "--yes").expect(0)
    soon = {"retry-after-ms": "5"}
    faults: dict[int, Fails] = {
        2: lambda _turn: http_error(529, headers=soon),
        4: lambda _turn: http_error(429, headers=soon),
        6: lambda turn: Turn(turn.blocks, fault=Fault(cut_after=300)),
        9: lambda turn: Turn(turn.blocks, fault=Fault(without_stop=True)),
        11: lambda turn: Turn(turn.blocks, fault=Fault(error_type="overloaded_error")),
    }
    with FakeMessagesServer(troubled(faults)) as server:
        outcome = served(program, server)("run", "-C", str(theirs), *MODEL, "--yes").expect(0)
    server.assert_clean()
    retries = [event for event in outcome.events if event["type"] == "retry_scheduled"]
    assert len(retries) == len(faults)
    assert tree(theirs) == tree(ours)


@slow
def test_a_run_that_lost_its_model_goes_on_with_the_playbook(program: Program, tmp_path: Path) -> None:
    """The service fails for good in the middle; the session is continued without a key, and nothing is done twice."""
    ours, theirs = twins("repair-api", tmp_path)
    program.run(ours, "--yes").expect(0)
    gone: dict[int, Fails] = {number: lambda _turn: http_error(403, "key revoked") for number in range(9, 99)}
    with FakeMessagesServer(troubled(gone)) as server:
        failed = served(program, server)("run", "-C", str(theirs), *MODEL, "--yes").expect(1)
    assert failed.result["kind"] == "permission"
    resumed = program.run(theirs, "--yes", "--resume", failed.session).expect(0)
    assert failed.written
    assert not failed.written & resumed.written
    assert tree(theirs) == tree(ours)
