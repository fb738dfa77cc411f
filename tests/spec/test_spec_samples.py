"""Deployment fields over many short SPECs: precision and recall of what the reader states and excludes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.devops.spec import read_spec
from tools.devops.types import Spec

HERE = Path(__file__).parent
SAMPLES: list[dict[str, Any]] = yaml.safe_load((HERE / "samples.yaml").read_text(encoding="utf-8"))
WORKING: list[dict[str, Any]] = yaml.safe_load((HERE / "corpus" / "working.yaml").read_text(encoding="utf-8"))
HELD_OUT: list[dict[str, Any]] = yaml.safe_load((HERE / "corpus" / "heldout.yaml").read_text(encoding="utf-8"))


def _read(root: Path, text: str) -> Spec:
    place = root / ".do" / "specs" / "SPEC-SAMPLE-001"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "spec.md").write_text(text, encoding="utf-8")
    return read_spec(root)


def _schedules(jobs: list[Any] | None) -> list[str] | None:
    return sorted(str(job["schedule"] if isinstance(job, dict) else job) for job in jobs) if jobs else jobs


def _expected(sample: dict[str, Any]) -> dict[str, tuple[str, Any, bool]]:
    planned = sample.get("planned", ())
    stated = {
        name: ("stated", _schedules(value) if name == "cron" else value, name in planned)
        for name, value in sample["stated"].items()
    }
    return stated | dict.fromkeys(sample.get("excluded", ()), ("excluded", None, False))


def _actual(spec: Spec) -> dict[str, tuple[str, Any, bool]]:
    made: dict[str, tuple[str, Any, bool]] = {}
    for name, field in spec.deployment.items():
        if field.status != "not_stated":
            value = _schedules(field.value) if name == "cron" else field.value
            made[name] = (field.status, value, field.planned)
    return made


@pytest.mark.parametrize(
    ("samples", "least", "precise", "complete"),
    [(SAMPLES, 106, 0.97, 0.95), (WORKING, 56, 0.97, 0.93), (HELD_OUT, 24, 0.95, 0.9)],
    ids=["samples", "working", "held-out"],
)
def test_precision_and_recall(
    samples: list[dict[str, Any]], least: int, precise: float, complete: float, tmp_path: Path
) -> None:
    right = claimed = wanted = 0
    wrong: list[str] = []
    for sample in samples:
        expected, actual = _expected(sample), _actual(_read(tmp_path, sample["text"]))
        # On the fields named in `either` two careful readers would differ: only an agreeing answer is counted.
        for name in set(sample.get("either", ())):
            if expected.get(name) != actual.get(name):
                expected.pop(name, None)
                actual.pop(name, None)
        right += sum(actual.get(name) == value for name, value in expected.items())
        claimed, wanted = claimed + len(actual), wanted + len(expected)
        wrong += [
            f"{sample['name']}: {name}: expected {expected.get(name)}, got {actual.get(name)}"
            for name in expected.keys() | actual.keys()
            if expected.get(name) != actual.get(name)
        ]
    precision, recall = right / claimed, right / wanted
    figures = f"{len(samples)} samples, {wanted} fields: precision {precision:.3f}, recall {recall:.3f}"
    print("", figures, *sorted(wrong), sep="\n")  # noqa: T201 - the figures are the point of the test
    assert len(samples) >= least
    assert precision >= precise, wrong
    assert recall >= complete, wrong


@pytest.mark.parametrize("sample", [*SAMPLES, *WORKING, *HELD_OUT], ids=lambda sample: str(sample["name"]))
def test_evidence_is_on_its_line(sample: dict[str, Any], tmp_path: Path) -> None:
    lines = sample["text"].split("\n")
    for field in _read(tmp_path, sample["text"]).deployment.values():
        for evidence in field.evidence:
            assert evidence.text
            assert evidence.text in lines[evidence.line - 1]
        assert field.status != "stated" or field.evidence
        assert field.status == "stated" or field.value is None
