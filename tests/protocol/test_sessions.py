"""Sessions over the command line: named, continued, copied, cut, listed, or not kept at all."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.session.transcript import transcript_path
from agent.testing import FakeMessagesServer
from tests.session.foreign import PARALLEL, SESSION, uid, write

pytestmark = pytest.mark.slow  # a process or two for each test

MODEL = "--model=claude-sonnet-5-5"
NEW = "44444444-2222-4333-8444-555555555555"


@pytest.fixture
def told(start: Any, served: Any) -> Any:
    """Send prompts to one process (`told(["answer", ...], *flags, prompts=[...])`); its frames and its server."""

    def run(answers: list[Any], *flags: str, prompts: Any = ("Go on.",), code: int = 0, **more: Any) -> Any:
        server = served(answers)
        program = start(server, MODEL, *flags, **more)
        for prompt in prompts:
            frame = prompt if isinstance(prompt, dict) else {"text": prompt}
            program.user(**frame)
            program.until("result")
        assert program.finish() == code
        return program, server

    return run


def result(program: Any) -> dict[str, Any]:
    return next(frame for frame in reversed(program.seen) if frame["type"] == "result")


def prompts_of(server: Any) -> list[Any]:
    return [m["content"] for m in server.requests[-1].body["messages"] if m["role"] == "user"]


def plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def test_a_session_of_claude_code_is_resumed_by_its_id(start: Any, project: Path) -> None:
    path = write(PARALLEL, project, dict(os.environ))
    with FakeMessagesServer(["Yes."], seeded=True) as server:
        program = start(server, MODEL, f"--resume={SESSION}")
        program.user("Go on.")
        program.until("result")
        assert program.finish() == 0
    server.assert_clean()
    assert result(program)["session_id"] == SESSION
    assert [plain(content) for content in prompts_of(server)] == ["Look at both.", "", "Go on."]
    *_, prompt, answer = [json.loads(line) for line in path.read_text().splitlines()]
    assert prompt["parentUuid"] == uid("a5")
    assert answer["message"]["content"] == [{"type": "text", "text": "Yes."}]


def test_turns_have_the_ids_under_which_the_transcript_keeps_them(told: Any, project: Path) -> None:
    mine = "55555555-2222-4333-8444-555555555555"
    program, _ = told(["One."], f"--session-id={NEW}", prompts=[{"text": "one", "uuid": mine}])
    assert result(program)["session_id"] == NEW
    lines = [json.loads(line) for line in transcript_path(project, NEW, dict(os.environ)).read_text().splitlines()]
    assert lines[0]["uuid"] == mine
    assert lines[0]["message"]["content"] == "one"
    answer = next(frame for frame in program.seen if frame["type"] == "assistant")
    assert lines[1]["uuid"] == answer["uuid"]


def test_a_fork_at_an_answer_drops_the_turn_that_was_meant_and_no_other(start: Any, served: Any) -> None:
    server = served(["One.", "Two.", "Other."])
    program = start(server, MODEL)
    program.user("one")
    session = program.until("result")["session_id"]
    program.user("two", uuid=NEW)
    program.until("result")
    assert program.finish() == 0
    at = next(frame["uuid"] for frame in program.seen if frame["type"] == "assistant")
    flags = (f"--resume={session}", "--fork-session", f"--resume-session-at={at}")
    refused = start(server, MODEL, *flags, f"--resume-drops-turn={session}")
    refused.user("other")
    assert "Resume rejected by --resume-drops-turn:" in refused.until("result")["errors"][0]
    assert refused.finish() == 1
    fork = start(server, MODEL, *flags, f"--resume-drops-turn={NEW}")
    fork.user("other")
    assert fork.until("result")["session_id"] != session
    assert fork.finish() == 0
    assert [plain(content) for content in prompts_of(server)] == ["one", "other"]


def test_continue_takes_the_newest_session_of_the_directory(start: Any, served: Any) -> None:
    server = served(["One.", "Two.", "Three."])

    def turn(prompt: str, *flags: str) -> str:
        program = start(server, MODEL, *flags)
        program.user(prompt)
        program.until("result")
        assert program.finish() == 0
        return str(result(program)["session_id"])

    first = turn("one", "--continue")  # there is none yet: a new one
    assert turn("two", "--continue") == first
    fork = turn("three", "--continue", "--fork-session", f"--session-id={NEW}")
    assert fork == NEW
    assert [plain(content) for content in prompts_of(server)] == ["one", "two", "three"]


def test_nothing_is_left_of_a_session_that_is_not_to_be_kept(told: Any, tmp_path: Path) -> None:
    passing = tmp_path / "passing"
    passing.mkdir()
    env = {"TMPDIR": str(passing)}
    program, server = told(["One.", "Two."], "--no-session-persistence", prompts=["one", "two"], env=env)
    assert [plain(content) for content in prompts_of(server)] == ["one", "two"]
    home = Path(os.environ["HOME"])
    assert not list(home.rglob("*.jsonl"))
    assert not list(passing.iterdir())
    lost, _ = told([], f"--resume={result(program)['session_id']}", code=1)
    assert "There is no session" in result(lost)["errors"][0]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--session-id=../../x"], "no UUID"),
        ([f"--session-id={NEW}", "--resume=abc"], "needs --fork-session"),
        (["--fork-session"], "nothing to copy"),
        ([f"--resume-session-at={NEW}"], "needs --resume"),
        (["--resume=abc", f"--resume-drops-turn={NEW}"], "needs --resume-session-at"),
        (["--resume="], "needs a session id"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(start: Any, project: Path, flags: list[str], said: str) -> None:
    program = start(None, "--model=playbook", *flags)
    assert program.finish() == 2
    assert said in (project.parent / "stderr").read_text()


@pytest.fixture
def listed(launcher: Path, project: Path) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        done = subprocess.run([launcher, "sessions", *arguments], cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return run


def test_the_list_shows_both_kinds_and_what_is_wrong(told: Any, listed: Any, project: Path) -> None:
    env = dict(os.environ)
    program, _ = told(["One."], prompts=["The first words\nof many"])
    ours = result(program)["session_id"]
    old = write(PARALLEL, project, env)
    os.utime(old, (1_700_000_000, 1_700_000_000))
    broken = write(["{broken"], project, env, session=uid("broken"))
    os.utime(broken, (1_600_000_000, 1_600_000_000))
    child = write([PARALLEL[2] | {"isSidechain": True}], project, env, session=uid("child"))
    rows = listed("--json")
    assert [row["id"] for row in rows] == [ours, SESSION, broken.stem]
    assert [row["kind"] for row in rows] == ["journal", "transcript", "transcript"]
    assert [row["title"] for row in rows] == ["The first words of many", "An old summary", ""]
    assert "no conversation" in rows[2]["problem"]
    assert child.stem not in str(rows)
    journal = next(Path(os.environ["HOME"]).rglob("journal.jsonl"))
    journal.write_text("{cut off")
    (damaged,) = [row for row in listed("--json", "--all") if row["id"] == ours]
    assert damaged["problem"] == "The journal holds no run."
    assert ours in listed()
