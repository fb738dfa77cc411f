"""Availability and latency goals: what the SPEC states, and the alerts that follow from them.

The alerts are the multi-window burn rates of the SRE workbook (chapter "Alerting on SLOs"): 2 % of the month's error
budget in one hour, 5 % in six hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tools.devops.plan.names import stated
from tools.devops.types import Spec

_DEFAULT = 99.9
_MONTH_MINUTES = 30 * 24 * 60
_FAST, _SLOW = 14.4, 6.0


@dataclass(frozen=True, slots=True)
class Goals:
    """`availability` in percent and whether the SPEC states it; `latency` in milliseconds for 95 % of requests."""

    availability: float = _DEFAULT
    availability_stated: bool = False
    latency: int = 500
    latency_stated: bool = False

    @property
    def budget_minutes(self) -> str:
        """Minutes of outage that a month of 30 days has room for."""
        return f"{_MONTH_MINUTES * (100 - self.availability) / 100:.0f}"

    @property
    def percent(self) -> str:
        return f"{self.availability:g}"

    @property
    def fast(self) -> str:
        """Share of failed requests that burns 2 % of the month's budget in an hour."""
        return self._rate(_FAST)

    @property
    def slow(self) -> str:
        """Share of failed requests that burns 5 % of the month's budget in six hours."""
        return self._rate(_SLOW)

    @property
    def seconds(self) -> str:
        return f"{self.latency / 1000:g}"

    def _rate(self, factor: float) -> str:
        return f"{min(factor * (100 - self.availability) / 100, 1):.6f}".rstrip("0").rstrip(".")


def goals_of(spec: Spec | None) -> Goals:
    """The SPEC's goals, with defaults where it states none."""
    sla = stated(spec, "sla")
    if not isinstance(sla, Mapping):
        return Goals()
    availability, latency = sla.get("availability"), _milliseconds(sla.get("latency"))
    if not isinstance(availability, int | float) or not 0 < availability < 100:
        return Goals(latency=latency or 500, latency_stated=latency is not None)
    return Goals(float(availability), True, latency or 500, latency is not None)


def _milliseconds(value: object) -> int | None:
    """The goal for the 95th percentile, else the first one that the SPEC gives."""
    items = [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
    ordered = sorted(items, key=lambda item: item.get("percentile") != "p95")
    return next((round(item["ms"]) for item in ordered if isinstance(item.get("ms"), int | float)), None)
