"""Runs the gates on a project and collects one report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.devops.checks.gate import Check as CheckFunction
from tools.devops.checks.gate import CouldNotRunError, Gate, Linter, Subject
from tools.devops.checks.registry import GATES
from tools.devops.checks.rules import Rule
from tools.devops.checks.tree import FILE_RULES, BadFileError, Tree
from tools.devops.types import Check, CheckStatus, Finding, Project, Spec
from tools.plain import to_json

OWN = "expert-devops"


@dataclass(frozen=True, slots=True)
class Report:
    """The checks that were due: for each gate its own rules (`tool` expert-devops), then one check a linter."""

    root: str
    checks: tuple[Check, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, by file, line and rule."""
        found = {finding for check in self.checks for finding in check.findings}
        return tuple(sorted(found, key=lambda f: (f.file, f.line, f.rule, f.message)))

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def not_verified(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.status == "not_verified")

    def status(self, gate: str) -> CheckStatus:
        """One word for a gate: failed beats not verified, which beats passed. Raises KeyError for a gate not run."""
        found = {check.status for check in self.checks if check.name == gate}
        order: tuple[CheckStatus, ...] = ("failed", "not_verified", "passed", "not_applicable")
        for status in order:
            if status in found:
                return status
        raise KeyError(gate)

    def to_json(self) -> Any:
        """`{root, checks: [...]}` with the key names of `Check` and `Finding`."""
        return to_json(self)


def run_checks(
    root: Path,
    *,
    kinds: Iterable[str] | None = None,
    paths: Iterable[str] | None = None,
    project: Project | None = None,
    spec: Spec | None = None,
    linters: bool = True,
) -> Report:
    """Run the gates named in `kinds` (all without it) on `root`.

    With `paths` (files or folders, relative to `root`) only findings in those files are reported; the rest of the
    project is still read, since some rules compare files. `project` and `spec` are read when a gate needs them and
    they are not given. `linters=False` leaves other tools out: own rules only.
    Raises ValueError for an unknown kind, FileNotFoundError when `root` is no folder.
    """
    gates = _chosen(kinds)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder")
    subject = Subject(Tree(root), project, spec)
    wanted = None if paths is None else tuple(str(path).removeprefix("./").rstrip("/") or "." for path in paths)
    selected = {gate.name: _within(subject.files(gate.select), wanted) for gate in gates}
    with ThreadPoolExecutor(max_workers=4) as pool:
        # Linters wait for their processes in threads while this thread works through the own rules.
        linting = {
            (gate.name, linter.tool): pool.submit(_lint, gate.name, linter, subject, selected[gate.name])
            for gate in gates
            if selected[gate.name]
            for linter in gate.linters
            if linters and (not linter.optional or linter.locate() is not None)
        }
        own = {gate.name: _own(gate, subject, selected[gate.name], wanted) for gate in gates}
        checks: list[Check] = []
        for gate in gates:
            checks.append(own[gate.name])
            checks += [future.result() for (name, _tool), future in linting.items() if name == gate.name]
    return Report(str(subject.tree.root), tuple(checks))


def available_tools() -> Mapping[str, Path | None]:
    """Every linter by name, with the program or module it would run; None when it is not installed."""
    return {linter.tool: linter.locate() for gate in GATES for linter in gate.linters}


def rule_catalog() -> Mapping[str, Rule]:
    """Every own rule by its public id, in gate order."""
    return {rule_id: rule for rules in (FILE_RULES, *(gate.rules for gate in GATES)) for rule_id, rule in rules}


def _chosen(kinds: Iterable[str] | None) -> tuple[Gate, ...]:
    if kinds is None:
        return GATES
    names = tuple(kinds)
    known = [gate.name for gate in GATES]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown check {', '.join(unknown)}; known: {', '.join(known)}")
    return tuple(gate for gate in GATES if gate.name in names)


def _within(files: Iterable[str], wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    if wanted is None or "." in wanted:
        return tuple(files)
    return tuple(path for path in files if any(path == want or path.startswith(f"{want}/") for want in wanted))


def _own(gate: Gate, subject: Subject, files: tuple[str, ...], wanted: tuple[str, ...] | None) -> Check:
    if not files:
        return Check(gate.name, OWN, "not_applicable", detail="there is no file of this kind")
    findings, reason = _collect(gate.check, subject, subject.files(gate.select))
    kept = tuple(finding for finding in findings if _within([finding.file], wanted))
    return _verdict(gate.name, OWN, files, kept, reason)


def _lint(gate: str, linter: Linter, subject: Subject, files: tuple[str, ...]) -> Check:
    if linter.locate() is None:
        return Check(gate, linter.tool, "not_verified", files, detail=f"{linter.tool} is not installed")
    plain = tuple(path for path in files if subject.tree.is_plain(path))  # the others are findings of the own rules
    try:
        findings, reason = _collect(linter.run, subject, plain)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        findings, reason = (), f"{linter.tool} gave an answer of an unknown shape ({type(error).__name__})"
    return _verdict(gate, linter.tool, files, findings, reason)


def _collect(check: CheckFunction, subject: Subject, files: tuple[str, ...]) -> tuple[tuple[Finding, ...], str]:
    """What was found, and why the check ended early ("" when it did not)."""
    findings: dict[Finding, None] = {}
    reason = ""
    try:
        for finding in check(subject, files):
            findings[finding] = None
    except CouldNotRunError as error:
        reason = str(error)
    except BadFileError as error:
        findings[error.finding] = None
    return tuple(findings), reason


def _verdict(gate: str, tool: str, files: tuple[str, ...], findings: tuple[Finding, ...], reason: str) -> Check:
    status: CheckStatus = "not_verified" if reason else "passed"
    if any(finding.severity == "error" for finding in findings):
        status = "failed"
    return Check(gate, tool, status, files, findings, reason)
