"""A failed workflow run, repaired: read, explain, change files, check, push, wait for the next run; with a limit.

The model only changes files. What is pushed, where to and when is decided here: to the branch that failed (to a branch
of its own with a pull request where that is the default branch), never forced, never past somebody else's commit, and
nothing that breaks a check or uses a secret that the file did not use before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agent.api import Agent
from agent.events import Event, Notice
from agent.repair.evidence import Errors, errors_of, evidence, new_secrets
from agent.workflow.checkout import Checkout, committed
from agent.workflow.proposal import Destination
from tools.github import FailedRun, FileChange, explain_failed_run, open_pull_request
from tools.github.commits import blob_sha, commit_files
from tools.github.hub import Hub, hub_of
from tools.github.settings import split_repository
from tools.labels import label
from tools.tool import ToolError

Json = dict[str, Any]
Status = Literal["repaired", "not_repaired", "nothing_failed", "explained"]

_FAILED = ("failure", "timed_out", "startup_failure")
_TITLE = "Repair CI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Limits of a repair: how many tries, how long one run is waited for, and how often it is looked at, in seconds."""

    attempts: int = 3
    wait: float = 1800.0
    pause: float = 10.0


@dataclass(slots=True)
class Attempt:
    """One try: the run that failed, why, what was changed, and the run that followed."""

    run: Json
    causes: list[Json]
    session: str = ""
    files: list[str] = field(default_factory=list)
    commit: str | None = None
    next_run: Json | None = None
    problem: str = ""


@dataclass(slots=True)
class Repair:
    """What came of it. `reason` says why it is not repaired; `branch` and `pull_request` say where the changes are."""

    status: Status
    reason: str = ""
    branch: str = ""
    pull_request: str = ""
    attempts: list[Attempt] = field(default_factory=list)


class _Stop(Exception):  # noqa: N818 - control flow inside this module
    """It cannot be repaired; the message says why."""


async def explain_ci(to: Destination, run_id: int | None) -> Repair:
    """The failed run (None: the newest of the checked-out branch) and its known causes. Raises `ToolError`."""
    checkout = await Checkout.of(to.top)
    run = await _find_run(to, run_id, checkout.branch)
    if run is None:
        return Repair("nothing_failed", told(to.language, "newest_passed", branch=checkout.branch))
    failed = await explain_failed_run(to.ctx, to.repository, int(run["id"]))
    return Repair("explained", branch=str(run["head_branch"]), attempts=[Attempt(failed.run, causes(failed))])


async def repair_ci(
    make_agent: Callable[[], Agent],
    to: Destination,
    run_id: int | None,
    patience: Patience,
    show: Callable[[Event], None],
) -> Repair:
    """Repair the run (None: the newest failed one of the checked-out branch). Raises `ToolError` before a first change.

    Afterwards everything is told in the result, which says *not repaired* unless a later run really succeeded.
    """
    checkout = await Checkout.of(to.top)
    run = await _find_run(to, run_id, checkout.branch)
    if run is None:
        return Repair("nothing_failed", told(to.language, "newest_passed", branch=checkout.branch))
    checkout.must_be_at(str(run["head_sha"]), str(run["head_branch"]))
    if (run.get("head_repository") or {}).get("full_name", to.repository).casefold() != to.repository.casefold():
        raise ToolError("This run belongs to a fork. Its logs may say anything, so it is not repaired from here.")
    work = _Work(make_agent, to, checkout, patience, show, Repair("not_repaired", branch=str(run["head_branch"])))
    await work.choose_branch()
    try:
        for _ in range(patience.attempts):
            run = await work.attempt(run)
            if run["conclusion"] == "success":
                work.repair.status = "repaired"
                return work.repair
        last = work.feedback or work.words("last_failed")
        work.repair.reason = work.words("limit", attempts=patience.attempts, last=last)
    except _Stop as stop:
        work.repair.reason = str(stop)
    except ToolError as error:
        work.repair.reason = work.words("refused", error=error)
    return work.repair


