"""The loop through its public door: an `Agent` with a scripted model and real tool functions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.askers import Headless
from agent.budget import Limits
from agent.events import Event, ModelEvent, RetryScheduled, RunFinished, ToolFinished, to_json
from agent.models.port import ModelError
from agent.permissions import Rules
from agent.result import Completed, Failed, Interrupted, NeedsInput, OutOfBudget, Refused, Result
from agent.testing import Fault, ScriptedModel, Turn, broken_call, call, text, thinking
from tools.ask import ask_user_question
from tools.shell import bash
from tools.tool import Tool, ToolContext, ToolError, ToolResult, tool


@tool("Echo", effects={"reads"})
async def echo(ctx: ToolContext, word: str) -> ToolResult:
    """Say it back."""
    return ToolResult(word)


@tool("Break", effects={"reads"})
async def break_down(ctx: ToolContext) -> ToolResult:
    """Has a bug."""
    raise ZeroDivisionError("a bug")


def agent(tmp_path: Path, model: Any, tools: Sequence[Tool] = (echo,), **options: Any) -> Agent:
    rules = Rules.parse(allow=["Echo", "Break", "Meet", "Note", "Slow", "Write_it"])
    options.setdefault("env", {})
    return Agent(cwd=tmp_path, model=model, tools=tools, rules=rules, **options)


async def events_and_result(running: Agent, prompt: str = "go") -> tuple[list[Event], Result]:
    run = running.start(prompt)
    events = [event async for event in run]
    return events, run.result


def results_sent(model: ScriptedModel, request: int = -1) -> list[dict[str, Any]]:
    """The tool results at the end of a request."""
    content = model.requests[request].messages[-1]["content"]
    return [block for block in content if block["type"] == "tool_result"]


async def test_a_text_answer_completes_the_run(tmp_path: Path) -> None:
    model = ScriptedModel(["Hello."])
    events, result = await events_and_result(agent(tmp_path, model))
    assert isinstance(result, Completed)
    assert result.text == "Hello."
    assert isinstance(events[-1], RunFinished)
    assert sum(isinstance(event, RunFinished) for event in events) == 1
    assert model.closed
    model.assert_complete()


async def test_results_go_back_in_one_message_in_the_order_of_the_calls(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Echo", word="a"), call("Echo", word="b")], "Done."])
    await agent(tmp_path, model).run("go")
    assert [block["content"] for block in results_sent(model)] == ["a", "b"]
    model.assert_complete()


async def test_history_only_grows_and_its_prefix_stays_the_same(tmp_path: Path) -> None:
    turns = [[thinking(), text("so"), call("Echo", word=str(n))] for n in range(5)]
    model = ScriptedModel([*turns, "Done."])
    await agent(tmp_path, model).run("go")
    first = model.requests[0]
    for earlier, later in zip(model.requests, model.requests[1:], strict=False):
        assert later.messages[: len(earlier.messages)] == earlier.messages
        assert later.system == first.system
        assert later.tools == first.tools
    kept = [block for message in model.requests[-1].messages for block in message["content"]]
    assert sum(isinstance(block, dict) and block["type"] == "thinking" for block in kept) == 5


async def test_calls_that_only_read_run_together(tmp_path: Path) -> None:
    waiting = asyncio.Barrier(3)

    @tool("Meet", effects={"reads"})
    async def meet(ctx: ToolContext) -> ToolResult:
        """Waits for the other two."""
        await asyncio.wait_for(waiting.wait(), 5)
        return ToolResult("met")

    model = ScriptedModel([[call("Meet"), call("Meet"), call("Meet")], "Done."])
    await agent(tmp_path, model, [meet]).run("go")
    assert all(block["content"].startswith("met") for block in results_sent(model))


async def test_a_call_that_writes_runs_alone_after_everything_before_it(tmp_path: Path) -> None:
    log: list[str] = []

    @tool("Note", effects={"reads"})
    async def note(ctx: ToolContext, name: str) -> ToolResult:
        """Yields in the middle."""
        log.append(f"+{name}")
        await asyncio.sleep(0)
        log.append(f"-{name}")
        return ToolResult(name)

    @tool("Write_it", effects={"writes"})
    async def write_it(ctx: ToolContext) -> ToolResult:
        """Writes."""
        log.append("+w")
        await asyncio.sleep(0)
        log.append("-w")
        return ToolResult("w")

    turn = [call("Note", name="a"), call("Note", name="b"), call("Write_it"), call("Note", name="c")]
    await agent(tmp_path, ScriptedModel([turn, "Done."]), [note, write_it]).run("go")
    assert log == ["+a", "+b", "-a", "-b", "+w", "-w", "+c", "-c"]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        pytest.param(call("Nothing"), "There is no tool 'Nothing'. Available: Break, Echo.", id="unknown tool"),
        pytest.param(broken_call("Echo", '{"word": "a'), "not valid JSON", id="malformed input"),
        pytest.param(call("Echo", wort="a"), "word: Field required", id="wrong field"),
        pytest.param(call("Break"), "ZeroDivisionError: a bug", id="bug in a tool"),
    ],
)
async def test_a_bad_call_becomes_an_error_the_model_can_act_on(tmp_path: Path, block: Any, said: str) -> None:
    model = ScriptedModel([[block], "Understood."])
    result = await agent(tmp_path, model, [echo, break_down]).run("go")
    assert isinstance(result, Completed)
    (sent,) = results_sent(model)
    assert sent["is_error"]
    assert said in sent["content"]


async def test_tool_names_match_with_hyphens_and_underscores_equal(tmp_path: Path) -> None:
    @tool("mcp__github__push_files", effects={"reads"})
    async def push(ctx: ToolContext) -> ToolResult:
        """Pushes."""
        return ToolResult("pushed")

    model = ScriptedModel([[call("mcp__github__push-files")], "Done."])
    running = Agent(
        cwd=tmp_path, model=model, tools=[push], rules=Rules.parse(allow=["mcp__github__push_files"]), env={}
    )
    await running.run("go")
    assert results_sent(model)[0]["content"] == "pushed"


async def test_what_nobody_may_approve_is_denied_and_booked(tmp_path: Path) -> None:
    @tool("Other", effects={"runs"})
    async def other(ctx: ToolContext) -> ToolResult:
        """Must not run."""
        raise AssertionError("it ran")

    model = ScriptedModel([[call("Other")], "I could not."])
    result = await agent(tmp_path, model, [other]).run("go")
    assert isinstance(result, Completed)
    assert [denial.tool for denial in result.denials] == ["Other"]
    assert "not permitted" in results_sent(model)[0]["content"]


async def test_an_answer_cut_at_the_output_limit_is_continued_and_its_calls_are_not_run(tmp_path: Path) -> None:
    cut = Turn([thinking(), text("I begin"), call("Echo", word="half")], stop_reason="max_tokens")
    model = ScriptedModel([cut, "The rest."])
    result = await agent(tmp_path, model).run("go")
    assert isinstance(result, Completed)
    assistant, user = model.requests[-1].messages[-2:]
    assert [block["type"] for block in assistant["content"]] == ["thinking", "text"]
    assert "cut" in user["content"]


async def test_a_call_cut_without_any_text_is_asked_again_with_more_room(tmp_path: Path) -> None:
    cut = Turn([thinking(), call("Echo", word="half")], stop_reason="max_tokens")
    model = ScriptedModel([cut, "Done."])
    await agent(tmp_path, model).run("go")
    assert model.requests[1].messages == model.requests[0].messages
    assert model.requests[1].max_tokens == 2 * model.requests[0].max_tokens


async def test_a_paused_turn_is_sent_again_as_it_is(tmp_path: Path) -> None:
    model = ScriptedModel([Turn(["searching"], stop_reason="pause_turn"), "Found."])
    await agent(tmp_path, model).run("go")
    assert model.requests[-1].messages[-1]["role"] == "assistant"


async def test_pausing_for_ever_fails(tmp_path: Path) -> None:
    model = ScriptedModel(lambda _request: Turn(["searching"], stop_reason="pause_turn"))
    result = await agent(tmp_path, model).run("go")
    assert isinstance(result, Failed)
    assert result.kind == "incomplete"


async def test_a_refusal_is_its_own_outcome_and_leaves_no_trace_in_history(tmp_path: Path) -> None:
    refused = Turn(
        ["partial"],
        stop_reason="refusal",
        stop_details={"category": "cyber", "explanation": "It looks like an attack."},
    )
    model = ScriptedModel([refused])
    events, result = await events_and_result(agent(tmp_path, model))
    assert isinstance(result, Refused)
    assert (result.by, result.category, result.reason) == ("model", "cyber", "It looks like an attack.")
    assert result.stop_reason == "refusal"
    messages = [to_json(event)["message"] for event in events if event.type == "message_added"]
    assert [message["role"] for message in messages] == ["user"]


@pytest.mark.parametrize("reason", ["compaction", "something_new"])
async def test_an_unknown_stop_reason_stops_the_run_and_is_named(tmp_path: Path, reason: str) -> None:
    result = await agent(tmp_path, ScriptedModel([Turn(["x"], stop_reason=reason)])).run("go")
    assert isinstance(result, Failed)
    assert reason in result.reason
    assert result.stop_reason == reason


async def test_an_answer_that_announces_a_call_and_makes_none_is_taken_as_it_is(tmp_path: Path) -> None:
    result = await agent(tmp_path, ScriptedModel([Turn(["Done."], stop_reason="tool_use")])).run("go")
    assert isinstance(result, Completed)


async def test_a_full_context_window_is_said(tmp_path: Path) -> None:
    result = await agent(tmp_path, ScriptedModel([Turn(["x"], stop_reason="model_context_window_exceeded")])).run("go")
    assert isinstance(result, Failed)
    assert result.kind == "context_too_long"


async def test_an_empty_answer_is_nudged_once_and_not_resent(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Echo", word="a")], Turn([], stop_reason="end_turn"), "Done."])
    result = await agent(tmp_path, model).run("go")
    assert isinstance(result, Completed)
    assert model.requests[-1].messages[-1]["role"] == "user"


async def test_calls_run_although_a_foreign_server_says_end_turn(tmp_path: Path) -> None:
    model = ScriptedModel([Turn([call("Echo", word="a")], stop_reason="end_turn"), "Done."])
    await agent(tmp_path, model).run("go")
    assert results_sent(model)[0]["content"] == "a"


async def test_a_stream_cut_in_the_middle_is_retried_without_running_a_tool_twice(tmp_path: Path) -> None:
    ran: list[str] = []

    @tool("Slow", effects={"writes"})
    async def slow(ctx: ToolContext, word: str) -> ToolResult:
        """Counts."""
        ran.append(word)
        return ToolResult(word)

    cut = Turn([call("Slow", word="once")], fault=Fault(without_stop=True))
    model = ScriptedModel([cut, [call("Slow", word="once")], "Done."])
    events, result = await events_and_result(agent(tmp_path, model, [slow]))
    assert isinstance(result, Completed)
    assert ran == ["once"]
    (retry,) = [event for event in events if isinstance(event, RetryScheduled)]
    assert retry.discarded
    assert retry.kind == "stream_cut"


async def test_an_error_that_cannot_be_retried_ends_the_run_with_its_kind_and_status(tmp_path: Path) -> None:
    model = ScriptedModel([ModelError("authentication", "The key was refused.", status=401)])
    result = await agent(tmp_path, model).run("go")
    assert isinstance(result, Failed)
    assert (result.kind, result.http_status, result.reason) == ("authentication", 401, "The key was refused.")


async def test_the_turn_limit_ends_the_run_with_what_was_done(tmp_path: Path) -> None:
    model = ScriptedModel(lambda _request: [text("more"), call("Echo", word="a")])
    result = await agent(tmp_path, model, limits=Limits(turns=3)).run("go")
    assert isinstance(result, OutOfBudget)
    assert (result.limit, result.turns, result.text) == ("turns", 3, "more")


async def test_the_token_limit_counts_cached_tokens_too(tmp_path: Path) -> None:
    usage = {"input_tokens": 10, "output_tokens": 10, "cache_read_input_tokens": 500}
    model = ScriptedModel(lambda _request: Turn([call("Echo", word="a")], usage=usage))
    result = await agent(tmp_path, model, limits=Limits(tokens=1000)).run("go")
    assert isinstance(result, OutOfBudget)
    assert result.limit == "tokens"
    assert result.usage.total_tokens == 1040


async def test_a_cost_limit_with_an_unknown_price_is_not_pretended_to_hold(tmp_path: Path) -> None:
    usage = {"input_tokens": 10, "output_tokens": 10}
    model = ScriptedModel(lambda _request: Turn([call("Echo", word="a")], usage=usage), model_id="unheard-of")
    result = await agent(tmp_path, model, limits=Limits(cost_usd=5.0)).run("go")
    assert isinstance(result, OutOfBudget)
    assert result.limit == "cost_usd"
    assert "unknown" in result.reason


async def test_an_interrupt_cancels_the_running_tool(tmp_path: Path) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    @tool("Slow", effects={"runs"})
    async def slow(ctx: ToolContext) -> ToolResult:
        """Never ends by itself."""
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise ToolError("unreachable")

    run = agent(tmp_path, ScriptedModel([[call("Slow")]]), [slow]).start("go")

    async def stop() -> None:
        await started.wait()
        run.interrupt()

    stopping = asyncio.ensure_future(stop())
    events = [event async for event in run]
    await stopping
    assert isinstance(run.result, Interrupted)
    assert cancelled.is_set()
    assert not [event for event in events if isinstance(event, ToolFinished)]


async def test_a_call_repeated_in_vain_is_remarked_on_and_then_not_run(tmp_path: Path) -> None:
    model = ScriptedModel([*([call("Echo", word="again")] for _ in range(6)), "I stop."])
    result = await agent(tmp_path, model).run("go")
    assert isinstance(result, Completed)
    said = [results_sent(model, request)[0]["content"] for request in range(1, 7)]
    assert said[:2] == ["again", "again"]
    assert "3 times" in said[2]
    assert said[4].startswith("Not run")
    assert said[5].startswith("Not run")


QUESTION = {
    "question": "Which region?",
    "header": "Region",
    "options": [{"label": "Seoul"}, {"label": "Tokyo"}],
    "key": "region",
    "default": "Tokyo",
}


async def test_a_question_nobody_can_answer_is_the_result(tmp_path: Path) -> None:
    model = ScriptedModel([[call("AskUserQuestion", questions=[QUESTION])]])
    result = await agent(tmp_path, model, [ask_user_question]).run("go")
    assert isinstance(result, NeedsInput)
    assert [question.key for question in result.questions] == ["region"]


async def test_the_questions_of_a_session_are_answered_when_it_goes_on(tmp_path: Path) -> None:
    asked = ScriptedModel([[call("AskUserQuestion", questions=[QUESTION])]])
    first = await agent(tmp_path, asked, [ask_user_question]).run("go")
    model = ScriptedModel(["Seoul it is."])
    running = agent(tmp_path, model, [ask_user_question], asker=Headless({"region": "Seoul"}))
    result = await running.run("", resume=first.session_id)
    assert isinstance(result, Completed)
    assert result.session_id == first.session_id
    assert "Seoul" in results_sent(model)[0]["content"]


async def test_defaults_are_taken_as_assumptions(tmp_path: Path) -> None:
    model = ScriptedModel([[call("AskUserQuestion", questions=[QUESTION])], "Tokyo."])
    asker = Headless(take_defaults=True)
    await agent(tmp_path, model, [ask_user_question], asker=asker).run("go")
    sent = results_sent(model)[0]["content"]
    assert "Tokyo" in sent
    assert "assumed" in sent


async def test_partial_output_is_streamed_as_it_comes(tmp_path: Path) -> None:
    events, _ = await events_and_result(agent(tmp_path, ScriptedModel(["A longer answer in several pieces, really."])))
    pieces = [
        event.event["delta"]["text"]
        for event in events
        if isinstance(event, ModelEvent) and event.event["type"] == "content_block_delta"
    ]
    assert len(pieces) > 1
    assert "".join(pieces) == "A longer answer in several pieces, really."


async def test_secrets_reach_neither_the_model_nor_the_journal(tmp_path: Path) -> None:
    secret = "s3cr3t-value-of-mine"
    model = ScriptedModel([[call("Echo", word=f"token {secret}")], "Done."])
    running = agent(tmp_path, model, env={"DEPLOY_TOKEN": secret})
    result = await running.run(f"use {secret}")
    journal = next(Path.home().rglob(f"{result.session_id}/journal.jsonl")).read_text()
    assert secret not in journal
    assert secret not in str(model.requests[0].messages)
    assert secret not in results_sent(model)[0]["content"]


@pytest.mark.parametrize(
    ("limits", "limit", "said"),
    [(Limits(turns=1), "turns", "limit of 1 turns"), (Limits(seconds=0.0), "seconds", "the limit is 0 s")],
)
async def test_the_result_says_which_limit_was_hit(tmp_path: Path, limits: Limits, limit: str, said: str) -> None:
    model = ScriptedModel([[call("Echo", word="a")]] if limit == "turns" else [])
    _, result = await events_and_result(agent(tmp_path, model, limits=limits))
    assert isinstance(result, OutOfBudget)
    assert (result.limit, result.exit_code) == (limit, 5)
    assert said in result.reason


@pytest.mark.parametrize("given", [{}, {"word": ["a"]}, {"word": "a", "loud": True}])
async def test_input_that_does_not_fit_fails_before_anybody_is_asked(tmp_path: Path, given: dict[str, Any]) -> None:
    model = ScriptedModel([[call("Echo", **given)], [call("Echo", word="again")], "Done."])
    running = agent(tmp_path, model)
    running.rules = None  # so that every call would be asked about
    running.asker = NobodyAsksTwice()
    result = await running.run("go")
    assert "wrong input" in results_sent(model, 1)[0]["content"]
    assert [denial.input for denial in result.denials] == [{"word": "again"}]


class NobodyAsksTwice(Headless):
    """Denies, and fails the test for a call that could not run anyhow."""

    async def permission(self, request: Any) -> Any:
        assert request.input == {"word": "again"}
        return await super().permission(request)


async def test_a_run_that_is_interrupted_at_once_has_its_one_result(tmp_path: Path) -> None:
    run = agent(tmp_path, ScriptedModel(["unused"])).start("go")
    run.interrupt()
    events = [event async for event in run]
    assert isinstance(run.result, Interrupted)
    assert [type(event) for event in events] == [RunFinished]


async def test_a_background_command_is_ended_alone(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Bash", command="sleep 60", run_in_background=True)], [call("Hold")], "Done."])
    stopped = asyncio.Event()

    @tool("Hold", effects={"reads"})
    async def hold(ctx: ToolContext) -> ToolResult:
        """Wait for the test."""
        await stopped.wait()
        (task,) = ctx.state["shell"].tasks.values()
        return ToolResult(task.status)

    running = agent(tmp_path, model, [bash, hold], mode="bypassPermissions", sandbox=False)
    run = running.start("go")
    async for event in run:
        if isinstance(event, ToolFinished) and event.tool == "Bash":
            assert await run.stop("nothing") is False
            assert await run.stop(str(event.data["backgroundTaskId"])) is True
            stopped.set()
    assert isinstance(run.result, Completed)
    assert results_sent(model)[0]["content"] == "stopped"
