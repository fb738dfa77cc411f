"""Limits of a whole tree of agents, and the ledger they are checked against.

Checked in one place, before each model call; failed calls count, since they cost time and sometimes money.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.models.catalog import price
from agent.result import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None switches a limit off. `tokens` counts all tokens of all requests; `seconds` is wall time; `free_bytes` must
    stay free where the session is kept, whose outputs and journal would otherwise fill the disk.
    """

    turns: int | None = 200
    tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    free_bytes: int | None = 100_000_000


@dataclass(slots=True)
class Ledger:
    """What was used so far, by agent and by model. One ledger serves the whole tree of agents; `agent` is its owner,
    `place` the directory of its session.
    """

    limits: Limits = field(default_factory=Limits)
    agent: str = ""
    turns: int = 0
    by_agent: dict[str, dict[str, Usage]] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    place: Path | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def by_model(self) -> dict[str, Usage]:
        found: dict[str, Usage] = {}
        for models in self.by_agent.values():
            for model, usage in models.items():
                found[model] = found.get(model, Usage()) + usage
        return found

    @property
    def total(self) -> Usage:
        return sum(self.by_model.values(), Usage())

    def book(self, model: str, usage: Mapping[str, Any], agent: str = "") -> float | None:
        """Add one answer's usage, the owner's unless `agent` is another; returns its cost in USD, None when the price
        is unknown.
        """
        spent = Usage(
            input_tokens=usage.get("input_tokens") or 0,
            output_tokens=usage.get("output_tokens") or 0,
            cache_read_tokens=usage.get("cache_read_input_tokens") or 0,
            cache_write_tokens=usage.get("cache_creation_input_tokens") or 0,
        )
        cost = price(model, usage) if spent.total_tokens else 0.0  # no tokens cost nothing, whatever the price
        spent = replace(spent, cost_usd=cost)
        models = self.by_agent.setdefault(agent or self.agent, {})
        models[model] = models.get(model, Usage()) + spent
        return cost

    def exceeded(self) -> tuple[str, str] | None:
        """The first limit that leaves no room for another model call: its name and a sentence, or None."""
        limits, total = self.limits, self.total
        if limits.turns is not None and self.turns >= limits.turns:
            return "turns", f"The limit of {limits.turns} turns was reached."
        if limits.tokens is not None and total.total_tokens >= limits.tokens:
            return "tokens", f"{total.total_tokens:,} tokens were used; the limit is {limits.tokens:,}."
        if limits.cost_usd is not None:
            if total.cost_usd is None:
                return (
                    "cost_usd",
                    "A cost limit is set, but the price of a model in use is unknown: it cannot be kept.",
                )
            if total.cost_usd >= limits.cost_usd:
                return "cost_usd", f"{total.cost_usd:.4f} USD were spent; the limit is {limits.cost_usd:.4f} USD."
        if limits.seconds is not None and self.seconds >= limits.seconds:
            return "seconds", f"{self.seconds:.0f} s have passed; the limit is {limits.seconds:.0f} s."
        return self._disk()

    def _disk(self) -> tuple[str, str] | None:
        least = self.limits.free_bytes
        if least is None or self.place is None:
            return None
        status = os.statvfs(self.place)
        free = status.f_bavail * status.f_frsize
        if free >= least:
            return None
        return "disk", f"{free / 1e6:,.0f} MB are free on the disk of {self.place}; the limit is {least / 1e6:,.0f} MB."
