"""Every rule finds its bad case, made from a clean project by one change; the clean projects have no finding."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.devops.checks import rule_catalog, run_checks, to_text
from tools.devops.types import DeploymentField, DeployUnit, Project, Spec

HERE = Path(__file__).parent
CLEAN = sorted(path.name for path in (HERE / "clean").iterdir())
CASES: list[dict[str, Any]] = [
    case for path in sorted((HERE / "bad").glob("*.yaml")) for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]


def project_of(name: str | None, root: Path, change: dict[str, Any]) -> Project:
    """The scanned project of a clean fixture, with `change` made to its unit."""
    facts = json.loads((HERE / "projects.json").read_text(encoding="utf-8"))
    known = facts.get(name, {"units": [], "default_branch": "main"})
    units = tuple(_unit({**unit, **change}) for unit in known["units"])
    return Project(str(root), units, (), (), (), known["default_branch"])


def _unit(facts: dict[str, Any]) -> DeployUnit:
    values: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in facts.items()}
    return DeployUnit(**values)


def spec_with(regions: list[dict[str, str]]) -> Spec:
    return Spec("SPEC-1", "t", (), "en", {}, (), {"regions": DeploymentField("stated", regions)})


def build(case: dict[str, Any], root: Path) -> None:
    """Write the files of a bad case."""
    if "from" in case:
        shutil.copytree(HERE / "clean" / case["from"], root, dirs_exist_ok=True)
    for edits in (case.get(key, {}) for key in ("edit", "also", "also2")):
        for name, (old, new) in edits.items():
            text = (root / name).read_text(encoding="utf-8")
            assert old in text, f"{name} does not hold {old!r}"
            (root / name).write_text(text.replace(old, new), encoding="utf-8")
    for name, text in case.get("files", {}).items():
        for word, count in case.get("repeat", {}).items():
            text = text.replace(word, word * count)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        secret = case["rule"].startswith("no_secrets")
        (root / name).write_text(text.replace("+", "") if secret else text, encoding="utf-8")
    for name in case.get("remove", []):
        (root / name).unlink()
    for name, target in case.get("link", {}).items():
        (root / name).symlink_to(target)
    if case.get("git"):
        (root / ".git").mkdir()


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_project_has_no_finding(name: str) -> None:
    root = HERE / "clean" / name
    report = run_checks(root, project=project_of(name, root, {}), spec=spec_with([]))
    assert to_text(report).endswith("0 errors, 0 other findings.\n"), to_text(report)
    assert not report.not_verified


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["rule"])
def test_a_bad_case_is_found(case: dict[str, Any], tmp_path: Path) -> None:
    build(case, tmp_path)
    project = project_of(case.get("from"), tmp_path, case.get("unit", {}))
    gate = case["rule"].split("/")[0]
    kinds, spec = None if gate == "file" else [gate], spec_with(case.get("regions", []))
    report = run_checks(tmp_path, kinds=kinds, project=project, spec=spec, linters=False)
    found = [finding for finding in report.findings if finding.rule == case["rule"]]
    assert found, to_text(report)
    if "line" in case:
        assert case["line"] in [finding.line for finding in found], to_text(report)
    severity = case.get("severity") or rule_catalog()[case["rule"]].severity
    assert severity in {finding.severity for finding in found}
    assert all(finding.why and finding.fix and finding.message for finding in found)
    if severity == "error":
        assert any(check.status == "failed" for check in report.checks)


def test_every_rule_has_a_bad_case_and_a_source() -> None:
    cases = {case["rule"] for case in CASES}
    assert set(rule_catalog()) - cases == set()
    assert cases - set(rule_catalog()) == set()
    assert all(rule.source and rule.why and rule.fix for rule in rule_catalog().values())
