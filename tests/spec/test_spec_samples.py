"""Deployment fields over many short SPECs: precision and recall of what the reader states and excludes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.devops.spec import read_spec
from tools.devops.types import Spec

SAMPLES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("samples.yaml").read_text(encoding="utf-8"))


def _read(root: Path, text: str) -> Spec:
    place = root / ".do" / "specs" / "SPEC-SAMPLE-001"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "spec.md").write_text(text, encoding="utf-8")
    return read_spec(root)


def _expected(sample: dict[str, Any]) -> dict[str, tuple[str, Any, bool]]:
    planned = sample.get("planned", ())
    stated = {name: ("stated", value, name in planned) for name, value in sample["stated"].items()}
    return stated | dict.fromkeys(sample.get("excluded", ()), ("excluded", None, False))


def _actual(spec: Spec) -> dict[str, tuple[str, Any, bool]]:
    made: dict[str, tuple[str, Any, bool]] = {}
    for name, field in spec.deployment.items():
        if field.status != "not_stated":
            value = [job["schedule"] for job in field.value] if name == "cron" and field.value else field.value
            made[name] = (field.status, value, field.planned)
    return made


def test_precision_and_recall(tmp_path: Path) -> None:
    right = claimed = wanted = 0
    wrong: list[str] = []
    for sample in SAMPLES:
        expected, actual = _expected(sample), _actual(_read(tmp_path, sample["text"]))
        right += sum(actual.get(name) == value for name, value in expected.items())
        claimed, wanted = claimed + len(actual), wanted + len(expected)
        wrong += [
            f"{sample['name']}: {name}: expected {expected.get(name)}, got {actual.get(name)}"
            for name in expected.keys() | actual.keys()
            if expected.get(name) != actual.get(name)
        ]
    precision, recall = right / claimed, right / wanted
    figures = f"{len(SAMPLES)} samples, {wanted} fields: precision {precision:.3f}, recall {recall:.3f}"
    print("", figures, *sorted(wrong), sep="\n")  # noqa: T201 - the figures are the point of the test
    assert len(SAMPLES) >= 42
    assert precision >= 0.97, wrong
    assert recall >= 0.9, wrong


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample["name"]))
def test_evidence_is_on_its_line(sample: dict[str, Any], tmp_path: Path) -> None:
    lines = sample["text"].split("\n")
    for field in _read(tmp_path, sample["text"]).deployment.values():
        for evidence in field.evidence:
            assert evidence.text
            assert evidence.text in lines[evidence.line - 1]
        assert field.status != "stated" or field.evidence
        assert field.status == "stated" or field.value is None
