"""The log in JSON: every event a line on standard error, secrets redacted, whatever the command."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.permissions import Rules
from agent.surfaces.cli import main, take_log_format
from agent.telemetry.observers import JsonLog, observers
from agent.testing import ScriptedModel, call
from tools.secrets import Redactor
from tools.tool import ToolContext, ToolResult, tool


@tool("Echo", effects={"reads"})
async def echo(ctx: ToolContext, word: str) -> ToolResult:
    """Say it back."""
    return ToolResult(word)


async def logged(tmp_path: Path, turns: list[Any], redactor: Redactor | None = None) -> list[dict[str, Any]]:
    out = io.StringIO()
    log = JsonLog(out, redactor or Redactor())
    rules = Rules.parse(allow=["Echo"])
    await Agent(cwd=tmp_path, model=ScriptedModel(turns), tools=[echo], rules=rules, env={}, readers=[log]).run("go")
    return [json.loads(line) for line in out.getvalue().splitlines()]


async def test_every_event_is_a_line_in_order(tmp_path: Path) -> None:
    lines = await logged(tmp_path, [[call("Echo", word="a")], "Done."])
    events = [line["event"] for line in lines]
    assert (events[0], events[-1]) == ("run_started", "run_finished")
    assert [name for name in events if name.startswith("tool")] == ["tool_started", "tool_finished"]
    assert "model_event" not in events
    assert len({line["session_id"] for line in lines}) == 1
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    assert {line["level"] for line in lines} == {"info"}
    assert "prefix" not in lines[0]
    assert lines[-1]["status"] == "completed"


async def test_secrets_are_not_logged(tmp_path: Path) -> None:
    redactor = Redactor(["hunter2-hunter2"])
    lines = await logged(tmp_path, [[call("Echo", word="hunter2-hunter2")], "It is hunter2-hunter2."], redactor)
    shown = json.dumps(lines)
    assert "hunter2" not in shown
    assert "[redacted]" in shown


async def test_a_log_that_cannot_be_written_does_not_end_the_run(tmp_path: Path) -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    log = JsonLog(Broken(), Redactor())
    agent = Agent(cwd=tmp_path, model=ScriptedModel(["Done."]), tools=[echo], env={}, readers=[log])
    assert (await agent.run("go")).status == "completed"


def test_an_unknown_format_is_told() -> None:
    readers, problems = observers({"EXPERT_DEVOPS_LOG_FORMAT": "xml"}, Redactor())
    assert readers == []
    assert "xml" in problems[0]


@pytest.mark.parametrize(
    ("words", "rest", "chosen"),
    [
        (["run", "--log-format", "json", "-C", "x"], ["run", "-C", "x"], "json"),
        (["--log-format=json", "-p", "hi"], ["-p", "hi"], "json"),
        (["-p", "--", "--log-format", "json"], ["-p", "--", "--log-format", "json"], None),
        (["-p", "hi", "--log-format"], ["-p", "hi"], ""),
    ],
)
def test_the_flag_is_taken_from_anywhere(words: list[str], rest: list[str], chosen: str | None) -> None:
    assert take_log_format(words) == (rest, chosen)


def test_a_wrong_flag_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "--log-format", "xml"]) == 2
    assert "'xml' is not known" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("words", [["run"], ["-p", "Hello."]])
def test_a_whole_command_logs_nothing_but_json(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "SPEC.md").write_text("# Shop\n\nDeploy to Railway.\n")
    command = [sys.executable, "-m", "agent.surfaces.cli", *words, "-C", str(tmp_path), "--model", "playbook"]
    done = subprocess.run([*command, "--log-format", "json"], capture_output=True, text=True, env=os.environ)
    lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
    assert json.loads(lines[0])["event"] == "run_started"
    assert json.loads(lines[-1])["event"] == "run_finished"
    assert not any(line.startswith("  ") for line in done.stderr.splitlines()[: len(lines)])
