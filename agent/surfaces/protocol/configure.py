"""From flags and the `initialize` request to the agent they describe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from agent.api import Agent
from agent.budget import Limits
from agent.definition import AgentDefinition, agent_from_json, builtin_agents, load_persona
from agent.fields import DefinitionError
from agent.grants import PERSONA_GRANTS, WORKFLOW_GRANTS
from agent.hooks.config import Handler
from agent.models.port import Model
from agent.names import resolve_agent_name, split_rule
from agent.permissions import MODES, Mode, Rules
from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags
from agent.surfaces.protocol.hooks import host_hooks
from agent.surfaces.protocol.host import Host
from agent.surfaces.protocol.permission import Grants
from tools.catalogue import builtin_tools
from tools.ports import Asker
from tools.tool import Tool

_NOT_YET = {
    "json_schema": "--json-schema",
    "fork_session": "--fork-session",
    "resume_session_at": "--resume-session-at",
    "resume_drops_turn": "--resume-drops-turn",
}
"""Flags whose silent absence would change what a host gets; they are refused."""

_WITHOUT_EFFECT = {"settings": "--settings", "setting_sources": "--setting-sources", "add_dir": "--add-dir"}


@dataclass(frozen=True, slots=True)
class Announced:
    """What the host said in `initialize`."""

    hooks: tuple[Handler, ...] = ()
    agents: Mapping[str, AgentDefinition] = field(default_factory=dict)
    system_prompt: str | None = None
    append_system_prompt: str | None = None
    sdk_servers: tuple[str, ...] = ()
    skills: tuple[str, ...] | None = None
    child_text: bool = False
    problems: tuple[str, ...] = ()


def read_initialize(request: Mapping[str, Any], host: Host) -> Announced:
    """The parts of an `initialize` request that are acted upon. Raises `HookShapeError`, or
    `UsageProblem` for what is not supported.
    """
    agents, problems = _agents(request.get("agents"))
    hooks, unfired = host_hooks(request.get("hooks"), host)
    servers, skills = request.get("sdkMcpServers"), request.get("skills")
    if request.get("jsonSchema") is not None:
        raise UsageProblem("jsonSchema is not supported here.")
    return Announced(
        hooks=hooks,
        agents=agents,
        system_prompt=_prompt_text(request.get("systemPrompt")),
        append_system_prompt=_prompt_text(request.get("appendSystemPrompt")),
        sdk_servers=tuple(map(str, servers)) if isinstance(servers, list) else (),
        skills=tuple(map(str, skills)) if isinstance(skills, list) else None,
        child_text=bool(request.get("forwardSubagentText")),
        problems=(*problems, *unfired),
    )


def check_flags(flags: Flags) -> None:
    """Raises `UsageProblem` for flags that cannot be kept or contradict each other."""
    for name, flag in _NOT_YET.items():
        if getattr(flags, name):
            raise UsageProblem(f"{flag} is not supported here.")
    if flags.permission_mode is not None and flags.permission_mode not in MODES:
        raise UsageProblem(f"--permission-mode {flags.permission_mode!r} is none of {', '.join(MODES)}.")
    if flags.resume == "":
        raise UsageProblem("--resume needs a session id when nobody can choose one from a list.")


def grants_of(flags: Flags) -> Grants:
    """The permissions a session starts with. Raises `RuleError` for an unreadable rule."""
    mode = "bypassPermissions" if flags.skip_permissions else (flags.permission_mode or "default")
    anchor = Path(flags.directory).resolve()
    return Grants(
        mode=cast("Mode", mode),
        base=Rules.parse(allow=flags.allowed_tools, deny=flags.disallowed_tools, source="command line", anchor=anchor),
        may_bypass=flags.allow_skip or mode == "bypassPermissions",
    )


def build_agent(
    flags: Flags, announced: Announced, grants: Grants, *, model: Model, asker: Asker, extra: Sequence[Tool]
) -> tuple[Agent, tuple[str, ...]]:
    """The agent of a session and what to tell about it. `extra` are tools beside the built-in ones.

    Raises `DefinitionError` or `UsageProblem` when it cannot be put together.
    """
    definition, problems = _definition(flags, announced)
    tools, warnings = _tools(flags, definition, extra)
    agent = Agent(
        cwd=flags.directory,
        model=model,
        definition=definition,
        tools=tools,
        rules=grants.rules,
        mode=grants.mode,
        limits=Limits(turns=flags.max_turns or 200, cost_usd=flags.max_budget_usd),
        asker=asker,
        hooks=announced.hooks,
    )
    useless = [f"{flag} has no effect here." for name, flag in _WITHOUT_EFFECT.items() if getattr(flags, name)]
    return agent, (*flags.notices, *useless, *announced.problems, *problems, *warnings, *grants.base.warnings)


def mcp_servers(flags: Flags) -> tuple[dict[str, Mapping[str, Any]], tuple[str, ...]]:
    """The servers of `--mcp-config` by name, and one line for each entry that cannot be used."""
    servers: dict[str, Mapping[str, Any]] = {}
    problems: list[str] = []
    for entry in flags.mcp_config:
        try:
            text = entry if entry.lstrip().startswith("{") else Path(entry).read_text(encoding="utf-8")
            found = json.loads(text)["mcpServers"]
            servers |= {str(name): config for name, config in found.items() if isinstance(config, Mapping)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"--mcp-config {entry[:80]!r} cannot be used: {type(error).__name__}: {error}")
    return servers, tuple(problems)


# --- who answers ---


def _definition(flags: Flags, announced: Announced) -> tuple[AgentDefinition, tuple[str, ...]]:
    """The agent that answers: `--agent`, else the persona, with the host's system prompt.

    An empty `--system-prompt` keeps the persona: SDKs send it when their caller set none, and the persona is what this
    program is.
    """
    given, problems = _agents(json.loads(flags.agents)) if flags.agents else ({}, ())
    definition = load_persona()
    if flags.agent is not None:
        known = builtin_agents() | dict(given) | dict(announced.agents)
        name = flags.agent if flags.agent in known else resolve_agent_name(flags.agent)
        if name not in known:
            raise UsageProblem(f"There is no agent {flags.agent!r}. There are: {', '.join(sorted(known))}.")
        definition = known[name]
    if prompt := announced.system_prompt or _text(flags.system_prompt, flags.system_prompt_file):
        definition = replace(definition, prompt=prompt, skills=())
    if addition := announced.append_system_prompt or _text(flags.append_system_prompt, flags.append_system_prompt_file):
        definition = replace(definition, prompt=f"{definition.prompt.rstrip()}\n\n{addition}")
    if announced.skills is not None:
        definition = replace(definition, skills=tuple(name for name in definition.skills if name in announced.skills))
    return definition, problems


def _agents(given: Any) -> tuple[dict[str, AgentDefinition], tuple[str, ...]]:
    """Agents in their JSON form, and one line for each that cannot be used."""
    found: dict[str, AgentDefinition] = {}
    problems: list[str] = []
    for name, value in given.items() if isinstance(given, Mapping) else ():
        try:
            found[str(name)] = agent_from_json(str(name), value if isinstance(value, Mapping) else {})
        except DefinitionError as error:
            problems.append(str(error))
    return found, tuple(problems)


def _prompt_text(value: Any) -> str | None:
    """A prompt as a text, or as a list of texts and text blocks."""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in value]
        value = "\n\n".join(part for part in parts if isinstance(part, str))
    return value if isinstance(value, str) and value else None


def _text(text: str | None, path: str | None) -> str | None:
    if path is None:
        return text
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"The prompt file {path} cannot be read: {error}") from error


# --- what it may use ---


def _tools(
    flags: Flags, definition: AgentDefinition, extra: Sequence[Tool]
) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """The tools offered: built-in ones by `--tools` or the agent's own list, then `extra`; removed ones never."""
    pool = {name: tool for name, tool in builtin_tools().items() if name not in WORKFLOW_GRANTS}
    removed = tuple(rule for rule in flags.disallowed_tools if split_rule(rule)[1] is None)
    own = PERSONA_GRANTS if definition.name == load_persona().name else ()
    if flags.tools is None and definition.tools is not None:
        wanted: tuple[str, ...] | None = (*definition.tools, *own)
    elif flags.tools is None or flags.tools == ("default",):
        wanted = None
    else:
        wanted = flags.tools
    pool |= {tool.name: tool for tool in extra}
    listed = None if wanted is None else (*wanted, *(tool.name for tool in extra))
    limited = replace(definition, tools=listed, disallowed_tools=(*definition.disallowed_tools, *removed))
    if listed == ():
        return (), ()
    selection = limited.select_tools(pool)
    return tuple(pool[name] for name in selection.names), selection.warnings
