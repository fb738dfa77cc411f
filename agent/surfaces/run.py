"""`expert-devops run`: the eight steps, headless."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.api import Agent, Run, result_json
from agent.askers import Headless
from agent.budget import Limits
from agent.delegation import read_results
from agent.events import Event, ToolFinished, to_json
from agent.result import Failed, NeedsInput, OutOfBudget, Refused, Result, exit_code
from agent.session.journal import find_session
from agent.session.resume import restore
from agent.surfaces.configured import answers_of, closing, configured_agent
from agent.surfaces.errors import UsageProblem
from agent.surfaces.progress import progress_for
from agent.surfaces.proposing import Proposing
from agent.workflow.report import report_schema, to_markdown
from agent.workflow.run import WorkflowRun
from tools.labels import label
from tools.ports import DelegationResult
from tools.text import clean


def configure_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", help="SPEC id or path; without it the project's SPEC is found")
    parser.add_argument("-C", "--directory", default=".", metavar="DIR", help="the project (default: here)")
    parser.add_argument(
        "--model", default="auto", help="auto (Claude when a key is set, else playbook), playbook, or an id"
    )
    parser.add_argument("--answers", metavar="FILE", help="YAML or JSON file with answers to the questions of step 2")
    parser.add_argument("--yes", action="store_true", help="take documented defaults; they are shown as assumptions")
    parser.add_argument("--dry-run", action="store_true", help="show diffs, write nothing")
    parser.add_argument("--pr", action="store_true", help="propose what a verified run wrote as a pull request")
    parser.add_argument("--steps", default="1-8", metavar="N[-M]", help="which steps to run (default: 1-8)")
    parser.add_argument("--resume", metavar="SESSION", help="continue a session that was stopped")
    parser.add_argument(
        "--siblings",
        choices=("start", "request"),
        default="start",
        help="start sibling agents, or end with typed requests that whoever started this run carries out",
    )
    parser.add_argument(
        "--delegation-results", metavar="FILE", help="with --resume: what came of those requests, YAML or JSON"
    )
    parser.add_argument("--trust", action="store_true", help="trust this folder's own hooks, rules, agents and servers")
    parser.add_argument("--max-turns", type=int, default=200, metavar="N")
    parser.add_argument("--max-budget-usd", type=float, metavar="USD")
    parser.add_argument("--output-format", choices=("text", "json", "stream-json"), default="text")
    parser.add_argument(
        "--print-schema",
        action="store_true",
        help="print the JSON Schema of the `report` in a JSON result",
    )


def run(args: argparse.Namespace) -> int:
    if args.print_schema:
        print(report_schema(), end="")
        return 0
    answers = answers_of(args.answers)
    if args.delegation_results and not args.resume:
        raise UsageProblem("--delegation-results belongs to a session that asked for them: give it with --resume.")
    results = read_results(Path(args.delegation_results)) if args.delegation_results else ()
    workflow = _resumed(args) if args.resume else _fresh(args)
    agent = configured_agent(
        workflow.root,
        model=args.model,
        mode="acceptEdits",
        limits=Limits(turns=args.max_turns, cost_usd=args.max_budget_usd),
        asker=Headless(answers, take_defaults=args.yes),
        trust=args.trust,
        siblings=args.siblings,
    )
    proposing = Proposing.prepare(workflow) if args.pr else None
    result = asyncio.run(closing(agent, _follow(agent, workflow, args.resume, results, args.output_format)))
    if proposing is not None:
        proposing.carry_out(result)
    _print_result(result, args.output_format, proposing.outcome if proposing is not None else None)
    if proposing is None:
        return exit_code(result)
    print(proposing.line, file=sys.stderr)
    return exit_code(result) or int(proposing.failed)


def _fresh(args: argparse.Namespace) -> WorkflowRun:
    root = Path(args.directory)
    if not root.is_dir():
        raise UsageProblem(f"{root} is not a directory. Give the project with -C DIR.")
    workflow = WorkflowRun(root=root.resolve(), spec=args.spec, steps=_steps(args.steps), dry_run=args.dry_run)
    workflow.read_spec()  # a SPEC that cannot be found is a usage error, said before anything starts
    return workflow


def _resumed(args: argparse.Namespace) -> WorkflowRun:
    options = restore(find_session(args.resume, Path(args.directory))).workflow
    if options is None:
        raise UsageProblem(f"Session {args.resume} is no run of the eight steps. Continue it with -p --resume.")
    return WorkflowRun.from_options(options)


async def _follow(
    agent: Agent, workflow: WorkflowRun, resume: str | None, results: Sequence[DelegationResult], output: str
) -> Result:
    prompt = "" if resume else workflow.prompt()
    going = agent.start(prompt, resume=resume, workflow=workflow, delegation_results=results)
    interrupt_on_signals(going)
    if output == "stream-json":
        async for event in going:
            _print_event(event)
    else:
        with progress_for(sys.stderr) as progress:
            async for event in going:
                progress.show(event)
                if workflow.dry_run and output == "text" and isinstance(event, ToolFinished):
                    _print_diffs(event)
    return going.result


def _print_diffs(event: ToolFinished) -> None:
    """What a dry run would have changed."""
    diffs = [event.data.get("diff"), *(change["diff"] for change in event.data.get("changes", ()))]
    for diff in filter(None, diffs):
        print(clean(str(diff)))


def interrupt_on_signals(going: Run) -> None:
    """Ctrl-C and SIGTERM end the run as *interrupted*, with its journal complete."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, going.interrupt)


