"""What is written agrees with the compose file and the settings that the project keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.devops.checks import run_checks
from tools.devops.plan import make_plan
from tools.devops.project import scan_project
from tools.devops.render import render
from tools.devops.types import Decision, Spec

COMPOSE = """services:
  web:
    build: .
    depends_on: [db, cache]
  db:
    image: {database}
  cache:
    image: {cache}
"""


def services_in_ci(root: Path, spec: Spec | None = None) -> dict[str, str]:
    """The backing services of the pipeline's test job: name -> image. The pipeline is written into `root`."""
    project = scan_project(root)
    plan = make_plan(root, spec, project, [Decision("platform", "railway", "user")])
    artifact = next(a for a in plan.artifacts if a.kind == "workflow")
    path = root / artifact.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(plan, artifact, spec, project))
    job = next(job for name, job in yaml.safe_load(path.read_text())["jobs"].items() if name.startswith("test"))
    assert isinstance(job, dict)
    return {name: service["image"] for name, service in job["services"].items()}


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Path]:
    def make(database: str = "postgres:18.1", cache: str = "redis:8.4") -> Path:
        (tmp_path / "requirements.txt").write_text("fastapi\nuvicorn\npsycopg\nredis\n")
        (tmp_path / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
        (tmp_path / "compose.yaml").write_text(COMPOSE.format(database=database, cache=cache))
        return tmp_path

    return make


def test_tests_run_on_the_versions_the_project_runs(shop: Callable[..., Path]) -> None:
    root = shop()
    assert services_in_ci(root) == {"db": "postgres:18.1", "cache": "redis:8.4"}
    report = run_checks(root, kinds=["consistency"], linters=False)
    assert not [finding for finding in report.findings if finding.rule == "consistency/version"]


@pytest.mark.parametrize("image", ["postgres", "postgres:latest", "postgres:${PG}", "registry.local/our-db:3", "p:\n"])
def test_an_image_without_a_version_or_with_settings_of_its_own_is_not_taken_over(
    shop: Callable[..., Path], image: str
) -> None:
    assert services_in_ci(shop(database=image))["db"] == "postgres:16-alpine"


def test_the_spec_decides_and_the_kept_file_is_what_differs(
    shop: Callable[..., Path], make_spec: Callable[..., Any]
) -> None:
    root = shop()
    spec = make_spec(database={"engine": "postgresql", "version": "17"})
    assert services_in_ci(root, spec)["db"] == "postgres:17-alpine"
    found = run_checks(root, kinds=["consistency"], spec=spec, linters=False).findings
    assert [finding.file for finding in found if finding.rule == "consistency/version"] == ["compose.yaml"]


def test_two_databases_do_not_share_a_variable(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("fastapi\nuvicorn\npsycopg\nmysqlclient\n")
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    assert set(services_in_ci(tmp_path)) == {"postgres", "mysql"}
    text = (tmp_path / ".github/workflows/ci-cd.yml").read_text()
    assert text.count("DATABASE_URL:") == 1


def test_tests_run_on_the_language_version_of_the_kept_dockerfile(shop: Callable[..., Path]) -> None:
    root = shop()
    (root / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.10"\n')
    (root / "Dockerfile").write_text("FROM node:22 AS assets\nFROM python:3.12.4-slim\nUSER 10001\n")
    services_in_ci(root)
    text = (root / ".github/workflows/ci-cd.yml").read_text()
    assert 'python-version: "3.12"' in text
    assert not [f for f in run_checks(root, kinds=["consistency"], linters=False).findings if "runtime" in f.rule]
