"""The events hooks may listen to, and what each lets a hook do (Claude Code documentation on hooks, August 2026)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventKind:
    """`blocks`: exit code 2 or `decision: block` holds the action back; else its text is only shown or told.

    `tells`: text of a blocking hook goes to the model. `plain`: standard output that is no JSON is context.
    `tool`: the event is about a tool call, so `if` conditions can be judged.
    """

    blocks: bool = False
    tells: bool = False
    plain: bool = False
    tool: bool = False
    seconds: float = 600.0


EVENTS: Mapping[str, EventKind] = {
    "PreToolUse": EventKind(blocks=True, tells=True, tool=True),
    "PermissionRequest": EventKind(tool=True),
    "PermissionDenied": EventKind(tool=True),
    "PostToolUse": EventKind(tells=True, tool=True),
    "PostToolUseFailure": EventKind(tells=True, tool=True),
    "PostToolBatch": EventKind(blocks=True),
    "UserPromptSubmit": EventKind(blocks=True, plain=True, seconds=30.0),
    "SessionStart": EventKind(plain=True),
    "SessionEnd": EventKind(seconds=1.5),
    "Stop": EventKind(blocks=True, tells=True),
    "StopFailure": EventKind(),
    "SubagentStart": EventKind(),
    "SubagentStop": EventKind(blocks=True, tells=True),
    "Notification": EventKind(),
    "PreCompact": EventKind(blocks=True),
    "PostCompact": EventKind(),
}
"""What this runtime fires. Hooks on other events are kept out with a remark."""

SESSION_END_SECONDS = 60.0
"""The most that hooks on the end of a session may take, whatever they ask for."""
