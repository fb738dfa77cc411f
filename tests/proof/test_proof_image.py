"""The generated Dockerfile for real: built, started against PostgreSQL and Redis, watched while the database is away,
and stopped.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.proof.images import Container, Image, ImageStore, Server
from tests.proof.projects import Program, copy_example
from tests.proof.services import PostgreSQL, Redis, free_port, postgres_and_redis, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("buildah", "debootstrap", "crun", "redis-server"),
    pytest.mark.timeout(900),
]

SECRET = "value-that-must-not-ship"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """repair-api as the eight steps leave it, with secrets lying about in the working directory."""
    place = tmp_path_factory.mktemp("image")
    project = copy_example("repair-api", place)
    (project / ".env").write_text(f"SECRET_KEY={SECRET}\n")
    (project / "deploy.pem").write_text(SECRET)
    (project / ".git").mkdir()
    (project / ".git" / "config").write_text(SECRET)
    Program(place).run(project, "--yes").expect(0)
    return project


@pytest.fixture(scope="module")
def image(images: ImageStore, project: Path) -> Iterator[Image]:
    built = images.build(project, "proof-repair-api:test", GIT_SHA="0" * 40)
    yield built
    built.remove()


@pytest.fixture(scope="module")
def services() -> Iterator[tuple[PostgreSQL, Redis]]:
    with postgres_and_redis() as both:
        yield both


@contextmanager
def served(image: Image, services: tuple[PostgreSQL, Redis], log: Path) -> Iterator[tuple[Container, Server, int]]:
    """The image's own command, after its migrations, listening on a port."""
    database, cache = services
    port = free_port()
    env = {"PORT": str(port), "DATABASE_URL": database.url, "REDIS_URL": cache.url, "SECRET_KEY": "for-this-test"}
    with image.container() as container:
        container.run("alembic", "upgrade", "head", **env)
        with container.serve(log, **env) as server:
            wait_until(lambda: container.health(PORT=str(port)), "the image's health check")
            yield container, server, port


def request(port: int, method: str, path: str, body: Any = None, timeout: float = 20) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    headers = {"content-type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")


def test_the_image_runs_as_a_numeric_user_with_an_exec_form_command_and_a_health_check(image: Image) -> None:
    assert image.config["User"] == "10001"
    assert image.config["Cmd"][:2] == ["sh", "-c"]
    assert image.config["Cmd"][2].startswith("exec ")
    assert image.config["Healthcheck"]["Test"][0] == "CMD"
    assert f"GIT_SHA={'0' * 40}" in image.config["Env"]


def test_no_secret_history_or_cache_of_the_machine_is_in_the_image(image: Image) -> None:
    with image.container() as container:
        files = container.run("find", "/app").split()
        assert "/app/app/main.py" in files
        names = {Path(file).name for file in files}
        assert not names & {".env", "deploy.pem", ".git", "__pycache__", "Dockerfile", "docs"}
        found = container.run("sh", "-c", f"grep -rl {SECRET} /app /opt/venv || true")
        assert found.strip() == ""


def test_the_process_cannot_change_its_code_and_has_no_build_tools(image: Image) -> None:
    with image.container() as container:
        assert container.run("id", "-u").strip() == "10001"
        assert container.run("sh", "-c", "touch /app/app/main.py 2>/dev/null || echo denied").strip() == "denied"
        assert container.run("sh", "-c", "command -v gcc curl git || echo none").strip() == "none"


def test_it_migrates_serves_and_writes_to_the_database(
    image: Image, services: tuple[PostgreSQL, Redis], tmp_path: Path
) -> None:
    with served(image, services, tmp_path / "log") as (_, server, port):
        assert server.users == {10001}
        status, ticket = request(port, "POST", "/tickets", {"bicycle": "blue tandem"})
        assert status == 201
        assert services[0].query(f"SELECT state FROM tickets WHERE id = {ticket['id']}").strip() == "open"


