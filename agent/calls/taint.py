"""After foreign text was read, calls that can carry data out need more than a broad rule.

Foreign text is what tools mark as data: web pages, GitHub texts, answers of MCP servers. It may have chosen the next
call, so a rule for all of a tool no longer speaks for the user; one that names the host, the command or the very tool
does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.permissions import Decision, PermissionEngine

_MARK = "<untrusted-data "
_SENDS = re.compile(
    r"(?<![\w-])(?:curl|wget|nc|ncat|socat|ssh|scp|sftp|rsync|ftp|telnet|publish|push|sendmail|mail|dig|nslookup|host|ping)"
    r"(?![\w-])"
)


@dataclass(slots=True)
class Taint:
    """One for a tree of agents: what a child read, its parent may act on. `source`: the tool that brought the text."""

    source: str = ""
    _hosts: set[str] = field(default_factory=set)

    def heard(self, tool: str, tool_input: Mapping[str, Any], content: object) -> None:
        """Note a result. A host that was fetched from once is no new one."""
        if tool == "WebFetch":
            self._hosts.add(_host(tool_input))
        if not self.source and _MARK in (content if isinstance(content, str) else json.dumps(content, default=str)):
            self.source = tool

    def weigh(self, tool: str, tool_input: Mapping[str, Any], decision: Decision, engine: PermissionEngine) -> Decision:
        """The decision, turned into a question where only a broad rule lets data out."""
        if not self.source or decision.behavior != "allow" or engine.mode == "bypassPermissions":
            return decision
        if not _broad(tool, decision.rule or "") or not self._outward(tool, tool_input, decision):
            return decision
        from agent.permissions.decision import say

        reason = say("tainted", engine.language, tool=tool, source=self.source, rule=decision.rule or "")
        return replace(decision, behavior="deny" if engine.mode == "dontAsk" else "ask", reason=reason)

    def _outward(self, tool: str, tool_input: Mapping[str, Any], decision: Decision) -> bool:
        if tool == "WebFetch":
            return _host(tool_input) not in self._hosts
        if tool == "Bash":
            changes = decision.command_class in ("change", "destroy")
            return changes or _SENDS.search(str(tool_input.get("command"))) is not None
        return tool == "WebSearch" or tool.startswith("mcp__")


def tainted_by(history: Sequence[Mapping[str, Any]]) -> Taint:
    """The taint of a conversation that is taken up again."""
    taint = Taint()
    taint.heard("an earlier call", {}, [message for message in history if message.get("role") == "user"])
    return taint


def _broad(tool: str, rules: str) -> bool:
    """Whether a rule among these speaks of the whole tool, or of a whole server."""
    if tool.startswith("mcp__"):
        return tool not in rules.split(", ")
    return any(re.fullmatch(rf"{re.escape(tool)}(?:\(\*\)|\(domain:\*\))?", rule) for rule in rules.split(", "))


def _host(tool_input: Mapping[str, Any]) -> str:
    from urllib.parse import urlsplit

    try:
        return (urlsplit(str(tool_input.get("url"))).hostname or "").rstrip(".")
    except ValueError:
        return ""
