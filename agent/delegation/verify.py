"""What a sibling's work did to the project: all checks before it started, and again when it is done.

Only what is new counts: a problem that was there before is not the sibling's, and a review that finds it did its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from agent.delegation.rules import gates_of
from tools.devops.types import Finding


@dataclass(frozen=True, slots=True)
class Change:
    """New errors: those the sibling answers for, and those in files that rest on what it changed."""

    broken: tuple[Finding, ...] = ()
    outdated: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Before:
    """The errors that were there already. `gates` are what the sibling answers for; none: nothing is checked."""

    root: Path
    gates: tuple[str, ...]
    errors: frozenset[tuple[str, str, str]]

    async def change(self, own: Collection[str], others: Collection[str]) -> Change:
        """What is new. `own` files are those it wrote, `others` those that agents beside it wrote."""
        found = await asyncio.to_thread(_errors, self.root) if self.gates else ()
        new = [f for f in found if _key(f) not in self.errors and (f.file in own or f.file not in others)]
        broken = tuple(f for f in new if f.file in own or f.rule.split("/")[0] in self.gates)
        return Change(broken, tuple(f for f in new if f not in broken))


async def look(root: Path, agent: str) -> Before:
    """Note the state of the project before this agent starts."""
    gates = gates_of(agent)
    found = await asyncio.to_thread(_errors, root) if gates else ()
    return Before(root, gates, frozenset(map(_key, found)))


def _errors(root: Path) -> tuple[Finding, ...]:
    from tools.devops.checks import run_checks

    return run_checks(root, linters=False).errors


def _key(finding: Finding) -> tuple[str, str, str]:
    """A finding without its line, which moves when lines are added above it."""
    return finding.rule, finding.file, finding.message
