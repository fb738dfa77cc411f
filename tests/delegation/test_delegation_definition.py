"""What an agent file and the environment say of a child, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.askers import Headless
from agent.delegation.child import TreeLimits
from agent.events import RunStarted
from agent.knowledge.definition import AgentDefinition, parse_agent
from agent.models.port import Request
from agent.result import Completed
from agent.testing import ScriptedModel, call
from agent.workflow.run import WorkflowRun
from tools.tool import ToolContext, ToolResult, tool


def helper(header: str = "") -> AgentDefinition:
    return parse_agent(f"---\nname: helper\ndescription: Helps.\n{header}---\nI help.\n")


async def started(
    root: Path, child: AgentDefinition, env: Mapping[str, str] | None = None, **options: Any
) -> tuple[list[Request], RunStarted]:
    """The requests of the child, and how it began."""
    of_child: list[Request] = []

    def turn(request: Request) -> Any:
        if "I help." in str(request.system[0]["text"]):
            of_child.append(request)
            return "Helped."
        return [call("Delegate", to="helper", subject="help", task="Help.")] if len(request.messages) == 1 else "Done."

    agent = Agent(cwd=root, model=ScriptedModel(turn), agents={"helper": child}, env=env or {}, **options)
    run = agent.start("go")
    events = [event async for event in run]
    assert isinstance(run.result, Completed)
    return of_child, next(event for event in events if isinstance(event, RunStarted) and event.agent_id)


async def test_instructions_of_the_project_hold_for_a_child(tmp_path: Path) -> None:
    requests, _ = await started(tmp_path, helper(), instructions=["# CLAUDE.md\nNever use tabs."])
    text = "".join(block["text"] for block in requests[0].system)
    assert "Never use tabs." in text
    assert "I help." in text


async def test_its_effort_is_its_own(tmp_path: Path) -> None:
    requests, _ = await started(tmp_path, helper("effort: low\n"))
    assert requests[0].options["effort"] == "low"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("isolation: worktree\n", "`isolation` has no effect here: it works in its caller's directory"),
        ("memory: project\n", "`memory` has no effect here"),
        ("background: true\n", "`background` has no effect here: its caller waits for it"),
        ("mcpServers:\n  - other: {command: other}\n", "`mcpServers` has no effect here: no server is started"),
    ],
)
async def test_what_is_asked_and_not_done_is_said(tmp_path: Path, header: str, said: str) -> None:
    _, began = await started(tmp_path, helper(header))
    assert any(said in notice for notice in began.notices)
    _, began = await started(tmp_path, helper())
    assert not any("has no effect" in notice for notice in began.notices)


@tool("mcp__tickets__list", effects={"network"})
async def tickets(ctx: ToolContext) -> ToolResult:
    """List tickets."""
    return ToolResult("none")


@pytest.mark.parametrize(
    ("header", "there"),
    [
        ("tools: Echo\n", False),
        ("tools: Echo\nmcpServers: [tickets]\n", True),
        ("tools: Echo\nmcpServers: [Tickets]\n", True),
        ("tools: Echo\nmcpServers: [others]\n", False),
        ("tools: Echo\nmcpServers: [tickets]\ndisallowedTools: mcp__tickets\n", False),
    ],
)
async def test_a_named_server_is_the_childs_too(family: Callable[..., Any], header: str, there: bool) -> None:
    def script(who: str, request: Request) -> Any:
        if who == "helper":
            return "Helped."
        return [call("Delegate", to="helper", subject="help", task="Help.")] if len(request.messages) == 1 else "Done."

    child = replace(helper(header), prompt="I am helper.")
    kin = family(script, [child], pool={tickets.name: tickets})
    await kin.run()
    (began,) = [event for event in kin.ended(RunStarted) if event.agent_id]
    assert ("mcp__tickets__list" in began.tools) is there


@pytest.mark.parametrize(
    ("env", "limits"),
    [
        ({}, TreeLimits()),
        ({"CLAUDE_CODE_MAX_SUBAGENT_SPAWN_DEPTH": "1"}, TreeLimits(depth=1)),
        ({"CLAUDE_CODE_MAX_CONCURRENT_SUBAGENTS": "20"}, TreeLimits(at_once=20)),
        ({"CLAUDE_CODE_MAX_CONCURRENT_SUBAGENTS": "0", "CLAUDE_CODE_MAX_SUBAGENT_SPAWN_DEPTH": "-1"}, TreeLimits()),
        ({"CLAUDE_CODE_MAX_CONCURRENT_SUBAGENTS": "\u0663"}, TreeLimits()),
    ],
)
def test_limits_from_the_environment(env: dict[str, str], limits: TreeLimits) -> None:
    assert TreeLimits.from_environment(env) == limits


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ["a-model-of-ours", "inherit"])
async def test_the_model_of_children_can_be_set_for_all(tmp_path: Path, wanted: str) -> None:
    """Without a key the name cannot be used: the caller's model does it, and the notice says what was tried."""
    (tmp_path / "requirements.txt").write_text("fastapi==0.115.0\n")
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    env = {"CLAUDE_CODE_SUBAGENT_MODEL": wanted}
    agent = Agent(cwd=tmp_path, model="playbook", mode="acceptEdits", asker=Headless(take_defaults=True), env=env)
    workflow = WorkflowRun(root=tmp_path, steps=(8,))
    run = agent.start(workflow.prompt(), workflow=workflow)
    began = [event async for event in run if isinstance(event, RunStarted) and event.agent_id]
    assert began
    for event in began:
        assert event.model == "playbook"
        assert any("'a-model-of-ours' cannot be used" in n for n in event.notices) is (wanted != "inherit")
