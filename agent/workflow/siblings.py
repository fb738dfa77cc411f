"""What siblings did in a session, for its report: who, what for, how it ended, which files, at what cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.events import DelegationsAnswered, Event, ToolFinished

_STARTING = frozenset({"Agent", "Delegate"})


def siblings_of(events: Iterable[Event]) -> list[dict[str, Any]]:
    """One entry for each request of the outermost agent that was carried out, here or by an orchestrator, in order.

    What an orchestrator had done elsewhere has no known cost.
    """
    found: list[Mapping[str, Any]] = []
    for event in events:
        if isinstance(event, DelegationsAnswered):
            elsewhere = {"turns": None, "usage": {"cost_usd": None}}
            found += [{**elsewhere, **r, "agent": r["to"], "outcome": r["status"]} for r in event.requests]
        elif isinstance(event, ToolFinished) and event.agent_id is None and event.tool in _STARTING:
            found += [event.data] if event.data.get("status") in ("completed", "failed") else []
    return [_entry(data) for data in found]


def _entry(data: Mapping[str, Any]) -> dict[str, Any]:
    usage = data.get("usage") or {}
    return {
        "agent": data.get("agent"),
        "subject": data.get("subject"),
        "status": data["status"],
        "outcome": data.get("outcome"),
        "files": list(data.get("files") or ()),
        "broken_checks": [f"{f['rule']} in {f['file']}: {f['message']}" for f in data.get("broken_checks") or ()],
        "missing_parts": list(data.get("missing_parts") or ()),
        "turns": data.get("turns"),
        "cost_usd": usage.get("cost_usd"),
    }
