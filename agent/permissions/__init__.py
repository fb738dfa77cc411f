"""Which tool calls run, which are asked about, which are refused. See `PermissionEngine`."""

from agent.permissions.decision import MODES, CommandClass, Decision, Mode
from agent.permissions.engine import PermissionEngine
from agent.permissions.explain import describe, explain, explain_batch
from agent.permissions.rules import Rule, RuleError, Rules

__all__ = [
    "MODES",
    "CommandClass",
    "Decision",
    "Mode",
    "PermissionEngine",
    "Rule",
    "RuleError",
    "Rules",
    "describe",
    "explain",
    "explain_batch",
]
