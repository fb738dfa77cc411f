"""`permissions explain`: what a call would be decided, and why. For people one at a time, for programs as JSON
lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.permissions.decision import Decision, Language, visible
from agent.permissions.engine import PermissionEngine
from agent.permissions.rules import Rules

_LABELS: Mapping[Language, Mapping[str, str]] = {
    "en": {"rule": "rule", "part": "part", "suggestion": "narrowest rule", "class": "does"},
    "ko": {"rule": "규칙", "part": "부분", "suggestion": "가장 좁은 규칙", "class": "동작"},
}
_BEHAVIORS: Mapping[Language, Mapping[str, str]] = {
    "en": {"allow": "ALLOW", "ask": "ASK", "deny": "DENY"},
    "ko": {"allow": "허용", "ask": "확인 필요", "deny": "거부"},
}


def explain_batch(lines: Iterable[str]) -> Iterator[str]:
    """One JSON line for each JSON line, in order.

    Input: `{id, rules: {allow, ask, deny}, mode, cwd, tool, input, home?, delegation?}`. Output: `{id, decision,
    rule, reason}`. `delegation` is `{parent: {rules, mode}, child: {rules, mode?, tools?}}`. A line that cannot be
    read is denied with a reason that starts with `malformed:`. Blank lines are skipped.
    """
    for line in lines:
        if line.strip():
            yield json.dumps(_answer(line), ensure_ascii=False)


def explain(
    engine: PermissionEngine, tool: str, tool_input: Mapping[str, Any], *, cwd: Path | str | None = None
) -> str:
    """A few lines for a person: the decision, the rule, the part that failed, the narrowest rule that would allow
    it.
    """
    decision = engine.decide(tool, tool_input, cwd=cwd)
    return describe(decision, engine.language)


def describe(decision: Decision, language: Language = "en") -> str:
    """A decision as text for a terminal, control characters made visible."""
    labels = _LABELS[language]
    lines = [f"{_BEHAVIORS[language][decision.behavior]}  {decision.reason}"]
    for label, value in (
        ("rule", decision.rule),
        ("part", decision.part),
        ("class", decision.command_class),
        ("suggestion", decision.suggestion),
    ):
        if value:
            lines.append(f"  {labels[label]}: {visible(value)}")
    return "\n".join(lines)


def _answer(line: str) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    try:
        case = json.loads(line)
        if not isinstance(case, dict):
            raise TypeError("expected an object")
        if "id" in case:
            answer["id"] = case["id"]
        decision = _decide(case)
    except RecursionError:
        return {**answer, "decision": "deny", "rule": None, "reason": "malformed: nested too deep"}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        return {**answer, "decision": "deny", "rule": None, "reason": f"malformed: {visible(why)}"}
    return {**answer, "decision": decision.behavior, "rule": decision.rule, "reason": decision.reason}


def _decide(case: Mapping[str, Any]) -> Decision:
    tool, tool_input = case["tool"], case["input"]
    if not isinstance(tool, str) or not isinstance(tool_input, dict):
        raise TypeError("tool must be a text and input an object")
    cwd = Path(_text(case, "cwd", str(Path.cwd())))
    home = Path(_text(case, "home", str(Path.home())))
    engine = PermissionEngine(_rules(case.get("rules"), cwd), _mode(case.get("mode")), cwd=cwd, home=home)
    if case.get("delegation"):
        engine = _child(engine, case["delegation"], cwd)
    return engine.decide(tool, tool_input)


def _child(engine: PermissionEngine, delegation: Mapping[str, Any], cwd: Path) -> PermissionEngine:
    """The child's engine. Rules of the line itself stand beside the parent's."""
    parent, child = delegation.get("parent") or {}, delegation.get("child") or {}
    above = PermissionEngine(
        engine.rules + _rules(parent.get("rules"), cwd),
        _mode(parent.get("mode", engine.mode)),
        cwd=engine.cwd,
        home=engine.home,
    )
    mode = child.get("mode") or child.get("permissionMode")
    return above.child(_rules(child.get("rules"), cwd), _mode(mode) if mode else None, tools=child.get("tools"))


def _rules(rules: object, cwd: Path) -> Rules:
    if rules is None:
        return Rules()
    if not isinstance(rules, dict):
        raise TypeError("rules must be an object of lists")
    return Rules.parse(
        allow=rules.get("allow") or (),
        ask=rules.get("ask") or (),
        deny=rules.get("deny") or (),
        source="rules",
        anchor=cwd,
    )


def _mode(mode: object) -> Any:
    """A permission mode; `manual` is another name of `default`. The engine refuses unknown ones."""
    return {None: "default", "manual": "default"}.get(mode, mode) if isinstance(mode, str | None) else repr(mode)


def _text(case: Mapping[str, Any], name: str, default: str) -> str:
    value = case.get(name) or default
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text")
    return value
