"""What a plan and the instrumentation say to a person has a Korean wording, and keeps the names in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instrument.apps import NODE, PYTHON
from tests.render.conftest import Sample
from tools.devops.instrument import SUBJECTS, plan_instrumentation
from tools.devops.project import scan_project
from tools.devops.types import DeployUnit, Plan
from tools.devops.wording import in_language

_HANGUL = re.compile("[가-힣]")
_FIGURES = re.compile(r"DigitalOcean Kubernetes|[\w .,/()$-]*\d[\w .,/()$-]*")  # the same in every language


def told(plan: Plan) -> Iterator[str]:
    yield from (artifact.why for artifact in plan.artifacts)
    yield from (variable.why for variable in plan.env)
    yield from plan.cost["assumptions"]
    yield from (item["basis"] for item in plan.cost["items"] if not _FIGURES.fullmatch(item["basis"]))


def is_korean(text: str) -> bool:
    return _HANGUL.search(in_language(text, "ko")) is not None


def test_every_reason_of_a_plan_is_said_in_korean(sample: Sample) -> None:
    assert [text for text in told(sample.plan()) if not is_korean(text)] == []


@pytest.mark.parametrize("name", [*PYTHON, *NODE])
def test_every_remark_on_the_code_is_said_in_korean(name: str, tmp_path: Path) -> None:
    for path, text in (PYTHON | NODE)[name].files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(text.encode())
    planned = plan_instrumentation(tmp_path, scan_project(tmp_path).units[0])
    assert [text for text in (*planned.notes, *planned.unsupported) if not is_korean(text)] == []


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django", "express", "nestjs", "next", "gin"])
def test_every_refusal_is_said_in_korean(framework: str, tmp_path: Path) -> None:
    unit = DeployUnit(".", "x", "backend", "x", frameworks=(framework,), ready=dict.fromkeys(SUBJECTS, False))
    planned = plan_instrumentation(tmp_path, unit)
    assert planned.unsupported
    assert [text for text in planned.unsupported if not is_korean(text)] == []


def test_names_are_kept_and_unknown_text_stays() -> None:
    assert in_language("orders-api runs as a container", "ko").startswith("orders-api")
    assert in_language("runs {x}", "en") == "runs {x}"
    assert in_language("something nobody wrote down", "ko") == "something nobody wrote down"
    assert "{0.__class__}" in in_language("{0.__class__} runs as a container", "ko")
