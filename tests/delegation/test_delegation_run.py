"""Delegation in a whole run: the eight steps by the playbook, with siblings that work before step 8 closes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent.api import Agent, result_json
from agent.askers import Headless
from agent.events import Event, RunFinished, RunStarted, StepChanged, ToolFinished
from agent.result import Completed
from agent.session.listing import list_sessions
from agent.workflow.report import report_schema, to_markdown
from agent.workflow.run import WorkflowRun

EXAMPLES = Path(__file__).parents[2] / "examples"


async def deploy(root: Path, **options: Any) -> tuple[list[Event], Any]:
    agent = Agent(cwd=root, model="playbook", mode="acceptEdits", asker=Headless(take_defaults=True), env={}, **options)
    workflow = WorkflowRun(root=root)
    run = agent.start(workflow.prompt(), workflow=workflow)
    events = [event async for event in run]
    return events, run.result


@pytest.mark.parametrize(
    ("name", "siblings"),
    [
        ("trail-atlas", {"expert-frontend", "expert-security"}),
        pytest.param("repair-api", {"expert-backend", "expert-security"}, marks=pytest.mark.slow),
        pytest.param("clinic-queue", {"expert-backend", "expert-frontend", "expert-security"}, marks=pytest.mark.slow),
    ],
)
async def test_siblings_do_their_part_before_step_8_closes(tmp_path: Path, name: str, siblings: set[str]) -> None:
    root = tmp_path / name
    shutil.copytree(EXAMPLES / name, root)
    events, result = await deploy(root)
    assert isinstance(result, Completed)
    assert [request.to for request in result.delegations] == ["manager-tdd"]
    started = [event.agent for event in events if isinstance(event, RunStarted)]
    assert set(started[1:]) == siblings
    assert started[-1] == "expert-security"  # it depends on the others
    of_children = [at for at, e in enumerate(events) if isinstance(e, RunFinished) and e.agent_id]
    closed = [at for at, e in enumerate(events) if isinstance(e, StepChanged) and (e.step, e.status) == (8, "verified")]
    assert max(of_children) < min(closed)
    reports = [e.data for e in events if isinstance(e, ToolFinished) and e.tool == "Delegate"]
    assert {data["status"] for data in reports if data["agent"] in siblings} == {"completed"}
    assert not any(data.get("broken_checks") or data.get("denials") for data in reports)
    assert result.report is not None
    Draft202012Validator(json.loads(report_schema())).validate(result_json(result)["report"])
    told = {entry["agent"]: entry for entry in result.report["siblings"]}
    assert set(told) == siblings
    assert all((entry["status"], entry["outcome"]) == ("completed", "completed") for entry in told.values())
    assert all(f"- {name}, {entry['subject']}: " in to_markdown(result.report) for name, entry in told.items())
    (session,) = list_sessions(root, {})
    assert (session.agent, session.status) == ("expert-devops", "completed")


@pytest.mark.slow
async def test_a_spawned_run_leaves_the_requests_to_whoever_started_it(tmp_path: Path) -> None:
    root = tmp_path / "repair-api"
    shutil.copytree(EXAMPLES / "repair-api", root)
    events, result = await deploy(root, siblings="request")
    assert [request.to for request in result.delegations] == ["expert-backend", "expert-security", "manager-tdd"]
    assert not [event for event in events if event.agent_id]
