"""Our own gates on our own files: no finding but those that name a gap in the sample's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.devops.checks import run_checks, to_text

CODE_GAPS = {"json_logging/missing", "health/missing", "railway/health"}
"""What the hand-made units of the samples really lack."""

KNOWN = {
    "django-pdm-railway": {"railway/legacy", "railway/two-owners"},  # a railway.json is there already
    "flask-pipenv-fly": {"consistency/migration-missing"},  # no deploy job for that platform: nothing migrates
    "workspace-kubernetes": {"dockerfile/source-before-lock"},  # a workspace installs from its whole tree
}


def put(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def test_no_finding_on_what_is_written(samples: dict[str, Any], tmp_path: Path) -> None:
    for name, sample in samples.items():
        root = tmp_path / name
        put(root, sample.files())
        report = run_checks(root, project=sample.project, spec=sample.spec, linters=False)
        unexpected = {finding.rule for finding in report.findings} - CODE_GAPS - KNOWN.get(name, set())
        assert not unexpected, f"{name}\n{to_text(report)}"


@pytest.mark.needs("hadolint", "actionlint", "zizmor")
def test_an_image_unit_beside_a_vercel_unit_passes_every_gate(samples: dict[str, Any], tmp_path: Path) -> None:
    sample = samples["monorepo-railway-vercel"]
    put(tmp_path, sample.files())
    assert {"backend/Dockerfile", "web/vercel.json", ".railway/railway.py"} <= set(sample.files())
    report = run_checks(tmp_path, project=sample.project, spec=sample.spec)
    assert {finding.rule for finding in report.findings} == {"json_logging/missing"}, to_text(report)
    assert not report.not_verified
