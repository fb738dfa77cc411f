"""`expert-devops repair-ci`: a failed workflow run, explained, and repaired in a loop with a limit."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.askers import Headless
from agent.budget import Limits
from agent.surfaces.configured import configured_agent
from agent.surfaces.errors import UsageProblem
from agent.surfaces.progress import progress_for
from tools.plain import to_json
from tools.ports import Answers, PermissionAnswer, PermissionRequest, Question
from tools.text import clean
from tools.tool import ToolError

if TYPE_CHECKING:
    from agent.api import Agent
    from agent.repair.run import Repair
    from agent.workflow.proposal import Destination


def configure_repair_ci(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", type=int, metavar="RUN_ID", help="default: the newest failed run of the checked-out branch"
    )
    parser.add_argument("-C", "--directory", default=".", metavar="DIR", help="the project (default: here)")
    parser.add_argument("--dry-run", action="store_true", help="explain the failure; change nothing")
    parser.add_argument("--max-attempts", type=int, default=3, metavar="N", help="(default: 3)")
    parser.add_argument("--wait", type=float, default=1800, metavar="SECONDS", help="for one run (default: 1800)")
    parser.add_argument("--model", default="auto", help="auto, playbook, or an id")
    parser.add_argument("--max-turns", type=int, default=100, metavar="N", help="for each attempt")
    parser.add_argument("--max-budget-usd", type=float, metavar="USD", help="for each attempt")
    parser.add_argument("--trust", action="store_true", help="trust this folder's own hooks, rules, agents and servers")
    parser.add_argument("--output-format", choices=("text", "json"), default="text")


def repair_ci(args: argparse.Namespace) -> int:
    """0: repaired, explained, or nothing to do. 1: not repaired. 2: it cannot be tried."""
    from agent.workflow.proposal import destination

    if args.max_attempts < 1 or args.wait < 0:
        raise UsageProblem("--max-attempts is at least 1, --wait at least 0.")
    if not Path(args.directory).is_dir():
        raise UsageProblem(f"{args.directory} is not a directory. Give the project with -C DIR.")
    try:
        to = destination(Path(args.directory).resolve(), os.environ)
        done = asyncio.run(_carry_out(args, to))
    except ToolError as error:
        raise UsageProblem(str(error)) from error
    if args.output_format == "json":
        print(json.dumps(to_json(done), ensure_ascii=False, indent=2))
    else:
        print(clean(_told(done, to.language)))
    return 1 if done.status == "not_repaired" else 0


async def _carry_out(args: argparse.Namespace, to: Destination) -> Repair:
    from agent.repair.run import Patience, explain_ci
    from agent.repair.run import repair_ci as repair

    if args.dry_run:
        return await explain_ci(to, args.run)

    def make_agent() -> Agent:
        return configured_agent(
            to.top,
            model=args.model,
            mode="acceptEdits",
            limits=Limits(turns=args.max_turns, cost_usd=args.max_budget_usd),
            asker=OwnWorkflows(to.top / ".github" / "workflows"),
            trust=args.trust,
        )

    patience = Patience(attempts=args.max_attempts, wait=args.wait)
    with progress_for(sys.stderr) as progress:
        return await repair(make_agent, to, args.run, patience, progress.show)


@dataclass(frozen=True, slots=True)
class OwnWorkflows:
    """Approves edits of the workflow files, which a repair is about; nobody is there for anything else."""

    folder: Path
    nobody: Headless = field(default_factory=Headless)

    async def questions(self, questions: Sequence[Question]) -> Answers:
        return await self.nobody.questions(questions)

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        named = str(request.input.get("file_path") or request.input.get("path") or "")
        real = (self.folder.parents[1] / named).resolve()
        own = real.parent == self.folder.resolve() and real.suffix in (".yml", ".yaml")
        if own and request.tool in ("Edit", "Write", "WriteArtifact"):
            return PermissionAnswer("allow")
        return await self.nobody.permission(request)


def _told(done: Repair, language: str) -> str:
    """What came of it, for people."""
    from agent.repair.run import spoken, told

    say = partial(told, language)
    state = say(done.status)
    lines = [say("because", state=state, reason=done.reason) if done.reason else f"{state}."]
    for number, attempt in enumerate(done.attempts, 1):
        run = attempt.run
        lines.append(f"{number}. {run.get('name')} {run.get('html_url')}: {run.get('conclusion')}")
        causes = [spoken(cause, language) for cause in attempt.causes]
        lines += [f"   {c['id']}: {c['means']} {c['remedy']}\n     {c['line']}" for c in causes]
        if not attempt.causes:
            lines.append(say("no_cause", run=run.get("id")))
        if attempt.files:
            key = "changed_in" if attempt.commit else "changed"
            lines.append(say(key, files=", ".join(attempt.files), commit=attempt.commit))
        if attempt.problem:
            lines.append(f"   {attempt.problem}")
        if attempt.next_run is not None:
            after = attempt.next_run
            lines.append(say("next_run", url=after.get("html_url"), conclusion=after.get("conclusion")))
    if done.pull_request:
        lines.append(say("pull_request", url=done.pull_request))
    if any(attempt.commit for attempt in done.attempts):
        lines.append(say("same_here", branch=done.branch))
    return "\n".join(lines)
