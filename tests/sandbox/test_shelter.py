"""What commands reach beyond the workspace: added directories, a way out that a person permits, deploy secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.calls.shelter import Shelter
from agent.events import Event, Notice, PermissionDecided, RunStarted, ToolFinished
from agent.permissions import Rules
from agent.session.sessions import Sessions
from agent.settings import Places, Settings, load_settings
from agent.testing import ScriptedModel, call
from tests.people import Yes

TOKEN = "tok-5d1c9f0e7a-deploy"
DEPLOY = {"Bash(./vercel deploy:*)": ["VERCEL_AUTH", "VERCEL_ORG"]}


def a_program(project: Path) -> None:
    program = project / "vercel"
    program.write_text(
        '#!/bin/sh\n[ -n "$VERCEL_AUTH" ] && echo token=$VERCEL_AUTH length=${#VERCEL_AUTH} || echo none\n'
    )
    program.chmod(0o755)


async def events_of(agent: Agent) -> list[Event]:
    run = agent.start("go")
    return [event async for event in run]


def an_agent(project: Path, commands: Sequence[Mapping[str, Any]], **more: Any) -> Agent:
    model = ScriptedModel([*([call("Bash", **command)] for command in commands), "Done."])
    defaults: dict[str, Any] = {"rules": Rules.parse(allow=["Bash"]), "sandbox": False, "env": {"VERCEL_AUTH": TOKEN}}
    return Agent(cwd=project, model=model, sessions=Sessions(store=project.parent / "store"), **(defaults | more))


def outputs(events: Sequence[Event]) -> list[str]:
    return [str(event.block["content"]) for event in events if isinstance(event, ToolFinished)]


async def test_a_secret_goes_to_the_command_it_was_named_for_and_to_no_other(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    a_program(project)
    commands = [
        "./vercel deploy --prod",
        "./vercel login",
        "env",
        "./vercel deploy | cat",
        "./vercel deploy; env",
        "./vercel deploy > out.txt; cat out.txt",
        "X=1 ./vercel deploy",
        "bash -c './vercel deploy'",
        './vercel deploy "$(cat vercel)"',
    ]
    agent = an_agent(project, [{"command": text} for text in commands], shelter=Shelter(secrets=DEPLOY))
    events = await events_of(agent)
    first, *others = outputs(events)
    assert f"length={len(TOKEN)}" in first
    assert TOKEN not in first
    assert "[redacted]" in first
    assert not [text for text in others if "length=" in text or "VERCEL_AUTH" in text]
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert "Given to this command alone: VERCEL_AUTH." in notices
    assert any("VERCEL_ORG" in text and "not set" in text for text in notices)
    stored = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert any(b"VERCEL_AUTH" in content for content in stored)
    assert not [content for content in stored if TOKEN.encode() in content]


async def test_a_command_that_is_not_permitted_gets_nothing(tmp_path: Path) -> None:
    a_program(tmp_path)
    agent = an_agent(tmp_path, [{"command": "./vercel deploy"}], shelter=Shelter(secrets=DEPLOY), rules=Rules())
    events = await events_of(agent)
    assert [event.behavior for event in events if isinstance(event, PermissionDecided)] == ["deny"]
    assert not [event for event in events if isinstance(event, Notice) and "Given" in event.text]


def test_a_started_agent_gets_no_secrets() -> None:
    assert Shelter(secrets=DEPLOY, domains=["a.test"]).for_child() == Shelter(domains=["a.test"])


def settings(tmp_path: Path, user: Mapping[str, Any], project: Mapping[str, Any]) -> Settings:
    places = Places.find(tmp_path / "project", trusted=lambda _: True, env={"HOME": str(tmp_path / "home")})
    for directory, values in ((places.user, user), (places.cwd / ".claude", project)):
        directory.mkdir(parents=True)
        (directory / "settings.json").write_text(json.dumps(values))
    return load_settings(places)


def test_only_the_users_own_settings_open_the_shell(tmp_path: Path) -> None:
    opened = {
        "sandbox": {"network": {"allowedDomains": ["registry.test"]}, "allowUnsandboxedCommands": False},
        "deploySecrets": {
            "Bash(railway up)": ["RAILWAY_TOKEN"],
            "Bash": ["A"],
            "Bash(x)": ["no name"],
            "Read(x)": ["A"],
        },
    }
    other = {
        "sandbox": {"network": {"allowedDomains": ["evil.test"]}},
        "deploySecrets": {"Bash(env)": ["RAILWAY_TOKEN"]},
    }
    found = settings(tmp_path, opened, other)
    assert found.shelter == Shelter(domains=("registry.test",), secrets={"Bash(railway up)": ("RAILWAY_TOKEN",)})
    assert len([each for each in found.problems if "deploySecrets" in str(each)]) == 3
    assert [each for each in found.dropped if "deploySecrets" in str(each)]


@pytest.mark.needs("bwrap")
async def test_leaving_the_sandbox_needs_a_person_each_time(tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    project.mkdir()
    outside.mkdir()
    leave = {"command": f"touch {outside}/made", "dangerouslyDisableSandbox": True}
    stay = {"command": f"touch {outside}/kept"}
    asker = Yes()
    more = {"sandbox": True, "asker": asker, "rules": Rules.parse(allow=["Bash"])}
    events = await events_of(an_agent(project, [leave, stay], shelter=Shelter(may_leave=True), **more))
    assert ["outside the sandbox" in request.reason for request in asker.asked] == [True]
    assert [path.name for path in outside.iterdir()] == ["made"]
    assert "cannot touch" in outputs(events)[1]

    (outside / "made").unlink()
    refused = await events_of(an_agent(project, [leave], **more))
    assert "cannot be switched off" in outputs(refused)[0]
    headless = await events_of(an_agent(project, [leave], shelter=Shelter(may_leave=True), sandbox=True))
    assert [event.behavior for event in headless if isinstance(event, PermissionDecided)] == ["deny"]
    assert list(outside.iterdir()) == []


@pytest.mark.needs("bwrap")
async def test_added_directories_can_be_written(tmp_path: Path) -> None:
    project, added = tmp_path / "project", tmp_path / "added"
    project.mkdir()
    added.mkdir()
    await events_of(an_agent(project, [{"command": f"touch {added}/made"}], sandbox=True, directories=[added]))
    assert (added / "made").exists()


async def test_a_run_says_at_its_start_what_will_confine_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said(**more: Any) -> list[str]:
        agent = Agent(cwd=tmp_path, model=ScriptedModel(["Done."]), env={}, **more)
        return [event.sandbox for event in await events_of(agent) if isinstance(event, RunStarted)]

    assert await said(sandbox=False) == ["off"]
    assert await said(tools=[]) == [""]
    monkeypatch.setattr("shutil.which", lambda name, **_: f"/usr/bin/{name}")
    assert await said() == ["bubblewrap"]
    monkeypatch.setattr("shutil.which", lambda name, **_: None)
    assert await said() == ["none"]
