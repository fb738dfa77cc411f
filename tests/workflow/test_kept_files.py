"""A run answers for what it wrote or changed; what was wrong in files it left alone is told and stops nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent import Agent
from agent.askers import Headless
from agent.result import Completed, Failed
from agent.surfaces.cli import main
from agent.testing import ScriptedModel, call
from agent.workflow.before import Before
from agent.workflow.report import to_markdown
from agent.workflow.run import WorkflowRun
from tools.devops.checks import run_checks
from tools.devops.merge import stamp

AS_ROOT = """FROM python:3.13-slim
WORKDIR /srv
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
EXPOSE 8000
CMD ["sh", "-c", "exec uvicorn main:app --host 0.0.0.0 --port ${PORT:-8000}"]
"""
"""Neither USER nor HEALTHCHECK: two errors."""

SKIPPED = [
    {"name": f"skip:{kind}", "value": True, "source": "user"}
    for kind in ("compose", "railway", "dockerignore", "dockerfile", "runbook", "monitoring_doc")
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPERT_DEVOPS_HOME", str(tmp_path / "state"))
    root = tmp_path / "shop"
    root.mkdir()
    (root / "requirements.txt").write_text("fastapi==0.121.0\nuvicorn==0.38.0\n")
    (root / "main.py").write_text(
        'from fastapi import FastAPI\n\napp = FastAPI()\n\n\n@app.get("/health")\ndef health():\n    return {}\n'
    )
    (root / ".dockerignore").write_text(".git\n.env\n.env.*\n.venv\n")
    return root


def kept_dockerfile(root: Path) -> Path:
    path = root / "Dockerfile"
    path.write_text(AS_ROOT)
    return path


def ran(root: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, Any], str]:
    code = main(["run", "-C", str(root), "--yes", "--model", "playbook", "--output-format", "json", *flags])
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


async def claimed(root: Path, *before: Any, step: int = 4) -> tuple[Completed | Failed, WorkflowRun]:
    """A run of one step whose model does `before`, then claims the step and stops."""
    workflow = WorkflowRun(root=root, steps=(step,))
    claim = call("CompleteStep", step=step, summary="Done.", decisions=SKIPPED)
    turns = iter([*before, claim])
    model = ScriptedModel(lambda _request: next(turns, "Done."))
    agent = Agent(cwd=root, model=model, mode="acceptEdits", asker=Headless(take_defaults=True), env={})
    result = await agent.run(workflow.prompt(), workflow=workflow)
    assert isinstance(result, Completed | Failed)
    return result, workflow


def errors_by_status(workflow: WorkflowRun, root: Path) -> dict[str, set[str]]:
    """Status -> the files with errors of it, by the own rules on Dockerfiles."""
    assert workflow.before is not None
    checks = workflow.before.tell_apart(root, run_checks(root, kinds=["dockerfile"], linters=False).checks, set())
    return {c.status: {f.file for f in c.findings if f.severity == "error"} for c in checks}


def test_a_kept_file_with_findings_is_told_with_its_fix_and_does_not_stop_the_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = kept_dockerfile(project)
    code, result, notes = ran(project, capsys, "--steps", "4")
    assert code == 0, result
    assert path.read_text() == AS_ROOT
    report = result["report"]
    rules = {finding["rule"]: finding for finding in report["kept_findings"]}
    assert {"dockerfile/non-root", "dockerfile/healthcheck"} <= set(rules)
    assert all(finding["file"] == "Dockerfile" and finding["fix"] for finding in rules.values())
    assert report["checklist"]["containerization"] == "kept_with_findings"
    assert report["trust"]["secured"] == "kept_with_findings"
    assert report["steps"] == [
        {**report["steps"][0], "step": 4, "status": "verified", "kept_findings": len(report["kept_findings"])}
    ]
    assert f"{len(report['kept_findings'])} findings in files that were there before" in notes
    text = to_markdown(report)
    section = text.split("## Findings in files that were there before and were left alone")[1].split("\n## ")[0]
    assert "`Dockerfile:1`: The final stage has no USER" in section
    assert "USER 10001" in section
    assert ": Kept with findings" in text.split("\n## ")[2]


@pytest.mark.slow
def test_without_findings_there_is_neither_heading_nor_note(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result, notes = ran(project, capsys, "--steps", "4")
    assert code == 0
    assert result["report"]["kept_findings"] == []
    assert result["report"]["checklist"]["containerization"] == "passed"
    assert "were there before" not in notes


async def test_the_same_file_written_by_the_run_stops_it(project: Path) -> None:
    result, _ = await claimed(project, call("Write", file_path=str(project / "Dockerfile"), content=AS_ROOT))
    assert isinstance(result, Failed)
    assert result.kind == "gate"
    assert "dockerfile/non-root" in result.reason


def test_a_file_that_a_command_leaves_behind_is_the_run_s_as_well(project: Path) -> None:
    workflow = WorkflowRun(root=project, steps=(4,))
    workflow.options()
    kept_dockerfile(project)
    assert errors_by_status(workflow, project) == {"failed": {"Dockerfile"}}


async def test_what_an_edit_adds_to_a_kept_file_stops_the_run_and_what_was_there_does_not(project: Path) -> None:
    path = kept_dockerfile(project)
    result, workflow = await claimed(
        project,
        call("Read", file_path=str(path)),
        call("Edit", file_path=str(path), old_string="python:3.13-slim", new_string="python:latest"),
    )
    assert isinstance(result, Failed)
    assert "python:latest" in result.reason
    assert "non-root" not in result.reason
    assert {"dockerfile/non-root"} <= {f["rule"] for f in (result.report or {})["kept_findings"]}
    assert "dockerfile/non-root" not in workflow.recap()


def test_what_an_earlier_run_wrote_is_still_answered_for(project: Path) -> None:
    path = kept_dockerfile(project)
    before = Before.look(project)

    def statuses() -> set[str]:
        return {c.status for c in before.tell_apart(project, run_checks(project, kinds=["dockerfile"]).checks, set())}

    assert "failed" not in statuses()
    path.write_text(stamp(AS_ROOT, "Dockerfile"))
    assert "failed" in statuses()


def test_a_resumed_run_remembers_what_it_found(project: Path) -> None:
    kept_dockerfile(project)
    options = json.loads(json.dumps(WorkflowRun(root=project).options()))
    (project / "Dockerfile").touch()
    (project / "worker.Dockerfile").write_text(AS_ROOT)
    again = WorkflowRun.from_options(options)
    assert again.options() == options
    assert errors_by_status(again, project) == {"kept_with_findings": {"Dockerfile"}, "failed": {"worker.Dockerfile"}}


LACKING = "json_logging/missing"


async def test_the_step_demands_what_the_run_could_have_added_to_the_code(project: Path) -> None:
    result, _ = await claimed(project, step=7)
    assert isinstance(result, Failed)
    assert LACKING in result.reason
    added, _ = await claimed(project, call("InstrumentApp", unit="."), step=7)
    assert isinstance(added, Completed), added


async def test_what_nobody_can_add_is_told_and_does_not_stop_the_step(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module shop\n\ngo 1.25\n")
    (tmp_path / "main.go").write_text(
        'package main\n\nimport "net/http"\n\nfunc main() { http.ListenAndServe(":8080", nil) }\n'
    )
    assert not run_checks(tmp_path, kinds=["json_logging", "health"]).errors
    result, _ = await claimed(tmp_path, step=7)
    assert isinstance(result, Completed), result
    assert LACKING in {finding["rule"] for finding in (result.report or {})["warnings"]}
