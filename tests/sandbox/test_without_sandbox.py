"""Where no sandbox can be had: said once, and commands that rules allow need a person."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.permissions import PermissionEngine, Rules

WHY = "bubblewrap (bwrap) is not installed."


def decided(tmp_path: Path, command: str, *, why: str = WHY, source: str = "settings", mode: str = "default") -> str:
    rules = Rules.parse(allow=["Bash(make test:*)", "Bash(npm run:*)"], deny=["Bash(rm:*)"], source=source)
    engine = PermissionEngine(rules, mode, cwd=tmp_path, home=tmp_path / "home", unconfined=lambda: why)  # type: ignore[arg-type]
    return engine.decide("Bash", {"command": command}).behavior


@pytest.mark.parametrize(
    ("command", "with_one", "without"),
    [
        ("make test", "allow", "ask"),
        ("npm run build && make test", "allow", "ask"),
        ("git status | head -3", "allow", "allow"),  # known harmless
        ("cargo build", "ask", "ask"),
        ("rm -r build", "deny", "deny"),
    ],
)
def test_rules_for_confined_commands_do_not_count(tmp_path: Path, command: str, with_one: str, without: str) -> None:
    assert decided(tmp_path, command, why="") == with_one
    assert decided(tmp_path, command) == without


def test_a_rule_given_in_this_session_counts(tmp_path: Path) -> None:
    assert decided(tmp_path, "make test", source="session") == "allow"


def test_nobody_to_ask_means_denied_and_bypass_means_bypass(tmp_path: Path) -> None:
    assert decided(tmp_path, "make test", mode="dontAsk") == "deny"
    assert decided(tmp_path, "make test", mode="bypassPermissions") == "allow"


def test_the_reason_and_the_narrowest_rule_are_said(tmp_path: Path) -> None:
    rules = Rules.parse(allow=["Bash(make test:*)"])
    engine = PermissionEngine(rules, cwd=tmp_path, home=tmp_path / "home", unconfined=lambda: WHY)
    decision = engine.child().decide("Bash", {"command": "make test -k"})
    assert WHY in decision.reason
    assert decision.suggestion == "Bash(make test -k)"


RUN = """
import asyncio, json, sys
from agent.api import Agent
from agent.events import Notice, PermissionDecided
from agent.permissions import Rules
from agent.testing import ScriptedModel, call

async def main():
    model = ScriptedModel([[call("Bash", command="touch made")], [call("Bash", command="echo hi")], "Done."])
    agent = Agent(cwd=sys.argv[1], model=model, rules=Rules.parse(allow=["Bash(touch:*)"]), env={})
    run = agent.start("go")
    events = [event async for event in run]
    print(json.dumps({
        "notices": [e.text for e in events if isinstance(e, Notice)],
        "decided": [[e.behavior, e.reason] for e in events if isinstance(e, PermissionDecided)],
        "status": run.result.status,
    }))

asyncio.run(main())
"""


def run_agent(project: Path, state: Path, *, prefix: list[str]) -> dict[str, Any]:
    argv = [*prefix, sys.executable, "-c", RUN, str(project)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(state), "EXPERT_DEVOPS_HOME": str(state)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
@pytest.mark.needs("bwrap")
def test_a_run_on_a_machine_without_namespaces_asks(tmp_path: Path) -> None:
    """The machine state is real: inside this outer sandbox no further user namespace can be made."""
    project, state = tmp_path / "project", tmp_path / "state"
    project.mkdir()
    state.mkdir()
    here = str(Path(__file__).parents[2])
    outer = ["bwrap", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    prefix = [*outer, "--bind", str(tmp_path), str(tmp_path), "--chdir", here]
    without = run_agent(project, state, prefix=prefix)
    assert len(without["notices"]) == 1
    assert "No sandbox confines commands here" in str(without["notices"])
    first, second = without["decided"]
    assert first[0] == "deny"
    assert "No sandbox" in first[1]
    assert second[0] == "allow"  # echo is known harmless
    assert not (project / "made").exists()

    with_one = run_agent(project, state, prefix=[])
    assert with_one["notices"] == []
    assert (project / "made").exists()