@dataclass(slots=True)
class _Work:
    make_agent: Callable[[], Agent]
    to: Destination
    checkout: Checkout
    patience: Patience
    show: Callable[[Event], None]
    repair: Repair
    own_branch: str | None = None
    pushed: dict[str, str] = field(default_factory=dict)
    feedback: str = ""

    @property
    def hub(self) -> Hub:
        return hub_of(self.to.ctx)

    async def choose_branch(self) -> None:
        """Changes go to the branch that failed, but never straight to the default branch."""
        found = await self.hub.repository(*split_repository(self.to.repository))
        if self.repair.branch == found["default_branch"]:
            self.own_branch = f"expert-devops/repair-{self.checkout.head[:10]}"

    async def attempt(self, run: Json) -> Json:
        """One try; the run that followed, or the same one where nothing could be pushed yet. Raises `_Stop`."""
        failed = await explain_failed_run(self.to.ctx, self.to.repository, int(run["id"]))
        known = causes(failed)
        tried = Attempt(failed.run, known)
        self.repair.attempts.append(tried)
        named = ", ".join(cause["id"] for cause in known) or self.words("unknown")
        self._say("known", run=failed.run["id"], name=failed.run["name"], causes=named)
        cures = {cause["cure"] for cause in known}
        if "person" in cures:
            raise _Stop(self._for_person(known))
        if cures == {"again"}:
            tried.next_run = await self._once_more(run)
            return tried.next_run
        before = await asyncio.to_thread(errors_of, self.to.top)
        await self._change_files(failed, tried)
        tried.files = await self.checkout.changed()
        if not tried.files:
            raise _Stop(self.words("unchanged", why=tried.problem or self.words("found_nothing")))
        if problem := await self._unfit(before, tried.files):
            tried.problem = self.feedback = problem
            self.show(Notice(level="info", text=problem))
            return run
        tried.commit = await self._push(tried.files)
        if tried.commit is None:
            raise _Stop(self.words("same_files"))
        self.feedback = ""
        tried.next_run = await self._next(run, tried.commit)
        return tried.next_run

    async def _change_files(self, failed: FailedRun, tried: Attempt) -> None:
        agent = self.make_agent()
        going = agent.start(evidence(failed, tried.causes, self.feedback, self.to.language))
        try:
            async for event in going:
                self.show(event)
        finally:
            if agent.servers is not None:
                await agent.servers.aclose()
        tried.session, tried.problem = going.session_id, going.result.text
        if going.result.status != "completed":
            reason = getattr(going.result, "reason", going.result.text)
            raise _Stop(self.words("model_stopped", status=going.result.status, reason=reason))

    async def _unfit(self, before: Errors, files: list[str]) -> str:
        """Why these changes may not be pushed; empty when they may."""
        added = await asyncio.to_thread(errors_of, self.to.top) - before
        if added:
            listed = "; ".join(f"[{rule}] {file}: {message}" for rule, file, message in sorted(added))
            return self.words("breaks_checks", findings=listed)
        for path in files:
            if names := new_secrets(await self.checkout.committed_text(path), self.to.top / path):
                return self.words("new_secrets", path=path, names=", ".join(names))
        return ""

    async def _push(self, files: list[str]) -> str | None:
        """Commit the files; None where they are there already. Raises `ToolError` for one that others changed."""
        known = await committed(self.to.top, files) | self.pushed
        changes = [FileChange.read(self.to.top, path) for path in files]
        if self.own_branch is None:
            root = await self.hub.writable(*split_repository(self.to.repository))
            seen = [replace(change, sha=known.get(change.path)) for change in changes]
            commit = await commit_files(self.hub, root, self.repair.branch, seen, _TITLE)
        else:
            text = f"{_TITLE}: {self.repair.attempts[0].run['html_url']}"
            made = await open_pull_request(
                self.to.ctx, self.to.repository, self.own_branch, changes, _TITLE, text, known=known
            )
            self.repair.branch, self.repair.pull_request = self.own_branch, made.url if made else ""
            commit = made.commit if made else None
        self.pushed |= {c.path: blob_sha(c.content) for c in changes if c.content is not None}
        return commit

    async def _once_more(self, run: Json) -> Json:
        root = await self.hub.writable(*split_repository(self.to.repository))
        await self.hub.send("POST", f"{root}/actions/runs/{run['id']}/rerun-failed-jobs")
        self._say("again")
        return await self._wait(lambda: self._newer_attempt(run), self.words("repeated", run=run["id"]))

    async def _newer_attempt(self, run: Json) -> Json | None:
        root = await self.hub.readable(*split_repository(self.to.repository))
        now: Json = await self.hub.get(f"{root}/actions/runs/{run['id']}")
        return now if int(now.get("run_attempt") or 1) > int(run.get("run_attempt") or 1) else None

    async def _next(self, run: Json, commit: str) -> Json:
        self._say("pushed", commit=commit[:10])

        async def find() -> Json | None:
            root = await self.hub.readable(*split_repository(self.to.repository))
            listed = await self.hub.get(f"{root}/actions/runs", head_sha=commit, per_page=50)
            return next((found for found in listed["workflow_runs"] if _workflow(found) == _workflow(run)), None)

        return await self._wait(find, self.words("run_for", name=run.get("name"), commit=commit[:10]))

    async def _wait(self, find: Callable[[], Any], what: str) -> Json:
        """The run that `find` gives, once it has ended. Raises `_Stop` when it takes too long."""
        until = time.monotonic() + self.patience.wait
        while True:
            run: Json | None = await find()
            if run is not None and run.get("status") == "completed":
                return run
            if time.monotonic() >= until:
                key, state = ("still", run["status"]) if run else ("silent", "")
                raise _Stop(self.words(key, what=what, state=state, seconds=round(self.patience.wait)))
            await asyncio.sleep(self.patience.pause)

    def _for_person(self, known: list[Json]) -> str:
        due = [spoken(cause, self.to.language) for cause in known if cause["cure"] == "person"]
        return " ".join(self.words("person", **cause) for cause in due)

    def words(self, key: str, **detail: object) -> str:
        return told(self.to.language, key, **detail)

    def _say(self, key: str, **detail: object) -> None:
        self.show(Notice(level="info", text=self.words(key, **detail)))


