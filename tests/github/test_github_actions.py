"""Workflow runs and why they failed; secrets, variables, environments; releases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.github.server import GitHubServer
from tools.github import explain_failed_run
from tools.github.actions import RunsFilter, actions_get, actions_list, actions_run_trigger, get_job_logs
from tools.github.configuration import (
    create_environment,
    list_environments,
    list_secrets,
    list_variables,
    set_secret,
    set_variable,
)
from tools.github.files import create_or_update_file
from tools.github.runs import error_lines, log_tail
from tools.github.search import create_release, get_latest_release, list_releases, search_code
from tools.tool import ToolContext, ToolError

pytestmark = pytest.mark.needs("node", "npm")

_STAMP = "2026-11-24T11:00:00.1234567Z "
_LOG = "".join(
    f"{_STAMP}{line}\n"
    for line in [
        "##[group]Run pytest",
        *(f"test {number} passed" for number in range(300)),
        "\x1b[31mE  assert 503 == 200\x1b[0m",
        "##[error]Process completed with exit code 1.",
        "Post job cleanup.",
        "Stopping containers",
    ]
)


@pytest.fixture
def failed(github: GitHubServer) -> int:
    """A run whose test job failed; deploy was skipped, lint cancelled, build succeeded."""
    github.runs[77] = {"id": 77, "name": "ci", "status": "completed", "conclusion": "failure", "head_branch": "main"}
    steps = [{"name": "Set up job", "conclusion": "success"}, {"name": "Run tests", "conclusion": "failure"}]
    github.jobs[77] = [
        {"id": 1, "name": "lint", "conclusion": "cancelled", "steps": []},
        {"id": 2, "name": "build", "conclusion": "success", "steps": []},
        {"id": 3, "name": "test", "conclusion": "failure", "steps": steps},
        {"id": 4, "name": "deploy", "conclusion": "skipped", "steps": []},
    ]
    github.logs[3] = "\ufeff" + _LOG
    return 77


# --- why a run failed ------------------------------------------------------------------------------------------


async def test_a_failed_run_is_explained(github: GitHubServer, ctx: ToolContext, repo: str, failed: int) -> None:
    found = await explain_failed_run(ctx, f"octocat/{repo}", failed, tail_lines=3)
    assert found.run["conclusion"] == "failure"
    test, lint = found.jobs
    assert (test.job["name"], test.steps) == ("test", ("Run tests",))
    assert test.errors == ("Process completed with exit code 1.",)
    assert test.log == "test 299 passed\nE  assert 503 == 200\n##[error]Process completed with exit code 1."
    assert lint.job["name"] == "lint"
    assert "not found" in lint.note


async def test_the_model_reads_the_same_as_data(ctx: ToolContext, repo: str, failed: int) -> None:
    shown = await get_job_logs(ctx, "octocat", repo, run_id=failed, tail_lines=2)
    assert "2 jobs did not succeed" in str(shown.content)
    assert "untrusted-data" in str(shown.content)
    assert "assert 503" in str(shown.content)
    assert "s3cret" not in str(shown.content)
    one = await get_job_logs(ctx, "octocat", repo, job_id=3, tail_lines=1)
    assert one.data["github"]["log"] == "##[error]Process completed with exit code 1."
    with pytest.raises(ToolError, match="either job_id or run_id"):
        await get_job_logs(ctx, "octocat", repo)


async def test_the_model_reads_known_causes_too(github: GitHubServer, ctx: ToolContext, repo: str, failed: int) -> None:
    github.logs[3] = "line 1: pytset: command not found\n##[error]Process completed with exit code 127.\n"
    told = await get_job_logs(ctx, "octocat", repo, run_id=failed)
    (cause,) = told.data["github"]["jobs"][0]["causes"]
    assert (cause["id"], cause["cure"]) == ("wrong_command", "files")
    assert "pytset: command not found" in cause["line"]
    assert "Name the command or path that the project really has" in str(told.content)


async def test_a_run_that_did_not_fail(github: GitHubServer, ctx: ToolContext, repo: str, failed: int) -> None:
    github.jobs[failed] = [{"id": 2, "name": "build", "conclusion": "success"}]
    assert (await explain_failed_run(ctx, f"octocat/{repo}", failed)).jobs == ()


async def test_jobs_beyond_the_first_page(github: GitHubServer, ctx: ToolContext, repo: str, failed: int) -> None:
    many = [{"id": number + 10, "name": f"shard {number}", "conclusion": "success"} for number in range(150)]
    github.jobs[failed] = many[:99] + github.jobs[failed] + many[99:]
    found = await explain_failed_run(ctx, f"octocat/{repo}", failed)
    assert [job.job["name"] for job in found.jobs] == ["test", "lint"]


async def test_a_log_kept_without_https_elsewhere_is_not_fetched(
    github: GitHubServer, ctx: ToolContext, repo: str, failed: int
) -> None:
    github.log_host = "http://192.0.2.1"
    found = await explain_failed_run(ctx, f"octocat/{repo}", failed)
    assert "without https" in found.jobs[0].note


async def test_a_very_long_log_keeps_its_end(github: GitHubServer, ctx: ToolContext, repo: str, failed: int) -> None:
    github.logs[3] = ("x" * 99 + "\n") * 30_000 + _LOG
    found = await explain_failed_run(ctx, f"octocat/{repo}", failed, tail_lines=2)
    assert found.jobs[0].log.startswith("E  assert 503")


@given(st.lists(st.text(alphabet="ab#[]error \t", max_size=20), max_size=30), st.integers(1, 10))
def test_the_tail_of_any_log(lines: list[str], wanted: int) -> None:
    log = "\n".join(lines)
    tail = log_tail(log, wanted).split("\n")
    assert len(tail) <= wanted
    assert "\n".join(tail) in log
    if error_lines(log):
        assert tail[-1].startswith("##[error]")


# --- listing and starting --------------------------------------------------------------------------------------


async def test_runs_and_jobs_are_listed_and_read(ctx: ToolContext, repo: str, failed: int) -> None:
    only = RunsFilter(status="success")
    assert (await actions_list(ctx, "list_workflow_runs", "octocat", repo, None, only)).data["github"] == []
    runs = await actions_list(ctx, "list_workflow_runs", "octocat", repo, "ci.yml")
    assert [run["id"] for run in runs.data["github"]] == [77]
    jobs = await actions_list(ctx, "list_workflow_jobs", "octocat", repo, "77")
    assert [job["name"] for job in jobs.data["github"]] == ["lint", "build", "test", "deploy"]
    assert (await actions_list(ctx, "list_workflows", "octocat", repo)).data["github"] == []
    assert (await actions_get(ctx, "get_workflow_run", "octocat", repo, "77")).data["github"]["conclusion"] == "failure"
    assert (await actions_get(ctx, "get_workflow_job", "octocat", repo, "3")).data["github"]["steps"][1]["name"]
    with pytest.raises(ToolError, match="run's id"):
        await actions_list(ctx, "list_workflow_jobs", "octocat", repo)


@pytest.mark.parametrize(
    ("method", "end"),
    [("rerun_workflow_run", "rerun"), ("rerun_failed_jobs", "rerun-failed-jobs"), ("cancel_workflow_run", "cancel")],
)
async def test_a_run_is_started_again_or_cancelled(
    github: GitHubServer, ctx: ToolContext, repo: str, failed: int, method: Any, end: str
) -> None:
    await actions_run_trigger(ctx, method, "octocat", repo, run_id=failed)
    assert github.writes() == [f"POST /repos/octocat/{repo}/actions/runs/77/{end}"]
    with pytest.raises(ToolError, match="needs the run_id"):
        await actions_run_trigger(ctx, method, "octocat", repo)


async def test_a_workflow_is_started(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    await actions_run_trigger(ctx, "run_workflow", "octocat", repo, "deploy.yml", inputs={"environment": "staging"})
    assert github.seen[-1].body == {"ref": "main", "inputs": {"environment": "staging"}}
    with pytest.raises(ToolError, match="workflow_id"):
        await actions_run_trigger(ctx, "run_workflow", "octocat", repo)


# --- secrets, variables, environments --------------------------------------------------------------------------


async def test_a_secret_is_sealed_and_never_shown(
    github: GitHubServer, ctx: ToolContext, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAILWAY_TOKEN", "v3ry s3cret – 비밀")
    told = await set_secret(ctx, "octocat", repo, "RAILWAY_TOKEN")
    await set_secret(ctx, "octocat", repo, "RAILWAY_TOKEN", "production")
    assert github.secrets == {"/RAILWAY_TOKEN": "v3ry s3cret – 비밀", "production/RAILWAY_TOKEN": "v3ry s3cret – 비밀"}
    assert "s3cret" not in str(told.content)
    assert not any("s3cret" in str(seen.body) for seen in github.seen)
    listed = await list_secrets(ctx, "octocat", repo)
    assert listed.data["github"] == [{"name": "RAILWAY_TOKEN"}]


async def test_a_signing_key_is_made_here(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    told = await set_secret(ctx, "octocat", repo, "SECRET_KEY", generate=True)
    first = github.secrets["/SECRET_KEY"]
    assert len(first) >= 64
    assert first not in str(told.content)
    await set_secret(ctx, "octocat", repo, "SECRET_KEY", generate=True)
    assert github.secrets["/SECRET_KEY"] != first


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "GITHUB_TOKEN", "gh_token", "EXPERT_DEVOPS_KEY", "ABSENT"])
async def test_values_that_are_not_taken(
    github: GitHubServer, ctx: ToolContext, repo: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name != "ABSENT":
        monkeypatch.setenv(name, "value-of-the-key")
    with pytest.raises(ToolError, match=r"not copied|no environment variable") as caught:
        await set_secret(ctx, "octocat", repo, name)
    assert "value-of-the-key" not in str(caught.value)
    assert github.writes() == []


async def test_a_variable_is_written_when_it_differs(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    for value in ("eu", "eu", "us"):
        await set_variable(ctx, "octocat", repo, "REGION", value)
    assert [write.split("/actions")[1] for write in github.writes()] == ["/variables", "/variables/REGION"]
    await set_variable(ctx, "octocat", repo, "REGION", "eu", "production")
    assert github.variables == {"": {"REGION": "us"}, "production": {"REGION": "eu"}}
    shown = await list_variables(ctx, "octocat", repo)
    assert shown.data["github"] == [{"name": "REGION", "value": "us"}]


async def test_an_environment_keeps_its_protection(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    await create_environment(ctx, "octocat", repo, "production", wait_timer=5, protected_branches_only=True)
    again = await create_environment(ctx, "octocat", repo, "production")
    assert "left alone" in str(again.content)
    assert github.environments["production"]["wait_timer"] == 5
    assert len(github.writes()) == 1
    assert [item["name"] for item in (await list_environments(ctx, "octocat", repo)).data["github"]] == ["production"]


# --- releases, search ------------------------------------------------------------------------------------------


async def test_a_release_is_made_once(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    assert "no published release" in str((await get_latest_release(ctx, "octocat", repo)).content)
    made = await create_release(ctx, "octocat", repo, "v1.0.0", body="First", target_commitish="main")
    again = await create_release(ctx, "octocat", repo, "v1.0.0", body="Other")
    assert (made.data["created"], again.data["created"]) == (True, False)
    assert len(github.writes()) == 1
    assert [r["tag_name"] for r in (await list_releases(ctx, "octocat", repo)).data["github"]] == ["v1.0.0"]
    assert (await get_latest_release(ctx, "octocat", repo)).data["github"]["body"] == "First"


async def test_code_is_found(ctx: ToolContext, repo: str) -> None:
    await create_or_update_file(ctx, "octocat", repo, "app.py", "needle_in_haystack = 1\n", "Add", "main")
    shown = await search_code(ctx, f"needle_in_haystack repo:octocat/{repo}")
    assert [item["path"] for item in shown.data["github"]] == ["app.py"]
