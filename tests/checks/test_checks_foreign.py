"""What well-kept hand-written files do on purpose is no finding; each case stood in a public repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.devops.checks import run_checks
from tools.devops.types import DeployUnit, Project

API = DeployUnit(".", "api", "backend", "python", health_path="/utils/health-check/", env=("WORKERS", "API_TOKEN"))
SPRING = DeployUnit(".", "clinic", "backend", "java", health_path="/actuator/health")
WORKFLOW = """\
on: [pull_request]
permissions: {}
jobs:
  %s:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps:
%s
"""


def rules(root: Path, files: dict[str, str], unit: DeployUnit = API, **only: Any) -> set[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    project = Project(str(root), (unit,), (), (), (), "main")
    return {finding.rule for finding in run_checks(root, project=project, linters=False, **only).findings}


def compose(port: str, **service: str) -> dict[str, str]:
    extra = "".join(f"    {key}: {value}\n" for key, value in service.items())
    return {f"compose{port}.yaml": f"services:\n  web:\n    image: web:1\n{extra}"}


def test_compose_reads_the_env_file_beside_it(tmp_path: Path) -> None:
    files = compose("", environment='["NAME=${STACK_NAME}"]')
    assert "compose/env" in rules(tmp_path, files, kinds=["compose"])
    assert "compose/env" not in rules(tmp_path, {**files, ".env": "STACK_NAME=shop\n"}, kinds=["compose"])


@pytest.mark.parametrize("folder", ["infra/droplet/server", "deploy", "prod"])
def test_a_server_answers_on_its_public_ports(tmp_path: Path, folder: str) -> None:
    (name, text), *_ = compose("", ports='["80:80"]').items()
    assert "compose/loopback" not in rules(tmp_path, {f"{folder}/{name}": text}, kinds=["compose"])
    database = text.replace("web:1", "postgres:16").replace("80:80", "5432:5432")
    assert "compose/loopback" in rules(tmp_path, {f"{folder}/{name}": database}, kinds=["compose"])


def test_a_router_may_be_mounted_below_a_prefix(tmp_path: Path) -> None:
    probe = '{test: ["CMD", "curl", "-f", "http://localhost:8000%s"]}'
    served = {
        "compose.yaml": f"services:\n  api:\n    build: .\n    healthcheck: {probe % '/api/v1/utils/health-check'}\n"
    }
    assert "consistency/health-path" not in rules(tmp_path, served, kinds=["consistency"])
    wrong = {"compose.yaml": served["compose.yaml"].replace("utils/health-check", "healthz")}
    assert "consistency/health-path" in rules(tmp_path, wrong, kinds=["consistency"])


@pytest.mark.parametrize(("path", "expected"), [("/readyz", False), ("/ready", True)])
def test_spring_answers_on_its_additional_paths(tmp_path: Path, path: str, expected: bool) -> None:
    manifest = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: clinic}\n"
        "spec:\n  template:\n    spec:\n      containers:\n"
        f"        - {{name: app, image: 'clinic:1', readinessProbe: {{httpGet: {{path: {path}, port: http}}}}}}\n"
    )
    found = rules(tmp_path, {"k8s/app.yaml": manifest}, SPRING, kinds=["consistency"])
    assert ("consistency/health-path" in found) == expected


def test_a_variable_with_a_default_need_not_be_documented(tmp_path: Path) -> None:
    code = 'import os\nworkers = os.environ.get("WORKERS", "2")\ntoken = os.environ["API_TOKEN"]\n'
    files = {"app.py": code, ".env.example": "API_TOKEN=\n"}
    assert "env_example/undocumented" not in rules(tmp_path, files, kinds=["env_example"])
    files[".env.example"] = "# nothing\n"
    assert "env_example/undocumented" in rules(tmp_path, files, kinds=["env_example"])


def test_a_cluster_inside_the_job_is_no_deployment(tmp_path: Path) -> None:
    steps = (
        "      - uses: helm/kind-action@0123456789012345678901234567890123456789\n      - run: kubectl apply -f k8s/"
    )
    workflow = {".github/workflows/try.yml": WORKFLOW % ("try", steps)}
    assert not rules(tmp_path, workflow, kinds=["workflow"]) & {"workflow/deploy-branch", "workflow/health-step"}
    real = {".github/workflows/try.yml": WORKFLOW % ("try", "      - run: kubectl apply -f k8s/")}
    assert "workflow/deploy-branch" in rules(tmp_path, real, kinds=["workflow"])


def test_a_test_may_migrate_its_own_database(tmp_path: Path) -> None:
    migrate = "      - run: bash scripts/prestart.sh"
    files = {
        "scripts/prestart.sh": "alembic upgrade head\n",
        ".github/workflows/a.yml": WORKFLOW % ("test-backend", migrate),
        ".github/workflows/b.yml": WORKFLOW % ("test-compose", migrate),
        ".github/workflows/c.yml": WORKFLOW % ("api-spec", f"{migrate}\n    services: {{db: {{image: postgres}}}}"),
    }
    assert "consistency/migration-twice" not in rules(tmp_path, files, kinds=["consistency"])


def test_an_image_for_development_is_not_judged_as_one_that_ships(tmp_path: Path) -> None:
    text = "FROM python:3.13-slim\nRUN apt-get update && apt-get install -y build-essential\nEXPOSE 8000\nCMD bash\n"
    strict = {"dockerfile/non-root", "dockerfile/healthcheck"}
    assert not strict & rules(tmp_path, {"Dockerfile.dev": text}, kinds=["dockerfile"])
    assert strict <= rules(tmp_path, {"Dockerfile": text}, kinds=["dockerfile"])


def test_the_host_of_a_database_is_no_secret(tmp_path: Path) -> None:
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {host: db, port: '5432', type: postgresql}\n"
    )
    assert "kubernetes/secret-literal" not in rules(tmp_path, {"k8s/db.yaml": secret}, kinds=["kubernetes"])
    secret = secret.replace("type: postgresql", "password: hunter2")
    assert "kubernetes/secret-literal" in rules(tmp_path, {"k8s/db.yaml": secret}, kinds=["kubernetes"])


def test_a_unit_without_tests_does_not_wait_for_those_of_another(tmp_path: Path) -> None:
    job = "  {id}:\n    runs-on: ubuntu-latest\n    timeout-minutes: 5\n{needs}    steps:\n      - run: {run}\n"
    jobs = [
        job.format(id="test-api", needs="", run="pytest"),
        job.format(id="test-web", needs="", run="npm run build"),
        job.format(id="build-api", needs="    needs: test-api\n", run="docker build ."),
        job.format(id="build-web", needs="    needs: test-web\n", run="docker build ."),
    ]
    text = "on: [push]\npermissions: {}\njobs:\n" + "".join(jobs)
    assert "workflow/order" not in rules(tmp_path, {".github/workflows/ci.yml": text}, kinds=["workflow"])
    text = text.replace("    needs: test-web\n", "")
    assert "workflow/order" in rules(tmp_path, {".github/workflows/ci.yml": text}, kinds=["workflow"])


def test_a_service_is_compared_with_the_image_that_it_builds(tmp_path: Path) -> None:
    files = {
        "front/Dockerfile": "FROM node:24\nEXPOSE 3000\n",
        "back/Dockerfile": "FROM python:3.13\n",
        "compose.yaml": "services:\n  api:\n    build: back\n    ports: ['127.0.0.1:8000:8000']\n",
    }
    assert "consistency/port" not in rules(tmp_path, files, kinds=["consistency"])
    wrong = {"compose.yaml": files["compose.yaml"].replace("back", "./front/")}
    assert "consistency/port" in rules(tmp_path, wrong, kinds=["consistency"])


def test_a_strategy_without_a_matrix_fits_and_an_error_in_a_job_is_named(tmp_path: Path) -> None:
    job = "on: [push]\npermissions: {}\njobs:\n  test:\n    runs-on: ubuntu-latest\n    strategy:\n"
    good, bad = (f"{job}      {key}: false\n    steps:\n      - run: echo\n" for key in ("fail-fast", "fail-fats"))
    place = ".github/workflows/ci.yml"
    assert "workflow/schema" not in rules(tmp_path, {place: good}, kinds=["workflow"])
    (tmp_path / place).write_text(bad)
    found = run_checks(tmp_path, kinds=["workflow"], linters=False).findings
    (error,) = (finding for finding in found if finding.rule == "workflow/schema")
    assert error.line == 7
    assert error.message == "jobs.test.strategy: unknown key 'fail-fats'; did you mean 'fail-fast'?"


def test_a_railway_service_needs_a_health_check_where_its_own_code_has_one(tmp_path: Path) -> None:
    program = (
        "from railway_sdk import define_railway, project, service\n\n\n@define_railway\ndef railway(ctx):\n"
        '    vote = service("vote", deploy={"drainingSeconds": 30})\n    return project("p", resources=[vote])\n'
    )
    (tmp_path / ".railway").mkdir()
    (tmp_path / ".railway/railway.py").write_text(program)
    result = DeployUnit("result", "result", "backend", "node", health_path="/health")
    for own, severity in ((None, "warning"), ("/ok", "error")):
        vote = DeployUnit("vote", "vote", "backend", "python", health_path=own)
        found = run_checks(
            tmp_path,
            kinds=["railway"],
            project=Project(str(tmp_path), (result, vote), (), (), ()),
            linters=False,
        ).findings
        assert [f.severity for f in found if f.rule == "railway/health"] == [severity]


@pytest.mark.parametrize(("line", "found"), [("# API_TOKEN=", False), ("#API_TOKEN='x'", False), ("# API_TOKEN", True)])
def test_an_example_line_that_is_commented_out_documents_its_variable(tmp_path: Path, line: str, found: bool) -> None:
    files = {".env.example": f"WORKERS=2\n{line}\n"}
    assert ("env_example/undocumented" in rules(tmp_path, files, kinds=["env_example"])) == found
