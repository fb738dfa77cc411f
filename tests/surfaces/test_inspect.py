"""`spec` and `detect` as a person reads them, in English and Korean, and as machines do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from agent.surfaces.cli import main
from tools.devops import describe
from tools.devops.project.readiness import WHY
from tools.devops.types import DEPLOYMENT_FIELDS, Pattern, UnitKind

SPEC = """# SPEC-SHOP-001: Shop
## Environment
- Hosting: Railway
- Database: PostgreSQL 16 (managed), backups daily, kept 14 days
- Cache: none
- Region: fra1
- Budget: at most 60 USD a month for hosting
## Deployment
- Platform: Render.com
## Requirements
- REQ-1: The system shall keep 99.9 % availability; RPO 15 min, RTO 2 h.
- REQ-2: The system shall scale from 2 to 6 instances automatically.
- REQ-3: The system shall purge carts every day at 02:00 UTC.
## Out of Scope
- Kubernetes
"""
KOREAN = {"language": {"conversation_language": "ko"}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = tmp_path / ".do" / "specs" / "SPEC-SHOP-001"
    place.mkdir(parents=True)
    (place / "spec.md").write_text(SPEC, encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("fastapi\nuvicorn\npsycopg\ncelery\nredis\n", encoding="utf-8")
    (tmp_path / "main.py").write_text(
        "import os\nfrom fastapi import FastAPI\nfrom celery import Celery\napp = FastAPI()\n"
        "tasks = Celery('main', broker=os.environ['BROKER_URL'])\n",
        encoding="utf-8",
    )
    return tmp_path


def _configure(project: Path) -> None:
    (project / ".do" / "config").mkdir()
    (project / ".do" / "config" / "config.yaml").write_text(json.dumps(KOREAN), encoding="utf-8")


def test_spec_in_english(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "-C", str(project)]) == 0
    shown = capsys.readouterr().out
    where = r"\.do/specs/SPEC-SHOP-001/spec\.md"
    for line in (
        rf"Platform: the SPEC contradicts itself: railway \({where}:3\) or render \({where}:9\)",
        r"Database: postgresql 16\n",
        rf"{where}:4: - Database: PostgreSQL 16 \(managed\)",
        r"Database backup: daily, kept 14 days",
        r"Cache: ruled out",
        r"Regions: fra1 \(DE\)",
        r"Budget: 60 USD a month",
        r"Availability: 99.9 %",
        r"Recovery point \(RPO\): 15 min",
        r"Recovery time \(RTO\): 2 h",
        r"Auto-scaling: 2 to 6",
        r"Scheduled jobs \(UTC\): 0 2 \* \* \* - ",
        r"Not stated: .*CDN",
        r"Requirements \(3\)",
        rf"REQ-3 \(always, {where}:13\)",
    ):
        assert re.search(line, shown), (line, shown)
    assert "{" not in shown


def test_spec_in_the_language_of_the_conversation(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _configure(project)
    assert main(["spec", "-C", str(project)]) == 0
    shown = capsys.readouterr().out
    for line in (
        "배포에 대해 말하는 것",
        "캐시: 제외됨",
        "예산: 월 60 USD",
        "복구 시간 목표 (RTO): 2시간",
        "14일 보관",
    ):
        assert line in shown


def test_detect_in_both_languages(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", str(project)]) == 0
    english = capsys.readouterr().out
    _configure(project)
    assert main(["detect", str(project)]) == 0
    korean = capsys.readouterr().out
    for text in ("back end, python", "Start: uvicorn main:app", "Worker: ", "Variables (names): BROKER_URL"):
        assert text in english
    assert "Missing for production\n  .: health endpoint - " in english
    for text in (
        "백엔드, python",
        "시작: uvicorn main:app",
        "환경 변수 (이름): BROKER_URL",
        "헬스 엔드포인트 - 데이터베이스",
    ):
        assert text in korean


def test_machine_output_keeps_its_names_in_any_language(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _configure(project)
    assert main(["spec", "-C", str(project), "--json"]) == 0
    spec = json.loads(capsys.readouterr().out)
    assert spec["deployment"]["rto"] == {
        "status": "stated",
        "value": 120,
        "evidence": [
            {
                "file": ".do/specs/SPEC-SHOP-001/spec.md",
                "line": 11,
                "text": "- REQ-1: The system shall keep 99.9 % availability; RPO 15 min, RTO 2 h.",
            }
        ],
        "planned": False,
        "conflicts": [],
    }
    assert main(["detect", str(project), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {item["what"] for item in found["missing"]} >= {"health", "liveness"}


def test_every_word_is_there_in_both_languages() -> None:
    texts = yaml.safe_load(Path(describe.__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    assert set(texts["fields"]) == set(DEPLOYMENT_FIELDS)
    assert set(texts["patterns"]) == set(get_args(Pattern))
    assert set(texts["kinds"]) == set(get_args(UnitKind))
    assert set(texts["lacking"]) == set(texts["why_ko"]) == set(WHY)
    groups = [value for key, value in texts.items() if key not in ("why_ko", "notes_ko")]
    words = [w for group in groups for w in ([group] if "en" in group else group.values())]
    assert all(set(word) == {"en", "ko"} and all(word.values()) for word in words)
