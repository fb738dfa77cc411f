"""`run --pr`: what a verified run wrote, as a pull request. Said beside the run's result, which it does not change."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.result import Completed, Result
from agent.session.journal import find_session
from agent.surfaces.errors import UsageProblem
from agent.workflow.run import WorkflowRun
from agent.workflow.written import Work, work_of_session
from tools.labels import label
from tools.plain import to_json
from tools.text import clean
from tools.tool import ToolError

if TYPE_CHECKING:
    from agent.workflow.proposal import Destination


@dataclass(slots=True)
class Proposing:
    """Where the proposal goes, and afterwards what came of it: `outcome` for programs, `line` for people."""

    to: Destination
    workflow: WorkflowRun
    failed: bool = False
    line: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def prepare(cls, workflow: WorkflowRun) -> Proposing:
        """Find remote and token before the run starts. Raises `UsageProblem`: nothing has been done then."""
        from agent.workflow.proposal import destination

        try:
            to = destination(workflow.root, os.environ)
            if not workflow.dry_run:
                asyncio.run(to.ctx.state["github"].find_token())
        except ToolError as error:
            raise UsageProblem(f"--pr: {error}") from error
        return cls(to, workflow)

    def carry_out(self, result: Result) -> None:
        """Open or renew the pull request of a completed run; say why there is none for any other."""
        from agent.workflow.proposal import propose

        root = self.workflow.root
        report = result.report or {}
        work = work_of_session(find_session(result.session_id, root), root) if result.session_id else Work()
        paths = _to_propose(work, root, report)
        branch = self.to.branch(report.get("spec"))
        if self.workflow.dry_run:
            listed = ", ".join(map(self.to.place, paths)) or self._words("no_file")
            self._say("would", branch=branch, repository=self.to.repository, files=listed)
            return
        if not isinstance(result, Completed):
            self._say("not_verified", failed=True, status=result.status)
            return
        try:
            others = asyncio.run(_left_out(self.to, work, paths))
            made = asyncio.run(propose(self.to, paths, report.get("spec"), report))
        except ToolError as error:
            again = f"expert-devops run --resume {result.session_id} --pr"
            self._say("not_opened", failed=True, error=error, again=again)
            return
        if made is None:
            self._say("nothing", repository=self.to.repository)
        else:
            self._say("opened" if made.created else "renewed" if made.commit else "same", url=made.url)
            self.outcome = {**to_json(made), "branch": branch, "files": [self.to.place(path) for path in paths]}
        if others:
            self.line = f"{self.line}\n{self._words('left_out', files=', '.join(others))}"
            self.outcome["left_out"] = others

    def _say(self, key: str, *, failed: bool = False, **detail: object) -> None:
        self.line, self.failed = self._words(key, **detail), failed
        self.outcome = {"note": self.line}

    def _words(self, key: str, **detail: object) -> str:
        return clean(label("proposal", key, self.to.language).format(**detail))


def _to_propose(work: Work, root: Path, report: Mapping[str, Any]) -> list[str]:
    """What the session's tools wrote, and planned files that a command of it wrote: those are the run's own, too."""
    planned = (artifact["path"] for artifact in report.get("artifacts", ()))
    return [*work.files, *(path for path in planned if path not in work.files and work.by_command(root / path))]


async def _left_out(to: Destination, work: Work, paths: Sequence[str]) -> list[str]:
    """Other files that commands of the session changed: what they mean for the proposal is for a person to say."""
    from agent.workflow.checkout import differing

    if not work.commands:
        return []
    proposed = {to.place(path) for path in paths}
    return [path for path in await differing(to.top) if path not in proposed and work.by_command(to.top / path)]
