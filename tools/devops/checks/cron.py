"""How often a five-field cron expression fires, as far as platform limits need it."""

from __future__ import annotations

from itertools import pairwise

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


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
