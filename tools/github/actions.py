"""GitHub tools on workflows, their runs, jobs and logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.github.hub import hub_of, segment
from tools.github.inputs import Owner, Page, PerPage, Repo
from tools.github.runs import error_lines, explain_failed_run, job_log, log_tail
from tools.github.show import Json, pick, shown, shown_page
from tools.plain import to_json
from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_RUN = pick(
    "id name display_title event status conclusion run_number run_attempt head_branch head_sha actor.login html_url "
    "created_at updated_at path"
)
_WORKFLOW = pick("id name path state html_url")


def _job(item: Json) -> Json:
    steps = [pick("number name status conclusion")(step) for step in item.get("steps") or ()]
    return pick("id run_id name status conclusion html_url started_at completed_at runner_name")(item) | {
        "steps": steps
    }


_SHOWN: Mapping[str, Callable[[Json], Json]] = {"workflow": _WORKFLOW, "workflow_run": _RUN, "workflow_job": _job}


class RunsFilter(BaseModel):
    """Which runs are listed."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    actor: str | None = None
    branch: str | None = None
    event: str | None = None
    status: str | None = None


@tool("mcp__github__actions_list", effects={"network"})
async def actions_list(
    ctx: ToolContext,
    method: Literal["list_workflows", "list_workflow_runs", "list_workflow_jobs"],
    owner: Owner,
    repo: Repo,
    resource_id: Annotated[
        str | None,
        Field(description="For runs: id or file name of one workflow (all if absent). For jobs: the run id."),
    ] = None,
    workflow_runs_filter: RunsFilter | None = None,
    page: Page = 1,
    per_page: PerPage = 30,
) -> ToolResult:
    """List workflows, runs (newest first), or the jobs of a run's last attempt. Token: Actions, read."""
    hub = hub_of(ctx)
    root = f"{await hub.readable(owner, repo)}/actions"
    query: dict[str, Any] = {"page": page, "per_page": per_page}
    if method == "list_workflow_jobs":
        if resource_id is None:
            raise ToolError("To list jobs give the run's id as resource_id.")
        path, kind = f"{root}/runs/{segment(resource_id)}/jobs", "workflow_job"
    elif method == "list_workflow_runs":
        path, kind = f"{root}/workflows/{segment(resource_id)}/runs" if resource_id else f"{root}/runs", "workflow_run"
        query |= workflow_runs_filter.model_dump() if workflow_runs_filter else {}
    else:
        path, kind = f"{root}/workflows", "workflow"
    answer = await hub.request("GET", path, query=query)
    key = "jobs" if kind == "workflow_job" else f"{kind}s"
    return shown_page(hub, f"{owner}/{repo}/actions", answer, _SHOWN[kind], page, key)


@tool("mcp__github__actions_get", effects={"network"})
async def actions_get(
    ctx: ToolContext,
    method: Literal["get_workflow", "get_workflow_run", "get_workflow_job"],
    owner: Owner,
    repo: Repo,
    resource_id: Annotated[
        str, Field(min_length=1, description="Id of the run or job; id or file name of a workflow.")
    ],
) -> ToolResult:
    """Read one workflow, run or job with its steps. Token: Actions, read."""
    hub = hub_of(ctx)
    root = f"{await hub.readable(owner, repo)}/actions"
    kind = method.removeprefix("get_")
    folder = {"workflow": "workflows", "workflow_run": "runs", "workflow_job": "jobs"}[kind]
    found = await hub.get(f"{root}/{folder}/{segment(resource_id)}")
    return shown(hub, f"{owner}/{repo}/actions/{folder}/{resource_id}", _SHOWN[kind](found))


@tool("mcp__github__get_job_logs", effects={"network"})
async def get_job_logs(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    job_id: Annotated[int | None, Field(ge=1, description="One job.")] = None,
    run_id: Annotated[int | None, Field(ge=1, description="A run: every job of it that failed.")] = None,
    tail_lines: Annotated[int, Field(ge=1, le=2000, description="Lines before the last error.")] = 100,
) -> ToolResult:
    """Read the log of one job, or learn why a run failed: failed jobs, steps, errors, known causes, the end of the log.

    Give either job_id or run_id. Token: Actions, read.
    """
    if (job_id is None) == (run_id is None):
        raise ToolError("Give either job_id or run_id.")
    hub = hub_of(ctx)
    if run_id is not None:
        failed = await explain_failed_run(ctx, f"{owner}/{repo}", run_id, tail_lines=tail_lines)
        note = f"{len(failed.jobs)} jobs did not succeed." if failed.jobs else "No job of this run has failed."
        return shown(hub, f"{owner}/{repo}/actions/runs/{run_id}", to_json(failed), note)
    assert job_id is not None  # noqa: S101 - one of the two is given, as checked above
    log = await job_log(hub, await hub.readable(owner, repo), job_id)
    told = {"job_id": job_id, "errors": error_lines(log), "log": log_tail(log, tail_lines)}
    return shown(hub, f"{owner}/{repo}/actions/jobs/{job_id}", to_json(told))


@tool("mcp__github__actions_run_trigger", effects={"network", "writes"})
async def actions_run_trigger(
    ctx: ToolContext,
    method: Literal["run_workflow", "rerun_workflow_run", "rerun_failed_jobs", "cancel_workflow_run"],
    owner: Owner,
    repo: Repo,
    workflow_id: Annotated[str | None, Field(description="To run: id or file name of the workflow.")] = None,
    ref: Annotated[str | None, Field(description="To run: branch or tag; the default branch if absent.")] = None,
    inputs: Annotated[dict[str, str] | None, Field(description="To run: the workflow's inputs.")] = None,
    run_id: Annotated[int | None, Field(ge=1, description="To rerun or cancel: the run.")] = None,
) -> ToolResult:
    """Run a workflow that has workflow_dispatch, rerun a run or its failed jobs, or cancel a run.

    Token: Actions, write (classic: repo).
    """
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    if method == "run_workflow":
        if not workflow_id:
            raise ToolError("To run a workflow give its workflow_id.")
        wanted = {"ref": ref or (await hub.repository(owner, repo))["default_branch"], "inputs": inputs or {}}
        await hub.send("POST", f"{root}/actions/workflows/{segment(workflow_id)}/dispatches", wanted)
        return ToolResult(f"The workflow {clean(workflow_id)} was started on {clean(str(wanted['ref']))}.")
    if run_id is None:
        raise ToolError(f"{method} needs the run_id.")
    end = {"rerun_workflow_run": "rerun", "rerun_failed_jobs": "rerun-failed-jobs", "cancel_workflow_run": "cancel"}[
        method
    ]
    await hub.send("POST", f"{root}/actions/runs/{run_id}/{end}")
    return ToolResult(f"{end} was accepted for run {run_id}. Follow it with actions_get.")
