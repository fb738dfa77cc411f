"""The whole job on each bundled example, from the command line, judged by what lies on the disk afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proof.projects import REPAIR_THEN_ALL, Finished, Program, changed, copy_example, tree

ALL_STEPS = range(1, 9)


@pytest.fixture(params=REPAIR_THEN_ALL)
def finished(request: pytest.FixtureRequest, finished_examples: Callable[[str], Finished]) -> Finished:
    return finished_examples(request.param)


def test_every_step_is_verified_and_every_planned_file_is_there(finished: Finished) -> None:
    result = finished.outcome.expect(0).result
    report = result["report"]
    assert (result["status"], report["outcome"]) == ("completed", "completed")
    assert {step["step"]: step["status"] for step in report["steps"]} == dict.fromkeys(ALL_STEPS, "verified")
    assert [a["path"] for a in report["artifacts"] if not a["present"]] == []
    assert report["not_verified"] == []
    assert "failed" not in {*report["checklist"].values(), *report["trust"].values()}


def test_the_report_is_in_the_conversation_language_of_the_project(finished: Finished) -> None:
    expected = "ko" if finished.project.name == "clinic-queue" else "en"
    assert finished.outcome.result["report"]["language"] == expected


def test_only_what_the_run_said_it_wrote_was_written(finished: Finished) -> None:
    written = changed(finished.before, finished.after)
    assert written == finished.outcome.written
    assert not finished.before.keys() - finished.after.keys(), "nothing may be deleted"


def test_the_report_lists_what_was_written_and_what_was_added_to_the_code(finished: Finished) -> None:
    report = finished.outcome.result["report"]
    assert {a["state"] for a in report["artifacts"]} == {"written"}
    code = {path for entry in report["code"] for path in entry["files"]}
    assert {a["path"] for a in report["artifacts"]} | code == finished.outcome.written


def test_check_agrees_afterwards_and_no_linter_was_left_out(finished: Finished) -> None:
    outcome = finished.program("check", str(finished.project), "--format", "json").expect(0)
    checks = outcome.result["checks"]
    assert [c for c in checks if c["status"] in ("failed", "not_verified")] == []
    used = {check["tool"] for check in checks if check["status"] == "passed"}
    assert used >= {"actionlint", "zizmor", "expert-devops"}


def test_no_absolute_path_of_this_machine_is_in_a_written_file(finished: Finished) -> None:
    for name in finished.outcome.written:
        assert str(finished.project.parent) not in (finished.project / name).read_text(), name


def test_a_second_run_changes_nothing(finished: Finished) -> None:
    again = finished.program.run(finished.project, "--yes").expect(0)
    assert {a["status"] for a in again.calls("WriteArtifact")} == {"unchanged"}
    assert again.written == set()
    assert changed(finished.after, tree(finished.project)) == set()


@pytest.mark.slow
def test_two_runs_on_equal_projects_write_equal_files(finished: Finished, tmp_path: Path) -> None:
    """No clock, host name or random number gets into a file."""
    other = copy_example(finished.project.name, tmp_path)
    Program(tmp_path).run(other, "--yes").expect(0)
    assert changed(finished.after, tree(other)) == set()


@pytest.mark.slow
def test_a_deleted_file_is_written_again_as_it_was(finished: Finished, tmp_path: Path) -> None:
    project = Path(shutil.copytree(finished.project, tmp_path / finished.project.name))
    workflow = project / ".github" / "workflows" / "ci-cd.yml"
    workflow.unlink()
    again = Program(tmp_path).run(project, "--yes").expect(0)
    assert again.written == {".github/workflows/ci-cd.yml"}
    assert changed(finished.after, tree(project)) == set()


@pytest.mark.parametrize("steps", ["1-4", *(pytest.param(steps, marks=pytest.mark.slow) for steps in ("1-2", "5"))])
def test_only_the_selected_steps_are_done(steps: str, program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    outcome = program.run(project, "--yes", "--steps", steps).expect(0)
    first, _, last = steps.partition("-")
    selected = range(int(first), int(last or first) + 1)
    assert {step["step"]: step["status"] for step in outcome.result["report"]["steps"]} == dict.fromkeys(
        selected, "verified"
    )
    kinds = {data["kind"] for data in outcome.calls("WriteArtifact")}
    assert ("workflow" in kinds) == (5 in selected)
    assert ("dockerfile" in kinds) == (4 in selected)
    assert not kinds & {"runbook", "handover", "env_example"}


@pytest.mark.slow
def test_a_dry_run_writes_nothing_and_shows_every_diff(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    before = tree(project)
    outcome = program.run(project, "--yes", "--dry-run").expect(0)
    assert changed(before, tree(project)) == set()
    assert outcome.written == set()
    diffs = {data["path"]: data["diff"] for data in outcome.calls("WriteArtifact")}
    assert "+FROM python" in diffs["Dockerfile"]
    assert "+jobs:" in diffs[".github/workflows/ci-cd.yml"]


HAND_WRITTEN = """\
FROM python:3.12-slim
WORKDIR /srv
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
USER 1000
HEALTHCHECK CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), 4)"]
CMD ["sh", "-c", "exec uvicorn app.main:app --host 0.0.0.0 --port ${PORT:-8000}"]
"""


def test_a_hand_written_dockerfile_is_asked_about(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    (project / "Dockerfile").write_text(HAND_WRITTEN)
    outcome = program.run(project).expect(3)
    (question,) = outcome.result["questions"]
    assert "Dockerfile" in question["question"]
    assert (project / "Dockerfile").read_text() == HAND_WRITTEN


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "kept"), [("keep", True), ("replace", False)])
def test_the_answer_on_a_hand_written_dockerfile_is_followed(
    answer: str, kept: bool, program: Program, tmp_path: Path
) -> None:
    project = copy_example("repair-api", tmp_path)
    (project / "Dockerfile").write_text(HAND_WRITTEN)
    asked = program.run(project).expect(3)
    (question,) = asked.result["questions"]
    label = next(o["label"] for o in question["options"] if answer in o["label"].lower())
    answers = tmp_path / "answers.yaml"
    answers.write_text(f"{question['key']}: {label}\n")
    program.run(project, "--resume", asked.session, "--answers", str(answers)).expect(0)
    assert ((project / "Dockerfile").read_text() == HAND_WRITTEN) == kept


@pytest.mark.slow
def test_taking_defaults_keeps_a_hand_written_dockerfile(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    (project / "Dockerfile").write_text(HAND_WRITTEN)
    outcome = program.run(project, "--yes").expect(0)
    assert (project / "Dockerfile").read_text() == HAND_WRITTEN
    assert "Dockerfile" not in outcome.written
    states = {a["path"]: a["state"] for a in outcome.result["report"]["artifacts"]}
    assert states.pop("Dockerfile") == "kept"
    assert {*states.values()} == {"written"}


def without_platform(place: Path) -> Path:
    """repair-api, with nothing in its SPEC on where it runs."""
    project = copy_example("repair-api", place)
    spec = project / ".do" / "specs" / "SPEC-REPAIR-012" / "spec.md"
    lines = [line for line in spec.read_text().splitlines(keepends=True) if "Deployment platform" not in line]
    spec.write_text("".join(lines))
    return project


@pytest.mark.slow
def test_an_open_question_ends_with_3_and_its_answer_completes_the_run(program: Program, tmp_path: Path) -> None:
    project = without_platform(tmp_path)
    before = tree(project)
    asked = program.run(project).expect(3)
    assert asked.result["status"] == "needs_input"
    (question,) = asked.result["questions"]
    assert question["key"] == "platform"
    assert changed(before, tree(project)) == set()

    answers = tmp_path / "answers.yaml"
    answers.write_text("platform: Docker + Kubernetes\n")
    done = program.run(project, "--resume", asked.session, "--answers", str(answers)).expect(0)
    assert done.session == asked.session
    (decision,) = done.result["report"]["decisions"]
    assert (decision["name"], decision["source"]) == ("platform", "user")
    assert any(path.startswith("k8s/") for path in done.written)
    assert not (project / ".railway").exists()


@pytest.mark.slow
def test_a_wrong_answer_asks_again(program: Program, tmp_path: Path) -> None:
    project = without_platform(tmp_path)
    asked = program.run(project).expect(3)
    answers = tmp_path / "answers.yaml"
    answers.write_text("colour: blue\n")
    again = program.run(project, "--resume", asked.session, "--answers", str(answers)).expect(3)
    assert [q["key"] for q in again.result["questions"]] == ["platform"]


@pytest.mark.slow
def test_a_default_that_nobody_chose_is_shown_as_an_assumption(program: Program, tmp_path: Path) -> None:
    outcome = program.run(without_platform(tmp_path), "--yes").expect(0)
    assert [d["name"] for d in outcome.result["report"]["assumptions"]] == ["platform"]
