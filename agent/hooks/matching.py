"""Which handlers fit: matchers on names, and `if` conditions, which are permission rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_NAMES = re.compile(r"[\w \-,|]*", re.ASCII)

_ALSO_KNOWN_AS: Mapping[str, tuple[str, ...]] = {
    "Agent": ("Task",),
    "Task": ("Agent",),
    "Delegate": ("Agent", "Task"),
    "WriteArtifact": ("Write",),
}
"""A guard written for a well-known tool also sees this runtime's tool with the same effect."""


def fits(matcher: str, value: str) -> bool:
    """Whether a matcher covers a name: everything, names between `|` or `,`, or else a pattern found in it."""
    if matcher in ("", "*"):
        return True
    names = (value, *_ALSO_KNOWN_AS.get(value, ()))
    if _NAMES.fullmatch(matcher):
        return not {part.strip() for part in re.split(r"[|,]", matcher)}.isdisjoint(names)
    pattern = _pattern(matcher)
    return pattern is None or any(pattern.search(name) for name in names)


def unreadable(matcher: str) -> bool:
    """Whether a matcher is a pattern that cannot be evaluated in linear time; such a handler sees every name."""
    return matcher not in ("", "*") and not _NAMES.fullmatch(matcher) and _pattern(matcher) is None


@lru_cache(maxsize=256)
def _pattern(matcher: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(matcher, options)
    except re2.error:
        return None


def condition_holds(rule: str, tool: str, tool_input: Mapping[str, Any], cwd: Path, home: Path) -> bool:
    """Whether a call falls under the permission rule of an `if` condition.

    Judged as a deny rule, the widest reading: one part of a compound command is enough. A call that cannot be judged,
    or a rule that cannot be read, counts as covered: a guard is rather asked once too often.
    """
    from agent.permissions import PermissionEngine, RuleError, Rules

    try:
        rules = Rules.parse(deny=[rule], source="if", anchor=cwd)
    except RuleError:
        return True
    engine = PermissionEngine(rules=rules, mode="bypassPermissions", cwd=cwd, home=home)
    return engine.decide(tool, tool_input, cwd=cwd).behavior == "deny"


def unreadable_rule(rule: str) -> str | None:
    """Why an `if` condition cannot be read, or None."""
    from agent.permissions import RuleError, Rules

    try:
        Rules.parse(deny=[rule], source="if")
    except RuleError as error:
        return str(error)
    return None
