"""What a handler's output means: exit codes and JSON fields (Claude Code documentation on hooks, August 2026).

exit 0   success; output that begins with `{` is JSON, other text is context at some events
exit 2   blocks where the event can be blocked, with the JSON's reason or standard error; JSON cannot lift it
other    a JSON object decides alone; else a failure, and the action goes on
failure  (also: not started, timed out, broken JSON) is shown; `onFailure: block` makes it an exit 2
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from agent.hooks.command import Raw
from agent.hooks.config import Handler
from agent.hooks.events import EVENTS

Decision = Literal["allow", "ask", "defer", "deny"]
STRICTEST_LAST: tuple[Decision, ...] = get_args(Decision)

_LEGACY: Mapping[str, Decision] = {"approve": "allow", "allow": "allow", "block": "deny", "deny": "deny"}


class BadOutput(ValueError):  # noqa: N818 - the hook is wrong, not the program
    """JSON output that cannot be understood; the message says which field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One handler's opinion. `stop` is a reason to end the whole run; `failure` tells that it did not work.

    `fields` are further members of `hookSpecificOutput`, as written.
    """

    decision: Decision | None = None
    reason: str = ""
    updated_input: Mapping[str, Any] | None = None
    context: str = ""
    stop: str | None = None
    message: str = ""
    failure: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def judge_output(handler: Handler, raw: Raw) -> Verdict:
    """The verdict of one run."""
    if raw.failure:
        return _failed(handler, raw.failure)
    try:
        given = _json(raw.stdout)
        verdict = Verdict() if given is None else read_output(handler.event, given)
    except BadOutput as error:
        given, verdict = None, Verdict(failure=str(error))
    if raw.exit_code == 2:
        return _blocked(handler, verdict, raw.stderr.strip())
    if verdict.failure:
        return _failed(handler, verdict.failure)
    if given is not None:
        return verdict
    if raw.exit_code != 0:
        said = raw.stderr.strip().split("\n")[0]
        return _failed(handler, f"exit code {raw.exit_code}{f': {said}' if said else ''}")
    return Verdict(context=raw.stdout.strip() if EVENTS[handler.event].plain else "")


def _failed(handler: Handler, why: str) -> Verdict:
    if handler.must_work:
        text = f"The hook {handler.name!r} failed ({why}) and may not fail."
        return replace(_blocked(handler, Verdict(), text), failure=why)
    return Verdict(failure=why)


def _blocked(handler: Handler, verdict: Verdict, stderr: str) -> Verdict:
    """Exit code 2. Where nothing can be held back or told, the text is shown to the person."""
    kind = EVENTS[handler.event]
    text = stderr or f"The hook {handler.name!r} blocked this."
    if not kind.blocks and not kind.tells:
        return replace(verdict, message="\n".join(filter(None, (verdict.message, text))), failure="")
    reason = verdict.reason if verdict.decision == "deny" and verdict.reason else text
    return replace(verdict, decision="deny", reason=reason, failure="")


def _json(stdout: str) -> Mapping[str, Any] | None:
    text = stdout.removeprefix("\ufeff").strip()
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadOutput(f"its output is no valid JSON: {error}") from error
    return value if isinstance(value, dict) else None


def read_output(event: str, given: Mapping[str, Any]) -> Verdict:
    """The verdict in a JSON output. Raises `BadOutput`."""
    specific = given.get("hookSpecificOutput")
    specific = {} if specific is None else specific
    if not isinstance(specific, Mapping):
        raise BadOutput("'hookSpecificOutput' must be an object")
    _check_event(event, specific)
    decision = _top_decision(event, given.get("decision"))
    verdict = Verdict(
        decision=decision,
        reason=_text(given, "reason"),
        context=_text(specific, "additionalContext"),
        stop=(_text(given, "stopReason") or "A hook ended the run.") if given.get("continue") is False else None,
        message=_text(given, "systemMessage"),
        fields={name: value for name, value in specific.items() if name not in _READ},
    )
    if event == "PreToolUse":
        return _pre_tool(verdict, specific)
    if event == "PermissionRequest":
        return _permission_request(verdict, specific)
    return verdict


_READ = frozenset(
    {"hookEventName", "additionalContext", "permissionDecision", "permissionDecisionReason", "updatedInput", "decision"}
)


def _check_event(event: str, specific: Mapping[str, Any]) -> None:
    name = specific.get("hookEventName", event)
    # The hooks of an agent file say Stop and run as SubagentStop.
    if name != event and (event, name) != ("SubagentStop", "Stop"):
        raise BadOutput(f"'hookEventName' is {name!r} at the event {event}")


def _top_decision(event: str, value: object) -> Decision | None:
    if value is None:
        return None
    decision = _LEGACY.get(value) if isinstance(value, str) else None
    if decision is None:
        raise BadOutput("'decision' must be 'block' or 'approve'")
    return decision if event == "PreToolUse" or decision == "deny" else None


def _pre_tool(verdict: Verdict, specific: Mapping[str, Any]) -> Verdict:
    decision = specific.get("permissionDecision", verdict.decision)
    if decision is not None and decision not in STRICTEST_LAST:
        raise BadOutput(f"'permissionDecision' must be one of {', '.join(STRICTEST_LAST)}")
    return replace(
        verdict,
        decision=decision,
        reason=_text(specific, "permissionDecisionReason") or verdict.reason,
        updated_input=_object(specific, "updatedInput"),
    )


def _permission_request(verdict: Verdict, specific: Mapping[str, Any]) -> Verdict:
    """The answer to a permission request, in the form a host answers `can_use_tool`."""
    answer = _object(specific, "decision")
    if answer is None:
        return verdict
    if answer.get("behavior") not in ("allow", "deny"):
        raise BadOutput("'decision.behavior' must be 'allow' or 'deny'")
    return replace(
        verdict,
        decision="allow" if answer["behavior"] == "allow" else "deny",
        reason=_text(answer, "message"),
        updated_input=_object(answer, "updatedInput"),
        fields={**verdict.fields, **{k: answer[k] for k in ("updatedPermissions", "interrupt") if k in answer}},
    )


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise BadOutput(f"{key!r} must be a text")
    return value or ""


def _object(holder: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = holder.get(key)
    if value is not None and not isinstance(value, Mapping):
        raise BadOutput(f"{key!r} must be an object")
    return value
