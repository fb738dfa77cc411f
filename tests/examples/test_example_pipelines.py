"""The test jobs of the generated workflows, run for real: every `run:` step in a container of the job's language,
against PostgreSQL and Redis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.proof.images import BuildError, Container, ImageStore
from tests.proof.projects import EXAMPLES, Program, copy_example
from tests.proof.services import PostgreSQL, Redis, postgres_and_redis

Json = dict[str, Any]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("buildah", "debootstrap", "crun", "redis-server"),
    pytest.mark.timeout(900),
]

_BASES = {"actions/setup-python": "python:3-slim", "actions/setup-node": "node:slim"}
"""The set-up action of a job -> the base that stands in for what it installs."""


@dataclass(frozen=True)
class Job:
    """A test job: `steps` are (name, working directory, script, environment)."""

    base: str
    env: Mapping[str, str]
    steps: tuple[tuple[str, str, str, Mapping[str, str]], ...]


def test_jobs(workflow: Path) -> dict[str, Job]:
    """The jobs that test, by name."""
    jobs: Mapping[str, Json] = yaml.safe_load(workflow.read_text())["jobs"]
    return {name: _job(job) for name, job in jobs.items() if name.split("-")[0] == "test"}


test_jobs.__test__ = False  # type: ignore[attr-defined]  # a function about tests, not a test


def _job(job: Json) -> Job:
    setups = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    (base,) = {_BASES[action] for action in setups if action in _BASES}
    folder = job.get("defaults", {}).get("run", {}).get("working-directory", ".")
    steps = [
        (step["name"], step.get("working-directory", folder), step["run"], step.get("env", {}))
        for step in job["steps"]
        if "run" in step
    ]
    return Job(base, {k: str(v) for k, v in job.get("env", {}).items()}, tuple(steps))


@pytest.fixture(scope="module")
def services() -> Iterator[tuple[PostgreSQL, Redis]]:
    with postgres_and_redis() as both:
        yield both


def run_steps(job: Job, container: Container, services: tuple[PostgreSQL, Redis]) -> list[str]:
    """Run the steps in order, as a runner would; their names. Raises `BuildError` at the first that fails."""
    database, cache = services
    ports = {"localhost:5432": f"127.0.0.1:{database.port}", "localhost:6379": f"127.0.0.1:{cache.port}"}
    ran = []
    for name, folder, script, env in job.steps:
        values = {"CI": "true", **job.env, **env}
        for address, real in ports.items():
            values = {key: value.replace(address, real) for key, value in values.items()}
        container.run("bash", "-e", "-o", "pipefail", "-c", f"cd {folder}\n{script}", **values)
        ran.append(name)
    return ran


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_test_job_of_the_generated_workflow_passes(
    example: str, images: ImageStore, services: tuple[PostgreSQL, Redis], program: Program, tmp_path: Path
) -> None:
    project = copy_example(example, tmp_path)
    program.run(project, "--yes").expect(0)
    jobs = test_jobs(project / ".github" / "workflows" / "ci-cd.yml")
    assert jobs
    for job in jobs.values():
        with images.workshop(job.base, project) as container:
            assert {"Install", "Test"} <= set(run_steps(job, container, services))


def test_a_failing_test_of_the_project_fails_its_job(
    images: ImageStore, services: tuple[PostgreSQL, Redis], program: Program, tmp_path: Path
) -> None:
    project = copy_example("repair-api", tmp_path)
    (project / "tests" / "test_wrong.py").write_text("def test_wrong() -> None:\n    assert 1 == 2\n")
    program.run(project, "--yes").expect(0)
    (job,) = test_jobs(project / ".github" / "workflows" / "ci-cd.yml").values()
    with images.workshop(job.base, project) as container, pytest.raises(BuildError, match="test_wrong"):
        run_steps(job, container, services)
