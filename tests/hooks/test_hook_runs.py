"""Settings files and hook scripts in whole runs: what they change for the model, the tools and the result."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from agent.api import Agent
from agent.events import Event, Notice
from agent.hooks import settings_hooks
from agent.permissions import Rules
from agent.result import Completed, Refused, Result
from agent.settings import Places, load_settings
from agent.testing import ScriptedModel, call
from tools.shell import bash
from tools.tool import Tool, ToolContext, ToolResult, tool

RAN: list[str] = []


@tool("Echo", effects={"reads"})
async def echo(ctx: ToolContext, word: str) -> ToolResult:
    """Say it back."""
    RAN.append(word)
    return ToolResult(word)


def prints(value: Any) -> str:
    return f"printf %s {shlex.quote(json.dumps(value))}"


async def run(tmp_path: Path, hooks: dict[str, Any], model: ScriptedModel, *tools: Tool) -> tuple[list[Event], Result]:
    """A run in a trusted project whose settings file has these hooks: `{event: command or entry}`."""
    RAN.clear()
    entries = {event: {"command": entry} if isinstance(entry, str) else entry for event, entry in hooks.items()}
    events = {event: [{"hooks": [{"type": "command"} | entry]}] for event, entry in entries.items()}
    project = tmp_path / "project"
    (project / ".claude").mkdir(parents=True)
    (project / ".claude" / "settings.json").write_text(json.dumps({"hooks": events}))
    handlers, remarks = settings_hooks(load_settings(Places.find(project, trusted=lambda _directory: True)).hooks)
    assert not remarks
    rules = Rules.parse(allow=["Echo", "Bash"])
    running = Agent(cwd=project, model=model, tools=[echo, *tools], rules=rules, env={}, hooks=handlers).start("go")
    return [event async for event in running], running.result


def sent(model: ScriptedModel, request: int = -1) -> str:
    return json.dumps(model.requests[request].messages[-1], ensure_ascii=False)


async def test_a_guard_holds_a_call_back_and_tells_the_model(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Echo", word="x")], "Done."])
    _, result = await run(tmp_path, {"PreToolUse": "echo 'not on Fridays' >&2; exit 2"}, model)
    assert RAN == []
    assert "not on Fridays" in sent(model)
    assert [denial.reason for denial in result.denials] == ["not on Fridays"]


async def test_a_condition_limits_the_guard(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Echo", word="x")], "Done."])
    await run(tmp_path, {"PreToolUse": {"command": "exit 2", "if": "Bash(rm *)"}}, model)
    assert RAN == ["x"]


async def test_rewritten_input_is_what_runs(tmp_path: Path) -> None:
    answer = {"hookSpecificOutput": {"hookEventName": "PreToolUse", "updatedInput": {"word": "changed"}}}
    model = ScriptedModel([[call("Echo", word="x")], "Done."])
    await run(tmp_path, {"PreToolUse": prints(answer)}, model)
    assert RAN == ["changed"]


async def test_context_output_and_messages_reach_their_readers(tmp_path: Path) -> None:
    specific = {"hookEventName": "PostToolUse", "additionalContext": "mind the gap", "updatedToolOutput": "short"}
    model = ScriptedModel([[call("Echo", word="x")], "Done."])
    answer = {"systemMessage": "for the person", "hookSpecificOutput": specific}
    events, _ = await run(tmp_path, {"PostToolUse": prints(answer)}, model)
    assert "mind the gap" in sent(model)
    assert '"short"' in sent(model)
    assert "for the person" not in sent(model)
    assert "for the person" in [event.text for event in events if isinstance(event, Notice)]


async def test_a_hook_that_says_stop_ends_the_run_before_the_call(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Echo", word="x")]])
    _, result = await run(tmp_path, {"PreToolUse": prints({"continue": False, "stopReason": "enough"})}, model)
    assert RAN == []
    assert result.stop_reason == "hook_stopped"
    model.assert_complete()


async def test_start_and_prompt_hooks_add_context(tmp_path: Path) -> None:
    model = ScriptedModel(["Done."])
    hooks = {"SessionStart": "echo branch main", "UserPromptSubmit": "echo ticket 7"}
    await run(tmp_path, hooks, model)
    assert "branch main" in sent(model)
    assert "ticket 7" in sent(model)


async def test_a_blocked_prompt_never_reaches_the_model(tmp_path: Path) -> None:
    model = ScriptedModel([])
    _, result = await run(tmp_path, {"UserPromptSubmit": "echo 'no secrets please' >&2; exit 2"}, model)
    assert isinstance(result, Refused)
    assert result.reason == "no secrets please"
    assert model.requests == []


async def test_a_stop_hook_sends_the_agent_back_to_work(tmp_path: Path) -> None:
    command = "if [ -e ../done ]; then exit 0; fi; touch ../done; echo 'tests fail' >&2; exit 2"
    model = ScriptedModel(["Done.", "Really done."])
    _, result = await run(tmp_path, {"Stop": command}, model)
    assert isinstance(result, Completed)
    assert result.text == "Really done."
    assert "tests fail" in sent(model)


async def test_a_stop_hook_that_never_agrees_is_overruled(tmp_path: Path) -> None:
    model = ScriptedModel(["Done."] * 9)
    events, result = await run(tmp_path, {"Stop": "echo again >&2; exit 2"}, model)
    assert isinstance(result, Completed)
    assert any("overruled" in event.text for event in events if isinstance(event, Notice))
    model.assert_complete()


async def test_a_broken_hook_is_shown_and_the_run_goes_on(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Echo", word="x")], "Done."])
    events, result = await run(tmp_path, {"PreToolUse": "no-such-program-here"}, model)
    assert isinstance(result, Completed)
    assert RAN == ["x"]
    assert any("failed" in event.text for event in events if isinstance(event, Notice))


async def test_the_end_of_a_session_is_told(tmp_path: Path) -> None:
    model = ScriptedModel(["Done."])
    await run(tmp_path, {"SessionEnd": "cat > ../ended"}, model)
    assert json.loads((tmp_path / "ended").read_text())["reason"] == "other"


async def test_variables_set_at_the_start_reach_shell_commands(tmp_path: Path) -> None:
    model = ScriptedModel([[call("Bash", command="echo stage=$STAGE")], "Done."])
    hooks = {"SessionStart": "echo 'export STAGE=test' >> \"$CLAUDE_ENV_FILE\""}
    await run(tmp_path, hooks, model, bash)
    assert "stage=test" in sent(model)
