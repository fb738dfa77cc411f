"""What a judgement is made of: findings, and the decision they add up to.

A judge (commands, paths, hosts) returns `Finding`s: everything that speaks against running the call unasked. No finding
means allow. `conclude` takes the strictest; nothing a judge finds can be outvoted by another judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

Behavior = Literal["allow", "ask", "deny"]
Mode = Literal["default", "acceptEdits", "plan", "dontAsk", "bypassPermissions", "auto"]
CommandClass = Literal["read", "plan", "change", "destroy"]
Language = Literal["en", "ko"]

MODES: tuple[Mode, ...] = get_args(Mode)
_STRENGTH: Mapping[Behavior, int] = {"allow": 0, "ask": 1, "deny": 2}
_CLASS_STRENGTH: Mapping[CommandClass | None, int] = {None: -1, "read": 0, "plan": 1, "change": 2, "destroy": 3}


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to a call.

    `rule` is the text of the rule that decided, `reason` a sentence for a person, `suggestion` the narrowest allow rule
    that would cover `part` (the piece of the call that failed; None where no rule may). `command_class` says what an
    infrastructure command does, None for everything else.
    """

    behavior: Behavior
    rule: str | None = None
    reason: str = ""
    suggestion: str | None = None
    part: str | None = None
    command_class: CommandClass | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that speaks against a call. `firm` findings hold in `bypassPermissions` too.

    `key` names a sentence in messages.yaml, `detail` fills its placeholders.
    """

    behavior: Literal["ask", "deny"]
    key: str
    detail: Mapping[str, str] = field(default_factory=dict)
    rule: str | None = None
    part: str | None = None
    suggestion: str | None = None
    firm: bool = False


@dataclass(slots=True)
class Judgement:
    """Findings so far, the rule that would allow the call, and the strongest command class seen."""

    findings: list[Finding] = field(default_factory=list)
    allowed_by: list[str] = field(default_factory=list)
    command_class: CommandClass | None = None

    def ask(self, key: str, *, firm: bool = False, part: str | None = None, **detail: str) -> None:
        self.findings.append(Finding("ask", key, detail, part=part, firm=firm))

    def deny(self, key: str, *, part: str | None = None, **detail: str) -> None:
        self.findings.append(Finding("deny", key, detail, part=part, firm=True))

    def by_rule(self, behavior: Literal["ask", "deny"], rule: str, part: str | None = None) -> None:
        key = "deny_rule" if behavior == "deny" else "ask_rule"
        self.findings.append(Finding(behavior, key, {"rule": rule}, rule=rule, part=part, firm=True))

    @property
    def denied(self) -> bool:
        return any(finding.behavior == "deny" for finding in self.findings)


def conclude(judgement: Judgement, mode: Mode, language: Language) -> Decision:
    """The decision the findings add up to under `mode`."""
    findings = judgement.findings
    if mode == "bypassPermissions":
        findings = [finding for finding in findings if finding.firm]
    kind = judgement.command_class
    if not findings:
        rule = ", ".join(dict.fromkeys(judgement.allowed_by)) or None
        key = "allow_rule" if rule else "allow_bypass" if judgement.findings else "allow_harmless"
        return Decision("allow", rule, say(key, language, rule=rule or ""), command_class=kind)
    # A firm finding is the better explanation: no rule and no mode would change it.
    worst = max(findings, key=lambda finding: (_STRENGTH[finding.behavior], finding.firm))
    reason = say(worst.key, language, **{"part": worst.part or "", **worst.detail})
    if kind is not None:
        reason = say("classed", language, reason=reason, kind=kind)
    behavior: Behavior = worst.behavior
    if behavior == "ask" and mode == "dontAsk":
        behavior, reason = "deny", say("dont_ask", language, reason=reason)
    if mode == "auto":
        reason = say("auto_mode", language, reason=reason)
    return Decision(behavior, worst.rule, reason, worst.suggestion, worst.part, kind)


def strictest(decisions: Iterable[Decision]) -> Decision:
    """The strictest of several decisions on one call; of equals, the first."""
    return max(decisions, key=lambda decision: _STRENGTH[decision.behavior])


def stronger(one: CommandClass | None, other: CommandClass | None) -> CommandClass | None:
    """Of two command classes the one that does more."""
    return max(one, other, key=lambda kind: _CLASS_STRENGTH[kind])


def say(key: str, language: Language = "en", **detail: str) -> str:
    """A sentence of messages.yaml. Details are shown with control characters made visible."""
    return messages()[key][language].format(**{name: visible(value) for name, value in detail.items()})


@cache
def messages() -> Mapping[str, Mapping[str, str]]:
    """Every sentence in every language: `{key: {"en": ..., "ko": ...}}`."""
    return cast("Mapping[str, Mapping[str, str]]", load_data("messages.yaml"))


def load_data(name: str) -> object:
    """A YAML file of this package."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((Path(__file__).parent / name).read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - safe loaders


def visible(text: str, limit: int = 2000) -> str:
    """Text for a terminal: control, bidirectional and invisible characters escaped, very long text cut at the end."""
    shown = "".join(c if c.isprintable() or c == " " else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= limit else f"{shown[:limit]}... ({len(shown)})"
