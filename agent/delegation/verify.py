"""Whether a sibling's work broke something: the checks of its field before it started, and again when it is done.

Only what is new counts: a problem that was there before is not the sibling's, and a review that finds it did its work.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from agent.delegation.rules import gates_of
from tools.devops.types import Finding


@dataclass(frozen=True, slots=True)
class Before:
    """The errors that were there already."""

    root: Path
    gates: tuple[str, ...]
    errors: frozenset[tuple[str, str, str]]

    async def broken(self) -> tuple[Finding, ...]:
        """The errors that are there now and were not before."""
        found = await asyncio.to_thread(_errors, self.root, self.gates)
        return tuple(finding for finding in found if _key(finding) not in self.errors)


async def look(root: Path, agent: str) -> Before:
    """Note the state of what this agent is answerable for."""
    gates = gates_of(agent)
    found = await asyncio.to_thread(_errors, root, gates)
    return Before(root, gates, frozenset(map(_key, found)))


def _errors(root: Path, gates: tuple[str, ...]) -> tuple[Finding, ...]:
    if not gates:
        return ()
    from tools.devops.checks import run_checks

    return run_checks(root, kinds=gates, linters=False).errors


def _key(finding: Finding) -> tuple[str, str, str]:
    """A finding without its line, which moves when lines are added above it."""
    return finding.rule, finding.file, finding.message
