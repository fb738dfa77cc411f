"""Five-field cron expressions: what they mean, how often they fire, and how other schedulers write them."""

from __future__ import annotations

import re
from itertools import pairwise

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905
_DAYS = "sun mon tue wed thu fri sat".split()  # noqa: SIM905


def five_fields(expression: str) -> str | None:
    """`expression` as five fields of numbers, macros and names replaced; None when it is no cron expression."""
    parts = _MACROS.get(expression.strip().lower(), expression).lower().split()
    if len(parts) != len(_RANGES):
        return None
    months = re.sub(r"[a-z]{3}", lambda m: str(_MONTHS.index(m[0]) + 1) if m[0] in _MONTHS else m[0], parts[3])
    days = re.sub(r"[a-z]{3}", lambda m: str(_DAYS.index(m[0])) if m[0] in _DAYS else m[0], parts[4])
    plain = " ".join([*parts[:3], months, days]).replace("?", "*")
    return plain if fields(plain) else None


def eventbridge(expression: str) -> str | None:
    """`expression` as EventBridge's `cron(...)`; None where it cannot say the same.

    There weekdays count from 1 for Sunday, and days of the month and of the week cannot both be limited.
    Source: EventBridge Scheduler user guide, cron-based schedules.
    """
    plain = five_fields(expression)
    if plain is None:
        return None
    minute, hour, day, month, weekday = plain.split()
    if "*" not in (day, weekday):
        return None
    if weekday != "*":
        parsed = fields(plain)
        assert parsed is not None  # noqa: S101 - five_fields has just parsed it
        day, weekday = "?", ",".join(str(number + 1) for number in sorted({n % 7 for n in parsed[4]}))
    else:
        weekday = "?"
    return f"cron({minute} {hour} {day} {month} {weekday} *)"


def fields(expression: str) -> tuple[frozenset[int], ...] | None:
    """The minutes, hours, days, months and weekdays of `expression`; None when it is no five-field cron."""
    parts = expression.split()
    if len(parts) != len(_RANGES):
        return None
    try:
        return tuple(_values(part, low, high) for part, (low, high) in zip(parts, _RANGES, strict=True))
    except ValueError:
        return None


def shortest_gap_minutes(expression: str) -> int | None:
    """The smallest distance between two runs within a day (1440 for once a day); None for an invalid expression."""
    parsed = fields(expression)
    if parsed is None:
        return None
    times = sorted(hour * 60 + minute for hour in parsed[1] for minute in parsed[0])
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return min([*gaps, times[0] + 1440 - times[-1]])


def _values(part: str, low: int, high: int) -> frozenset[int]:
    result: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        if span in ("*", "?"):
            start, end = low, high
        elif "-" in span:
            start, end = (int(text) for text in span.split("-", 1))
        else:
            start = int(span)
            end = high if step else start
        width = int(step) if step else 1
        if not (low <= start <= end <= high) or width < 1:
            raise ValueError(part)
        result.update(range(start, end + 1, width))
    return frozenset(result)