def test_a_request_under_way_is_answered_after_sigterm_and_then_the_server_ends(
    image: Image, services: tuple[PostgreSQL, Redis], tmp_path: Path
) -> None:
    database, _ = services
    with served(image, services, tmp_path / "log") as (_, server, port):
        slow = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with closing(slow), locked(database, "tickets") as lock:
            slow.request("POST", "/tickets", json.dumps({"bicycle": "cargo"}), {"content-type": "application/json"})
            wait_until(lambda: waits_for_a_lock(database), "the request waiting for the table")
            server.terminate()
            wait_until(lambda: "Shutting down" in server.log.read_text(), "the server noticing SIGTERM")
            lock.communicate("COMMIT;\n")
            assert slow.getresponse().status == 201
        server.process.wait(20)
        assert "Application shutdown complete" in server.log.read_text()
        assert not server.own


def test_health_is_200_and_turns_503_in_time_while_the_database_is_away(
    image: Image, services: tuple[PostgreSQL, Redis], tmp_path: Path
) -> None:
    database, _ = services
    with served(image, services, tmp_path / "log") as (container, _, port):
        status, body = request(port, "GET", "/health")
        assert (status, body["status"], body["database"], body["cache"]) == (200, "ok", "ok", "ok")
        database.stop()
        try:
            began = time.monotonic()
            status, body = request(port, "GET", "/health")
            assert (status, body["status"], body["database"], body["cache"]) == (
                503,
                "unavailable",
                "unavailable",
                "ok",
            )
            assert time.monotonic() - began < 4, "the probe's own limit is 5 s"
            assert set(body) == {"status", "database", "cache", "commit", "timestamp"}, "nothing of the error is told"
            assert request(port, "GET", "/livez")[0] == 200
            assert not container.health(PORT=str(port))
        finally:
            database.start()
        wait_until(lambda: request(port, "GET", "/health")[0] == 200, "the database coming back")
        assert container.health(PORT=str(port))


def test_every_line_it_logs_while_it_serves_is_a_json_object(
    image: Image, services: tuple[PostgreSQL, Redis], tmp_path: Path
) -> None:
    with served(image, services, tmp_path / "log") as (_, server, port):
        start = len(server.log.read_text().splitlines())
        request(port, "POST", "/tickets", {"bicycle": "green"})
        request(port, "POST", "/tickets/987654/ready")
        wait_until(lambda: "987654" in server.log.read_text(), "the request being logged")
        entries = [json.loads(line) for line in server.log.read_text().splitlines()[start:]]
    assert all({"timestamp", "level", "message"} <= entry.keys() for entry in entries)


@pytest.mark.needs("curl", "jq")
def test_the_pipelines_own_check_passes_on_the_running_image_and_fails_without_it(
    project: Path, image: Image, services: tuple[PostgreSQL, Redis], tmp_path: Path
) -> None:
    """The script of the deploy job, as the workflow has it; only its pauses are left out."""
    jobs = yaml.safe_load((project / ".github" / "workflows" / "ci-cd.yml").read_text())["jobs"]
    (step,) = (step for job in jobs.values() for step in job["steps"] if step.get("id") == "verify")

    def check(port: int) -> int:
        env = {**os.environ, "URL": f"http://127.0.0.1:{port}", "HEALTH": step["env"]["HEALTH"], "COMMIT": "0" * 40}
        script = f"sleep() {{ :; }}\n{step['run']}"
        return subprocess.run(["bash", "-e", "-c", script], env=env, capture_output=True, check=False).returncode

    assert step["env"]["HEALTH"] == "/health"
    with served(image, services, tmp_path / "log") as (_, _, port):
        assert check(port) == 0
    assert check(port) == 1


@contextmanager
def locked(database: PostgreSQL, table: str) -> Iterator[subprocess.Popen[str]]:
    """A psql session that holds a table until it is told to COMMIT."""
    command = ["psql", "-XAtq", database.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin
        assert session.stdout
        session.stdin.write(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\n\\echo locked\n")
        session.stdin.flush()
        assert session.stdout.readline().strip() == "locked"
        yield session


def waits_for_a_lock(database: PostgreSQL) -> bool:
    return database.query("SELECT count(*) FROM pg_locks WHERE NOT granted").strip() != "0"
