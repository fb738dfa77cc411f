"""A change of infrastructure runs only as the plan that was shown. The tools are recording programs on PATH."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.api import Agent
from agent.askers import Headless
from agent.events import PermissionDecided, ToolFinished
from agent.permissions import Mode, Rules
from agent.testing import ScriptedModel, call
from tests.people import Yes

RULES = ["Bash(terraform plan:*)", "Bash(terraform apply:*)", "Bash(kubectl diff:*)", "Bash(kubectl apply:*)"]
RULES += ["Bash(cp:*)", "Bash(true:*)", "Bash(cat:*)", "Edit", "Bash(helm upgrade:*)", "Bash(kubectl scale:*)"]

# Shows what it was called with and what it can see of secrets; `plan -out FILE` leaves a plan.
FAKE = """#!/bin/sh
echo "$(basename "$0") $* [token=${DEPLOY_TOKEN-unset}]"
out=; take=
for word in "$@"; do
  [ -n "$take" ] && out=$word; take=
  [ "$word" = -out ] && take=yes
done
[ -n "$out" ] && echo "plan of $(cat main.tf)" > "$out"
[ "$1" = diff ] && exit 1
exit 0
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs, home, project = tmp_path / "bin", tmp_path / "home", tmp_path / "project"
    for directory in (programs, home / ".kube", project / ".git"):
        directory.mkdir(parents=True)
    for name in ("terraform", "kubectl", "helm"):
        (programs / name).write_text(FAKE)
        (programs / name).chmod(0o755)
    (home / ".kube" / "config").write_text("current-context: staging\n")
    (project / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (project / "main.tf").write_text("a\n")
    (project / "web.yaml").write_text("replicas: 2\n")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DEPLOY_TOKEN", "very-secret-value")
    monkeypatch.setenv("EXPERT_DEVOPS_HOME", str(tmp_path / "state"))
    return project


async def decisions(
    project: Path,
    *commands: str,
    between: Callable[[], object] = lambda: None,
    asker: Headless | None = None,
    mode: Mode = "default",
) -> list[PermissionDecided]:
    """What was decided on each command; `between` happens before the last one is asked for."""
    model = ScriptedModel([*([call("Bash", command=command)] for command in commands), "Done."])
    rules = Rules.parse(allow=RULES)
    agent = Agent(cwd=project, model=model, rules=rules, env={}, asker=asker or Headless(), sandbox=False, mode=mode)
    run = agent.start("go")
    found: list[PermissionDecided] = []
    async for event in run:
        if isinstance(event, PermissionDecided):
            found.append(event)
        if event.type == "tool_finished" and len(found) == len(commands) - 1:
            between()
    return found


PLAN, APPLY = "terraform plan -out p.bin", "terraform apply p.bin"
DIFF, KUBE = "kubectl diff -f web.yaml", "kubectl apply -f web.yaml"


@pytest.mark.parametrize(
    ("plan", "change"), [(PLAN, APPLY), (DIFF, KUBE), ("helm upgrade --dry-run w .", "helm upgrade w .")]
)
async def test_the_plan_that_was_shown_may_be_applied(project: Path, plan: str, change: str) -> None:
    planned, changed = await decisions(project, plan, change)
    assert (planned.behavior, planned.command_class) == ("allow", "plan")
    assert (changed.behavior, changed.by, changed.command_class) == ("allow", "rule", "change")


@pytest.mark.parametrize("change", [APPLY, KUBE, "helm upgrade w .", "kubectl scale deploy/w --replicas=3"])
async def test_without_a_plan_somebody_is_asked(project: Path, change: str) -> None:
    [alone] = await decisions(project, change)
    assert (alone.behavior, alone.by) == ("deny", "nobody")
    assert "No plan" in alone.reason
    [asked] = await decisions(project, change, asker=Yes())
    assert (asked.behavior, asked.by) == ("allow", "person")


def switch_context(project: Path) -> None:
    (project.parent / "home" / ".kube" / "config").write_text("current-context: production\n")


def other_branch(project: Path) -> None:
    (project / ".git" / "HEAD").write_text("ref: refs/heads/other\n")


def other_workspace(project: Path) -> None:
    (project / ".terraform").mkdir()
    (project / ".terraform" / "environment").write_text("prod")


def other_account(project: Path) -> None:
    (project.parent / "home" / ".aws").mkdir()
    (project.parent / "home" / ".aws" / "config").write_text("[default]\nrole_arn = other\n")


@pytest.mark.parametrize(
    ("plan", "change", "between", "what"),
    [
        (PLAN, APPLY, lambda project: (project / "p.bin").write_text("another plan"), "content"),
        (PLAN, "terraform apply", lambda _: None, "content"),
        (PLAN, "terraform apply -auto-approve", lambda _: None, "content"),
        (PLAN, APPLY, other_branch, "branch"),
        (PLAN, APPLY, other_workspace, "context"),
        (PLAN, APPLY, other_account, "account"),
        (DIFF, KUBE, lambda project: (project / "web.yaml").write_text("replicas: 0\n"), "content"),
        (DIFF, KUBE, switch_context, "context"),
        (DIFF, f"{KUBE} --context production", lambda _: None, "context"),
        (DIFF, f"{KUBE} -n other", lambda _: None, "content"),
    ],
)
async def test_a_change_that_differs_from_its_plan_is_refused_even_by_a_person(
    project: Path, plan: str, change: str, between: Callable[[Path], object], what: str
) -> None:
    mode: Mode = "bypassPermissions" if what == "branch" else "default"
    _, changed = await decisions(project, plan, change, between=lambda: between(project), asker=Yes(), mode=mode)
    assert changed.behavior == "deny"
    assert what in changed.reason


@pytest.mark.parametrize(
    "plan",
    [f"{PLAN} > /dev/null", f"{PLAN} | cat", f"{PLAN} || true", f"true && {PLAN} ; true", f"sh -c '{PLAN}'"],
)
async def test_a_plan_nobody_saw_whole_does_not_count(project: Path, plan: str) -> None:
    _, changed = await decisions(project, plan, APPLY, asker=Yes())
    assert changed.by == "person"
    assert "No plan" in changed.reason or changed.decision == "ask"


async def test_an_inline_account_is_part_of_the_plan(project: Path) -> None:
    both = [f"AWS_PROFILE=dev {PLAN}", f"AWS_PROFILE=prod {APPLY}"]
    _, changed = await decisions(project, *both, asker=Yes())
    assert changed.behavior == "deny"
    assert "account" in changed.reason


async def test_tools_of_the_trade_see_no_secrets_of_ours(project: Path) -> None:
    model = ScriptedModel([[call("Bash", command="terraform plan")], "Done."])
    run = Agent(cwd=project, model=model, rules=Rules.parse(allow=RULES), env={}, sandbox=False).start("go")
    [finished] = [event async for event in run if isinstance(event, ToolFinished)]
    assert finished.block["content"] == "terraform plan [token=unset]"


async def test_a_rule_that_spells_the_command_stands_for_a_plan(project: Path) -> None:
    model = ScriptedModel([[call("Bash", command=APPLY)], "Done."])
    rules = Rules.parse(allow=[f"Bash({APPLY})"])
    run = Agent(cwd=project, model=model, rules=rules, env={}, asker=Headless(), sandbox=False).start("go")
    [decided] = [event async for event in run if isinstance(event, PermissionDecided)]
    assert decided.behavior == "allow"
