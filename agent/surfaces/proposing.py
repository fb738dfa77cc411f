"""`run --pr`: what a verified run wrote, as a pull request. Said beside the run's result, which it does not change."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.result import Completed, Result
from agent.session.journal import find_session
from agent.surfaces.errors import UsageProblem
from agent.workflow.run import WorkflowRun
from agent.workflow.written import files_of_session
from tools.plain import to_json
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
        paths = files_of_session(find_session(result.session_id, root), root) if result.session_id else ()
        branch = self.to.branch(report.get("spec"))
        if self.workflow.dry_run:
            listed = ", ".join(map(self.to.place, paths)) or "no file"
            self._say(f"A real run would propose on {branch} of {self.to.repository}: {listed}. Nothing was sent.")
            return
        if not isinstance(result, Completed):
            self._say(f"No pull request was opened: the run is not verified ({result.status}).", failed=True)
            return
        try:
            made = asyncio.run(propose(self.to, paths, report.get("spec"), report))
        except ToolError as error:
            again = f"expert-devops run --resume {result.session_id} --pr"
            text = f"The files are written and verified, but no pull request was opened: {error}\nAgain with: {again}"
            self._say(text, failed=True)
            return
        if made is None:
            self._say(f"There is nothing to propose: {self.to.repository} holds all of it already.")
            return
        how = "opened" if made.created else "renewed" if made.commit else "open already, nothing changed"
        self._say(f"Pull request {made.url} ({how}).")
        self.outcome = {**to_json(made), "branch": branch, "files": [self.to.place(path) for path in paths]}

    def _say(self, line: str, *, failed: bool = False) -> None:
        self.line, self.failed = line, failed
        self.outcome = {"note": line}
