"""Transcripts in Claude Code's layout: written from a run's events, read back, continued, copied and cut."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import Agent
from agent.permissions import Rules
from agent.result import Completed, Failed, Result
from agent.session.journal import JOURNAL, SessionError, project_key, session_directory
from agent.session.opening import Opening
from agent.session.sessions import Sessions
from agent.session.transcript import Transcript, read_transcript, transcript_path
from agent.testing import ScriptedModel, Turn, call, thinking
from tests.session.foreign import PARALLEL, SESSION, answered, entry, result, said, text, uid, write
from tests.session.foreign import call as called
from tools.shell import bash
from tools.tool import ToolContext, ToolResult, tool

SECRET = "sk-ant-" + "a" * 40
FULL = {"input_tokens": 190_000, "output_tokens": 10}


@tool("Echo", effects={"reads"})
async def echo(ctx: ToolContext, word: str) -> ToolResult:
    """Say it back."""
    return ToolResult(f"seen {word}", data={"said": word})


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude")}


def make(cwd: Path, env: dict[str, str], script: Any, **more: Any) -> Agent:
    model = script if isinstance(script, ScriptedModel) else ScriptedModel(script)
    rules = Rules.parse(allow=["Echo"])
    return Agent(cwd=cwd, model=model, tools=[echo], rules=rules, env=env, sessions=Sessions(transcripts=True), **more)


async def ended(agent: Agent, prompt: str, **opening: Any) -> Result:
    run = agent.start(prompt, opening=Opening(**opening))
    async for _ in run:
        pass
    return run.result


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(cwd: Path, env: dict[str, str], outcome: Result) -> list[dict[str, Any]]:
    return lines_of(transcript_path(cwd, outcome.session_id, env))


# --- writing ---


async def test_a_run_leaves_a_transcript_whose_lines_are_linked(tmp_path: Path, env: dict[str, str]) -> None:
    script = [[thinking(), call("Echo", word="a"), call("Echo", word="b")], "Done."]
    outcome = await make(tmp_path, env, script).run("Look.")
    lines = written(tmp_path, env, outcome)
    assert [line["type"] for line in lines] == ["user", "assistant", "user", "user", "assistant"]
    parents = [line["parentUuid"] for line in lines]
    assert parents == [None, *(line["uuid"] for line in lines[:-1])]
    assert lines[0]["message"] == {"role": "user", "content": "Look."}
    assert {line["sessionId"] for line in lines} == {outcome.session_id}
    assert {line["cwd"] for line in lines} == {str(tmp_path)}
    assert lines[2]["toolUseResult"] == {"said": "a"}
    assert lines[1]["message"]["id"].startswith("msg_")
    assert lines[1]["message"]["usage"]["output_tokens"] > 0
    path = transcript_path(tmp_path, outcome.session_id, env)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_without_being_asked_for_there_is_none(tmp_path: Path, env: dict[str, str]) -> None:
    agent = make(tmp_path, env, ["Done."])
    agent.sessions.transcripts = False
    await agent.run("Look.")
    assert not (tmp_path / "claude").exists()


async def test_secrets_do_not_reach_it(tmp_path: Path, env: dict[str, str]) -> None:
    outcome = await make(tmp_path, env, [[call("Echo", word=SECRET)], f"It is {SECRET}."]).run(f"Use {SECRET}.")
    text_of = transcript_path(tmp_path, outcome.session_id, env).read_text()
    assert SECRET not in text_of
    assert "[redacted]" in text_of


async def test_later_turns_go_on_where_the_chain_ended(tmp_path: Path, env: dict[str, str]) -> None:
    first = await make(tmp_path, env, ["One."]).run("one")
    path = transcript_path(tmp_path, first.session_id, env)
    with path.open("a") as file:
        file.write('{"type":"assistant","uu')  # a killed writer
    await make(tmp_path, env, ["Two."]).run("two", resume=first.session_id)
    told = read_transcript(path)
    assert [message["content"] for message in told.history] == ["one", [text("One.")], "two", [text("Two.")]]
    assert told.damaged == 1


async def test_a_transcript_that_cannot_be_written_is_said_once_and_the_run_goes_on(
    tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "claude").write_text("a file is in the way")
    run = make(tmp_path, env, [[call("Echo", word="a")], "Done."]).start("Look.")
    said_of_it = [event async for event in run if event.type == "notice"]
    assert isinstance(run.result, Completed)
    assert len(said_of_it) == 1
    assert "cannot be written" in str(said_of_it)


async def test_a_compaction_is_a_new_root_with_the_summary(tmp_path: Path, env: dict[str, str]) -> None:
    script: list[Any] = [Turn([call("Echo", word="a")], usage=FULL), "SUMMARY", "Done."]
    outcome = await make(tmp_path, env, ScriptedModel(script, model_id="claude-haiku-4-5")).run("Look.")
    lines = written(tmp_path, env, outcome)
    at = next(number for number, line in enumerate(lines) if line.get("subtype") == "compact_boundary")
    boundary, summary = lines[at : at + 2]
    assert boundary["parentUuid"] is None
    assert boundary["logicalParentUuid"] == lines[at - 1]["uuid"]
    assert boundary["compactMetadata"]["trigger"] == "auto"
    assert summary["isCompactSummary"]
    told = read_transcript(transcript_path(tmp_path, outcome.session_id, env))
    assert len(told.history) == 2
    assert "SUMMARY" in str(told.history[0])


# --- reading ---


def test_parallel_calls_are_put_back_together(tmp_path: Path, env: dict[str, str]) -> None:
    told = read_transcript(write(PARALLEL, tmp_path, env))
    assert told.history == [
        {"role": "user", "content": "Look at both."},
        {"role": "assistant", "content": [text("I look."), called("a"), called("b")]},
        {"role": "user", "content": [*result("a"), *result("b")]},
        {"role": "assistant", "content": [text("Both were seen.")]},
    ]
    assert told.cwd == "/elsewhere"
    assert told.title == "An old summary"


def test_of_several_branches_the_newest_counts(tmp_path: Path, env: dict[str, str]) -> None:
    other = [said("p2", "a5", "And now?"), answered("a6", "p2", "msg_3", text("Now A."))]
    newer = [said("p3", "a5", "Or rather?"), answered("a7", "p3", "msg_4", text("Now B."))]
    told = read_transcript(write([*PARALLEL, *other, *newer], tmp_path, env))
    assert [message["content"] for message in told.history[-2:]] == ["Or rather?", [text("Now B.")]]


def test_what_a_crash_left_open_stays_open_with_what_it_had(tmp_path: Path, env: dict[str, str]) -> None:
    told = read_transcript(write(PARALLEL[:8], tmp_path, env))
    assert told.history[-1]["role"] == "assistant"
    assert told.settled == {"toolu_a": result("a")[0]}


def test_side_lines_errors_and_odd_shapes_are_left_out(tmp_path: Path, env: dict[str, str]) -> None:
    odd: list[Any] = [
        said("x1", "p1", "a child's prompt", isSidechain=True),
        answered("x2", "a5", "msg_9", text("API Error: 529"), isApiErrorMessage=True),
        said("x3", "x2", [{"no": "type"}, 7, text("Again, please.")]),
        entry("assistant", "x4", "x3", message="not a message"),
        "{broken",
        "[]",
    ]
    told = read_transcript(write([*PARALLEL, *odd], tmp_path, env))
    assert told.history[-1] == {"role": "user", "content": "Again, please."}
    assert told.damaged == 2
    assert "child" not in str(told.history)


def test_very_old_lines_without_links_are_taken_in_their_order(tmp_path: Path, env: dict[str, str]) -> None:
    old = [
        {"type": "user", "message": {"role": "user", "content": "Hi"}},
        {"type": "assistant", "message": {"role": "assistant", "content": [text("Hello")]}},
    ]
    assert len(read_transcript(write(old, tmp_path, env)).history) == 2


@pytest.mark.parametrize("content", ["", "{broken\n", '{"type":"summary","summary":"x"}\n'])
def test_a_file_without_a_conversation_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / f"{SESSION}.jsonl"
    path.write_text(content)
    with pytest.raises(SessionError, match=SESSION):
        read_transcript(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_BLOCK = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "tool_use", "tool_result", "thinking", "image"]),
        "id": st.sampled_from(["1", "2"]),
        "tool_use_id": st.sampled_from(["1", "2"]),
        "name": st.just("Echo"),
        "input": st.just({}) | _JSON,
        "text": st.text(max_size=3),
        "content": _JSON,
    },
)
_IDS = st.sampled_from(["a", "b", "c", "d"])
_LINE = st.fixed_dictionaries(
    {"type": st.sampled_from(["user", "assistant", "system", "attachment", "other"])},
    optional={
        "uuid": _IDS | _JSON,
        "parentUuid": _IDS | _JSON,
        "isSidechain": st.booleans(),
        "isMeta": st.booleans(),
        "cwd": _JSON,
        "message": _JSON | st.fixed_dictionaries({"id": _JSON, "content": st.lists(_BLOCK, max_size=3) | _JSON}),
    },
)


@settings(max_examples=25)
@given(st.lists(_LINE | _JSON, max_size=8))
def test_whatever_a_file_holds_is_read_as_a_history_the_api_takes(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{SESSION}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        told = read_transcript(path)
    except SessionError:
        return
    check(told)


def check(told: Transcript) -> None:
    """Sides alternate, the user begins, and every call but those of the last message has its result behind it."""
    history = told.history
    assert [message["role"] for message in history] == ["user", "assistant"] * (len(history) // 2) + ["user"] * (
        len(history) % 2
    )
    for message, following in pairwise(history):
        if message["role"] == "assistant":
            calls = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
            blocks = following["content"] if isinstance(following["content"], list) else []
            assert [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"] == calls


# --- going on from one ---


async def test_a_session_of_claude_code_is_continued(tmp_path: Path, env: dict[str, str]) -> None:
    path = write(PARALLEL, tmp_path, env)
    model = ScriptedModel(["Go on."])
    outcome = await ended(make(tmp_path, env, model), "And now?", resume=SESSION)
    assert isinstance(outcome, Completed)
    assert outcome.session_id == SESSION
    assert len(model.requests[0].messages) == 5
    assert "thinking" not in str(model.requests[0].messages)
    lines = lines_of(path)
    assert len(lines) == len(PARALLEL) + 2  # nothing is written twice
    assert lines[len(PARALLEL)]["parentUuid"] == uid("a5")
    again = ScriptedModel(["Still here."])
    await ended(make(tmp_path, env, again), "And then?", resume=SESSION)  # now from the journal
    assert len(again.requests[0].messages) == 7


async def test_open_calls_of_another_program_are_not_run_again(tmp_path: Path, env: dict[str, str]) -> None:
    write(PARALLEL[:8], tmp_path, env)
    model = ScriptedModel(["I see."])
    await ended(make(tmp_path, env, model), "", resume=SESSION)
    one, two = model.requests[0].messages[-1]["content"]
    assert one == result("a")[0]
    assert two["is_error"]
    assert "unknown" in two["content"]


async def test_a_title_names_a_session_too(tmp_path: Path, env: dict[str, str]) -> None:
    write([*PARALLEL, {"type": "custom-title", "customTitle": "the blue one", "sessionId": SESSION}], tmp_path, env)
    outcome = await ended(make(tmp_path, env, ["Yes."]), "And?", resume="the blue one")
    assert outcome.session_id == SESSION


@pytest.mark.parametrize("name", ["22222222-2222-4333-8444-555555555555", "../../etc/passwd", "*", "no such title"])
async def test_what_is_nowhere_is_said(tmp_path: Path, env: dict[str, str], name: str) -> None:
    write(PARALLEL, tmp_path, env)
    outcome = await ended(make(tmp_path, env, []), "And?", resume=name)
    assert isinstance(outcome, Failed)
    assert "There is no session" in outcome.reason


# --- copies and earlier points ---


async def test_a_fork_is_a_new_session_and_leaves_the_old_one_alone(tmp_path: Path, env: dict[str, str]) -> None:
    first = await make(tmp_path, env, ["One.", "Two."]).run("one")
    old = transcript_path(tmp_path, first.session_id, env).read_bytes()
    journal = (session_directory(tmp_path, first.session_id) / JOURNAL).read_bytes()
    new_id = "33333333-2222-4333-8444-555555555555"
    model = ScriptedModel(["Other."])
    fork = await ended(make(tmp_path, env, model), "other", resume=first.session_id, fork=True, session_id=new_id)
    assert fork.session_id == new_id
    assert len(model.requests[0].messages) == 3
    assert transcript_path(tmp_path, first.session_id, env).read_bytes() == old
    assert (session_directory(tmp_path, first.session_id) / JOURNAL).read_bytes() == journal
    lines = written(tmp_path, env, fork)
    sources = [line.get("forkedFrom", {}).get("sessionId") for line in lines]
    assert sources == [first.session_id] * 2 + [None] * 2
    assert {line["sessionId"] for line in lines} == {new_id}
    later = ScriptedModel(["More."])
    await ended(make(tmp_path, env, later), "more", resume=new_id)
    assert len(later.requests[0].messages) == 5


async def three_turns(tmp_path: Path, env: dict[str, str]) -> tuple[str, list[dict[str, Any]]]:
    first = await make(tmp_path, env, ["1"]).run("one")
    for number in ("two", "three"):
        await make(tmp_path, env, [number.upper()]).run(number, resume=first.session_id)
    return first.session_id, written(tmp_path, env, first)


@pytest.mark.parametrize("fork", [False, True])
async def test_a_session_goes_on_from_an_earlier_message(tmp_path: Path, env: dict[str, str], fork: bool) -> None:
    session, lines = await three_turns(tmp_path, env)
    model = ScriptedModel(["Another three."])
    at, prompt = lines[3]["uuid"], lines[4]["uuid"]
    outcome = await ended(make(tmp_path, env, model), "3b", resume=session, until=at, drops=prompt, fork=fork)
    assert isinstance(outcome, Completed)
    assert (outcome.session_id != session) == fork
    assert [m["content"] for m in model.requests[0].messages if m["role"] == "user"] == ["one", "two", "3b"]
    told = read_transcript(transcript_path(tmp_path, outcome.session_id, env))
    assert [m["content"] for m in told.history if m["role"] == "user"] == ["one", "two", "3b"]
    again = ScriptedModel(["Yes."])
    await ended(make(tmp_path, env, again), "4", resume=outcome.session_id)
    assert [m["content"] for m in again.requests[0].messages if m["role"] == "user"] == ["one", "two", "3b", "4"]


async def test_a_cut_that_would_drop_something_else_is_rejected(tmp_path: Path, env: dict[str, str]) -> None:
    session, lines = await three_turns(tmp_path, env)
    wanted = {"resume": session, "until": lines[1]["uuid"], "drops": lines[4]["uuid"]}
    outcome = await ended(make(tmp_path, env, []), "x", **wanted)
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("Resume rejected by --resume-drops-turn:")
    outcome = await ended(make(tmp_path, env, []), "x", resume=session, until=uid("nowhere"))
    assert isinstance(outcome, Failed)
    assert "No message" in outcome.reason
    assert len(written(tmp_path, env, outcome)) == len(lines) if outcome.session_id else True
    model = ScriptedModel(["Fine."])
    await ended(make(tmp_path, env, model), "four", resume=session)
    assert len(model.requests[0].messages) == 7


async def test_a_cut_behind_a_call_takes_its_result_from_the_journal(tmp_path: Path, env: dict[str, str]) -> None:
    first = await make(tmp_path, env, [[call("Echo", word="a")], "Done."]).run("Look.")
    calling = written(tmp_path, env, first)[1]["uuid"]
    model = ScriptedModel(["Once more."])
    await ended(make(tmp_path, env, model), "Go.", resume=first.session_id, until=calling)
    results, prompt = model.requests[0].messages[-1]["content"]
    assert results["content"] == "seen a"
    assert prompt == text("Go.")


@pytest.mark.parametrize("bad", ["../../outside", "a/b", "", "x" * 200])
async def test_an_id_is_no_path(tmp_path: Path, env: dict[str, str], bad: str) -> None:
    outcome = await ended(make(tmp_path, env, []), "x", session_id=bad or "/")
    assert isinstance(outcome, Failed)
    assert "cannot be the id" in outcome.reason


def test_long_paths_keep_a_hash_of_the_whole(tmp_path: Path) -> None:
    one, two = (tmp_path / ("d" * 150) / ("e" * 90) / end for end in ("a", "b"))
    assert project_key(one) != project_key(two)
    assert project_key(one)[:200] == project_key(two)[:200]


# --- beside the session's file ---


async def test_a_long_output_lies_whole_with_the_transcript_and_holds_no_secret(
    tmp_path: Path, env: dict[str, str]
) -> None:
    agent = make(tmp_path, env, [[call("Bash", command=f"seq 1 20000; echo {SECRET}")], "Done."])
    agent.tools, agent.rules = [bash], Rules.parse(allow=["Bash"])
    outcome = await agent.run("Count.")
    line = written(tmp_path, env, outcome)[2]
    check_spilled(
        Path(line["toolUseResult"]["persistedOutputPath"]), transcript_path(tmp_path, outcome.session_id, env)
    )


def check_spilled(path: Path, transcript: Path) -> None:
    assert path.parent == transcript.with_suffix("") / "tool-results"
    assert path.read_text().splitlines()[19_999] == "20000"
    assert SECRET not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
