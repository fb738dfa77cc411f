"""The gates of the eight steps: what must be true before a claim becomes *verified*.

Two kinds. Gates on files run the project's checks (`tools.devops.checks`) and demand every artifact the plan asks for.
Gates on the run itself (SPEC read, requirements listed, platform decided) compare the claim with what is really there.
A model can leave a planned artifact out only by a decision `skip:<kind>` with its reason. What was wrong before the
run, in files it leaves alone, is told and does not stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.workflow.before import Before
from agent.workflow.steps import Gate
from tools.devops.types import Check, CheckStatus, Decision, Finding, Plan, Project, Spec
from tools.ports import StepClaim

FILE_GATES: Mapping[str, tuple[str, ...]] = {
    "design_recorded": ("architecture",),
    "dockerfile": ("dockerfile",),
    "dockerignore": ("dockerignore",),
    "compose": ("compose",),
    "railway": ("railway", "railway_json"),
    "vercel": ("vercel",),
    "netlify": ("netlify",),
    "kubernetes": ("kubernetes",),
    "terraform": ("terraform",),
    "sam": ("sam",),
    "cloudrun": ("cloudrun",),
    "containerapps": ("containerapps",),
    "workflow": ("workflow",),
    "env_example": ("env_example",),
    "no_secrets": (),
    "health": (),
    "json_logging": (),
    "runbook": ("runbook", "monitoring_doc"),
    "handovers": ("handover",),
    "consistency": (),
}
"""Gate id -> the artifact kinds whose planned files it demands."""

_ADDABLE = {"health": "health", "json_logging": "json_logs"}
"""Gate id -> what `InstrumentApp` can add to satisfy it."""

_MOST_IDS_NAMED = 40  # beyond this many requirements a claim gives their number


@dataclass(slots=True)
class Gates:
    """The gates of one run.

    `answered` are the question texts a person really answered in this session. In a dry run nothing is written, so
    nothing that is planned can be verified.
    """

    root: Path
    read_spec: Callable[[], Spec | None]
    scan: Callable[[], Project]
    plan: Callable[[Spec | None, Project, Sequence[Decision]], Plan]
    check: Callable[[str, Project, Spec | None], Sequence[Check]]
    before: Before
    answered: Collection[str] = ()
    dry_run: bool = False

    def table(self) -> dict[str, Gate]:
        """Every gate id of the step files -> its gate."""
        own: dict[str, Gate] = {
            "spec_read": self._spec_read,
            "requirements_listed": self._requirements_listed,
            "platform_decided": self._platform_decided,
        }
        return own | {gate: self._files(gate, kinds) for gate, kinds in FILE_GATES.items()}

    # --- gates on the run itself ---

    def _spec_read(self, claim: StepClaim, decisions: Sequence[Decision]) -> list[Check]:
        del decisions
        spec = self.read_spec()
        if spec is None:
            return [Check("spec_read", "expert-devops", "not_applicable", detail="the project has no SPEC")]
        if spec.id.lower() not in claim.summary.lower():
            return [_failed("spec_read", spec.files[0], f"the summary does not name {spec.id}", f"Name {spec.id}.")]
        return [Check("spec_read", "expert-devops", "passed", spec.files, detail=f"{len(spec.files)} files read")]

    def _requirements_listed(self, claim: StepClaim, decisions: Sequence[Decision]) -> list[Check]:
        del decisions
        spec = self.read_spec()
        ids = [requirement.id for requirement in spec.requirements] if spec else []
        if spec is None or not ids:
            return [Check("requirements_listed", "expert-devops", "not_applicable", detail="no requirement is stated")]
        wanted = ids if len(ids) <= _MOST_IDS_NAMED else [str(len(ids))]
        absent = [name for name in wanted if name not in claim.summary]
        if absent:
            message = f"the summary leaves out {', '.join(absent)}"
            return [_failed("requirements_listed", spec.files[0], message, "List every requirement id.")]
        detail = f"{len(ids)} requirements listed"
        return [Check("requirements_listed", "expert-devops", "passed", spec.files, detail=detail)]

    def _platform_decided(self, claim: StepClaim, decisions: Sequence[Decision]) -> list[Check]:
        del claim
        project = self.scan()
        spec = self.read_spec()
        chosen = {d.name: d for d in decisions if d.name == "platform" or d.name.startswith("platform:")}
        findings = []
        for unit in project.units:
            decision = chosen.get(f"platform:{unit.path}") or chosen.get("platform")
            if unit.kind == "library":
                continue
            if decision is None:
                name = f"platform:{unit.path}"
                findings.append(_finding("platform_decided", unit.path, f"{unit.path} has no decision {name!r}"))
            elif problem := self._source_problem(decision, spec, project):
                findings.append(_finding("platform_decided", unit.path, problem))
        status: CheckStatus = "failed" if findings else "passed" if project.units else "not_applicable"
        detail = "; ".join(f"{d.name} = {d.value} ({d.source})" for d in chosen.values())
        return [Check("platform_decided", "expert-devops", status, (), tuple(findings), detail)]

    def _source_problem(self, decision: Decision, spec: Spec | None, project: Project) -> str | None:
        """Why the stated source of a platform decision does not hold, or None."""
        value = str(decision.value)
        match decision.source:
            case "spec":
                fields = [spec.deployment.get(name) for name in ("platform", "frontend_platform")] if spec else []
                stated = {field.value for field in fields if field is not None and field.status == "stated"}
                return None if value in stated else f"the SPEC does not state the platform {value!r}"
            case "project":
                shown = {sign.platform for sign in project.platforms if sign.source != "default"}
                return None if value in shown else f"no file of the project points at {value!r}"
            case "user":
                return None if self.answered else f"nobody answered a question, so {value!r} cannot come from the user"
            case "default":
                return None

    # --- gates on files ---

    def _files(self, gate: str, kinds: Sequence[str]) -> Gate:
        def judge(claim: StepClaim, decisions: Sequence[Decision]) -> list[Check]:
            del claim
            spec, project = self.read_spec(), self.scan()
            found = [self._demanded(check, project, spec) for check in self.check(gate, project, spec)]
            plan = self.plan(spec, project, decisions) if kinds else None
            planned = {artifact.path for artifact in plan.artifacts} if plan else set()
            checks = self.before.tell_apart(self.root, found, planned)
            if self.dry_run:
                checks = [_unwritten(check) for check in checks]
            if plan:
                checks.insert(0, self._planned(gate, kinds, plan, decisions))
            return checks or [Check(gate, "expert-devops", "not_applicable", detail="nothing of this kind is present")]

        return judge

    def _demanded(self, check: Check, project: Project, spec: Spec | None) -> Check:
        """What the code lacks stops the step where `InstrumentApp` could have added it and no document asks for it."""
        subject = _ADDABLE.get(check.name)
        if subject is None or all(f.rule != f"{check.name}/missing" or f.severity != "warning" for f in check.findings):
            return check
        from tools.devops.instrument import plan_instrumentation

        units = {unit.path: unit for unit in project.units}

        def judged(finding: Finding) -> Finding:
            unit = units.get(finding.file) if finding.severity == "warning" else None
            if unit is None or not plan_instrumentation(self.root, unit, [subject], spec).added:
                return finding
            return replace(finding, severity="error", fix=f"Call InstrumentApp for {unit.path}. {finding.fix}")

        findings = tuple(map(judged, check.findings))
        failed = any(finding.severity == "error" for finding in findings)
        return replace(check, findings=findings, status="failed" if failed else check.status)

    def _planned(self, gate: str, kinds: Sequence[str], plan: Plan, decisions: Sequence[Decision]) -> Check:
        """Every planned file of these kinds must exist, unless a decision leaves its kind out with a reason."""
        skipped = {d.name.removeprefix("skip:") for d in decisions if d.name.startswith("skip:")}
        due = [a for a in plan.artifacts if a.kind in kinds and a.kind not in skipped]
        if self.dry_run and due:
            detail = "dry run: nothing was written"
            return Check(f"{gate}_planned", "expert-devops", "not_verified", tuple(a.path for a in due), (), detail)
        absent = [artifact for artifact in due if not (self.root / artifact.path).exists()]
        findings = tuple(
            _finding(gate, artifact.path, f"the plan asks for {artifact.path} ({artifact.why}), but it is absent")
            for artifact in absent
        )
        status: CheckStatus = "failed" if findings else "passed" if due else "not_applicable"
        return Check(f"{gate}_planned", "expert-devops", status, tuple(a.path for a in due), findings)


def _unwritten(check: Check) -> Check:
    """In a dry run a check sees the project as it is, not as it would be: what it misses may well be planned."""
    if check.status != "failed":
        return check
    detail = "dry run: the files that would be written were not judged"
    return replace(check, status="not_verified", findings=(), detail=detail)


def _finding(gate: str, file: str, message: str, fix: str = "") -> Finding:
    return Finding(f"gate.{gate}", "error", file, 0, message, fix=fix)


def _failed(gate: str, file: str, message: str, fix: str) -> Check:
    return Check(gate, "expert-devops", "failed", (file,), (_finding(gate, file, message, fix),))
