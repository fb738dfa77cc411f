"""One decision for one tool call: deny rules, then ask rules, then the mode, then allow rules. Strictest finding
counts.

`PermissionEngine` is immutable and pure: `decide` looks at links and repository settings on disk and changes
nothing. Whatever it cannot judge it asks about; an error inside it is a deny.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from agent.permissions import paths, web
from agent.permissions.commands import Commands, suggestion
from agent.permissions.decision import MODES, Decision, Judgement, Language, Mode, conclude, say, strictest
from agent.permissions.files import Files
from agent.permissions.rules import FAMILIES, Rule, Rules, wildcard

# Tools that only look, or talk to the user: allowed, with the paths they name inside the working directories.
_LOOKING = frozenset({"ReadSpec", "DetectProject", "PlanDeployment", "CheckArtifacts"})
_PATH_FIELDS = ("path", "root", "directory", "file_path", "file", "spec", "spec_path", "paths", "files")
_TARGETS = {"NotebookEdit": "notebook_path", "WriteArtifact": "path", "InstrumentApp": "unit"}
_FREE = frozenset(
    {
        "TodoWrite",
        "AskUserQuestion",
        "CompleteStep",
        "StructuredOutput",
        "TaskCreate",
        "TaskGet",
        "TaskList",
        "TaskUpdate",
        "TaskStop",
        "ToolSearch",
    }
)


@dataclass(frozen=True)
class PermissionEngine:
    """Decides tool calls.

    `cwd` is the session's directory and the anchor of relative path rules; `directories` are further working
    directories. `granted_paths` are globs (as in path rules) that the workflow grants to WriteArtifact alone,
    protected names included. `tools` limits the tools of a child agent (None: all). `exact` names tools that only a
    rule with their whole name allows, not one for their server. `unconfined` says why no sandbox confines commands
    here (empty: one does); then only rules a person gives in this session let them run unasked. Raises `ValueError`
    for an unknown mode.
    """

    rules: Rules
    mode: Mode = "default"
    cwd: Path = Path("/")
    home: Path = Path("/nonexistent")
    directories: Sequence[Path] = ()
    granted_paths: Sequence[str] = ()
    language: Language = "en"
    tools: frozenset[str] | None = None
    exact: frozenset[str] = frozenset()
    unconfined: Callable[[], str] = str
    parent: PermissionEngine | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"unknown permission mode {self.mode!r}; use one of {', '.join(MODES)}")
        if not os.path.isabs(self.cwd) or not os.path.isabs(self.home):  # noqa: PTH117 - also accepts text
            raise ValueError("cwd and home must be absolute")

    def decide(self, tool: str, tool_input: Mapping[str, Any], *, cwd: Path | str | None = None) -> Decision:
        """The decision on one call. `cwd` is where the call would run, the session's directory unless given. Never
        raises.
        """
        try:
            paths.forget_links()
            own = self._decide(tool, tool_input, str(cwd or self.cwd))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in here must not allow anything
            return Decision("deny", reason=say("engine_failed", self.language, error=type(error).__name__))
        if self.parent is None:
            return own
        return strictest([own, self.parent.decide(tool, tool_input, cwd=cwd)])

    def with_rules(self, rules: Rules) -> PermissionEngine:
        """The same engine with further rules, for instance those a person added for the session."""
        return replace(self, rules=self.rules + rules)

    def child(
        self,
        rules: Rules | None = None,
        mode: Mode | None = None,
        *,
        tools: Iterable[str] | None = None,
        directories: Sequence[Path] | None = None,
    ) -> PermissionEngine:
        """The engine of an agent started by this one: what both the parent and the child's own definition allow.

        The parent's deny and ask rules and its mode bind. A child without allow rules of its own uses its parent's.
        """
        own = rules or Rules()
        return replace(
            self,
            rules=own if own.allow else replace(own, allow=self.rules.allow),
            mode=mode or self.mode,
            tools=None if tools is None else frozenset(tools),
            directories=self.directories if directories is None else directories,
            parent=self,
        )

    def readable(self, path: str, *, cwd: Path | str | None = None) -> bool:
        """Whether a search may show a result from `path`: Grep and Glob filter what they found with it."""
        return self.decide("Read", {"file_path": path}, cwd=cwd).behavior == "allow"

    def source_of(self, rule: str | None) -> str | None:
        """Where the rule with this text stands (settings, session, an agent's name), or None."""
        found = (each.source for each in (*self.rules.deny, *self.rules.ask, *self.rules.allow) if each.text == rule)
        return next(found, None)

    # --- one judge per tool ---

    def _decide(self, tool: str, tool_input: Mapping[str, Any], cwd: str) -> Decision:
        judgement = Judgement()
        if self.tools is not None and tool not in self.tools:
            judgement.deny("tool_removed", tool=tool)
            return conclude(judgement, self.mode, self.language)
        self._general_rules(judgement, tool, tool_input)
        self._judge(judgement, tool, tool_input, cwd)
        return conclude(judgement, self.mode, self.language)

    def _general_rules(self, judgement: Judgement, tool: str, tool_input: Mapping[str, Any]) -> None:
        """Deny and ask rules for the whole tool, or for the value of a parameter."""
        for rule in (*self.rules.deny, *self.rules.ask):
            reads_too = rule.kind == "deny" and rule.tool == "Read" and FAMILIES.get(tool, tool) == "Edit"
            if not rule.covers_tool(tool) and not (reads_too and rule.whole):
                continue
            if rule.whole or rule.matches_parameter(tool_input):
                judgement.by_rule("deny" if rule.kind == "deny" else "ask", rule.text)

    def _judge(self, judgement: Judgement, tool: str, tool_input: Mapping[str, Any], cwd: str) -> None:
        judges: Mapping[str, Callable[[Judgement, str, Mapping[str, Any], str], None]] = {
            "Bash": self._command,
            "Monitor": self._command,
            "Read": self._read,
            "Grep": self._read,
            "Glob": self._read,
            "LSP": self._read,
            "Edit": self._write,
            "Write": self._write,
            "NotebookEdit": self._write,
            "WriteArtifact": self._write,
            "InstrumentApp": self._write,
            "WebFetch": self._fetch,
            "Agent": self._named,
            "Task": self._named,
            "Delegate": self._named,
            "Skill": self._named,
        }
        if tool in judges:
            judges[tool](judgement, tool, tool_input, cwd)
        elif tool in _LOOKING:
            self._look(judgement, tool_input, cwd)
        elif tool not in _FREE:
            self._by_name(judgement, tool)

    def _command(self, judgement: Judgement, tool: str, tool_input: Mapping[str, Any], cwd: str) -> None:
        command = tool_input.get("command")
        if not isinstance(command, str) or not command.strip():
            judgement.deny("bad_input", tool=tool, field="command")
            return
        found = Commands(self.rules, self._files, self.mode).judge(command, cwd)
        judgement.findings += found.findings
        judgement.allowed_by += found.allowed_by
        judgement.command_class = found.command_class
        self._no_cage(judgement, command, leaves=tool_input.get("dangerouslyDisableSandbox") is True)

    def _no_cage(self, judgement: Judgement, command: str, *, leaves: bool) -> None:
        """Without a sandbox, or where a call asks to leave it, rules written for confined commands do not count. What
        is known harmless still runs.
        """
        given = {rule.text for rule in self.rules.allow if rule.source == "session"}
        if judgement.findings or set(judgement.allowed_by) <= given:
            return
        why = self.unconfined()
        if why or leaves:
            judgement.ask("no_sandbox" if why else "leaves_sandbox", part=command, why=why)
            self._suggest_last(judgement, suggestion(command))

    def _read(self, judgement: Judgement, tool: str, tool_input: Mapping[str, Any], cwd: str) -> None:
        searching = tool in ("Grep", "Glob")
        path = tool_input.get("path" if searching else "file_path", "." if searching else None)
        if not isinstance(path, str) or not path:
            judgement.deny("bad_input", tool=tool, field="path" if searching else "file_path")
            return
        self._files.read(judgement, path, cwd, tool=tool)
        pattern = tool_input.get("pattern")
        if tool == "Glob" and isinstance(pattern, str):
            self._glob(judgement, pattern, path, cwd)

    def _glob(self, judgement: Judgement, pattern: str, path: str, cwd: str) -> None:
        """A file pattern may itself lead elsewhere (`/etc/*`, `../*`): its fixed beginning is read as a path."""
        if re.search(r"\.\.|[{,][/~]", pattern):
            judgement.ask("unknown_target", part=pattern, path=pattern)
        elif pattern.startswith(("/", "~")):
            fixed = re.split(r"[*?\[{]", pattern, maxsplit=1)[0]
            base = os.path.join(cwd, path)  # noqa: PTH118 - as the system joins them
            self._files.read(judgement, fixed.rpartition("/")[0] or "/", base, tool="Glob")

    def _write(self, judgement: Judgement, tool: str, tool_input: Mapping[str, Any], cwd: str) -> None:
        field = _TARGETS.get(tool, "file_path")
        path = tool_input.get(field)
        if not isinstance(path, str) or not path:
            judgement.deny("bad_input", tool=tool, field=field)
            return
        self._files.write(judgement, path, cwd, tool=tool)

    def _look(self, judgement: Judgement, tool_input: Mapping[str, Any], cwd: str) -> None:
        for name in _PATH_FIELDS:
            value = tool_input.get(name)
            for path in value if isinstance(value, list | tuple) else [value]:
                if isinstance(path, str) and path:
                    self._files.read(judgement, path, cwd)

    def _fetch(self, judgement: Judgement, tool: str, tool_input: Mapping[str, Any], _cwd: str) -> None:
        url = tool_input.get("url")
        if not isinstance(url, str):
            judgement.deny("bad_input", tool=tool, field="url")
            return
        try:
            target = web.parse_url(url)
        except web.RefusedUrl as error:
            judgement.deny("url_refused", what=str(error))
            return
        for kind in ("deny", "ask"):
            for rule in self.rules.of(kind, "WebFetch"):
                if (
                    not rule.whole
                    and (rule.specifier or "").startswith("domain:")
                    and web.host_rule_matches(rule, target)
                ):
                    judgement.by_rule(kind, rule.text)
        allowing = next(
            (rule for rule in self.rules.of("allow", "WebFetch") if web.host_rule_matches(rule, target)), None
        )
        if allowing is None:
            judgement.ask("no_rule_host", host=target.host)
            self._suggest_last(judgement, f"WebFetch(domain:{target.host})" if not target.is_address else None)
        else:
            judgement.allowed_by.append(allowing.text)
            if target.unusual and not (target.unusual.startswith("port") and web.names_port(allowing, target)):
                judgement.ask("url_unusual", what=target.unusual)

    def _named(self, judgement: Judgement, tool: str, tool_input: Mapping[str, Any], _cwd: str) -> None:
        """Agents and skills: allowed unless a rule names them; what they do is judged call by call."""
        fields = {"Skill": ("skill", "name"), "Delegate": ("to",)}.get(tool, ("subagent_type", "to"))
        name = next((tool_input[field] for field in fields if isinstance(tool_input.get(field), str)), "")
        full = f"{name} {tool_input.get('args') or ''}".strip() if tool == "Skill" else name
        forms = {form.replace("_", "-").casefold() for form in (name, full)}
        for rule in (*self.rules.deny, *self.rules.ask):
            if rule.whole or not rule.covers_tool(tool):
                continue
            pattern = (rule.specifier or "").replace("_", "-").casefold()
            if any(wildcard(pattern, form) or wildcard(pattern.removesuffix(" *"), form) for form in forms):
                judgement.by_rule("deny" if rule.kind == "deny" else "ask", rule.text)

    def _by_name(self, judgement: Judgement, tool: str) -> None:
        """Tools known by name only: MCP tools, WebSearch, and those this engine does not know."""
        allowing = (rule for rule in self.rules.of("allow", tool) if rule.whole)
        rule = next((rule for rule in allowing if tool not in self.exact or rule.tool == tool), None)
        if rule is not None:
            judgement.allowed_by.append(rule.text)
            return
        known = tool.startswith("mcp__") or tool == "WebSearch"
        judgement.ask("no_rule_tool" if known else "unknown_tool", tool=tool)
        self._suggest_last(judgement, tool if known else None)

    @staticmethod
    def _suggest_last(judgement: Judgement, suggestion: str | None) -> None:
        judgement.findings[-1] = replace(judgement.findings[-1], suggestion=suggestion)

    @property
    def _files(self) -> Files:
        places = [paths.locate(str(path), self.cwd, self.home) for path in (self.cwd, *self.directories)]
        return Files(self.rules, str(self.cwd), str(self.home), tuple(places), self.mode, self._granted)

    @cached_property
    def _granted(self) -> tuple[Rule, ...]:
        return tuple(
            Rule(f"WriteArtifact({glob})", "allow", "Edit", glob, "workflow", Path(self.cwd))
            for glob in self.granted_paths
        )
