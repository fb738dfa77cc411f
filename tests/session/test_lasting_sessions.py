"""What lasts over the turns of one session: it begins and ends once in a process, and the shell stays where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent import Agent
from agent.hooks.config import read_hooks
from agent.permissions import Rules
from agent.result import Completed
from agent.session.sessions import Sessions
from agent.testing import ScriptedModel, call
from tools.shell import bash


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPERT_DEVOPS_HOME", str(tmp_path / "home"))
    (tmp_path / "project" / "sub").mkdir(parents=True)
    return tmp_path / "project"


def make(project: Path, script: list[Any], **more: Any) -> Agent:
    rules = Rules.parse(allow=["Bash"])
    return Agent(cwd=project, model=ScriptedModel(script), tools=[bash], rules=rules, env={}, **more)


def session_hooks(project: Path) -> dict[str, Any]:
    log = project / "log"
    start = f'cat >> {log}; echo >> {log}; echo "export STAGE=blue" >> "$CLAUDE_ENV_FILE"'
    end = f"cat >> {log}; echo >> {log}"
    commands = {"SessionStart": start, "SessionEnd": end}
    hooks = {event: [{"hooks": [{"type": "command", "command": command}]}] for event, command in commands.items()}
    handlers, remarks = read_hooks(hooks, "a test")
    assert not remarks
    return {"hooks": handlers}


def logged(project: Path) -> list[tuple[str, str]]:
    import json

    entries = [json.loads(line) for line in (project / "log").read_text().splitlines()]
    return [(entry["hook_event_name"], entry.get("source") or entry.get("reason")) for entry in entries]


async def test_hooks_on_a_session_run_once_for_all_its_turns(project: Path) -> None:
    model = ScriptedModel(["One.", [call("Bash", command="echo $STAGE")], "Two.", "Three."])
    running = make(project, [], **session_hooks(project))
    running.model, running.sessions = model, Sessions(lasting=True)
    first = await running.run("one")
    await running.run("two", resume=first.session_id)
    assert logged(project) == [("SessionStart", "startup")]
    (result,) = model.requests[-1].messages[-1]["content"]
    assert "blue" in result["content"]  # what the start exported is still there
    await running.sessions.end("clear")
    await running.run("three")
    await running.sessions.end("other")
    expected = [
        ("SessionStart", "startup"),
        ("SessionEnd", "clear"),
        ("SessionStart", "clear"),
        ("SessionEnd", "other"),
    ]
    assert logged(project) == expected


async def test_a_run_alone_begins_and_ends_its_session_itself(project: Path) -> None:
    running = make(project, [], **session_hooks(project))
    running.model = ScriptedModel(["One.", "Two."])
    first = await running.run("one")
    await running.run("two", resume=first.session_id)
    sources = [source for _, source in logged(project)]
    assert sources == ["startup", "other", "resume", "other"]


async def test_a_session_taken_up_in_a_new_process_begins_with_resume(project: Path) -> None:
    first = await make(project, ["One."]).run("one")
    running = make(project, ["Two.", "Three."], **session_hooks(project), sessions=Sessions(lasting=True))
    for prompt in ("two", "three"):
        await running.run(prompt, resume=first.session_id)
    assert logged(project) == [("SessionStart", "resume")]


async def test_the_shell_stays_where_it_was(project: Path) -> None:
    first = await make(project, [[call("Bash", command="cd sub")], "There."]).run("go")
    model = ScriptedModel([[call("Bash", command="pwd")], "Still there."])
    running = make(project, [])
    running.model = model
    result = await running.run("where?", resume=first.session_id)
    assert isinstance(result, Completed)
    (sent,) = model.requests[-1].messages[-1]["content"]
    assert sent["content"].strip() == str(project / "sub")


@pytest.mark.parametrize("gone", ["removed", "outside"])
async def test_a_directory_that_is_no_longer_there_or_outside_is_not_taken_up(project: Path, gone: str) -> None:
    first = await make(project, [[call("Bash", command="cd sub")], "There."]).run("go")
    (kept,) = (project.parent / "home").rglob("carried.json")
    if gone == "removed":
        (project / "sub").rmdir()
    else:
        kept.write_text('{"cwd": "/"}')
    model = ScriptedModel([[call("Bash", command="pwd")], "Here."])
    running = make(project, [])
    running.model = model
    await running.run("where?", resume=first.session_id)
    (sent,) = model.requests[-1].messages[-1]["content"]
    assert sent["content"].strip() == str(project)
