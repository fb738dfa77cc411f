"""The steps' state machine: the model claims, the runtime verifies, and the three states are never mixed up."""

from __future__ import annotations

from collections.abc import Sequence

from agent.workflow.steps import Gate, Record, Workflow, load_steps
from tools.devops.types import Check, CheckStatus, Decision, Finding
from tools.ports import StepClaim


def gate(status: CheckStatus) -> Gate:
    """A gate with a fixed verdict; a failed one has a finding."""

    def judge(claim: StepClaim, decisions: Sequence[Decision]) -> list[Check]:
        finding = Finding("rule.x", "error", "Dockerfile", 3, "no USER", fix="Add USER 10001.")
        return [Check("x", "tool", status, (), (finding,) if status == "failed" else (), "tool missing")]

    return judge


def workflow(status: CheckStatus = "passed", selected: tuple[int, ...] = tuple(range(1, 9))) -> Workflow:
    gates = {name: gate(status) for step in load_steps() for name in step.gates}
    return Workflow(gates=gates, selected=selected)


def claim(step: int, **details: object) -> StepClaim:
    return StepClaim(step, "done", **details)  # type: ignore[arg-type]  # tests vary the fields


async def test_a_step_whose_gates_pass_is_verified() -> None:
    flow = workflow()
    verdict = await flow.complete(claim(1))
    assert verdict.accepted
    assert flow.records[1].status == "verified"
    assert flow.open_steps == (2, 3, 4, 5, 6, 7, 8)


async def test_a_refusal_names_file_line_cause_and_fix_and_leaves_the_step_open() -> None:
    flow = workflow("failed")
    verdict = await flow.complete(claim(1))
    assert not verdict.accepted
    assert "[rule.x] Dockerfile:3: no USER Fix: Add USER 10001." in verdict.report
    assert flow.records[1].status == "open"
    assert flow.records[1].refusals == 1


async def test_what_could_not_be_verified_stays_claimed_and_says_why() -> None:
    flow = workflow("not_verified")
    verdict = await flow.complete(claim(1))
    assert verdict.accepted
    assert flow.records[1].status == "claimed"
    assert "not verified: x (tool): tool missing" in verdict.report


async def test_steps_close_in_order() -> None:
    flow = workflow()
    verdict = await flow.complete(claim(3))
    assert not verdict.accepted
    assert "before step 1" in verdict.report


async def test_a_step_outside_the_selection_is_refused() -> None:
    verdict = await workflow(selected=(1, 2)).complete(claim(5))
    assert not verdict.accepted
    assert "1, 2" in verdict.report


async def test_a_decision_needs_a_real_source() -> None:
    flow = workflow()
    verdict = await flow.complete(claim(1, decisions=({"name": "platform", "value": "x", "source": "a feeling"},)))
    assert not verdict.accepted
    assert "a feeling" in verdict.report
    assert flow.records[1].status == "open"


async def test_every_change_is_announced_and_restores_the_record() -> None:
    flow = workflow()
    seen: list[str] = []
    saved: list[dict[str, object]] = []

    def changed(record: Record) -> None:
        seen.append(record.status)
        saved.append(record.json())

    flow.changed = changed
    decision = {"name": "platform", "value": "railway", "source": "user", "evidence": "asked"}
    await flow.complete(claim(1, artifacts=("a.md",), decisions=(decision,)))
    assert seen == ["claimed", "verified"]
    assert Record.from_json(saved[-1]) == flow.records[1]


async def test_the_guard_sends_the_model_back_until_everything_is_closed() -> None:
    flow = workflow(selected=(1, 2))
    assert "1, 2" in str(flow.unfinished())
    await flow.complete(claim(1))
    await flow.complete(claim(2))
    assert flow.unfinished() is None


def test_every_gate_of_the_step_files_exists() -> None:
    from agent.workflow.gates import FILE_GATES

    known = {*FILE_GATES, "spec_read", "requirements_listed", "platform_decided"}
    assert {name for step in load_steps() for name in step.gates} <= known
