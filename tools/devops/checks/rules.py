"""A rule is data: how bad, why it matters, what fixes it, who says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tools.devops.types import Finding, Severity


class Rule(NamedTuple):
    """`source` says who states the rule: vendor documentation, or "measured" for what a tool was seen to miss."""

    severity: Severity
    why: str
    fix: str
    source: str


class Rules:
    """The rules of one gate, by short name. A rule's public id is `<gate>/<name>`."""

    def __init__(self, gate: str, table: Mapping[str, Rule]) -> None:
        self.gate = gate
        self._table = dict(table)

    def __iter__(self) -> Iterator[tuple[str, Rule]]:
        return ((f"{self.gate}/{name}", rule) for name, rule in self._table.items())

    def at(
        self, name: str, file: str, line: int, message: str, *, fix: str | None = None, severity: Severity | None = None
    ) -> Finding:
        """A finding of rule `name` (KeyError when it is not in the table); `fix` and `severity` sharpen the default."""
        rule = self._table[name]
        return Finding(
            rule=f"{self.gate}/{name}",
            severity=severity or rule.severity,
            file=file,
            line=line,
            message=message,
            why=rule.why,
            fix=fix or rule.fix,
        )