def _print_event(event: Event) -> None:
    if event.type != "run_started":
        print(json.dumps(to_json(event), ensure_ascii=False), flush=True)
        return
    started = to_json(event)
    started.pop("prefix")  # the whole system prompt is in the journal; a stream reader needs the names only
    print(json.dumps(started, ensure_ascii=False), flush=True)


def _print_result(result: Result, output: str, proposed: dict[str, Any] | None) -> None:
    if output == "json":
        extra = {"pull_request": proposed} if proposed is not None else {}
        print(json.dumps(result_json(result) | extra, ensure_ascii=False, indent=2))
    elif output == "stream-json" and proposed is not None:
        print(json.dumps({"type": "pull_request", **proposed}, ensure_ascii=False), flush=True)
    if output == "text":
        if result.report:
            print(to_markdown(result.report))
        if line := summary(result):
            print(line, file=sys.stderr)
    if result.report and (count := len(result.report["kept_findings"])):
        print(label("report", "kept_note", result.report["language"]).format(count=count), file=sys.stderr)


def summary(result: Result, command: str = "run") -> str:
    """What a person must know beyond the report: why it stopped and how to go on, in the report's language.

    Empty when all is done.
    """
    language = (result.report or {}).get("language", "en")

    def say(key: str, **detail: object) -> str:
        return label("ending", key, language).format(**detail)

    resume = f"expert-devops {command} --resume {result.session_id}"
    again = say("again", command=resume)
    match result:
        case NeedsInput():
            asked = [
                f"- {q.question}\n  "
                + say("answer_as", named=q.key or q.question, options=", ".join(o.label for o in q.options))
                for q in result.questions
            ]
            how = f"{say('again', command=f'{resume} --answers FILE')} {say('answers_file')}"
            return "\n".join([say("needed"), *asked, how])
        case Failed():
            from agent.models.errors import advice

            more = [result.text if result.kind == "incomplete" else "", advice(result.kind, language)]
            lines = [say("failed", kind=result.kind, reason=result.reason), *more, again if result.session_id else ""]
            return "\n".join(filter(None, lines))
        case Refused():
            return say("refused", by=result.by, reason=result.reason)
        case OutOfBudget():
            return f"{result.reason}\n{again}"
        case _ if result.status == "interrupted":
            return again
        case _ if result.delegations:
            requests = [f"- {request.to}: {request.subject}" for request in result.delegations]
            return "\n".join([say("asked"), *requests, say("again", command=f"{resume} --delegation-results FILE")])
        case _:
            return ""


def _steps(text: str) -> tuple[int, ...]:
    first, _, last = text.partition("-")
    try:
        numbers = tuple(range(int(first), int(last or first) + 1))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 1 or numbers[-1] > 8:
        raise UsageProblem(f"--steps {text!r} is not a step or a range from 1 to 8, such as 1-4.")
    return numbers
