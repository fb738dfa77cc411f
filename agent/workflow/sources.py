"""Where the facts of a run's decisions come from, each with its date: prices on record, documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from agent.events import Event, ToolFinished, ToolStarted
from agent.knowledge.names import fold
from tools.devops.types import Plan

_SUBJECTS = {fold("mcp__context7__query-docs"): ("libraryId", "query"), "webfetch": ("url",)}
"""Tools that read documentation -> the fields of their input that name it."""


def sources_of_plan(plan: Plan) -> list[dict[str, Any]]:
    """The dated facts of the skill packs that the plan's figures rest on."""
    return [
        {
            "subject": f"{fact['id']} = {fact['value']}",
            "source": fact["source"],
            "date": fact["as_of"],
            "how": "on_record",
        }
        for fact in plan.cost.get("facts", ())
    ]


def sources_read(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Documentation that the session's agents read, each once. `how`: `read` that day, `on_record` when offline."""
    asked: dict[str, Mapping[str, Any]] = {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        fields = _SUBJECTS.get(fold(event.tool)) if isinstance(event, ToolStarted | ToolFinished) else None
        if fields is None:
            continue
        if isinstance(event, ToolStarted):
            asked[event.call_id] = event.input
        elif isinstance(event, ToolFinished) and not event.block.get("is_error"):
            given = asked.get(event.call_id, {})
            day = event.data.get("date") or datetime.fromtimestamp(event.time, UTC).date().isoformat()
            how = "read" if event.data.get("verified", True) else "on_record"
            subject, source = (
                " ".join(str(given.get(name, "")) for name in fields),
                event.data.get("source", event.tool),
            )
            found[subject, str(source)] = {"subject": subject, "source": source, "date": day, "how": how}
    return list(found.values())
