"""What a SPEC states on deployment, as a person would write it: one line of text for a field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tools.devops.plan.names import stated
from tools.devops.types import DEPLOYMENT_FIELDS, Spec

_DAILY = {"daily": "매일", "hourly": "매시간", "weekly": "매주", "monthly": "매월"}


def said(spec: Spec | None, language: str) -> dict[str, str]:
    """Field -> text, "" for what the SPEC does not state."""
    found = {}
    for name in DEPLOYMENT_FIELDS:
        value = stated(spec, name)
        empty = value in (None, [], (), {}, "")
        found[name] = "" if empty else _READERS.get(name, _plain)(value, language == "ko")
    return found


def _plain(value: Any, korean: bool) -> str:
    """Any value as words separated by commas, never in the notation of a programming language."""
    if value is True:
        return "예" if korean else "yes"
    if isinstance(value, Mapping):
        return ", ".join(_plain(item, korean) for item in value.values() if item not in (None, False, ""))
    if isinstance(value, list | tuple):
        return "; ".join(_plain(item, korean) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sla(value: Any, korean: bool) -> str:
    if not isinstance(value, Mapping):
        return _plain(value, korean)
    parts = [f"{value['availability']:g} %"] if isinstance(value.get("availability"), int | float) else []
    given = value.get("latency")
    latencies = [item for item in given if isinstance(item, Mapping)] if isinstance(given, list | tuple) else []
    known = [item for item in latencies if isinstance(item.get("ms"), int | float)]
    parts += [f"{item.get('percentile', '')} {item['ms']:g} ms".strip() for item in known]
    return ", ".join(parts)


def _minutes(value: Any, korean: bool) -> str:
    if not isinstance(value, int | float):
        return _plain(value, korean)
    if value and value % 60 == 0:
        return f"{value / 60:g}{'시간' if korean else ' h'}"
    return f"{value:g}{'분' if korean else ' min'}"


def _cron(value: Any, korean: bool) -> str:
    if not isinstance(value, list | tuple) or not all(isinstance(job, Mapping) for job in value):
        return _plain(value, korean)
    jobs = [(job.get("schedule"), str(job.get("text", ""))) for job in value]
    return "; ".join(f"{schedule} (UTC): {text}" if schedule else text for schedule, text in jobs)


def _backup(value: Any, korean: bool) -> str:
    if not isinstance(value, Mapping):
        return _plain(value, korean)
    often, days = str(value.get("frequency") or ""), value.get("retention_days")
    kept = (f"{days}일 보관" if korean else f"kept {days} days") if days else ""
    return ", ".join(part for part in (_DAILY.get(often, often) if korean else often, kept) if part)


def _budget(value: Any, korean: bool) -> str:
    if not isinstance(value, Mapping) or not isinstance(value.get("amount"), int | float):
        return _plain(value, korean)
    amount = f"{value['amount']:,.10g} {value.get('currency', 'USD')}"
    yearly = str(value.get("period", "")).startswith(("year", "annual"))
    if korean:
        return f"{'연' if yearly else '월'} {amount}"
    return f"{amount} a {'year' if yearly else 'month'}"


def _names(value: Any, korean: bool) -> str:
    items = value if isinstance(value, list | tuple) else [value]
    return ", ".join(
        str(item["name"]) if isinstance(item, Mapping) and item.get("name") else _plain(item, korean) for item in items
    )


_READERS: Mapping[str, Callable[[Any, bool], str]] = {
    "sla": _sla,
    "rpo": _minutes,
    "rto": _minutes,
    "cron": _cron,
    "database_backup": _backup,
    "budget": _budget,
    "regions": _names,
    "compliance": _names,
}
