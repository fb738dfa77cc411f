"""The eight steps go on over a compaction in their middle, and every one of them closes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent import Agent
from agent.askers import Headless
from agent.events import HistoryCompacted, StepChanged
from agent.models.playbook import Playbook
from agent.models.port import Request
from agent.result import Completed
from agent.testing import text
from agent.testing.script import Turn, events_of, message_of
from agent.workflow.run import WorkflowRun
from tests.proof.projects import copy_example


class Forgetful:
    """Works by the playbook under the name of a model with a small window, which is full after some answers."""

    id = "claude-haiku-4-5"

    def __init__(self, full_after: int) -> None:
        self._rules = Playbook()
        self._left = full_after
        self.first: list[Any] = []

    async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        if "Call no tool" in str(request.messages[-1]["content"]):
            for event in events_of(message_of(Turn([text("Work is under way.")]), 999, self.id)):
                yield event
            return
        if request.messages[0] not in self.first:
            self.first.append(request.messages[0])
        self._left -= 1
        async for answered in self._rules.stream(request):
            event = dict(answered)
            if event["type"] == "message_delta" and self._left == 0:
                event["usage"] = {"input_tokens": 190_000, "output_tokens": 10}
            yield event

    async def aclose(self) -> None:
        await self._rules.aclose()


@pytest.mark.slow
async def test_the_eight_steps_survive_a_compaction(tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    model = Forgetful(full_after=14)
    workflow = WorkflowRun(root=project)
    agent = Agent(cwd=project, model=model, mode="acceptEdits", asker=Headless(take_defaults=True))
    run = agent.start(workflow.prompt(), workflow=workflow)
    events = [event async for event in run]
    assert isinstance(run.result, Completed), run.result
    at = next(number for number, event in enumerate(events) if isinstance(event, HistoryCompacted))
    before = {event.step for event in events[:at] if isinstance(event, StepChanged) and event.status == "verified"}
    assert before, "nothing was done yet when the window was full"
    after = {event.step for event in events[at:] if isinstance(event, StepChanged)}
    assert max(after) == 8
    assert workflow.recap().count(": open.") == 0
    (told,) = [said for message in model.first if "Work is under way." in (said := str(message["content"]))]
    assert workflow.prompt() in told
    assert str(project) in told
    assert "- Step 1 (" in told
    assert "Decisions so far:" in told
