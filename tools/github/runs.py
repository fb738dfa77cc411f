"""Why a workflow run failed: its jobs, the steps that failed, and the end of their logs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tools.github.causes import Cause, causes_of
from tools.github.errors import unanswered
from tools.github.hub import Hub, hub_of
from tools.github.settings import split_repository
from tools.github.show import Json, pick
from tools.text import clean, cut_line
from tools.tool import ToolContext, ToolError

if TYPE_CHECKING:
    from httpx2 import AsyncClient

_FAILED = frozenset({"failure", "timed_out", "startup_failure", "cancelled", "action_required"})
_TIMESTAMP = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ", re.MULTILINE)
_KEPT_BYTES = 400_000
_MOST_BYTES = 100_000_000
_MOST_LINE = 500
_MOST_JOBS = 10
_SEARCHED_LINES = 300  # of the end of a log, for known causes
_RUN = pick("id name display_title event status conclusion run_attempt head_branch head_sha html_url created_at")
_JOB = pick("id name status conclusion html_url started_at completed_at")


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that did not succeed. `steps` are the names of the failed ones, `errors` what the log marks as error.

    `log` is its end, up to the last error; `note` says why there is none. All of it is foreign text. `causes` are the
    known ones that the log shows.
    """

    job: Json
    steps: tuple[str, ...]
    errors: tuple[str, ...]
    log: str
    note: str = ""
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A workflow run and its failed jobs; none when it did not fail, or is not done."""

    run: Json
    jobs: tuple[FailedJob, ...]


async def explain_failed_run(ctx: ToolContext, repository: str, run_id: int, *, tail_lines: int = 100) -> FailedRun:
    """What failed in run `run_id` of `repository` (`owner/name`). Raises `ToolError`."""
    hub = hub_of(ctx)
    root = await hub.readable(*split_repository(repository))
    run = await hub.get(f"{root}/actions/runs/{run_id}")
    jobs = [job async for job in hub.items(f"{root}/actions/runs/{run_id}/jobs", "jobs", filter="latest")]
    failed = [job for job in jobs if job.get("conclusion") in _FAILED]
    # What failed by itself says more than what was cancelled because of it.
    failed.sort(key=lambda job: job.get("conclusion") == "cancelled")
    return FailedRun(_RUN(run), tuple([await _failed_job(hub, root, job, tail_lines) for job in failed[:_MOST_JOBS]]))


async def _failed_job(hub: Hub, root: str, job: Json, tail_lines: int) -> FailedJob:
    steps = tuple(str(step["name"]) for step in job.get("steps") or () if step.get("conclusion") in _FAILED)
    try:
        log = await job_log(hub, root, int(job["id"]))
    except ToolError as error:
        return FailedJob(_JOB(job), steps, (), "", note=str(error))
    tail = log_tail(log, max(tail_lines, _SEARCHED_LINES))
    return FailedJob(_JOB(job), steps, error_lines(log), log_tail(log, tail_lines), causes=causes_of(tail))


async def job_log(hub: Hub, root: str, job_id: int) -> str:
    """The end of a job's log (at most 400 KB), without timestamps. Raises `ToolError`."""
    answer = await hub.request("GET", f"{root}/actions/jobs/{job_id}/logs", fine=(302,))
    if answer.status == 302:
        text = await _download(hub, answer.headers.get("location", ""))
    else:
        text = str(answer.data)
    return clean(_TIMESTAMP.sub("", text))


def log_tail(log: str, lines: int) -> str:
    """The last `lines` lines up to the last error; without one, simply the last. Clean-up comes after an error."""
    every = log.rstrip("\n").split("\n")
    last = max((number for number, line in enumerate(every) if line.startswith("##[error]")), default=len(every) - 1)
    return "\n".join(cut_line(line, _MOST_LINE) for line in every[max(0, last + 1 - lines) : last + 1])


def error_lines(log: str) -> tuple[str, ...]:
    """What the runner marked as errors, in order, each once."""
    marked = [line.removeprefix("##[error]") for line in log.split("\n") if line.startswith("##[error]")]
    return tuple(cut_line(line, _MOST_LINE) for line in dict.fromkeys(marked))[:20]


async def _download(hub: Hub, location: str) -> str:
    """A log from where GitHub keeps it: another host, so the token does not go along."""
    import httpx2

    api = urlsplit(hub.settings.api_url)
    url = urlsplit(location)
    if url.scheme != "https" and (url.scheme, url.hostname, url.port) != (api.scheme, api.hostname, api.port):
        raise ToolError("GitHub points to an address without https for this log; it was not fetched.")
    try:
        async with httpx2.AsyncClient(timeout=hub.settings.timeout, trust_env=True, follow_redirects=False) as client:
            return b"".join(await _tail(client, location)).decode("utf-8", "replace")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise unanswered(error, "The log's download", write=False) from error


async def _tail(client: AsyncClient, url: str) -> Sequence[bytes]:
    kept: list[bytes] = []
    size = total = 0
    async with client.stream("GET", url) as response:
        if response.status_code != 200:
            raise ToolError(f"The log is not there (HTTP {response.status_code}); logs expire. Run the workflow again.")
        async for piece in response.aiter_bytes(65_536):
            kept.append(piece)
            size, total = size + len(piece), total + len(piece)
            while size - len(kept[0]) >= _KEPT_BYTES:
                size -= len(kept.pop(0))
            if total > _MOST_BYTES:
                raise ToolError(f"The log is larger than {_MOST_BYTES // 1_000_000} MB and was not read to its end.")
    return kept
