"""The eight steps as data, and the record of how far a run has come.

A step is *open* (to do), *claimed* (the model says it is done; gates are running or could not run) or *verified* (its
gates passed for all that the run answers for). The model claims with `CompleteStep`; only this module verifies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from tools.devops.types import Check, Decision, Finding
from tools.frontmatter import parse
from tools.plain import to_json
from tools.ports import StepClaim, StepVerdict
from tools.resources import data_root

Json = dict[str, Any]
Status = Literal["open", "claimed", "verified"]


@dataclass(frozen=True, slots=True)
class Step:
    """One file of `prompts/workflow/`: `title` and `goal` by language code, gate ids, and guidance for the model."""

    number: int
    id: str
    title: Mapping[str, str]
    goal: Mapping[str, str]
    deliverables: tuple[str, ...]
    gates: tuple[str, ...]
    guidance: str


@cache
def load_steps() -> tuple[Step, ...]:
    """The steps in order, read once."""
    steps = []
    for path in sorted((data_root() / "prompts" / "workflow").glob("[0-9]*.md")):
        header, body = parse(path.read_text(encoding="utf-8"))
        steps.append(
            Step(
                number=int(header["step"]),
                id=str(header["id"]),
                title=header["title"],
                goal=header["goal"],
                deliverables=tuple(header["deliverables"]),
                gates=tuple(header["gates"]),
                guidance=body.strip(),
            )
        )
    return tuple(sorted(steps, key=lambda step: step.number))


@dataclass(slots=True)
class Record:
    """How far one step has come. `checks` is the evidence of the last claim; `refusals` counts refused claims."""

    step: int
    status: Status = "open"
    summary: str = ""
    artifacts: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    checks: tuple[Check, ...] = ()
    refusals: int = 0

    def json(self) -> Json:
        return {name: to_json(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """The record of a journal line. Evidence is kept as it was found."""
        return cls(
            step=int(data["step"]),
            status=data["status"],
            summary=data["summary"],
            artifacts=tuple(data["artifacts"]),
            decisions=tuple(Decision(**item) for item in data["decisions"]),
            checks=tuple(_check(item) for item in data["checks"]),
            refusals=int(data["refusals"]),
        )


Gate = Callable[[StepClaim, Sequence[Decision]], Sequence[Check]]
"""Judges a claim, given all decisions so far. Returns the checks it made, `not_verified` ones included."""


@dataclass(slots=True)
class Workflow:
    """The steps of one run and their records. Implements `StepCloser` for the tool and `StopGuard` for the loop."""

    gates: Mapping[str, Gate]
    selected: tuple[int, ...] = tuple(range(1, 9))
    records: dict[int, Record] = field(default_factory=dict)
    changed: Callable[[Record], None] = lambda _record: None

    def __post_init__(self) -> None:
        for step in load_steps():
            self.records.setdefault(step.number, Record(step.number))

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions, a later one replacing an earlier one of the same name."""
        by_name = {d.name: d for number in sorted(self.records) for d in self.records[number].decisions}
        return tuple(by_name.values())

    @property
    def open_steps(self) -> tuple[int, ...]:
        return tuple(number for number in self.selected if self.records[number].status == "open")

    def reopen(self, number: int) -> None:
        """What a closed step rests on has changed: it must pass its gates once more."""
        record = self.records[number]
        if number in self.selected and record.status != "open":
            record.status = "open"
            self.changed(record)

    async def complete(self, claim: StepClaim) -> StepVerdict:
        """Run the step's gates. Steps close in order; a closed step may be claimed again after a change."""
        step = next((s for s in load_steps() if s.number == claim.step), None)
        if step is None or claim.step not in self.selected:
            chosen = ", ".join(map(str, self.selected))
            return StepVerdict(False, f"Step {claim.step} is not part of this run (its steps: {chosen}).")
        earlier = [number for number in self.open_steps if number < claim.step]
        if earlier:
            return StepVerdict(False, f"Step {claim.step} cannot close before step {earlier[0]}. Complete that first.")
        return await self._judge(step, claim)

    async def _judge(self, step: Step, claim: StepClaim) -> StepVerdict:
        record = self.records[step.number]
        try:
            decisions = tuple(_decision(item) for item in claim.decisions)
        except (KeyError, TypeError, ValueError) as error:
            return StepVerdict(False, f"A decision is not usable: {error}. Give name, value, source and evidence.")
        record.status, record.summary, record.artifacts = "claimed", claim.summary, claim.artifacts
        record.decisions = decisions or record.decisions
        self.changed(record)
        made = [await asyncio.to_thread(self.gates[gate], claim, self.decisions) for gate in step.gates]
        record.checks = tuple(check for checks in made for check in checks)
        failed = [check for check in record.checks if check.status == "failed"]
        if failed:
            record.status, record.refusals = "open", record.refusals + 1
        elif any(not checks or all(c.status == "not_verified" for c in checks) for checks in made):
            record.status = "claimed"
        else:
            record.status = "verified"
        self.changed(record)
        data = {"step": step.number, "status": record.status, "checks": to_json(record.checks)}
        return StepVerdict(not failed, _verdict_text(step, record, bool(failed)), data)

    def unfinished(self) -> str | None:
        """What the model is told when it stops too early, or None when every selected step is closed."""
        if not self.open_steps:
            return None
        steps = ", ".join(map(str, self.open_steps))
        return (
            f"Steps {steps} are still open. Work on them and close each with CompleteStep, "
            "or state precisely what keeps you from it."
        )


def open_findings(record: Record) -> list[str]:
    """What the last claim's checks found that stops the step, or could not check, a line each."""
    lines = [_line(f) for c in record.checks if c.status == "failed" for f in c.findings if f.severity == "error"]
    return lines + [
        f"not verified: {c.name} ({c.tool}): {c.detail}" for c in record.checks if c.status == "not_verified"
    ]


def kept_findings(checks: Iterable[Check]) -> tuple[Finding, ...]:
    """The errors that were there before the run, in what it left alone; each once, by place."""
    found = {f for c in checks if c.status == "kept_with_findings" for f in c.findings if f.severity == "error"}
    return tuple(sorted(found, key=lambda f: (f.file, f.line, f.rule, f.message)))


def _line(finding: Finding) -> str:
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return f"[{finding.rule}] {where}: {finding.message}" + (f" Fix: {finding.fix}" if finding.fix else "")


def _verdict_text(step: Step, record: Record, failed: bool) -> str:
    lines = [f"Step {step.number} ({step.title['en']}): {record.status}."]
    lines += [f"- {line}" for line in open_findings(record)]
    if failed:
        lines.append("Correct these and claim the step again.")
    if kept := kept_findings(record.checks):
        lines.append("In files that were there before and were left alone; reported, and no reason to stop:")
        lines += [f"- {_line(finding)}" for finding in kept]
    return "\n".join(lines)


def _decision(item: Mapping[str, Any]) -> Decision:
    source = item["source"]
    if source not in {"spec", "project", "user", "default"}:
        raise ValueError(f"source {source!r} is none of spec, project, user, default")
    return Decision(str(item["name"]), item["value"], source, str(item.get("evidence") or ""))


def _check(data: Mapping[str, Any]) -> Check:
    findings = tuple(Finding(**finding) for finding in data["findings"])
    return Check(data["name"], data["tool"], data["status"], tuple(data["files"]), findings, data["detail"])
