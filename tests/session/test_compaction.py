"""A conversation that no longer fits goes on from its summary: on the wire, after a crash, through the eight steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from agent import Agent
from agent.events import Event, HistoryCompacted, Notice
from agent.hooks.config import read_hooks
from agent.models.anthropic import AnthropicModel
from agent.models.port import ModelError
from agent.permissions import Rules
from agent.result import Completed, Failed, Result
from agent.session.journal import find_session
from agent.session.resume import restore
from agent.testing import FakeMessagesServer, ScriptedModel, Turn, call, http_error, text, thinking
from agent.turn.compaction import in_short
from agent.turn.window import AutoCompact, Window, estimate, room, tokens_in
from tools.tool import ToolContext, ToolResult, tool

SMALL = "claude-haiku-4-5"  # a window of 200k
FULL = {"input_tokens": 10, "cache_read_input_tokens": 180_000, "output_tokens": 100}
TOO_LONG = http_error(400, "prompt is too long: 210000 tokens > 200000 maximum")


@tool("Echo", effects={"reads"})
async def echo(ctx: ToolContext, word: str) -> ToolResult:
    """Say it back."""
    return ToolResult(word)


def make(tmp_path: Path, model: Any, **more: Any) -> Agent:
    return Agent(cwd=tmp_path, model=model, tools=[echo], rules=Rules.parse(allow=["Echo"]), env={}, **more)


async def events_and_result(run: Any) -> tuple[list[Event], Result]:
    return [event async for event in run], run.result


def first_text(request: Any) -> str:
    content = request.messages[0]["content"]
    return content if isinstance(content, str) else "\n".join(block["text"] for block in content)


def compacted(events: Sequence[Event]) -> HistoryCompacted:
    (event,) = [event for event in events if isinstance(event, HistoryCompacted)]
    return event


async def test_a_full_window_is_emptied_before_the_next_request(tmp_path: Path) -> None:
    full = Turn([thinking(), text("I look."), call("Echo", word="seen")], usage=FULL)
    model = ScriptedModel([full, "The user wants a word. It was seen.", "Done."], model_id=SMALL)
    events, result = await events_and_result(make(tmp_path, model).start("Find the word."))
    assert isinstance(result, Completed)
    model.assert_complete()
    asked, after = model.requests[1:]
    assert asked.messages[0] == model.requests[0].messages[0]  # the same prefix
    assert "Call no tool" in asked.messages[3]["content"]
    assert (asked.system, asked.tools) == (after.system, after.tools)
    assert len(after.messages) == 1
    assert "It was seen." in first_text(after)
    assert "thinking" not in json.dumps(after.messages)
    event = compacted(events)
    assert event.trigger == "auto"
    assert event.tokens_before > 180_000 > event.tokens_after


@pytest.mark.parametrize(
    ("auto", "used", "summarised"),
    [
        (AutoCompact(enabled=False), FULL, False),
        (AutoCompact(window=100_000), FULL | {"cache_read_input_tokens": 90_000}, True),
        (AutoCompact(window=900_000), FULL | {"cache_read_input_tokens": 90_000}, False),
    ],
)
async def test_when_it_happens_by_itself_can_be_set(
    tmp_path: Path, auto: AutoCompact, used: Any, summarised: bool
) -> None:
    turns: list[Any] = [Turn([call("Echo", word="seen")], usage=used), *["It was seen."][: int(summarised)], "Done."]
    model = ScriptedModel(turns, model_id=SMALL)
    events, result = await events_and_result(make(tmp_path, model, auto_compact=auto).start("Find the word."))
    assert isinstance(result, Completed)
    model.assert_complete()
    assert any(isinstance(event, HistoryCompacted) for event in events) is summarised


async def test_without_it_a_conversation_that_is_too_long_fails(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Echo", word="seen")], ModelError("context_too_long", "Too long.")], model_id=SMALL)
    off = AutoCompact(enabled=False)
    _, result = await events_and_result(make(tmp_path, model, auto_compact=off).start("Find the word."))
    assert isinstance(result, Failed)
    assert result.kind == "context_too_long"


async def test_a_window_with_room_is_left_alone(tmp_path: Path) -> None:
    usage = FULL | {"cache_read_input_tokens": 100_000}
    model = ScriptedModel([Turn([call("Echo", word="a")], usage=usage), "Done."], model_id=SMALL)
    events, _ = await events_and_result(make(tmp_path, model).start("go"))
    assert not [event for event in events if isinstance(event, HistoryCompacted)]


async def test_a_prompt_that_is_not_yet_answered_stays_word_for_word(tmp_path: Path) -> None:
    model = ScriptedModel([Turn(["First."], usage=FULL)], model_id=SMALL)
    first = await make(tmp_path, model).run("Remember seven.")
    model = ScriptedModel(["They said seven.", "Eight."], model_id=SMALL)
    await make(tmp_path, model).run("And one more?", resume=first.session_id)
    blocks = model.requests[-1].messages[0]["content"]
    assert "They said seven." in blocks[0]["text"]
    assert blocks[1] == {"type": "text", "text": "And one more?"}


# --- refused as too long ---


@pytest.fixture
def served() -> Iterator[Callable[..., FakeMessagesServer]]:
    with ExitStack() as stack:
        servers: list[FakeMessagesServer] = []

        def serve(turns: Any) -> FakeMessagesServer:
            servers.append(stack.enter_context(FakeMessagesServer(turns)))
            return servers[-1]

        yield serve
        for server in servers:
            server.assert_clean()


def wired(server: FakeMessagesServer) -> AnthropicModel:
    return AnthropicModel(SMALL, base_url=server.base_url, api_key="test", profile="full")


@pytest.mark.parametrize("refusal", [TOO_LONG, http_error(413, "Request exceeds the maximum size")])
async def test_a_request_refused_as_too_long_is_summarised_and_sent_once_more(
    tmp_path: Path, served: Any, refusal: Any
) -> None:
    word = "w" * 9_000
    server = served(
        [[thinking(), call("Echo", word=word)], refusal, "Looked for a word.", [call("Echo", word="b")], "Done."]
    )
    result = await make(tmp_path, wired(server)).run("Find the word.")
    assert isinstance(result, Completed), result
    asked = server.requests[2].body["messages"]
    assert len(asked) == 1  # told in short, since the whole was too long
    told = json.dumps(asked)
    assert "Find the word." in told
    assert "characters left out" in told
    assert word not in told
    assert len(server.requests[3].body["messages"]) == 1
    assert len(server.requests[4].body["messages"]) == 3


async def test_a_second_refusal_ends_the_run(tmp_path: Path, served: Any) -> None:
    server = served([[call("Echo", word="a")], TOO_LONG, "A summary.", TOO_LONG])
    result = await make(tmp_path, wired(server)).run("go")
    assert isinstance(result, Failed)
    assert (result.kind, result.http_status) == ("context_too_long", 400)


async def test_a_summary_that_is_too_long_itself_is_asked_for_in_shorter_form(tmp_path: Path, served: Any) -> None:
    full = Turn([call("Echo", word="a" * 3_000)], usage=FULL)
    server = served([full, TOO_LONG, TOO_LONG, "A summary.", "Done."])
    result = await make(tmp_path, wired(server)).run("go")
    assert isinstance(result, Completed), result
    counts = [len(request.body["messages"]) for request in server.requests]
    assert counts == [1, 4, 1, 1, 1]


async def test_a_window_that_fills_up_in_the_answer_is_emptied_and_the_half_answer_dropped(tmp_path: Path) -> None:
    cut = Turn(["half an ans"], stop_reason="model_context_window_exceeded")
    model = ScriptedModel([[call("Echo", word="a")], cut, "A summary.", "Done."], model_id=SMALL)
    result = await make(tmp_path, model).run("go")
    assert isinstance(result, Completed)
    assert "half an ans" not in json.dumps([request.messages for request in model.requests[2:]])


async def test_a_first_prompt_that_is_too_long_is_no_case_for_a_summary(tmp_path: Path, served: Any) -> None:
    result = await make(tmp_path, wired(served([TOO_LONG]))).run("go")
    assert isinstance(result, Failed)
    assert result.kind == "context_too_long"


@pytest.mark.parametrize("answer", [[call("Echo", word="no")], Turn(["I will not."], stop_reason="refusal")])
async def test_an_answer_that_is_no_summary_changes_nothing(tmp_path: Path, answer: Any) -> None:
    model = ScriptedModel([Turn([call("Echo", word="a")], usage=FULL), answer, "Done."], model_id=SMALL)
    events, result = await events_and_result(make(tmp_path, model).start("go"))
    assert isinstance(result, Completed)
    assert any(isinstance(event, Notice) and "no summary" in event.text for event in events)
    assert len(model.requests[-1].messages) == 3


# --- by command, hooks ---


async def test_by_command_with_instructions_and_the_session_goes_on(tmp_path: Path) -> None:
    first = await make(tmp_path, ScriptedModel(["Noted."])).run("The region is Seoul.")
    model = ScriptedModel(["Region: Seoul."])
    events, result = await events_and_result(make(tmp_path, model).compact(first.session_id, "Keep the region."))
    assert isinstance(result, Completed)
    assert "Keep the region." in model.requests[0].messages[-1]["content"]
    assert compacted(events).trigger == "manual"
    model = ScriptedModel(["Seoul."])
    await make(tmp_path, model).run("Which region?", resume=first.session_id)
    assert "Region: Seoul." in first_text(model.requests[0])
    assert model.requests[0].messages[-1]["content"] == "Which region?"
    assert len(model.requests[0].messages) == 2


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (ScriptedModel([ModelError("billing", "No money.", status=402)]), "billing"),
        (ScriptedModel([[call("X")]]), "compaction"),
    ],
)
async def test_by_command_what_fails_is_said_and_changes_nothing(tmp_path: Path, model: Any, kind: str) -> None:
    first = await make(tmp_path, ScriptedModel(["Noted."])).run("The region is Seoul.")
    before = restore(find_session(first.session_id, tmp_path)).history
    _, result = await events_and_result(make(tmp_path, model).compact(first.session_id))
    assert isinstance(result, Failed)
    assert result.kind == kind
    assert restore(find_session(first.session_id, tmp_path)).history == before


async def test_the_embedded_rules_are_not_compacted(tmp_path: Path) -> None:
    first = await Agent(cwd=tmp_path, model="playbook", env={}).run("Hello")
    _, result = await events_and_result(Agent(cwd=tmp_path, model="playbook", env={}).compact(first.session_id))
    assert isinstance(result, Failed)
    assert "embedded rules" in result.reason


def hooks(tmp_path: Path, **commands: str) -> dict[str, Any]:
    entries = {event: [{"hooks": [{"type": "command", "command": command}]}] for event, command in commands.items()}
    handlers, remarks = read_hooks(entries, "a test")
    assert not remarks
    return {"hooks": handlers}


async def test_hooks_run_around_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    note = f"cat >> {log}; echo >> {log}"
    given = hooks(tmp_path, PreCompact=note, PostCompact=note, SessionStart=f"{note}; echo The flag is green.")
    model = ScriptedModel([Turn([call("Echo", word="a")], usage=FULL), "A summary.", "Done."], model_id=SMALL)
    await make(tmp_path, model, **given).run("go")
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    said = [(entry["hook_event_name"], entry.get("trigger") or entry.get("source")) for entry in seen]
    assert said == [
        ("SessionStart", "startup"),
        ("PreCompact", "auto"),
        ("SessionStart", "compact"),
        ("PostCompact", "auto"),
    ]
    assert seen[-1]["compact_summary"] == "A summary."
    assert "The flag is green." in first_text(model.requests[-1])


async def test_a_hook_can_be_against_it(tmp_path: Path) -> None:
    given = hooks(tmp_path, PreCompact="echo not now >&2; exit 2")
    model = ScriptedModel([Turn([call("Echo", word="a")], usage=FULL), "Done."], model_id=SMALL)
    events, result = await events_and_result(make(tmp_path, model, **given).start("go"))
    assert isinstance(result, Completed)
    assert any(isinstance(event, Notice) and "not now" in event.text for event in events)


# --- crash ---


async def test_a_session_killed_at_any_line_around_a_compaction_goes_on(tmp_path: Path) -> None:
    def script(request: Any) -> Any:
        said = json.dumps(request.messages)
        if "Call no tool" in said:
            return "SUMMARY-1: a was echoed."
        if "SUMMARY-1" in said:
            return "Done."
        return Turn([call("Echo", word="a")], usage=FULL) if len(request.messages) == 1 else "Done without."

    whole = await make(tmp_path, ScriptedModel(script, model_id=SMALL)).run("go")
    assert whole.text == "Done."
    path = find_session(whole.session_id, tmp_path) / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"history_compacted"' in line)
    for kept in range(1, len(lines)):
        for torn in (b"", lines[kept][: len(lines[kept]) // 2]):
            path.write_bytes(b"".join(lines[:kept]) + torn)
            model = ScriptedModel(script, model_id=SMALL)
            result = await make(tmp_path, model).run("", resume=whole.session_id)
            assert isinstance(result, Completed), f"died at line {kept}"
            assert result.text == "Done."
            summaries = [request for request in model.requests if "Call no tool" in json.dumps(request.messages)]
            assert len(summaries) == (0 if kept > at else 1), f"died at line {kept}"


# --- counting ---


def test_the_size_is_the_servers_count_and_an_estimate_of_what_came_after() -> None:
    window = Window()
    history = [{"role": "user", "content": "x" * 300}]
    assert window.tokens(history) == estimate(history) >= 100
    window.note({"input_tokens": 5, "cache_read_input_tokens": 1_000, "output_tokens": 7}, 2)
    history += [{"role": "assistant", "content": "long" * 999}, {"role": "user", "content": "abc"}]
    assert window.tokens(history) == 1_012 + estimate(history[2:])
    picture = {"role": "user", "content": [{"type": "image", "source": {"data": "A" * 10**6}}]}
    assert estimate([picture]) < 10_000
    both = {
        "input_tokens": 9,
        "iterations": [{"type": "compaction", "input_tokens": 500}, {"type": "message", "input_tokens": 3}],
    }
    assert tokens_in(both) == 3


def test_room_leaves_space_for_the_answer() -> None:
    assert room("an-unheard-of-model", 32_000) is None
    small = room(SMALL, 32_000)
    assert small is not None
    assert 100_000 < small < 200_000 - 32_000
    assert room(SMALL, 128_000) == room(SMALL, 40_000)  # a doubled output limit does not eat the window


def test_a_conversation_in_short_keeps_its_beginning_and_its_end() -> None:
    history: list[dict[str, Any]] = [{"role": "user", "content": "the task"}]
    for number in range(400):
        history.append({"role": "assistant", "content": [thinking("secret thought"), call("Echo", word=f"w{number}")]})
        history.append(
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "r" * 5_000}]}
        )
    told = in_short(history, 20_000)
    assert len(told) < 22_000
    assert "the task" in told
    assert "w399" in told
    assert "w3 " not in told
    assert "secret thought" not in told
    assert "left out here" in told
