"""What a session's permissions add up to: the command line's, the settings', and what a host grants under way.

A grant (rules, a mode) holds for the session; `Grants` keeps it between turns. Nothing is written to settings files: a
destination beyond the session is taken for the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from agent.permissions import MODES, Mode, RuleError, Rules

_BEHAVIORS = ("allow", "ask", "deny")


class GrantError(ValueError):
    """A permission update that cannot be carried out; says which and why."""


@dataclass(slots=True)
class Grants:
    """The session's mode and its rules beyond those it started with. `changed` is called after each change.

    `mode` is None until somebody names one. `may_bypass`: whether `bypassPermissions` may be switched on.
    """

    mode: Mode | None
    base: Rules
    may_bypass: bool = False
    changed: Callable[[], None] = lambda: None
    texts: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in _BEHAVIORS})

    @property
    def in_force(self) -> Mode:
        return self.mode or "default"

    def settle(self, mode: Mode | None, rules: Rules | None, *, bypass_allowed: bool) -> None:
        """Add what the settings say. The command line and the host come before them, except that settings may forbid
        the mode that asks for nothing.
        """
        self.may_bypass = self.may_bypass and bypass_allowed
        self.mode = self.mode or mode
        if self.mode == "bypassPermissions" and not bypass_allowed:
            self.mode = "default"
        if rules is not None:
            self.base = rules + self.base

    @property
    def rules(self) -> Rules:
        return self.base + self.added

    @property
    def added(self) -> Rules:
        """The rules that came during the session."""
        return _parsed(self.texts)

    def set_mode(self, mode: Any) -> None:
        """Switch the mode. Raises `GrantError` for an unknown or locked one."""
        self.mode = self._checked_mode(mode)
        self.changed()

    def apply(self, updates: Sequence[Any]) -> tuple[str, ...]:
        """Carry out `PermissionUpdate`s, all or none; gives the allow rules added. Raises `GrantError`."""
        texts = {name: list(rules) for name, rules in self.texts.items()}
        mode = self.mode
        for update in updates:
            kind = update.get("type") if isinstance(update, Mapping) else None
            if kind == "setMode":
                mode = self._checked_mode(update.get("mode"))
            elif kind in {"addRules", "replaceRules", "removeRules"}:
                _change(texts, kind, update)
            else:
                raise GrantError(f"The permission update {kind!r} is not supported.")
        try:
            _parsed(texts)
        except RuleError as error:
            raise GrantError(str(error)) from error
        added = tuple(rule for rule in texts["allow"] if rule not in self.texts["allow"])
        self.texts, self.mode = texts, mode
        self.changed()
        return added

    def _checked_mode(self, mode: Any) -> Mode:
        if mode not in MODES:
            raise GrantError(f"The permission mode {mode!r} is none of {', '.join(MODES)}.")
        if mode == "bypassPermissions" and not self.may_bypass:
            raise GrantError(
                "The mode bypassPermissions is locked: start with --allow-dangerously-skip-permissions to unlock it."
            )
        return cast("Mode", mode)


def _parsed(texts: Mapping[str, Sequence[str]]) -> Rules:
    return Rules.parse(allow=texts["allow"], ask=texts["ask"], deny=texts["deny"], source="session")


def _change(texts: dict[str, list[str]], kind: str, update: Mapping[str, Any]) -> None:
    behavior, rules = update.get("behavior"), update.get("rules")
    if behavior not in _BEHAVIORS or not isinstance(rules, list):
        raise GrantError(f"{kind} needs a behavior of {', '.join(_BEHAVIORS)} and a list of rules.")
    named = [_rule_text(rule) for rule in rules]
    kept = [] if kind == "replaceRules" else [text for text in texts[behavior] if text not in named]
    texts[behavior] = kept if kind == "removeRules" else kept + named


def _rule_text(rule: Any) -> str:
    if not isinstance(rule, Mapping) or not isinstance(tool := rule.get("toolName"), str) or not tool:
        raise GrantError("A permission rule needs a toolName.")
    content = rule.get("ruleContent")
    return f"{tool}({content})" if content else tool
