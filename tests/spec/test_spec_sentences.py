"""Single sentences: what they state, and what only looks like a statement on deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.devops.spec import read_spec
from tools.devops.types import DeploymentField, Spec

HOME = ".do/specs/SPEC-A-001"


def _spec(root: Path, body: str, **others: str) -> Spec:
    (root / HOME).mkdir(parents=True)
    (root / HOME / "spec.md").write_text(body, encoding="utf-8")
    for name, text in others.items():
        (root / ".do" / "project").mkdir(exist_ok=True)
        (root / ".do" / "project" / f"{name}.md").write_text(text, encoding="utf-8")
    return read_spec(root)


def _field(root: Path, sentence: str, field: str) -> DeploymentField:
    return _spec(root, f"# SPEC-A-001: Something\n\n{sentence}\n").deployment[field]


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("replicas", "| Deployment | `tech.md` §9 container deployment |"),
        ("platform", '- Switch to the "Nomad Worker profile" when deployed users travel'),
        ("platform", "- The check shall reject docker-internal hostnames served only through Docker's embedded DNS."),
        ("platform", "## Environment\n- PostgreSQL on Railway"),
        ("platform", "## Environment\n- FastAPI; tests run on Kubernetes in CI"),
        ("cron", "- Compensation type (required: hourly rate, daily rate, fixed amount)"),
        ("cron", "- 배치 작업은 트랜잭션으로 처리하여, 하나라도 실패하면 전체가 롤백되어야 합니다."),
        ("database_replication", "- Profile photos of the database SHALL support alt text for screen readers, too."),
        ("sla", "- Login success rate: > 95% of login attempts succeed"),
        ("queue", "- Messaging: Pub/sub for real-time features"),
        ("autoscaling", "- Scale horizontally if needed"),
        ("budget", "## Constraints\n- Budget limit met (target: ₩10/query)"),
        ("database", "| D1 | 빌드 설정을 사용하지 않고 저장 | `tech.md` |"),
        ("cron", "- 워커는 HTTP 요청 스코프 밖에서 도는 스케줄러이므로 해당 경로를 타지 않는다"),
        ("queue", "이 SPEC은 선착순 신청(선착순 큐 )이 사용할 정원 스키마를 확정한다."),
        ("queue", "## Out of Scope\n- 큐·워커·정원 로직 → `SPEC-ENROLLMENT-001`"),
        ("database_backup", "The tenant database (PostgreSQL 14) has no tested backup."),
    ],
)
def test_what_only_sounds_like_a_statement(field: str, sentence: str, tmp_path: Path) -> None:
    found = _field(tmp_path, sentence, field)
    assert found.status == "not_stated", found


@pytest.mark.parametrize(
    ("field", "sentence", "value"),
    [
        ("replicas", "- 시스템은 항상 각 서비스의 Pod를 최소 3개 유지해야 한다.", {"min": 3}),
        ("replicas", "- 인프라: 서버 2대", 2),
        ("platform", "- Orchestration: Nomad", "nomad"),
        ("platform", "## Decisions\n- Netlify, with deploy previews", "netlify"),
        ("platform", "An EventBridge rule starts an AWS Lambda function every Monday 06:00 UTC.", "aws-lambda"),
        ("platform", "The application runs on-premise with Docker Compose on the office server.", "on-premise"),
        ("platform", "- Cluster: Amazon EKS in us-east-1", "kubernetes"),
        ("platform", "## Environment\n- Flask on Kubernetes, PostgreSQL 16", "kubernetes"),
        ("platform", "## Environment\n- Express on Fly.io with PostgreSQL", "fly"),
        ("platform", "## Environment\n- backend on Railway, frontend on Vercel", "railway"),
        ("frontend_platform", "## Environment\n- backend on Railway, frontend on Vercel", "vercel"),
        ("frontend_platform", "## Tech Stack\n- FastAPI (Railway), Next.js (Vercel)", "vercel"),
        ("regions", "We host on Fly.io in Frankfurt because of our members.", [{"name": "Frankfurt", "country": "DE"}]),
        (
            "regions",
            "An ingest service on Cloud Run (asia-northeast3) writes to the database.",
            [{"name": "asia-northeast3", "country": "KR"}],
        ),
        ("compliance", "The data of members has to stay here (GDPR).", ["GDPR"]),
        ("compliance", "- Card data never reaches us; we stay in PCI DSS SAQ A.", ["PCI-DSS"]),
        ("platform", "- 구축 환경: 온프레미스 (자체 데이터센터 2곳)", "on-premise"),
        ("regions", "1. Hosting: DigitalOcean droplets in AMS3.", [{"name": "AMS3", "country": "NL"}]),
        (
            "budget",
            "5. Everything together on the servers must not cost more than $120 a month.",
            {"amount": 120, "currency": "USD", "period": "month"},
        ),
        ("database", "- Edge data: Cloudflare D1", {"engine": "sqlite"}),
        ("database", "- Player profiles: DynamoDB", {"engine": "dynamodb"}),
        ("database", "The booking API (FastAPI, PostgreSQL) gets a home.", {"engine": "postgresql"}),
        ("database", "- MongoDB 7 (Replica 구성 여부는 인프라팀과 협의)", {"engine": "mongodb", "version": "7"}),
        (
            "database",
            "| Part | Choice | Alternativa |\n|---|---|---|\n| Database | MySQL | MongoDB |",
            {"engine": "mysql"},
        ),
        ("database_backup", "- Nightly pg_dump to object storage, 14 copies", {"frequency": "daily"}),
        ("autoscaling", "- Min instances 1, max instances 20, scales on concurrency", True),
        ("budget", "- Keep the Vercel bill within 20 USD/month", {"amount": 20, "currency": "USD", "period": "month"}),
        ("cron", "- A timer starts the export every Monday 06:00 UTC.", ["0 6 * * 1"]),
    ],
)  # fmt: skip
def test_what_is_a_statement(field: str, sentence: str, value: Any, tmp_path: Path) -> None:
    found = _field(tmp_path, sentence, field)
    told = [job["schedule"] for job in found.value or ()] if field == "cron" else found.value
    assert (found.status, told) == ("stated", value)


def test_an_undecided_choice_in_brackets_is_still_undecided(tmp_path: Path) -> None:
    assert _field(tmp_path, "- Hosting: Railway (to be confirmed with operations)", "platform").status == "not_stated"


def test_a_ban_holds_for_what_stands_in_brackets_behind_it(tmp_path: Path) -> None:
    assert _field(tmp_path, "| 신규 인프라 | **추가 금지** (Redis/Kafka/RabbitMQ) |", "cache").status == "excluded"


def test_the_title_of_an_api_gives_the_type_and_a_screen_beside_it_does_not(tmp_path: Path) -> None:
    assert _spec(tmp_path / "a", "# SPEC-A-001: Rollout of the invoice API\n").deployment[
        "application_type"
    ].value == "api-backend"  # fmt: skip
    assert _spec(tmp_path / "c", "# SPEC-A-001: createPayment API 개선\n").deployment["application_type"].value is None
    both = _spec(tmp_path / "b", "# SPEC-A-001: 예약 화면과 API\n").deployment["application_type"]
    assert both.status == "not_stated"


def test_a_contradiction_in_a_lower_source_is_told_beside_the_value(tmp_path: Path) -> None:
    metadata = "---\nid: A-001\nplatform: railway\n---\n"
    body = "# A\n- REQ-1: The API shall be deployed to AWS Lambda.\n- Database: MySQL 8\n"
    spec = _spec(tmp_path, metadata + body, tech="# Tech\n- Database: PostgreSQL 16\n")
    for field, value, other in (
        ("platform", "railway", "aws-lambda"),
        ("database", {"engine": "mysql", "version": "8"}, {"engine": "postgresql", "version": "16"}),
    ):
        found = spec.deployment[field]
        assert (found.status, found.value) == ("stated", value)
        assert [side["value"] for side in found.conflicts] == [other]


def test_a_lower_source_that_agrees_among_others_contradicts_nothing(tmp_path: Path) -> None:
    tech = "# Tech\n- Database: PostgreSQL 16\n- Chat database: MongoDB 7\n"
    assert _spec(tmp_path, "# A\n- Database: PostgreSQL\n", tech=tech).deployment["database"].conflicts == ()
