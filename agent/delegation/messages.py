"""What a child is told, and what of its result goes back: typed, bounded, and honest about what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.delegation.rules import context_limit, missing_parts, report_limit
from agent.delegation.verify import Change
from agent.knowledge.definition import AgentDefinition
from agent.result import Completed, Failed, NeedsInput, OutOfBudget, Refused, Result
from tools.devops.handover import Handover, HandoverError, language_of, parse, render
from tools.devops.types import Finding
from tools.plain import to_json
from tools.ports import DelegationRequest, DelegationResult
from tools.text import as_data, cap

_ROOM_FOR_TASK = 1000  # characters of a task that are kept however much else is handed over


def task_message(
    request: DelegationRequest, agent: AgentDefinition, sender: str, earlier: Mapping[str, str | None]
) -> str:
    """The hand-over message that starts `agent`, within its context limit.

    Sender and recipient are what they really are, whatever the text says. `earlier` maps the agents that this one
    depends on to their reports, None where there is none.
    """
    try:
        message = parse(request.task)
        facts = dict(message.facts)
        if spec := request.context.get("spec"):
            facts["SPEC"] = str(spec)
        message = replace(message, subject=message.subject or request.subject, facts=facts)
    except HandoverError:
        facts, groups = _context(request.context)
        message = Handover(agent.name, sender, request.subject, facts, groups, task=request.task)
    parts = [message.task, request.message, *_earlier(earlier)]
    task = "\n\n".join(part for part in parts if part)
    language = language_of(f"{request.task}\n{request.subject}")
    message = replace(message, to=agent.name, sender=sender, task="")
    limit = context_limit(agent)
    note = f"the context of {agent.name} is limited"
    room = max(limit - len(render(message, language)), _ROOM_FOR_TASK)
    whole = render(replace(message, task=cap(task, room, note=note)), language)
    return cap(whole, limit + _ROOM_FOR_TASK, note=note)


def _context(context: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Single values as facts, lists as groups; anything deeper as JSON on one line."""
    facts: dict[str, str] = {}
    groups: dict[str, tuple[str, ...]] = {}
    for key, value in context.items():
        if isinstance(value, list | tuple):
            groups[key] = tuple(_text(item) for item in value)
        else:
            facts["SPEC" if key in ("spec", "spec_id") else key] = _text(value)
    return facts, groups


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(to_json(value), ensure_ascii=False, default=str)


def _earlier(reports: Mapping[str, str | None]) -> list[str]:
    absent = [name for name, report in reports.items() if report is None]
    parts = [as_data(report, f"agent:{name}") for name, report in reports.items() if report is not None]
    if absent:
        parts.append(f"No result of {', '.join(absent)} exists. Go on from the repository, and name what was missing.")
    return parts


def report_of(agent: AgentDefinition, result: Result, facts: Mapping[str, Any], change: Change) -> DelegationResult:
    """What goes back to whoever delegated. Only a completed run that broke no check is `completed`."""
    missing = missing_parts(agent, result.text) if isinstance(result, Completed) else []
    said = cap(result.text, report_limit(agent), note="the whole report is in the journal")
    done = isinstance(result, Completed) and not change.broken
    lines = [] if done else [_why(result, change.broken)]
    if said:
        lines.append(said if isinstance(result, Completed) else f"Its last words, which are no result:\n{said}")
    if missing:
        lines.append(f"Not found in the report: {', '.join(missing)}.")
    if change.outdated:
        lines.append(f"These files rest on what it changed and must be written again: {_told(change.outdated)}")
    files = facts.get("files") or ()
    lines.append(f"Files written: {', '.join(files)}." if files else "No file was written.")
    if result.denials:
        lines.append(f"Calls that were denied: {', '.join(dict.fromkeys(d.tool for d in result.denials))}.")
    data: dict[str, Any] = {
        "outcome": result.status,
        **facts,
        "turns": result.turns,
        "seconds": round(result.seconds, 3),
        "usage": to_json(result.usage),
        "total_tokens": result.usage.total_tokens,
        "denials": [denial.tool for denial in result.denials],
        "missing_parts": missing,
        "broken_checks": to_json(change.broken),
        "outdated": to_json(change.outdated),
    }
    if isinstance(result, NeedsInput):
        data["questions"] = to_json(result.questions)
    return DelegationResult("completed" if done else "failed", agent.name, "\n\n".join(lines), data)


def _why(result: Result, broken: Sequence[Finding]) -> str:
    match result:
        case Completed():
            return f"It says it is done, but its changes broke checks that passed before: {_told(broken)}"
        case OutOfBudget():
            return f"It was stopped before it was done: {result.reason}"
        case NeedsInput():
            return f"It cannot go on without answers: {'; '.join(q.question for q in result.questions)}"
        case Failed() | Refused():
            return f"It ended without a result ({result.status}): {result.reason}"
        case _:
            return "It was interrupted before it was done."


def _told(findings: Sequence[Finding]) -> str:
    return "; ".join(f"[{f.rule}] {f.file}: {f.message}" for f in findings[:5])
