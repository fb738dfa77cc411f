"""A child's share of the budget: reserved before it starts, a part of the whole kept back for the parent's last words.

Whatever a child uses is booked on every ledger above it at once, and it stops when its own share or any of them is used
up. What it did not use is free again when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.budget import Ledger, Limits
from agent.result import Usage

KEPT_BACK = 0.1
"""The part of each limit that no child gets: the parent must be able to finish."""

_FEWEST_TURNS = 2  # one call and one answer


@dataclass(slots=True)
class Share(Ledger):
    """The ledger of a child below the ledger of its parent."""

    above: Ledger = field(default_factory=Ledger)

    def book(self, model: str, usage: Mapping[str, Any], agent: str = "") -> float | None:
        self.above.turns += 1
        self.above.book(model, usage, agent or self.agent)
        return Ledger.book(self, model, usage, agent)

    def exceeded(self) -> tuple[str, str] | None:
        return Ledger.exceeded(self) or self.above.exceeded()


def share_of(
    parent: Ledger, running: Iterable[Share], waiting: int, *, agent: str, turns: int, seconds: float
) -> Share | None:
    """An equal part of what is free for each of the `waiting` children, at most `turns` and `seconds`.

    `running` are the shares given out and not yet returned. None when too little is left for a child to do anything.
    """
    limits, total = parent.limits, parent.total
    given = list(running)
    for_one = max(waiting, 1)

    def part(limit: float | None, used: float, reserved: float) -> float | None:
        return None if limit is None else (limit * (1 - KEPT_BACK) - used - reserved) / for_one

    free_turns = part(limits.turns, parent.turns, sum(_left(s.limits.turns, s.turns) for s in given))
    tokens = part(limits.tokens, total.total_tokens, sum(_left(s.limits.tokens, s.total.total_tokens) for s in given))
    cost = part(limits.cost_usd, _money(total), sum(_left(s.limits.cost_usd, _money(s.total)) for s in given))
    rest = None if limits.seconds is None else limits.seconds * (1 - KEPT_BACK) - parent.seconds
    if any(value is not None and value <= 0 for value in (tokens, cost, rest)):
        return None
    if free_turns is not None and free_turns < _FEWEST_TURNS:
        return None
    return Share(
        limits=Limits(
            turns=turns if free_turns is None else min(turns, int(free_turns)),
            tokens=None if tokens is None else int(tokens),
            cost_usd=cost,
            seconds=seconds if rest is None else min(seconds, rest),
        ),
        agent=agent,
        above=parent,
    )


def _left(limit: float | None, used: float) -> float:
    """What is still reserved of a share."""
    return 0.0 if limit is None else max(limit - used, 0.0)


def _money(usage: Usage) -> float:
    return usage.cost_usd or 0.0
