"""Decisions are kept in the journal and shown by `permissions log`; `explain --batch` reads lines as JSON has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.api import Agent
from agent.askers import Headless
from agent.permissions import Rules
from agent.surfaces.cli import main
from agent.testing import ScriptedModel, call
from tests.people import Yes


async def session_of(project: Path, commands: Sequence[str], asker: Headless) -> str:
    model = ScriptedModel([*([call("Bash", command=command)] for command in commands), "Done."])
    rules = Rules.parse(allow=["Bash(true:*)"], deny=["Bash(rm:*)"], source="user settings")
    run = Agent(cwd=project, model=model, rules=rules, env={}, asker=asker, sandbox=False).start("go")
    async for _ in run:
        pass
    return run.result.session_id


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERT_DEVOPS_HOME", str(tmp_path / "state"))


async def test_every_decision_is_listed_with_rule_mode_class_and_who_settled_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person = Yes()
    session = await session_of(tmp_path, ["true x", "rm -r y", "terraform apply \x1b[2J || true"], person)
    assert main(["permissions", "log", session, "-C", str(tmp_path), "--json"]) == 0
    allowed, denied, asked = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    assert (allowed["behavior"], allowed["by"], allowed["mode"]) == ("allow", "rule", "default")
    assert (allowed["rule"], allowed["source"]) == ("Bash(true:*)", "user settings")
    assert (denied["behavior"], denied["rule"]) == ("deny", "Bash(rm:*)")
    assert (asked["behavior"], asked["by"], asked["decision"]) == ("allow", "person", "ask")
    assert asked["command_class"] == "change"
    assert len({each["input_digest"] for each in (allowed, denied, asked)}) == 3
    assert "Class of this command: change" in person.asked[0].reason

    assert main(["permissions", "log", session[:8], "-C", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "deny  by rule   Bash  mode=default rule=Bash(rm:*) (user settings)" in shown
    assert "class=change" in shown
    assert "\x1b" not in shown


async def test_nobody_is_no_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = await session_of(tmp_path, ["make"], Headless())
    assert main(["permissions", "log", session, "-C", str(tmp_path), "--json"]) == 0
    [event] = [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    assert (event["behavior"], event["by"], event["decision"]) == ("deny", "nobody", "ask")


@pytest.mark.parametrize("arguments", [["permissions", "log"], ["permissions", "log", "no-such-session"]])
def test_a_missing_session_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "expert-devops sessions" in capsys.readouterr().err


def test_batch_lines_end_at_line_feeds_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON may hold U+2028, U+0085 and their like unescaped; `str.splitlines` would cut there."""
    cases = tmp_path / "cases.jsonl"
    line = {"id": "a\u2028b\u0085c", "tool": "Bash", "input": {"command": "ls"}, "cwd": str(tmp_path)}
    cases.write_text(json.dumps(line, ensure_ascii=False) + "\r\n" + json.dumps({**line, "id": 2}) + "\n", "utf-8")
    assert main(["permissions", "explain", "--batch", str(cases)]) == 0
    answers = [json.loads(answer) for answer in capsys.readouterr().out.split("\n") if answer]
    assert [(answer["id"], answer["decision"]) for answer in answers] == [(line["id"], "allow"), (2, "allow")]
