"""Limits end to end: a run that reaches one ends, or goes on without the call, and says which it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.api import Agent
from agent.budget import Limits
from agent.events import Notice, ToolFinished
from agent.result import OutOfBudget, Result
from agent.testing import ScriptedModel, call


async def ended(project: Path, turns: list[Any], limits: Limits | None = None) -> tuple[Result, list[str], int]:
    """The result, the warnings, and how many calls ran."""
    agent = Agent(cwd=project, model=ScriptedModel(turns), sandbox=False, env={}, limits=limits or Limits())
    run = agent.start("go")
    events = [event async for event in run]
    warnings = [event.text for event in events if isinstance(event, Notice) and event.level == "warning"]
    return run.result, warnings, sum(isinstance(event, ToolFinished) for event in events)


async def test_a_full_disk_ends_the_run_before_the_next_model_call(tmp_path: Path) -> None:
    result, _, ran = await ended(tmp_path, ["Done."], Limits(free_bytes=2**70))
    assert isinstance(result, OutOfBudget)
    assert result.limit == "disk"
    assert "MB are free on the disk" in result.reason
    assert ran == 0
    result, _, _ = await ended(tmp_path, ["Done."], Limits(free_bytes=1))
    assert result.status == "completed"


async def test_a_loop_of_one_call_is_stopped_and_told(tmp_path: Path) -> None:
    result, warnings, ran = await ended(tmp_path, [*[[call("Bash", command="echo hi")]] * 6, "Done."])
    assert result.status == "completed"
    assert ran == 4
    assert len(warnings) == 2
    assert "gave the same result 4 times" in warnings[0]


async def test_a_loop_of_denials_is_stopped_and_told(tmp_path: Path) -> None:
    result, warnings, ran = await ended(tmp_path, [*[[call("Bash", command="make x")]] * 5, "Done."])
    assert (len(result.denials), ran) == (3, 0)
    assert len(warnings) == 2
    assert "was denied 3 times" in warnings[0]
