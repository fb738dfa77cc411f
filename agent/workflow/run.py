"""A run of the eight steps: what the model is told to do, what closes the steps, and what the run amounts to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.result import Completed, Failed, Result, failed
from agent.workflow.before import Before
from agent.workflow.gates import Gates
from agent.workflow.report import build_report
from agent.workflow.steps import Record, Workflow, load_steps, open_findings
from agent.workflow.written import Work
from tools.devops.spec import conversation_language
from tools.devops.types import Check, Decision, Plan, Project, Spec
from tools.plain import to_json
from tools.tool import ToolContext

Changed = Callable[[int, str, Mapping[str, Any]], None]


@dataclass(slots=True)
class WorkflowRun:
    """Options and state of one eight-step run. `spec` is an id or a path; `steps` the selected step numbers.

    `before` is what the project was like when the run began; a new run finds out for itself.
    """

    root: Path
    spec: str | None = None
    steps: tuple[int, ...] = tuple(range(1, 9))
    dry_run: bool = False
    before: Before | None = None
    _workflow: Workflow | None = field(default=None, init=False)

    def options(self) -> dict[str, Any]:
        """What `from_options` needs to build the same run again."""
        return {
            "root": str(self.root),
            "spec": self.spec,
            "steps": list(self.steps),
            "dry_run": self.dry_run,
            "before": to_json(self._found()),
        }

    def _found(self) -> Before:
        if self.before is None:
            self.before = Before.look(self.root)
        return self.before

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> WorkflowRun:
        """The run of a session, from its journal."""
        before = Before.from_json(options["before"])
        return cls(Path(options["root"]), options["spec"], tuple(options["steps"]), options["dry_run"], before)

    def prompt(self) -> str:
        """The task, as the first user message."""
        numbers = ", ".join(map(str, self.steps))
        named = f"The SPEC is {self.spec}." if self.spec else "Find the SPEC, if there is one."
        dry = " This is a dry run: show what would be written and write nothing." if self.dry_run else ""
        korean = conversation_language(self.root).casefold().startswith("ko")
        spoken = " Speak Korean (한국어) with the user; documents are in Korean, too." if korean else ""
        return f"Make this project deployable: work through steps {numbers} of the workflow. {named}{dry}{spoken}"

    def brief(self) -> list[str]:
        """The selected steps' goals, gates and guidance, for the system prompt."""
        texts = ["# Workflow\nClose each step with CompleteStep; the runtime runs its gates and may refuse."]
        for step in load_steps():
            if step.number in self.steps:
                gates = ", ".join(step.gates)
                texts.append(
                    f"## Step {step.number}: {step.title['en']}\n{step.goal['en']}\nGates: {gates}\n{step.guidance}"
                )
        return texts

    def begin(
        self,
        context: ToolContext,
        changed: Changed,
        records: Mapping[int, Mapping[str, Any]],
        answered: Mapping[str, str],
    ) -> Workflow:
        """Set the steps up, from journaled `records` after a resume. `answered` grows as the user answers."""
        context.state["dry_run"] = self.dry_run
        check, before = _check(self.root), self._found()
        gates = Gates(self.root, self.read_spec, self.scan, self.plan, check, before, answered, self.dry_run)
        self._workflow = Workflow(
            gates=gates.table(),
            selected=self.steps,
            records={number: Record.from_json(record) for number, record in records.items()},
            changed=lambda record: changed(record.step, record.status, record.json()),
        )
        return self._workflow

    def recap(self) -> str:
        """What a summary of the conversation must not lose: the task, each step's record, what is decided and found."""
        lines = [self.prompt(), f"Project: {self.root}"]
        if self._workflow is None:
            return "\n".join(lines)
        for number in self.steps:
            record = self._workflow.records[number]
            title = load_steps()[number - 1].title["en"]
            lines.append(f"- Step {number} ({title}): {record.status}. {record.summary}".rstrip())
            lines += [f"  - file: {path}" for path in record.artifacts]
            lines += [f"  - {line}" for line in open_findings(record)]
        if decisions := self._workflow.decisions:
            lines.append("Decisions so far:")
            lines += [f"- {d.name} = {d.value!r} ({d.source}; {d.evidence or 'no evidence'})" for d in decisions]
        return "\n".join(lines)

    def read_spec(self) -> Spec | None:
        """The SPEC as it is now; None when none was named and the project has none. Raises `SpecError`."""
        from tools.devops.spec import NoSpec, read_spec

        try:
            return read_spec(self.root, self.spec)
        except NoSpec:
            if self.spec is not None:
                raise
            return None

    def scan(self) -> Project:
        from tools.devops.project import scan_project

        return scan_project(self.root)

    def plan(self, spec: Spec | None, project: Project, decisions: Sequence[Decision]) -> Plan:
        from tools.devops.plan import make_plan

        return make_plan(self.root, spec, project, decisions)

    def conclude(self, result: Result, work: Work) -> Result:
        """The result with its report, `work` in it. A run with steps not closed has not completed."""
        if self._workflow is None:
            return result
        spec, project = self.read_spec(), self.scan()
        plan = self.plan(spec, project, self._workflow.decisions)
        report = build_report(self.root, spec, project, plan, self._workflow, result, work)
        result = replace(result, report=report)
        if not isinstance(result, Completed):
            if (
                isinstance(result, Failed)
                and result.kind == "incomplete"
                and any(record.refusals for record in self._workflow.records.values())
            ):
                return replace(result, kind="gate", reason=_open_reason(self._workflow))
            return result
        if self._workflow.open_steps:
            return failed(result, "gate", _open_reason(self._workflow))
        return result


def _open_reason(workflow: Workflow) -> str:
    refused = [n for n in workflow.open_steps if workflow.records[n].refusals]
    steps = ", ".join(map(str, workflow.open_steps))
    if not refused:
        return f"Steps {steps} are still open."
    findings = [
        f"{finding.rule} in {finding.file}: {finding.message}"
        for check in workflow.records[refused[0]].checks
        if check.status == "failed"
        for finding in check.findings
        if finding.severity == "error"
    ]
    return f"Steps {steps} are still open. Step {refused[0]} did not pass its gates: {'; '.join(findings[:3])}"


def _check(root: Path) -> Callable[[str, Project, Spec | None], Sequence[Check]]:
    def check(gate: str, project: Project, spec: Spec | None) -> Sequence[Check]:
        from tools.devops.checks import run_checks

        if gate == "design_recorded":
            return ()
        return run_checks(root, kinds=[gate], project=project, spec=spec).checks

    return check