async def _find_run(to: Destination, run_id: int | None, branch: str) -> Json | None:
    """The run by its id, or the newest completed one of each workflow on `branch` that failed. Raises `ToolError`."""
    hub = hub_of(to.ctx)
    root = await hub.readable(*split_repository(to.repository))
    if run_id is not None:
        run: Json = await hub.get(f"{root}/actions/runs/{run_id}")
        if run.get("status") != "completed" or run.get("conclusion") not in _FAILED:
            raise ToolError(f"Run {run_id} has not failed: {run.get('status')}, {run.get('conclusion')}.")
        return run
    listed = await hub.get(f"{root}/actions/runs", branch=branch, status="completed", per_page=50)
    newest: dict[str, Json] = {}
    for found in listed["workflow_runs"]:
        newest.setdefault(_workflow(found), found)
    return next((found for found in newest.values() if found.get("conclusion") in _FAILED), None)


def _workflow(run: Json) -> str:
    return str(run.get("path") or run.get("name"))


def causes(failed: FailedRun) -> list[Json]:
    """The known causes of a run over all its jobs, each once, as data."""
    found = {cause.id: cause for job in failed.jobs for cause in job.causes}
    return [
        {
            "id": cause.id,
            "cure": cause.cure,
            "means": dict(cause.means),
            "remedy": dict(cause.remedy),
            "rewrite": list(cause.rewrite),
            "line": cause.line,
        }
        for cause in found.values()
    ]


def told(language: str, key: str, **detail: object) -> str:
    """A sentence of the group `repair` in the labels, in the conversation language."""
    return label("repair", key, language).format(**detail)


def spoken(cause: Json, language: str) -> dict[str, str]:
    """A cause in one language: `id`, `means`, `remedy`, and the `line` of the log that shows it."""
    texts = {key: cause[key].get(language, cause[key]["en"]) for key in ("means", "remedy")}
    return {"id": cause["id"], "line": cause["line"], **texts}
