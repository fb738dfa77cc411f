"""Instrumented applications, run for real: probes against PostgreSQL and Redis, metrics, logs, shutdown."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.instrument.apps import NODE, PYTHON, App
from tests.instrument.running import Running, frozen
from tests.proof.projects import copy_example
from tests.proof.services import PostgreSQL, Redis, wait_until
from tools.devops.instrument import SUBJECTS, apply, plan_instrumentation
from tools.devops.project import scan_project
from tools.devops.types import DeployUnit

Services = tuple[PostgreSQL, Redis]
Make = Callable[[Mapping[str, str]], Path]


def instrument(root: Path) -> DeployUnit:
    """Instrument the first unit; afterwards a new scan misses nothing and there is nothing left to plan."""
    unit = scan_project(root).units[0]
    planned = plan_instrumentation(root, unit)
    assert set(planned.added) == {name for name in SUBJECTS if not unit.ready[name]}
    assert planned.unsupported == ()
    apply(root, planned)
    again = scan_project(root).units[0]
    assert all(again.ready[name] for name in SUBJECTS)
    assert plan_instrumentation(root, again).changes == ()
    return again


def check_probes(running: Running, services: Services) -> None:
    database, _cache = services
    status, body, _seconds = running.health()
    assert (status, body["status"], body["database"], body["cache"]) == (200, "ok", "ok", "ok"), running.output
    assert set(body) == {"status", "database", "cache", "timestamp"}
    database.stop()
    try:
        status, body, seconds = running.health()
        assert (status, body["status"], body["database"], body["cache"]) == (503, "unavailable", "unavailable", "ok")
        assert set(body) == {"status", "database", "cache", "timestamp"}
        assert seconds < 2.9
        assert running.get("/livez")[0] == 200
    finally:
        database.start()
    wait_until(lambda: running.health()[0] == 200, "/health recovering")


def check_frozen(running: Running, services: Services) -> None:
    """A database that hangs is an unavailable one, in time; it is found again."""
    database, _cache = services
    with frozen(database):
        status, body, seconds = running.health()
        assert (status, body["database"]) == (503, "unavailable")
        assert seconds < 2.9
        assert running.get("/livez")[0] == 200
    wait_until(lambda: running.health()[0] == 200, "/health recovering")


def check_drain(running: Running, app: App) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(running.get, "/slow")
        wait_until(lambda: slow.running() and not slow.done(), "a slow request")
        subprocess.run(["sleep", "0.4"], check=True)  # the request must have reached the application
        running.end()
        status, body = slow.result()
    assert (status, body.strip('"')) == (200, "done"), running.output


def check_metrics(running: Running, app: App) -> None:
    running.get("/slow")
    status, text = running.get("/metrics")
    assert status == 200
    assert "# TYPE http_request_duration_seconds histogram" in text
    route = f'route="{app.route}",' if app.route else ""
    assert f'http_request_duration_seconds_count{{method="GET",{route}status="200"}}' in text


def check_logs(running: Running, app: App) -> None:
    entries = running.logs(app.plain)
    assert {"timestamp", "level", "message", "module"} <= set(entries[0])
    slow = [entry for entry in entries if entry["message"] == "slow"]
    failed = [entry for entry in entries if entry["message"].startswith("health check of database failed")]
    assert slow
    assert slow[0]["level"] == "INFO"
    assert failed
    assert failed[0]["level"] == "WARNING"


def check_all(running: Running, app: App, services: Services) -> None:
    check_probes(running, services)
    check_metrics(running, app)
    check_frozen(running, services)
    check_drain(running, app)
    check_logs(running, app)


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHON)
def test_python_application(name: str, make: Make, services: Services, python_programs: Path) -> None:
    app = PYTHON[name]
    root = make(app.files)
    instrument(root)
    with Running(root, app.start, services, python_programs) as running:
        check_all(running, app, services)


@pytest.mark.slow
@pytest.mark.needs("node", "npm", "redis-server")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NODE)
def test_node_application(name: str, make: Make, services: Services, node_modules: Path) -> None:
    app = NODE[name]
    root = make(app.files)
    instrument(root)
    if name == "next":  # it follows no link out of the project
        shutil.copytree(node_modules, root / "node_modules", symlinks=True)
    else:
        (root / "node_modules").symlink_to(node_modules)
    if app.build:
        built = subprocess.run(app.build.split(), cwd=root, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout + built.stderr
    with Running(root, app.start, services, None) as running:
        check_all(running, app, services)


@pytest.mark.slow
@pytest.mark.parametrize(("example", "unit"), [("repair-api", "."), ("clinic-queue", "backend")])
def test_bundled_python_example(
    example: str, unit: str, tmp_path: Path, services: Services, python_programs: Path
) -> None:
    root = copy_example(example, tmp_path)
    instrument(root)
    with Running(root / unit, "uvicorn app.main:app --port {port}", services, python_programs) as running:
        check_probes(running, services)
        assert {entry["logger"] for entry in running.logs(r"\Z")} >= {"uvicorn.error", "uvicorn.access", "app.health"}
        running.end()


@pytest.mark.slow
def test_own_tests_of_the_example_still_pass(tmp_path: Path, services: Services, python_programs: Path) -> None:
    root = copy_example("repair-api", tmp_path)
    instrument(root)
    done = subprocess.run(
        [python_programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.needs("node", "npm")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("example", "unit"), [("trail-atlas", "."), ("clinic-queue", "frontend")])
def test_bundled_next_example(example: str, unit: str, tmp_path: Path, services: Services, node_modules: Path) -> None:
    root = copy_example(example, tmp_path)
    found = next(one for one in scan_project(root).units if one.path == unit)
    apply(root, plan_instrumentation(root, found))
    folder = root / unit
    shutil.copytree(node_modules, folder / "node_modules", symlinks=True)
    build = ["node", "node_modules/next/dist/bin/next", "build"]
    built = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    with Running(folder, "node node_modules/next/dist/bin/next start -p {port}", services, None) as running:
        status, body, _seconds = running.health()
        assert (status, set(body)) == (200, {"status", "timestamp"})
        assert running.get("/livez")[0] == 200
        assert "http_request_duration_seconds_count" in running.get("/metrics")[1]
