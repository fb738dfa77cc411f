"""What the playbook does with replies that are not what it hoped for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.events import UNKNOWN_OUTCOME
from agent.models.playbook.eight_steps import Engineer
from agent.models.playbook.script import Reply, Turn, certain

UNIT = {"path": "", "name": "shop", "kind": "backend"}
SCANNED = {"ReadSpec": {}, "DetectProject": {"units": [UNIT], "missing": []}, "CompleteStep": {}}


def said(script: Any, replies: dict[str, Reply]) -> tuple[list[str], str]:
    """The tools a script calls, answered from `replies` or the scan, and its last words."""
    called = []
    turn = next(script)
    while True:
        called += [name for name, _ in turn.calls]
        answers = [replies.get(name) or Reply(json.dumps(SCANNED[name]), False) for name, _ in turn.calls]
        try:
            turn = script.send(answers)
        except StopIteration as end:
            return called, str(end.value)


def test_a_plan_that_fails_ends_with_its_reason() -> None:
    failed = Reply("prices.yaml: line 3 is damaged.", True)
    called, words = said(Engineer(None, range(1, 9)).script(), {"PlanDeployment": failed})
    assert called[-1] == "PlanDeployment"
    assert "prices.yaml: line 3 is damaged." in words


@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1}])
def test_only_calls_with_a_lost_outcome_are_repeated(lost: set[int]) -> None:
    def script() -> Any:
        first, second = yield Turn("", (("A", {}), ("B", {})))
        return first.text + second.text

    running = certain(script())
    next(running)
    replies = [Reply(UNKNOWN_OUTCOME, True) if index in lost else Reply(name, False) for index, name in enumerate("ab")]
    again = running.send(replies)
    assert [name for name, _ in again.calls] == ["AB"[index] for index in sorted(lost)]
    with pytest.raises(StopIteration) as end:
        running.send([Reply("ab"[index], False) for index in sorted(lost)])
    assert end.value.value == "ab"
