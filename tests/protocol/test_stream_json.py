"""The command line spoken to in lines: what a host of any language sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent.testing import Fault, Turn, call, http_error

SEVEN = {"subtype", "is_error", "duration_ms", "duration_api_ms", "num_turns", "session_id", "type"}
INIT = {
    *("apiKeySource", "claude_code_version", "cwd", "tools", "mcp_servers", "model", "permissionMode"),
    *("slash_commands", "output_style", "skills", "plugins", "uuid", "session_id"),
}


def test_one_turn_has_init_messages_and_one_result(start: Any, served: Any) -> None:
    program = start(served(["Hello."]), "--model=claude-sonnet-5-5", "--unheard-of=x", "--also-unheard", "word")
    program.user("Hi", uuid="11111111-0000-4000-8000-000000000001", origin={"kind": "human"})
    assert program.finish() == 0

    assert program.kinds() == ["system/init", "assistant", "result/success"]
    init, assistant, result = program.seen
    assert set(init) >= INIT
    assert any("--unheard-of" in notice for notice in init["notices"])
    assert assistant["message"]["content"] == [{"type": "text", "text": "Hello."}]
    assert assistant["message"]["stop_reason"] == "end_turn"
    assert assistant["request_id"] == "req_0001"
    assert set(result) >= SEVEN
    assert (result["origin"], result["user_message_uuid"]) == (
        {"kind": "human"},
        "11111111-0000-4000-8000-000000000001",
    )
    assert len({frame["uuid"] for frame in program.seen}) == 3
    assert not (Path(init["cwd"]).parent / "stderr").read_text()


@pytest.mark.slow
def test_without_frames_the_prompt_is_an_argument_or_stdin(start: Any, served: Any) -> None:
    server = served(["Hello.", "Hello again."])
    program = start(server, "--model", "claude-sonnet-5-5", "-p", "Hi there", frames=False)
    assert program.finish() == 0
    assert program.kinds() == ["system/init", "assistant", "result/success"]

    program = start(server, "--model", "claude-sonnet-5-5", "-p", frames=False)
    program.send(b"Hi from stdin")
    assert program.finish() == 0
    said = [request.body["messages"][0]["content"] for request in server.requests]
    assert [str(text).strip() for text in said] == ["Hi there", "Hi from stdin"]


def test_a_prompt_may_hold_images_and_a_broken_one_costs_one_turn(start: Any, served: Any) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": pixel}}
    text = {"type": "text", "text": "/clear what?"}
    server = served(["A dot."])
    program = start(server, "--model=claude-sonnet-5-5", "--replay-user-messages")
    program.send({"type": "user", "message": {"role": "user", "content": [{"type": "image", "source": {}}, text]}})
    assert "Block 1 of the prompt" in program.until("result")["errors"][0]
    program.send({"type": "user", "message": {"role": "user", "content": [image, text]}})
    result = program.until("result")
    assert (program.finish(), result["result"]) == (0, "A dot.")
    (request,) = server.requests
    assert [block["type"] for block in request.body["messages"][0]["content"]] == ["image", "text"]
    (replayed,) = (frame for frame in program.seen if frame.get("isReplay"))
    assert replayed["message"]["content"] == [image, text]


def test_initialize_is_answered_before_a_prompt_and_only_then(start: Any) -> None:
    program = start(None, "--model=playbook")
    answer = program.control("initialize", hooks=None)
    assert answer["subtype"] == "success"
    assert {"commands", "agents", "models", "output_style", "account"} <= set(answer["response"])
    program.user("Hello")
    program.until("result")
    assert "before the first prompt" in program.control("initialize")["error"]
    assert program.finish() == 0


def test_a_line_nested_too_deeply_is_told_like_any_other_bad_one(start: Any, served: Any) -> None:
    program = start(served(["Hi."]), "--model=claude-sonnet-5-5")
    program.send(b"[" * 100_000 + b"]" * 100_000)
    assert "ignored" in program.until("system/informational")["content"]
    program.user("Hi")
    assert program.until("result")["result"] == "Hi."
    assert program.finish() == 0


def test_unknown_requests_and_frames_are_answered_or_told(start: Any) -> None:
    program = start(None, "--model=playbook")
    assert program.control("make_coffee")["error"] == "The control request 'make_coffee' is not supported."
    assert program.control("set_permission_mode", mode="sometimes")["subtype"] == "error"
    assert program.control("set_max_thinking_tokens", max_thinking_tokens="many")["subtype"] == "error"
    assert program.control("set_max_thinking_tokens", max_thinking_tokens=0)["subtype"] == "success"
    assert program.control("mcp_status")["response"] == {"mcpServers": []}
    assert program.control("rewind_files", user_message_id="x")["response"]["canRewind"] is False
    assert program.control("interrupt")["subtype"] == "success"
    assert program.control("get_context_usage")["response"]["totalTokens"] == 0
    program.send({"type": "keep_alive"})
    program.send(b"{not json")
    assert "no JSON object" in program.until("system/informational")["content"]
    program.send({"type": "telegram"})
    assert "telegram" in program.until("system/informational")["content"]
    program.send({"type": "user", "message": {"role": "user"}})
    assert "message.content" in program.until("result")["errors"][0]
    program.user("Hello")
    assert program.until("result")["is_error"] is False
    assert program.finish() == 0


def test_hooks_of_another_shape_are_refused(start: Any) -> None:
    program = start(None, "--model=playbook")
    assert "hookCallbackIds" in program.control("initialize", hooks={"PreToolUse": [{"matcher": "Bash"}]})["error"]
    guard = {"matcher": None, "hookCallbackIds": ["a"], "onFailure": "block"}
    assert "never fired" in program.control("initialize", hooks={"FullMoon": [guard]})["error"]


def test_user_frames_queue_and_an_interrupt_can_drop_them(start: Any, served: Any) -> None:
    program = start(served([Turn(["Slow"], fault=Fault(stall_after=400))], check=False), "--model=claude-sonnet-5-5")
    program.user("One")
    program.until("system/init")
    program.user("Two", uuid="two")
    answer = program.control("interrupt", cancel_queued=True)
    assert answer["response"] == {"still_queued": [], "cancelled": ["two"]}
    assert program.finish() == 1
    assert program.kinds().count("result/error_during_execution") == 1


def test_a_frame_that_is_not_to_be_answered_is_kept_for_the_next(start: Any, served: Any) -> None:
    server = served(["Noted."])
    program = start(server, "--model=claude-sonnet-5-5")
    program.user("The region is Seoul.", shouldQuery=False)
    program.user("Which region?")
    assert program.finish() == 0
    assert program.kinds().count("result/success") == 1
    assert server.requests[0].body["messages"][0]["content"] == "The region is Seoul.\n\nWhich region?"


def test_user_messages_are_echoed_when_asked_for(start: Any, served: Any) -> None:
    program = start(served(["Hello."]), "--model=claude-sonnet-5-5", "--replay-user-messages")
    program.user("Hi")
    program.finish()
    echoed = [frame for frame in program.seen if frame["type"] == "user"]
    assert [(frame["isReplay"], frame["message"]["content"]) for frame in echoed] == [(True, "Hi")]


def test_an_abandoned_permission_request_is_cancelled(start: Any, served: Any) -> None:
    server = served([[call("Bash", command="touch x")]])
    program = start(server, "--model=claude-sonnet-5-5", "--permission-prompt-tool", "stdio")
    program.user("Touch it.")
    request = program.until("control_request/can_use_tool")
    assert program.kinds()[:2] == ["system/init", "assistant"]
    program.control("interrupt")
    program.until(lambda frame: frame["type"] in {"control_cancel_request", "result"})
    program.finish()
    cancelled = [frame for frame in program.seen if frame["type"] == "control_cancel_request"]
    assert [frame["request_id"] for frame in cancelled] == [request["request_id"]]


def test_a_permission_nobody_can_give_any_more_is_denied(start: Any, served: Any, project: Path) -> None:
    server = served([[call("Bash", command="touch x")], "I could not."])
    program = start(server, "--model=claude-sonnet-5-5", "--permission-prompt-tool", "stdio")
    program.user("Touch it.")
    program.until("control_request/can_use_tool")
    assert program.finish() == 0
    assert "closed its input" in str(program.seen)
    assert not (project / "x").exists()


@pytest.mark.slow
@pytest.mark.parametrize("answer", [{}, {"behavior": "perhaps"}, {"behavior": "allow", "updatedInput": "rm"}])
def test_an_answer_that_says_nothing_denies(start: Any, served: Any, project: Path, answer: dict[str, Any]) -> None:
    server = served([[call("Bash", command="touch x")], "I could not."])
    program = start(server, "--model=claude-sonnet-5-5", "--permission-prompt-tool", "stdio")
    program.user("Touch it.")
    program.reply(program.until("control_request/can_use_tool"), answer)
    program.until("result")
    program.finish()
    assert not (project / "x").exists()


@pytest.mark.slow
def test_a_mode_locked_at_start_stays_locked(start: Any) -> None:
    locked = start(None, "--model=playbook")
    assert "locked" in locked.control("set_permission_mode", mode="bypassPermissions")["error"]
    free = start(None, "--model=playbook", "--allow-dangerously-skip-permissions")
    assert free.control("set_permission_mode", mode="bypassPermissions")["subtype"] == "success"


@pytest.mark.slow
def test_a_prompt_tool_answers_in_the_hosts_place(start: Any, served: Any, project: Path) -> None:
    """The tool lives in an in-process server, spoken to in JSON-RPC."""
    server = served([[call("Bash", command="touch x")], "Done."])
    config = json.dumps({"mcpServers": {"desk": {"type": "sdk", "name": "desk"}, "far": {"command": "far"}}})
    flags = ("--mcp-config", config, "--permission-prompt-tool", "mcp__desk__approve", "--allowedTools", "mcp__desk")
    program = start(server, "--model=claude-sonnet-5-5", *flags)
    program.user("Touch it.")
    tool = {"name": "approve", "description": "Approves", "inputSchema": {"type": "object"}}
    asked = []
    results = {
        "initialize": {"protocolVersion": "2025-06-18", "serverInfo": {"name": "desk", "version": "1"}},
        "tools/list": {"tools": [tool, {"name": "odd", "inputSchema": {"type": "array"}}]},
        "tools/call": {"content": [{"type": "text", "text": '{"behavior": "allow"}'}]},
    }
    while (frame := program.until(lambda f: f["type"] in {"control_request", "result"}))["type"] != "result":
        message = frame["request"]["message"]
        asked.append(message["method"])
        answer = {"jsonrpc": "2.0", "id": message.get("id"), "result": results.get(message["method"], {})}
        program.reply(frame, {"mcp_response": answer})
    assert asked == ["initialize", "notifications/initialized", "tools/list", "tools/call"]
    assert (project / "x").exists()
    status = {each["name"]: each["status"] for each in program.control("mcp_status")["response"]["mcpServers"]}
    assert status == {"desk": "connected", "far": "failed"}
    program.finish()
    init = next(frame for frame in program.seen if frame.get("subtype") == "init")
    assert [name for name in init["tools"] if name.startswith("mcp__desk")] == ["mcp__desk__approve"]


@pytest.mark.slow
def test_a_missing_prompt_tool_is_told_with_those_there_are(start: Any) -> None:
    program = start(None, "--model=playbook", "--permission-prompt-tool", "mcp__a__b")
    program.user("Hello")
    assert "MCP tools here: none" in program.until("result")["errors"][0]
    assert program.finish() == 2


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_turn_with_its_result(
    start: Any, served: Any, project: Path, number: signal.Signals, code: int
) -> None:
    server = served([[call("Bash", command="touch begun; sleep 600")]])
    program = start(server, "--model=claude-sonnet-5-5", "--allowedTools=Bash")
    program.user("Sleep.")
    program.user("Never.")
    deadline = time.monotonic() + 20
    while not (project / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    program.process.send_signal(number)
    assert program.process.wait(10) == code
    program.until("result")
    assert program.kinds().count("result/error_during_execution") == 1


def test_a_signal_between_turns_ends_the_process(start: Any) -> None:
    program = start(None, "--model=playbook")
    program.control("initialize")
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(10) == 143


def test_a_failed_last_turn_is_exit_code_1(start: Any, served: Any) -> None:
    server = served([http_error(401, "invalid x-api-key"), "Hello."])
    program = start(server, "--model=claude-sonnet-5-5")
    program.user("Hi")
    first = program.until("result")
    assert (first["subtype"], first["is_error"], first["terminal_reason"]) == ("success", True, "api_error")
    assert first["result"].startswith("API Error: ")
    program.user("Hi")
    assert program.finish() == 0

    program = start(served([http_error(401, "invalid x-api-key")]), "--model=claude-sonnet-5-5")
    program.user("Hi")
    assert program.finish() == 1


def test_a_model_that_cannot_be_used_is_told(start: Any) -> None:
    program = start(None, "--model=claude-opus-5-5")
    program.user("Hi")
    result = program.until("result")
    assert "ANTHROPIC_API_KEY" in result["errors"][0]
    assert program.control("set_model", model="playbook")["subtype"] == "success"
    program.user("Hi")
    assert program.until("result")["is_error"] is False
    assert program.finish() == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--output-format", "stream-json", "-p", "x"], "--verbose"),
        (["--output-format=stream-json", "--verbose", "--input-format=xml"], "--input-format"),
        (["--output-format", "json", "--input-format", "stream-json"], "--output-format stream-json"),
        (["--output-format=stream-json", "--verbose", "--input-format=stream-json", "--max-turns=few"], "--max-turns"),
        (["--output-format=stream-json", "--verbose", "--input-format=stream-json", "--permission-mode=x"], "none of"),
        (
            ["--output-format=stream-json", "--verbose", "--input-format=stream-json", "--disallowedTools=Bash("],
            "Bash(",
        ),
        (["--output-format=stream-json", "--verbose", "-p", "--resume"], "session id"),
    ],
)
def test_wrong_flags_are_one_line_and_exit_code_2(launcher: Path, project: Path, flags: list[str], said: str) -> None:
    done = subprocess.run([launcher, *flags], cwd=project, input="", capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_a_line_is_never_longer_than_hosts_read(start: Any, served: Any, project: Path) -> None:
    """`until` checks each line; what was left out is in the file that is named."""
    (project / "big.txt").write_text("끝\n" * 400_000, encoding="utf-8")
    server = served([[call("Write", file_path=str(project / "new.txt"), content="x" * 1_500_000)], "Done."])
    program = start(server, "--model=claude-sonnet-5-5", "--permission-mode=acceptEdits")
    program.user("Write it.")
    program.until("result")
    program.finish()
    assert (project / "new.txt").stat().st_size == 1_500_000
    shown = next(frame for frame in program.seen if frame["type"] == "assistant")["message"]["content"][0]["input"]
    path = shown["content"].rsplit(" ", 1)[-1].rstrip("]")
    assert Path(path).read_text() == "x" * 1_500_000
    assert Path(path).stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_an_input_too_long_to_be_shown_is_not_approved(start: Any, served: Any, project: Path) -> None:
    server = served([[call("Write", file_path=str(project / "new.txt"), content="x" * 1_500_000)], "Too long."])
    program = start(server, "--model=claude-sonnet-5-5", "--permission-prompt-tool=stdio")
    program.user("Write it.")
    program.until("result")
    program.finish()
    assert "control_request/can_use_tool" not in program.kinds()
    assert not (project / "new.txt").exists()


@pytest.mark.slow
def test_secrets_of_the_environment_are_not_shown(start: Any, served: Any) -> None:
    server = served([[call("Bash", command="echo the-key-$((1)) && cat secret.txt")], "It is hunter2-hunter2."])
    program = start(server, "--model=claude-sonnet-5-5", env={"DB_PASSWORD": "hunter2-hunter2"})
    program.user("What is hunter2-hunter2?")
    program.finish()
    assert "hunter2-hunter2" not in json.dumps(program.seen)


def test_stray_prints_cannot_break_a_line(tmp_path: Path, project: Path) -> None:
    script = (
        "import sys, os\nimport agent.surfaces.protocol.session as s\n"
        "before = s.Session.turn\n"
        "async def turn(self, frame):\n    print('stray')\n    os.system('echo stray')\n    await before(self, frame)\n"
        "s.Session.turn = turn\n"
        "from agent.surfaces.cli import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", script, "-p", "hi", "--output-format=stream-json", "--verbose", "--model=playbook"]
    done = subprocess.run(command, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert all(json.loads(line) for line in done.stdout.splitlines())
    assert done.stderr.count("stray") == 2


def test_a_host_that_is_gone_ends_the_process(launcher: Path, project: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [str(launcher), "-p", "hi", "--output-format=stream-json", "--verbose", "--model=playbook"]
    done = subprocess.run(
        command, cwd=project, stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE, timeout=60
    )
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.slow
def test_clear_begins_a_new_conversation(start: Any, served: Any) -> None:
    server = served(["One.", "Two."])
    program = start(server, "--model=claude-sonnet-5-5")
    program.user("Hi")
    old = program.until("result")["session_id"]
    program.user("/clear")
    reset = program.until("conversation_reset")
    cleared = program.until("result")
    assert reset["session_id"] == old
    assert cleared["session_id"] == reset["new_conversation_id"] != old
    program.user("Hi again")
    assert program.until("result")["session_id"] == cleared["session_id"]
    assert len(server.requests[1].body["messages"]) == 1
    program.finish()


def test_questions_nobody_can_answer_are_the_result(start: Any, served: Any) -> None:
    options = [{"label": "Railway"}, {"label": "Vercel"}]
    question = {"question": "Which platform?", "header": "Platform", "options": options}
    program = start(served([[call("AskUserQuestion", questions=[question])]]), "--model=claude-sonnet-5-5")
    program.user("Deploy.")
    assert program.finish() == 1
    result = program.seen[-1]
    assert (result["subtype"], result["status"]) == ("error_during_execution", "needs_input")
    assert result["questions"][0]["question"] == "Which platform?"
    assert "Which platform?" in result["errors"][0]


# --- settings and what else is found ---


@pytest.mark.slow
def test_settings_passed_on_the_command_line_count(start: Any, served: Any, project: Path) -> None:
    settings = json.dumps({"permissions": {"deny": ["Bash(touch *)"]}, "model": "claude-haiku-5-5"})
    server = served([[call("Bash", command="touch x")], "Denied."])
    program = start(server, "--settings", settings, "--allowedTools=Bash")
    program.user("Touch it.")
    assert program.finish() == 0
    assert not (project / "x").exists()
    assert server.requests[0].body["model"] == "claude-haiku-5-5"


@pytest.mark.slow
def test_a_host_that_names_sources_vouches_for_the_project(start: Any, served: Any, project: Path) -> None:
    (project / ".claude" / "agents").mkdir(parents=True)
    (project / ".claude" / "agents" / "pilot.md").write_text("---\nname: pilot\ndescription: Flies\n---\nYou fly.\n")
    (project / "CLAUDE.md").write_text("Answer in rhymes.\n")
    server = served(["A rhyme.", "A rhyme.", "I fly."])
    seen = {}
    for name, flags in {"": [], "vouched": ["--setting-sources=project"], "pilot": ["--agent", "pilot"]}.items():
        sources = ["--setting-sources=project"] if name == "pilot" else []
        program = start(server, "--model=claude-sonnet-5-5", *flags, *sources)
        program.user("Hi")
        assert program.finish() == 0
        seen[name] = program.seen[0]
    assert "pilot" in seen["vouched"]["agents"]
    assert "pilot" not in seen[""]["agents"]
    assert "Answer in rhymes." in str(server.requests[1].body["system"])
    assert "You fly." in str(server.requests[2].body["system"])
    assert seen["pilot"]["agent"] == "pilot"


@pytest.mark.slow
def test_further_directories_are_worked_in(start: Any, served: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    server = served([[call("Write", file_path=str(other / "a.txt"), content="a")], "Done."])
    program = start(server, "--model=claude-sonnet-5-5", "--permission-mode=acceptEdits", "--add-dir", str(other))
    program.user("Write it.")
    assert program.finish() == 0
    assert (other / "a.txt").read_text() == "a"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--settings", "{broken"], "settings"),
        (["--setting-sources=galaxy"], "galaxy"),
        (["--agents", "[1]"], "--agents"),
        (["--agent", "nobody"], "nobody"),
        (["--system-prompt-file", "/nowhere"], "/nowhere"),
    ],
)
def test_configuration_that_cannot_be_used_is_told(start: Any, flags: list[str], said: str) -> None:
    program = start(None, "--model=playbook", *flags)
    program.user("Hi")
    assert said in program.until("result")["errors"][0]
    assert program.finish() == 2


def test_a_file_read_in_one_turn_may_be_edited_in_the_next(start: Any, served: Any, project: Path) -> None:
    path = project / "a.txt"
    path.write_text("one\n")
    edit = call("Edit", file_path=str(path), old_string="one", new_string="two")
    server = served([[call("Read", file_path=str(path))], "Read.", [edit], "Edited."])
    program = start(server, "--model=claude-sonnet-5-5", "--permission-mode=acceptEdits")
    program.user("Read it.")
    program.until("result")
    program.user("Edit it.")
    program.finish()
    assert path.read_text() == "two\n"


@pytest.mark.slow
def test_hooks_on_a_session_run_once_however_many_turns(start: Any, served: Any, project: Path) -> None:
    log = project / "log"
    hook = [{"hooks": [{"type": "command", "command": f"cat >> {log}; echo >> {log}"}]}]
    settings = json.dumps({"hooks": {"SessionStart": hook, "SessionEnd": hook}})
    program = start(served(["One.", "Two.", "Three."]), "--model=claude-sonnet-5-5", f"--settings={settings}")
    for prompt in ("One", "Two", "/clear", "Three"):
        program.user(prompt)
        program.until("result")
    assert program.finish() == 0
    ran = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry.get("source") or entry.get("reason") for entry in ran] == ["startup", "clear", "clear", "other"]
    first, second = [entry["session_id"] for entry in ran[1:3]]
    assert first != second


CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "size": {"enum": ["small", "large"]}},
    "required": ["city", "size"],
}
SEOUL = {"city": "Seoul", "size": "large"}


def test_a_schema_of_the_flag_or_of_the_host_gives_a_structured_result(start: Any, served: Any) -> None:
    server = served([call("StructuredOutput", city="Seoul", size="huge"), call("StructuredOutput", **SEOUL)] * 2)
    program = start(server, "--model=claude-sonnet-5-5", "--json-schema", json.dumps(CITY))
    program.user("Which city?")
    assert program.finish() == 0
    result = program.seen[-1]
    assert (result["subtype"], result["structured_output"]) == ("success", SEOUL)
    assert "'huge' is not one of" in str(server.requests[1].body["messages"][-1]["content"])

    program = start(server, "--model=claude-sonnet-5-5")
    assert program.control("initialize", jsonSchema=CITY)["subtype"] == "success"
    program.user("Which city?")
    assert program.until("result")["structured_output"] == SEOUL


def test_without_the_object_there_is_no_success(start: Any, served: Any) -> None:
    program = start(served(["Seoul."] * 6), "--model=claude-sonnet-5-5", "--json-schema", json.dumps(CITY))
    program.user("Which city?")
    assert program.finish() == 1
    result = program.seen[-1]
    assert result["subtype"] == "error_max_structured_output_retries"
    assert result["terminal_reason"] == "structured_output_retry_exhausted"
    assert "structured_output" not in result
    assert "6 attempts" in result["errors"][0]


def test_a_schema_that_is_none_is_refused_before_anything_runs(start: Any) -> None:
    program = start(None, "--model=playbook", "--json-schema", '{"type": "objekt"}')
    assert program.finish() != 0
    assert program.seen == []
    program = start(None, "--model=playbook")
    assert "objekt" in program.control("initialize", jsonSchema={"type": "objekt"})["error"]


@pytest.mark.slow
def test_compact_by_command_is_announced_and_the_conversation_goes_on(start: Any, served: Any) -> None:
    server = served(["Noted.", [call("Read", file_path="x")], "The region is Seoul.", "Seoul."])
    program = start(server, "--model=claude-haiku-4-5")
    program.user("/compact")
    assert "no conversation" in program.until("result")["errors"][0]
    program.user("The region is Seoul.")
    program.until("result")
    program.user("/compact")
    assert "no summary" in program.until("result")["errors"][0]
    program.user("/compact keep the region")
    result = program.until("result")
    assert (result["subtype"], result["is_error"]) == ("success", False)
    statuses = [frame for frame in program.seen if frame.get("subtype") == "status"]
    assert [frame["status"] for frame in statuses] == ["compacting", None] * 2
    assert [frame["compact_result"] for frame in statuses[1::2]] == ["failed", "success"]
    boundary = next(frame for frame in program.seen if frame.get("subtype") == "compact_boundary")
    assert boundary["compact_metadata"]["trigger"] == "manual"
    assert boundary["compact_metadata"]["pre_tokens"] > 0
    usage = program.control("get_context_usage")["response"]
    assert usage["isAutoCompactEnabled"] is True
    assert usage["totalTokens"] == boundary["compact_metadata"]["post_tokens"]
    program.user("Which region?")
    program.until("result")
    assert program.finish() == 0
    assert "keep the region" in str(server.requests[2].body["messages"][-1])
    first, last = server.requests[3].body["messages"]
    assert "The region is Seoul." in str(first)
    assert "Which region?" in str(last)
