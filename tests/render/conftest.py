"""Projects to render for, built by hand: every language, package manager and platform that has templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tools.devops.plan import make_plan
from tools.devops.render import render
from tools.devops.types import (
    ArtifactPlan,
    Decision,
    DeploymentField,
    DeployUnit,
    Plan,
    Project,
    Requirement,
    Spec,
)


@dataclass(frozen=True)
class Sample:
    """A project with its SPEC and the platform of each unit, planned and rendered on demand."""

    units: tuple[DeployUnit, ...]
    platforms: tuple[str, ...]
    spec: Spec | None = None
    existing: tuple[str, ...] = ()
    extra: tuple[Decision, ...] = ()

    @property
    def project(self) -> Project:
        return Project("/nowhere/demo", self.units, (), self.existing, (), default_branch="main")

    def plan(self) -> Plan:
        names = [f"platform:{u.path}" if len(self.units) > 1 else "platform" for u in self.units]
        chosen = [Decision(n, p, "user", "test") for n, p in zip(names, self.platforms, strict=True)]
        return make_plan(Path("/nowhere/demo"), self.spec, self.project, [*chosen, *self.extra])

    def files(self, *kinds: str) -> dict[str, str]:
        """Path -> text of the planned files, all or those of the kinds named."""
        plan = self.plan()
        wanted = [a for a in plan.artifacts if not kinds or a.kind in kinds]
        return {a.path: self.render(plan, a) for a in wanted}

    def render(self, plan: Plan, artifact: ArtifactPlan) -> str:
        return render(plan, artifact, self.spec, self.project)


@dataclass(frozen=True)
class Base:
    api: DeployUnit = field(
        default_factory=lambda: DeployUnit(
            path=".",
            name="orders",
            kind="backend",
            language="python",
            version="3.12",
            frameworks=("fastapi",),
            package_manager="pip",
            install="pip install -r requirements.txt",
            start="uvicorn app.main:app --host 0.0.0.0 --port $PORT",
            migrate="alembic upgrade head",
            test="pytest",
            lint="ruff check .",
            typecheck="mypy .",
            port=8000,
            health_path="/health",
            entry="app.main:app",
            files=("requirements.txt",),
            env=("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "CORS_ORIGINS", "DEBUG", "PORT"),
            services=("postgres", "redis"),
        )
    )
    node: DeployUnit = field(
        default_factory=lambda: DeployUnit(
            path=".",
            name="shop",
            kind="backend",
            language="node",
            version="22",
            frameworks=("express",),
            package_manager="npm",
            install="npm ci",
            build="npm run build",
            start="npm start",
            test="npm test",
            port=3000,
            health_path="/healthz",
            liveness_path="/livez",
            entry="dist/main.js",
            files=("package.json", "package-lock.json"),
            env=("DATABASE_URL", "JWT_SECRET"),
            services=("mysql",),
        )
    )


BASE = Base()
API, NODE = BASE.api, BASE.node


def spec(language: str = "en", **values: Any) -> Spec:
    """A SPEC that states the given deployment fields, with two requirements."""
    return Spec(
        id="SHOP-001",
        title="상점 배포" if language == "ko" else "Shop | deployment",
        files=(".do/specs/SPEC-SHOP-001/spec.md",),
        language=language,
        metadata={},
        requirements=(
            Requirement("REQ-1", "ubiquitous", "The system shall roll back a failed deployment.", "spec.md", 10),
            Requirement(
                "REQ-2", "ubiquitous", "시스템은 컨테이너를 루트가 아닌 사용자로 실행해야 한다.", "spec.md", 11
            ),
        ),
        deployment={name: DeploymentField("stated", value) for name, value in values.items()},
        config={"settings": {"constitution": {"test_coverage_target": 85}}},
    )


def _python(manager: str, *files: str, **more: Any) -> DeployUnit:
    return replace(API, package_manager=manager, install=None, files=files, **more)


def _node(manager: str, *files: str, **more: Any) -> DeployUnit:
    return replace(NODE, package_manager=manager, install=None, files=files, **more)


SPA = replace(
    NODE,
    path="web",
    name="@acme/web",
    kind="frontend",
    frameworks=("vite", "react"),
    start=None,
    entry=None,
    port=None,
    health_path=None,
    output_dir="dist",
    env=("VITE_API_URL",),
    services=(),
)
NEXT = replace(
    SPA, path=".", name="site", frameworks=("next",), start="npm start", output_dir=None, env=("NEXT_PUBLIC_API_URL",)
)
WORKER = {"name": "worker", "command": "celery -A app worker"}
NIGHTLY = {"name": "nightly", "command": "python -m app.nightly", "schedule": "0 3 * * *"}
QUEUE = {"name": "queue", "command": "node dist/queue.js"}
WEEKLY = {"name": "report", "command": "node dist/report.js", "schedule": "30 4 * * MON"}
VISIT = {"name": "api-digest", "path": "/api/digest", "schedule": "0 6 * * *"}

SAMPLES: dict[str, Sample] = {
    "fastapi-pip-railway": Sample((API,), ("railway",)),
    "fastapi-uv-kubernetes": Sample((_python("uv", "pyproject.toml", "uv.lock"),), ("kubernetes",), spec(replicas=3)),
    "fastapi-poetry-railway-ko": Sample(
        (_python("poetry", "pyproject.toml", "poetry.lock"),), ("railway",), spec("ko", sla={"availability": 99.9})
    ),
    "django-pdm-railway": Sample(
        (
            _python(
                "pdm",
                "pyproject.toml",
                "pdm.lock",
                start="gunicorn shop.wsgi --bind 0.0.0.0:$PORT",
                migrate="python manage.py migrate",
                build="python manage.py collectstatic --noinput",
                system_packages=("libpq-dev", "gcc"),
                health_path=None,
                workers=(WORKER,),
                cron=(NIGHTLY,),
            ),
        ),
        ("railway",),
        existing=("railway.json",),
    ),
    "flask-pipenv-fly": Sample((_python("pipenv", "Pipfile", "Pipfile.lock"),), ("fly",)),
    "python-worker-kubernetes": Sample(
        (replace(API, kind="worker", start="celery -A app worker", port=None, health_path=None, migrate=None),),
        ("kubernetes",),
    ),
    "python-jobs-kubernetes": Sample((replace(API, workers=(WORKER,), cron=(NIGHTLY,)),), ("kubernetes",)),
    "express-npm-kubernetes": Sample((NODE,), ("kubernetes",), spec(autoscaling={"min": 2, "max": 6})),
    "nest-pnpm-railway": Sample(
        (_node("pnpm", "package.json", "pnpm-lock.yaml", frameworks=("nestjs",)),), ("railway",)
    ),
    "node-yarn-kubernetes": Sample((_node("yarn", "package.json", "yarn.lock"),), ("kubernetes",)),
    "node-bun-railway": Sample((_node("bun", "package.json", "bun.lock", start="bun run src/index.ts"),), ("railway",)),
    "next-vercel": Sample(
        (replace(NEXT, cron=(VISIT,)),), ("vercel",), spec(regions=[{"name": "ap-northeast-2", "country": "KR"}])
    ),
    "next-standalone-kubernetes": Sample((replace(NEXT, output_dir=".next/standalone"),), ("kubernetes",)),
    "next-server-railway": Sample((NEXT,), ("railway",)),
    "spa-netlify": Sample((SPA,), ("netlify",)),
    "spa-railway": Sample((SPA,), ("railway",)),
    "html-kubernetes": Sample(
        (DeployUnit(path=".", name="page", kind="static", language="static", output_dir="public"),), ("kubernetes",)
    ),
    "go-kubernetes": Sample(
        (
            DeployUnit(
                path=".",
                name="gateway",
                kind="backend",
                language="go",
                version="1.23",
                package_manager="go",
                install="go mod download",
                build='go build -ldflags="-s -w" -o out ./cmd/gateway',
                start="./out",
                test="go test ./...",
                port=8080,
                health_path="/health",
                entry="./cmd/gateway",
                files=("go.mod", "go.sum"),
                env=("DATABASE_URL",),
                services=("mongodb", "rabbitmq"),
            ),
        ),
        ("kubernetes",),
    ),
    "rails-railway": Sample(
        (
            DeployUnit(
                path=".",
                name="blog",
                kind="backend",
                language="ruby",
                version="3.4",
                package_manager="bundler",
                install="bundle install",
                start="bundle exec puma -p $PORT",
                migrate="bin/rails db:migrate",
                test="bin/rails test",
                port=3000,
                files=("Gemfile", "Gemfile.lock"),
                system_packages=("libpq-dev",),
                services=("postgresql",),
            ),
        ),
        ("railway",),
    ),
    "java-kubernetes": Sample(
        (
            DeployUnit(
                path=".",
                name="ledger",
                kind="backend",
                language="java",
                version="21",
                package_manager="maven",
                build="./mvnw -B package",
                start="java -jar target/ledger.jar",
                test="./mvnw -B test",
                port=8080,
                files=("pom.xml",),
                health_path="/actuator/health",
            ),
        ),
        ("kubernetes",),
    ),
    "monorepo-railway-vercel": Sample(
        (replace(API, path="backend"), SPA), ("railway", "vercel"), spec(budget={"amount": 5, "currency": "USD"})
    ),
    "monorepo-kubernetes-ko": Sample(
        (replace(API, path="services/api", name="api"), replace(NODE, path="services/shop")),
        ("kubernetes", "kubernetes"),
        spec("ko", rpo=60, rto=240, compliance=["PIPA"]),
        extra=(Decision("domain", "shop.example.com", "user"), Decision("repository", "Acme/Shop", "project")),
    ),
    "fastapi-ecs": Sample((replace(API, workers=(WORKER,), cron=(NIGHTLY,)),), ("aws-ecs",), spec(replicas=2)),
    "monorepo-ecs-ko": Sample(
        (
            replace(NODE, path="api", name="api"),
            replace(API, path="mailer", name="mailer", kind="worker", start="celery -A app worker", port=None),
            replace(SPA, services=()),
        ),
        ("aws-ecs", "aws-ecs", "aws-ecs"),
        spec("ko", regions=[{"name": "ap-northeast-2", "country": "KR"}]),
        extra=(Decision("repository", "Acme/Shop", "project"),),
    ),
    "fastapi-droplet": Sample((replace(API, workers=(WORKER,), cron=(NIGHTLY,)),), ("digitalocean",)),
    "monorepo-ec2-ko": Sample(
        (replace(API, path="api", name="api"), replace(NODE, path="shop")),
        ("aws-ec2", "aws-ec2"),
        spec("ko", regions=[{"name": "ap-northeast-2", "country": "KR"}]),
    ),
    "fastapi-cloud-run": Sample(
        (replace(API, workers=(WORKER,), cron=(NIGHTLY,)),), ("gcp-cloud-run",), spec(sla={"availability": 99.9})
    ),
    "monorepo-azure-ko": Sample(
        (
            replace(
                NODE, path="api", name="api", migrate="npx prisma migrate deploy", workers=(QUEUE,), cron=(WEEKLY,)
            ),
            replace(API, path="jobs", name="jobs", kind="worker", start="celery -A app worker", migrate=None),
        ),
        ("azure-container-apps", "azure"),
        spec("ko", regions=[{"name": "koreacentral", "country": "KR"}]),
    ),
    "two-sites-vercel": Sample((SPA, replace(NEXT, path="site")), ("vercel", "vercel")),
    "fastapi-lambda": Sample(
        (replace(API, workers=(WORKER,), cron=(NIGHTLY,)),),
        ("aws-lambda",),
        extra=(Decision("repository", "Acme/Shop", "project"),),
    ),
    "handlers-lambda-ko": Sample(
        (
            replace(NODE, path="api", name="api"),
            DeployUnit(
                path="jobs",
                name="jobs",
                kind="function",
                language="python",
                package_manager="pip",
                install="pip install -r requirements.txt",
                test="pytest",
                entry="handler.lambda_handler",
                files=("requirements.txt",),
                env=("TABLE_NAME",),
            ),
        ),
        ("aws-lambda", "aws-lambda"),
        spec("ko", regions=[{"name": "ap-northeast-2", "country": "KR"}]),
    ),
    "workspace-kubernetes": Sample(
        (
            replace(NODE, path="apps/api", name="api", files=("package.json", "../../package-lock.json")),
            replace(SPA, path="apps/web", files=("package.json", "../../package-lock.json")),
        ),
        ("kubernetes", "kubernetes"),
    ),
}


@pytest.fixture(params=sorted(SAMPLES))
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


@pytest.fixture
def samples() -> dict[str, Sample]:
    return SAMPLES


@pytest.fixture
def api() -> DeployUnit:
    return API


@pytest.fixture
def node() -> DeployUnit:
    return NODE


@pytest.fixture
def make_spec() -> Callable[..., Spec]:
    return spec


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    return Sample
