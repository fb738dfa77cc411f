"""Work that a SPEC schedules: the program in the code that does it is started by the platform's own files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.proof.projects import copy_example
from tools.devops.plan import make_plan
from tools.devops.project import scan_project
from tools.devops.render import render
from tools.devops.spec import read_spec
from tools.devops.types import Decision, Plan

REMINDERS = ("repair-api", "REQ-REP-006", "30 6 * * *", "python -m app.reminders")
RESET = ("clinic-queue", "REQ-QUEUE-05", "0 14 * * *", "python -m app.reset")


def planned(root: Path, platform: str) -> tuple[Plan, dict[str, str]]:
    """The plan, and the texts of the files that start programs."""
    spec, project = read_spec(root), scan_project(root)
    name = "platform" if len(project.units) == 1 else "platform:backend"
    plan = make_plan(root, spec, project, [Decision(name, platform, "user")])
    wanted = [a for a in plan.artifacts if a.kind == platform and "overlays" not in a.path]
    return plan, {a.path: render(plan, a, spec, project) for a in wanted}


@pytest.mark.parametrize(("example", "requirement", "schedule", "command"), [REMINDERS, RESET])
def test_railway_starts_it(example: str, requirement: str, schedule: str, command: str, tmp_path: Path) -> None:
    plan, files = planned(copy_example(example, tmp_path), "railway")
    program = files[".railway/railway.py"]
    assert f'"cronSchedule": "{schedule}"' in program
    assert f"start=\"/bin/sh -c 'exec {command}'\"" in program
    assert requirement in next(a for a in plan.artifacts if a.kind == "railway").requirements


@pytest.mark.parametrize(("example", "requirement", "schedule", "command"), [REMINDERS, RESET])
def test_kubernetes_starts_it(example: str, requirement: str, schedule: str, command: str, tmp_path: Path) -> None:
    plan, files = planned(copy_example(example, tmp_path), "kubernetes")
    jobs = [
        (path, document)
        for path, text in files.items()
        for document in yaml.safe_load_all(text)
        if document["kind"] == "CronJob"
    ]
    ((path, job),) = jobs
    assert (job["spec"]["schedule"], job["spec"]["timeZone"]) == (schedule, "Etc/UTC")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-c", f"exec {command}"]
    serving = [a.path for a in plan.artifacts if requirement in a.requirements]
    assert serving == [path], "only the file that holds the schedule answers the requirement"


@pytest.mark.parametrize("platform", ["railway", "kubernetes"])
def test_a_program_that_nothing_schedules_is_told_and_not_started(platform: str, tmp_path: Path) -> None:
    root = copy_example("repair-api", tmp_path)
    text = (root / ".do/specs/SPEC-REPAIR-012/spec.md").read_text()
    kept = [line for line in text.splitlines() if "REQ-REP-006" not in line]
    (root / ".do/specs/SPEC-REPAIR-012/spec.md").write_text("\n".join(kept))
    plan, files = planned(root, platform)
    assert not any("app.reminders" in text for text in files.values())
    assert any("`python -m app.reminders`" in note and "nothing starts it" in note for note in plan.notes)


def test_work_without_a_program_is_told(tmp_path: Path) -> None:
    root = copy_example("repair-api", tmp_path)
    (root / "app/reminders.py").unlink()
    plan, files = planned(root, "railway")
    assert "cronSchedule" not in files[".railway/railway.py"]
    assert any("`30 6 * * *` (UTC)" in note and "No program in the code does it" in note for note in plan.notes)
    assert not any("REQ-REP-006" in a.requirements for a in plan.artifacts)


def test_a_program_for_another_requirement_does_not_take_the_time(tmp_path: Path) -> None:
    root = copy_example("repair-api", tmp_path)
    source = (root / "app/reminders.py").read_text()
    (root / "app/reminders.py").write_text(source.replace("REQ-REP-006", "REQ-REP-009"))
    _plan, files = planned(root, "railway")
    assert "cronSchedule" not in files[".railway/railway.py"]


def test_a_program_says_that_it_is_scheduled_or_is_none(tmp_path: Path) -> None:
    root = copy_example("repair-api", tmp_path)
    shutil.copy(root / "app/reminders.py", root / "app/cleanup.py")
    text = (root / "app/cleanup.py").read_text()
    (root / "app/cleanup.py").write_text(text.replace(text.splitlines()[0], '"""Started by hand."""'))
    assert [job["command"] for job in scan_project(root).units[0].cron] == ["python -m app.reminders"]
