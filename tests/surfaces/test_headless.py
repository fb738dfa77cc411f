"""`-p` with text and JSON: each flag of the headless contract through the command line, by what it changes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.surfaces.cli import main
from agent.testing import FakeMessagesServer, Fault, Turn, call, http_error
from agent.testing.script import TurnLike

Json = dict[str, Any]


@dataclass
class Answer:
    """What one command left behind."""

    code: int
    out: str
    err: str
    server: FakeMessagesServer

    @property
    def result(self) -> Json:
        data: Json = json.loads(self.out)
        return data

    def body(self, number: int = -1) -> Json:
        return self.server.requests[number].body

    @property
    def tools(self) -> set[str]:
        return {tool["name"] for tool in self.body(0)["tools"]}

    @property
    def system(self) -> str:
        return "\n".join(block["text"] for block in self.body(0)["system"])


Ask = Callable[..., Answer]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


@pytest.fixture
def ask(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `-p` in the project against a scripted service: `ask(turns, *flags)`."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-key-of-the-suite")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))

    def run(turns: list[TurnLike], *flags: str, prompt: str = "Hi", form: str = "json", clean: bool = True) -> Answer:
        printed = tmp_path / "printed"
        with FakeMessagesServer(turns, seeded="--resume" in flags) as server, printed.open("wb") as file:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
            usual = os.dup(1)
            os.dup2(file.fileno(), 1)
            try:
                code = main(["-p", prompt, "--output-format", form, *flags])
            finally:
                os.dup2(usual, 1)
                os.close(usual)
        if clean:
            server.assert_clean()
        return Answer(code, printed.read_text(), capsys.readouterr().err, server)

    return run


# --- output ---


def test_text_prints_the_answer_alone(ask: Ask) -> None:
    got = ask(["Hello."], form="text")
    assert (got.code, got.out, got.err) == (0, "Hello.\n", "")


def test_json_prints_the_result_object_alone(ask: Ask) -> None:
    got = ask(["Hello."])
    assert got.code == 0
    assert (got.result["type"], got.result["subtype"], got.result["result"]) == ("result", "success", "Hello.")
    assert got.result["modelUsage"]
    assert got.out.count("\n") == 1


def test_verbose_tells_what_is_done(ask: Ask) -> None:
    turns: list[TurnLike] = [["Looking.", call("Glob", pattern="*.py")], "Nothing."]
    assert "Glob *.py" in ask(turns, "--verbose", form="text").err
    kinds = [message["type"] for message in json.loads(ask(turns, "--verbose").out)]
    assert (kinds[0], kinds[-1], "user" in kinds) == ("system", "result", True)
    assert ask(turns, form="text").err == ""


def test_partial_messages_are_stream_events(ask: Ask) -> None:
    stream = [json.loads(line) for line in ask(["Hello."], "--verbose", form="stream-json").out.splitlines()]
    assert "stream_event" not in {message["type"] for message in stream}
    got = ask(["Hello."], "--verbose", "--include-partial-messages", form="stream-json")
    events = [m["event"]["type"] for line in got.out.splitlines() if (m := json.loads(line))["type"] == "stream_event"]
    assert (events[0], events[-1]) == ("message_start", "message_stop")


def test_a_user_message_is_replayed(ask: Ask) -> None:
    got = ask(["Hello."], "--verbose", "--replay-user-messages", form="stream-json")
    replayed = [m for line in got.out.splitlines() if (m := json.loads(line)).get("isReplay")]
    assert [m["message"]["content"] for m in replayed] == ["Hi"]


@pytest.mark.parametrize("flag", ["--include-partial-messages", "--replay-user-messages", "--input-format=stream-json"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_flags_of_the_stream_need_the_stream(flag: str, form: str, ask: Ask) -> None:
    got = ask([], flag, form=form)
    assert (got.code, got.out) == (2, "")
    assert "needs --output-format stream-json" in got.err


# --- limits and models ---


def test_max_turns_ends_the_run(ask: Ask) -> None:
    got = ask([call("Glob", pattern="*")], "--max-turns", "1")
    assert (got.code, got.result["subtype"], got.result["num_turns"]) == (1, "error_max_turns", 1)


def test_max_budget_ends_the_run(ask: Ask) -> None:
    got = ask([call("Glob", pattern="*")], "--max-budget-usd", "0.000001", "--model", "claude-sonnet-5-5")
    assert (got.code, got.result["subtype"]) == (1, "error_max_budget_usd")
    assert got.result["total_cost_usd"] > 0


def test_the_model_is_the_one_that_was_named(ask: Ask) -> None:
    assert ask(["Hello."], "--model", "claude-opus-5-5").body()["model"] == "claude-opus-5-5"


def test_the_fallback_takes_over_from_an_overloaded_model(ask: Ask) -> None:
    turns: list[TurnLike] = [*[http_error(529, headers={"retry-after": "0"})] * 3, "Hello."]
    got = ask(turns, "--model", "claude-opus-5-5", "--fallback-model", "claude-haiku-5-5")
    assert [request.body["model"] for request in got.server.requests][-1] == "claude-haiku-5-5"
    assert got.code == 0


# --- prompts and agents ---


def test_system_prompts(ask: Ask, project: Path) -> None:
    assert "You are a pirate." in (own := ask(["Arr."], "--system-prompt", "You are a pirate.").system)
    assert "DevOps Expert" not in own
    appended = ask(["Arr."], "--append-system-prompt", "Speak like a pirate.").system
    assert "DevOps Expert" in appended
    assert "Speak like a pirate." in appended
    (project / "prompt.md").write_text("From a file.")
    assert "From a file." in ask(["Arr."], "--system-prompt-file=prompt.md").system


def test_agents_of_the_command_line_answer(ask: Ask) -> None:
    agents = json.dumps(
        {"poet": {"description": "d", "prompt": "You rhyme.", "tools": ["Read"], "model": "claude-haiku-5-5"}}
    )
    got = ask(["Roses."], "--agents", agents, "--agent", "poet")
    assert "You rhyme." in got.system
    assert got.tools == {"Read"}
    assert got.body()["model"] == "claude-haiku-5-5"
    assert ask([], "--agent", "nobody").code == 2


# --- tools and permissions ---


def test_tools_limit_what_is_offered(ask: Ask) -> None:
    assert ask(["Hi."], "--tools", "Read,Glob").tools == {"Read", "Glob"}
    assert not ask(["Hi."], "--tools", "").body().get("tools")
    assert {"Bash", "Delegate"} <= ask(["Hi."], "--tools", "default").tools
    assert "Delegate" in ask(["Hi."]).tools
    assert ask([], "--tools", "Telescope").code == 2


def test_disallowed_tools_win_over_what_is_granted(ask: Ask) -> None:
    got = ask(["Hi."], "--disallowedTools", "Bash,Delegate", "AskUserQuestion")
    assert not {"Bash", "Delegate", "AskUserQuestion"} & got.tools
    assert "Read" in got.tools


WRITE = call("Write", file_path="new.txt", content="x")


@pytest.mark.parametrize(
    ("flags", "written"),
    [
        ((), False),
        (("--allowedTools", "Write"), True),
        (("--allowed-tools=Write", "--disallowedTools", "Write(//**/new.txt)"), False),
        (("--permission-mode", "acceptEdits"), True),
        (("--permission-mode=plan",), False),
        (("--dangerously-skip-permissions",), True),
        (("--settings", '{"permissions": {"allow": ["Write"]}}'), True),
        (("--settings", '{"permissions": {"deny": ["Write"]}}', "--permission-mode", "acceptEdits"), False),
    ],
)
def test_rules_and_modes_decide(flags: tuple[str, ...], written: bool, ask: Ask, project: Path) -> None:
    target = str(project / "new.txt")
    got = ask([call("Write", file_path=target, content="x"), "Done."], *flags)
    assert (project / "new.txt").exists() is written
    assert [denial["tool_name"] for denial in got.result["permission_denials"]] == ([] if written else ["Write"])


def test_a_further_directory_may_be_worked_in(ask: Ask, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    turn = call("Write", file_path=str(other / "new.txt"), content="x")
    ask([turn, "Done."], "--permission-mode", "acceptEdits")
    assert not (other / "new.txt").exists()
    ask([turn, "Done."], "--permission-mode", "acceptEdits", "--add-dir", str(other))
    assert (other / "new.txt").exists()


def test_setting_sources_choose_the_files(ask: Ask, project: Path) -> None:
    (project / ".claude").mkdir()
    (project / ".claude" / "settings.json").write_text('{"permissions": {"deny": ["Bash"]}}')
    turns: list[TurnLike] = [call("Bash", command="echo hi"), "Done."]
    assert [d["tool_name"] for d in ask(turns, "--setting-sources=project").result["permission_denials"]] == ["Bash"]
    assert not ask(turns, "--setting-sources=").result["permission_denials"]


# --- sessions ---


def test_a_session_goes_on(ask: Ask) -> None:
    wanted = "11111111-2222-4333-8444-555555555555"
    first = ask(["My name is Ada."], "--session-id", wanted)
    assert first.result["session_id"] == wanted
    for flags in (("--resume", wanted), ("-r", wanted), ("--continue",), ("-c",)):
        later = ask(["Ada."], *flags, prompt="Your name?", clean=False)
        assert later.body()["messages"][1]["content"][0]["text"] == "My name is Ada."
        assert later.result["session_id"] == wanted
    assert ask([], "--session-id", wanted).code == 1


def test_a_session_that_is_not_there_is_told(ask: Ask) -> None:
    got = ask([], "--resume", "00000000-0000-4000-8000-000000000000")
    assert got.code == 1
    assert "expert-devops sessions" in got.result["errors"][0]


# --- structured output ---

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_a_schema_shapes_the_answer(ask: Ask, project: Path) -> None:
    (project / "schema.json").write_text(json.dumps(CITY))
    turns: list[TurnLike] = [call("StructuredOutput", town="Seoul"), call("StructuredOutput", city="Seoul")]
    for value in (json.dumps(CITY), "schema.json"):
        assert ask(turns, "--json-schema", value).result["structured_output"] == {"city": "Seoul"}
    assert json.loads(ask(turns, "--json-schema", "schema.json", form="text").out) == {"city": "Seoul"}


def test_no_object_no_success(ask: Ask) -> None:
    got = ask(["Seoul."] * 6, "--json-schema", json.dumps(CITY))
    assert (got.code, got.result["subtype"]) == (1, "error_max_structured_output_retries")
    got = ask(["Seoul."] * 6, "--json-schema", json.dumps(CITY), form="text")
    assert (got.code, "structured_output" in got.err) == (1, True)


@pytest.mark.parametrize("schema", ['{"type": "objekt"}', "none.json", '{"type":', "[]"])
def test_a_wrong_schema_is_wrong_use(schema: str, ask: Ask) -> None:
    got = ask([], "--json-schema", schema)
    assert (got.code, got.out) == (2, "")
    assert "--json-schema" in got.err


# --- how it ends ---


def test_a_failed_request_is_an_error_in_every_format(ask: Ask) -> None:
    got = ask([http_error(401)], "--model", "claude-sonnet-5-5")
    assert (got.code, got.result["is_error"], got.result["terminal_reason"]) == (1, True, "api_error")
    got = ask([http_error(401)], "--model", "claude-sonnet-5-5", form="text")
    assert (got.code, got.out) == (1, "")
    assert "Failed" in got.err


def test_a_question_nobody_can_answer_is_told_with_how_to_go_on(ask: Ask, project: Path) -> None:
    options = [{"label": name, "description": name} for name in ("railway", "vercel")]
    question = {"question": "Which platform?", "header": "Platform", "options": options}
    turns: list[TurnLike] = [call("AskUserQuestion", questions=[question])]
    got = ask(turns, form="text")
    assert got.code == 1
    assert "Which platform?" in got.err
    assert "expert-devops -p --resume" in got.err
    (project / "answers.yaml").write_text("Platform: vercel")
    assert ask([*turns, "Vercel then."], "--answers", "answers.yaml").code == 0


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--modle", "--model"),
        ("--max-turns=0", "leaves no turn"),
        ("--max-turns=x", "--max-turns"),
        ("--trsut", "--trust"),
    ],
)
def test_typing_errors_are_told(flag: str, said: str, ask: Ask) -> None:
    got = ask([], flag)
    assert (got.code, got.out) == (2, "")
    assert said in got.err


def launched(
    project: Path, server: FakeMessagesServer, *flags: str, stdout: Any = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "agent.surfaces.cli", "-p", "Hi", "--model", "claude-sonnet-5-5", *flags]
    env = {**os.environ, "ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite"}
    return subprocess.Popen(
        command, cwd=project, env=env, stdout=stdout, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )


def wait_for_request(server: FakeMessagesServer, process: subprocess.Popen[bytes]) -> None:
    while not server.requests:
        assert process.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_one_result(number: int, code: int, project: Path) -> None:
    with FakeMessagesServer([Turn(["Slow"], fault=Fault(stall_after=400))]) as server:
        process = launched(project, server, "--output-format=json")
        wait_for_request(server, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert json.loads(out)["status"] == "interrupted"
    assert b"Traceback" not in err


@pytest.mark.slow
def test_output_that_nobody_reads_ends_the_process_quietly(project: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with FakeMessagesServer(["Hello."]) as server:
        process = launched(project, server, stdout=writing)
        _, err = process.communicate(timeout=30)
    os.close(writing)
    assert (process.returncode, err) == (1, b"")


@pytest.mark.slow
def test_a_run_whose_output_nobody_reads_is_no_success(project: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "agent.surfaces.cli", "run", "--print-schema"]
    done = subprocess.run(command, cwd=project, stdout=writing, stderr=subprocess.PIPE, timeout=30)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_told(project: Path) -> None:
    with FakeMessagesServer(["Hello."]) as server, Path("/dev/full").open("wb") as full:
        process = launched(project, server, stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"Standard output cannot be written: No space left on device." in err
    assert b"Traceback" not in err


def test_a_bug_of_ours_still_leaves_one_result(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("agent.surfaces.protocol.session.Session._event", broken)
    got = ask(["Hello."], clean=False)
    assert (got.code, got.result["errors"]) == (1, ["ZeroDivisionError: a bug"])
    assert "Traceback" in got.err


# --- started by an orchestrator ---


def test_requests_leave_and_their_results_are_handed_in(ask: Ask, tmp_path: Path) -> None:
    asked = call("Delegate", to="expert-backend", subject="health", task="Add it.")
    first = ask([[asked], "Asked for it."], "--siblings", "request")
    assert first.code == 0
    assert [(r["to"], r["subject"]) for r in first.result["delegations"]] == [("expert-backend", "health")]
    assert len(first.server.requests) == 2  # no sibling was started

    results = tmp_path / "results.json"
    results.write_text('[{"agent": "expert-backend", "text": "Added in app.py."}]')
    flags = ("--resume", first.result["session_id"], "--delegation-results", str(results))
    second = ask(["Thanks."], "--siblings", "request", *flags, prompt="")
    assert second.code == 0, second.err
    assert "delegations" not in second.result
    said = str(second.body()["messages"][-1]["content"])
    assert "expert-backend, health: completed" in said
    assert "Added in app.py." in said.split("<untrusted-data")[1]

    third = ask([], *flags, prompt="")
    assert third.code == 2
    assert "fits no open request" in f"{third.out}{third.err}"


@pytest.mark.parametrize("text", ["[]", "no list", '[{"agent": 1}]'])
def test_results_that_cannot_be_used_are_said(ask: Ask, tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    got = ask([], "--delegation-results", str(tmp_path / "r.json"))
    assert got.code == 2
    assert "give it with --resume" in got.err
    first = ask(["Hello."])
    got = ask([], "--resume", first.result["session_id"], "--delegation-results", str(tmp_path / "r.json"))
    assert got.code == 2
    assert str(tmp_path / "r.json") in f"{got.out}{got.err}"


@pytest.mark.parametrize("words", [["-v"], ["--version"], ["--model", "opus", "-v"]])
def test_the_version_is_told_wherever_it_is_asked_for(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.split()[0].count(".") == 2


def test_an_unknown_effort_is_refused(ask: Ask) -> None:
    answer = ask([], "--effort", "gigantic")
    assert answer.code == 2
    assert "xhigh" in answer.err


def test_a_further_directory_that_is_not_there_is_told(ask: Ask) -> None:
    answer = ask(["Hi."], "--add-dir", "/no/such/place")
    assert (answer.code, "/no/such/place is no directory" in answer.err) == (0, True)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_fork_goes_on_under_an_id_of_its_own(ask: Ask, form: str) -> None:
    first = ask(["One."]).result["session_id"]
    answer = ask(["Two."], "--resume", first, "--fork-session", form=form)
    assert answer.code == 0
    assert [message["role"] for message in answer.body()["messages"]] == ["user", "assistant", "user"]
    again = ask(["Three."], "--resume", first)
    assert len(again.body()["messages"]) == 3  # the source has not grown
    if form == "json":
        assert answer.result["session_id"] != first
