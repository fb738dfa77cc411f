"""Two worked examples, one English and one Korean: what a careful reader finds in them is what the reader returns."""

from __future__ import annotations

from pathlib import Path

from tools.devops.spec import read_spec

ORDER = """\
---
id: SPEC-ORDER-007
version: 0.2.0
status: draft
created: 2026-03-02
updated: 2026-03-09
author: @lumen
priority: high
depends_on: [SPEC-CATALOG-002]
---

# SPEC-ORDER-007: Flower order API

## HISTORY
- 0.2.0 (2026-03-09): nightly stock import added
- 0.1.0 (2026-03-02): first draft

## Environment
- Backend: FastAPI 0.11x on Python 3.12, SQLAlchemy async, Alembic
- Database: PostgreSQL 16, managed, daily backup kept 14 days
- Cache and job queue: Redis 7
- Web client: Next.js, separate repository

## Assumptions
- About 40 requests/s in the evening peak, near zero at night.
- Customers and their personal data are in South Korea.

## Requirements
- REQ-ORD-001 (Ubiquitous): The system shall write every order change to an audit table.
- REQ-ORD-002 (Event): WHEN a payment callback arrives, the system shall confirm the order within 2 s.
- REQ-ORD-003 (State): WHILE the stock service is unreachable, the system shall accept orders as "pending".
- REQ-ORD-004 (Unwanted): The system shall not log card numbers or phone numbers.
- REQ-ORD-005 (Optional): WHERE a second region is available, reads may be served from it.
- REQ-ORD-006 (Event): WHEN it is 03:00 KST, the system shall import supplier stock.

## Constraints
- Monthly hosting budget: at most 60 USD. Availability target: 99.9 %.
- Personal data handling follows PIPA.

## Out of Scope
- Kubernetes, multi-region writes
"""

SEAT = """\
# SPEC-SEAT-003: 도서관 좌석 예약 화면과 API

## 메타데이터

| 항목 | 내용 |
|------|------|
| SPEC ID | SPEC-SEAT-003 |
| 상태 | Planned |
| 우선순위 | High |
| 담당 | expert-frontend, expert-devops |

## Environment (환경)
- 프론트엔드: Next.js 16 (App Router), Vercel 배포 예정
- 백엔드: FastAPI (Python 3.12), 배포 플랫폼 미정
- 데이터베이스: PostgreSQL (관리형), 읽기 복제본 불필요

## Requirements (요구사항)
- **REQ-SEAT-01** (Ubiquitous): 시스템은 항상 예약 변경 이력을 남겨야 한다.
- **REQ-SEAT-02** (Event-Driven): **WHEN** 이용자가 좌석을 선택하면 **THEN** 1초 안에 결과를 보여준다.
- **REQ-SEAT-03** (State-Driven): **IF** 시험 기간이면 **THEN** 동시 접속 2,000명을 처리한다 (자동 확장).
- **REQ-SEAT-04** (Unwanted): 시스템은 학번을 로그에 남기지 않아야 한다.
- **REQ-SEAT-05** (Optional): 가능하면 매일 새벽 통계 메일을 보낸다.

## 제약사항
- 예산: 월 10만 원 이내, 가동률 99.5% 이상, 개인정보보호법 준수

## 범위 제외
- 모바일 앱, 온프레미스 설치
"""


def _write(root: Path, spec: str, text: str) -> None:
    place = root / ".do" / "specs" / spec
    place.mkdir(parents=True)
    (place / "spec.md").write_text(text, encoding="utf-8")


def _stated(root: Path) -> dict[str, object]:
    return {name: f.value for name, f in read_spec(root).deployment.items() if f.status == "stated"}


def test_english_example(tmp_path: Path) -> None:
    _write(tmp_path, "SPEC-ORDER-007", ORDER)
    spec = read_spec(tmp_path)
    assert _stated(tmp_path) == {
        "application_type": "api-backend",
        "regions": [{"name": "South Korea", "country": "KR", "implied": True}],
        "database": {"engine": "postgresql", "version": "16"},
        "database_hosting": "managed",
        "database_backup": {"frequency": "daily", "retention_days": 14},
        "cache": {"engine": "redis", "version": "7"},
        "queue": {"engine": "redis", "version": "7"},
        "cron": [
            {
                "schedule": "0 18 * * *",
                "text": "REQ-ORD-006 (Event): WHEN it is 03:00 KST, the system shall import supplier stock.",
            }
        ],
        "budget": {"amount": 60, "currency": "USD", "period": "month"},
        "compliance": ["PIPA"],
        "sla": {"availability": 99.9},
    }
    platform = spec.deployment["platform"]
    assert (platform.status, platform.value) == ("not_stated", None)
    assert [(c["value"], c["status"]) for c in platform.conflicts] == [("kubernetes", "excluded")]
    assert platform.evidence[0].text == "- Kubernetes, multi-region writes"
    assert [(r.id, r.pattern) for r in spec.requirements] == [
        ("REQ-ORD-001", "ubiquitous"),
        ("REQ-ORD-002", "event"),
        ("REQ-ORD-003", "state"),
        ("REQ-ORD-004", "unwanted"),
        ("REQ-ORD-005", "optional"),
        ("REQ-ORD-006", "event"),
    ]
    assert spec.metadata["author"] == "@lumen"
    assert spec.metadata["depends_on"] == ["SPEC-CATALOG-002"]
    assert spec.metadata["created"] == "2026-03-02"
    assert spec.language == "en"


def test_korean_example(tmp_path: Path) -> None:
    _write(tmp_path, "SPEC-SEAT-003", SEAT)
    spec = read_spec(tmp_path)
    assert _stated(tmp_path) == {
        "application_type": "full-stack",
        "frontend_platform": "vercel",
        "database": {"engine": "postgresql"},
        "database_hosting": "managed",
        "cron": [{"schedule": None, "text": "REQ-SEAT-05 (Optional): 가능하면 매일 새벽 통계 메일을 보낸다."}],
        "autoscaling": True,
        "budget": {"amount": 100000, "currency": "KRW", "period": "month"},
        "compliance": ["PIPA"],
        "sla": {"availability": 99.5},
    }
    deployment = spec.deployment
    assert deployment["frontend_platform"].planned
    assert deployment["cron"].planned
    assert not deployment["autoscaling"].planned
    assert deployment["database_replication"].status == "excluded"
    assert deployment["platform"].status == "not_stated"
    assert deployment["platform"].evidence[0].text == "- 백엔드: FastAPI (Python 3.12), 배포 플랫폼 미정"
    assert [(c["value"], c["status"]) for c in deployment["platform"].conflicts] == [("on-premise", "excluded")]
    assert [(r.id, r.pattern) for r in spec.requirements] == [
        ("REQ-SEAT-01", "ubiquitous"),
        ("REQ-SEAT-02", "event"),
        ("REQ-SEAT-03", "state"),
        ("REQ-SEAT-04", "unwanted"),
        ("REQ-SEAT-05", "optional"),
    ]
    assert spec.metadata["status"] == "Planned"
    assert spec.language == "ko"
