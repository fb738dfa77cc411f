"""The schema of the report: what it says holds for real reports, at whatever point a run stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from agent.api import Agent, result_json
from agent.budget import Limits
from agent.permissions import Rules
from agent.surfaces.cli import main
from agent.testing import ScriptedModel, call
from agent.workflow.report import to_markdown
from agent.workflow.run import WorkflowRun


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["run", "--print-schema"]) == 0
    return json.loads(capsys.readouterr().out)


async def report_of(root: Path) -> dict[str, Any]:
    workflow = WorkflowRun(root=root)
    result = await Agent(cwd=root, model="playbook", mode="acceptEdits", env={}).run(
        workflow.prompt(), workflow=workflow
    )
    report: dict[str, Any] = json.loads(json.dumps(result_json(result)["report"]))
    return report


async def stopped_early(root: Path) -> dict[str, Any]:
    """Nobody is there to say where it should run."""
    (root / "package.json").write_text('{"name": "x", "scripts": {"start": "node server.js"}}')
    (root / "server.js").write_text("require('http').createServer().listen(process.env.PORT)")
    return await report_of(root)


async def test_reports_of_runs_that_stopped_early_fit(schema: Any, tmp_path: Path) -> None:
    Draft202012Validator.check_schema(schema)
    empty = tmp_path / "empty"
    empty.mkdir()
    for report in (await stopped_early(tmp_path), await report_of(empty)):
        Draft202012Validator(schema).validate(report)
        assert report["outcome"] != "completed"


async def test_what_is_no_report_does_not_fit(schema: Any, tmp_path: Path) -> None:
    report = await stopped_early(tmp_path)
    wrong: list[dict[str, Any]] = [{**report, "outcome": "success"}, {**report, "extra": 1}]
    wrong += [{key: value for key, value in report.items() if key != left_out} for left_out in report]
    for each in wrong:
        with pytest.raises(ValidationError):
            Draft202012Validator(schema).validate(each)


async def test_infrastructure_commands_are_reported_with_their_class(schema: Any, tmp_path: Path) -> None:
    """One that a rule allows, one that nobody was there to permit."""
    turns: list[Any] = [
        [call("Bash", command="kubectl get pods"), call("Bash", command="echo hi")],
        [call("Bash", command="terraform destroy")],
        "Done.",
    ]
    agent = Agent(
        cwd=tmp_path,
        model=ScriptedModel(turns),
        rules=Rules.parse(allow=["Bash(kubectl get:*)"]),
        sandbox=False,
        env={},
        limits=Limits(turns=3),
    )
    workflow = WorkflowRun(root=tmp_path)
    report = json.loads(json.dumps(result_json(await agent.run(workflow.prompt(), workflow=workflow))["report"]))
    Draft202012Validator(schema).validate(report)
    found = [(entry["command"], entry["class"], entry["decision"]) for entry in report["infrastructure"]]
    assert found == [("kubectl get pods", "read", "allow"), ("terraform destroy", "destroy", "deny")]
    assert "- `terraform destroy`: destroys, refused" in to_markdown(report)
    assert "- `terraform destroy`: 파괴, 거부됨" in to_markdown(report | {"language": "ko"})
