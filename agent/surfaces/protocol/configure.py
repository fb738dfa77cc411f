"""From flags, the `initialize` request and the surroundings to the agent they describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.api import Agent
from agent.budget import Limits
from agent.definition import AgentDefinition, load_persona
from agent.grants import PERSONA_GRANTS, WORKFLOW_GRANTS
from agent.hooks import Handler
from agent.models.port import Model
from agent.names import split_rule
from agent.permissions import MODES, Rules
from agent.structured import OutputSchema, SchemaError, parse_schema
from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags
from agent.surfaces.protocol.hooks import host_hooks
from agent.surfaces.protocol.host import Host
from agent.surfaces.protocol.permission import Grants
from agent.surfaces.protocol.sdk_mcp import SessionServers
from agent.surfaces.protocol.surroundings import Surroundings
from agent.surfaces.sessions import check_session_flags
from tools.catalogue import builtin_tools
from tools.ports import Asker
from tools.tool import Tool


@dataclass(frozen=True, slots=True)
class Announced:
    """What the host said in `initialize`. `agents` are in their JSON form."""

    hooks: tuple[Handler, ...] = ()
    agents: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str | None = None
    append_system_prompt: str | None = None
    sdk_servers: tuple[str, ...] = ()
    skills: tuple[str, ...] | None = None
    child_text: bool = False
    output: OutputSchema | None = None
    problems: tuple[str, ...] = ()


def read_initialize(request: Mapping[str, Any], host: Host) -> Announced:
    """The parts of an `initialize` request that are acted upon. Raises `HookShapeError` or `SchemaError`."""
    hooks, unfired = host_hooks(request.get("hooks"), host)
    agents, servers, skills = (request.get(key) for key in ("agents", "sdkMcpServers", "skills"))
    return Announced(
        hooks=hooks,
        agents=agents if isinstance(agents, Mapping) else {},
        system_prompt=_prompt_text(request.get("systemPrompt")),
        append_system_prompt=_prompt_text(request.get("appendSystemPrompt")),
        sdk_servers=tuple(map(str, servers)) if isinstance(servers, list) else (),
        skills=tuple(map(str, skills)) if isinstance(skills, list) else None,
        child_text=bool(request.get("forwardSubagentText")),
        output=OutputSchema(schema) if (schema := request.get("jsonSchema")) is not None else None,
        problems=unfired,
    )


def check_flags(flags: Flags) -> None:
    """Raises `UsageProblem` for flags that cannot be kept or contradict each other."""
    if flags.permission_mode is not None and flags.permission_mode not in MODES:
        raise UsageProblem(f"--permission-mode {flags.permission_mode!r} is none of {', '.join(MODES)}.")
    check_session_flags(flags)
    schema_of(flags)


def schema_of(flags: Flags) -> OutputSchema | None:
    """The value of `--json-schema`. Raises `UsageProblem`."""
    if flags.json_schema is None:
        return None
    try:
        return parse_schema(flags.json_schema)
    except SchemaError as error:
        raise UsageProblem(f"--json-schema: {error}") from error


def grants_of(flags: Flags) -> Grants:
    """The permissions of the command line. Raises `RuleError` for an unreadable rule."""
    mode: Any = "bypassPermissions" if flags.skip_permissions else flags.permission_mode
    anchor = Path(flags.directory).resolve()
    return Grants(
        mode=mode,
        base=Rules.parse(allow=flags.allowed_tools, deny=flags.disallowed_tools, source="command line", anchor=anchor),
        may_bypass=flags.allow_skip or mode == "bypassPermissions",
    )


def build_agent(
    flags: Flags,
    announced: Announced,
    around: Surroundings,
    grants: Grants,
    *,
    model: Model,
    asker: Asker,
    servers: SessionServers,
) -> Agent:
    """The agent of a session. Raises `DefinitionError` or `UsageProblem` when it cannot be put together."""
    definition = _definition(flags, announced, around)
    tools, warnings = _tools(flags, definition, _agent_tool(flags, announced, around, definition))
    return Agent(
        cwd=flags.directory,
        model=model,
        definition=definition,
        tools=tools,
        rules=grants.rules,
        mode=grants.in_force,
        limits=Limits(turns=flags.max_turns or 200, cost_usd=flags.max_budget_usd),
        asker=asker,
        hooks=(*around.hooks, *announced.hooks),
        servers=servers,
        skills=around.catalogue.skills,
        instructions=around.instructions,
        directories=(*around.places.directories, *around.settings.directories),
        agents=around.catalogue.agents,
        output=announced.output or schema_of(flags),
        notices=(*flags.notices, *announced.problems, *around.notices, *warnings, *grants.base.warnings),
    )


def removed_tools(flags: Flags) -> tuple[str, ...]:
    """Bare names in `--disallowedTools`: those tools are not even offered."""
    return tuple(rule for rule in flags.disallowed_tools if split_rule(rule)[1] is None)


def _definition(flags: Flags, announced: Announced, around: Surroundings) -> AgentDefinition:
    """The agent that answers: `--agent`, else the settings', else the persona, with the host's system prompt.

    An empty `--system-prompt` keeps the persona: SDKs send it when their caller set none, and the persona is what this
    program is.
    """
    definition = load_persona()
    if name := flags.agent or around.settings.agent:
        found = around.catalogue.agent(name)
        if found is None:
            raise UsageProblem(f"There is no agent {name!r}. There are: {', '.join(sorted(around.catalogue.agents))}.")
        definition = found
    if prompt := announced.system_prompt or _text(flags.system_prompt, flags.system_prompt_file):
        definition = replace(definition, prompt=prompt, skills=())
    if addition := announced.append_system_prompt or _text(flags.append_system_prompt, flags.append_system_prompt_file):
        definition = replace(definition, prompt=f"{definition.prompt.rstrip()}\n\n{addition}")
    if announced.skills is not None:
        definition = replace(definition, skills=tuple(name for name in definition.skills if name in announced.skills))
    return definition


def _agent_tool(
    flags: Flags, announced: Announced, around: Surroundings, definition: AgentDefinition
) -> Mapping[str, Tool]:
    """Claude Code's tool to start agents, where the host brings agents of its own or names the tool."""
    named = {split_rule(rule)[0] for rule in (*flags.allowed_tools, *(flags.tools or ()))}
    if not (announced.agents or flags.agents or "Agent" in named):
        return {}
    from agent.delegation.tool import agent_tool

    return {"Agent": agent_tool(a for a in around.catalogue.agents.values() if a.name != definition.name)}


def _tools(
    flags: Flags, definition: AgentDefinition, more: Mapping[str, Tool]
) -> tuple[tuple[Tool, ...], Sequence[str]]:
    """The built-in tools offered, by `--tools` or the agent's own list, and what was named in vain. `more`: beside
    those of its own list.
    """
    pool = {name: tool for name, tool in builtin_tools().items() if name not in WORKFLOW_GRANTS} | dict(more)
    wanted = definition.tools
    if flags.tools is not None:
        wanted = None if flags.tools == ("default",) else flags.tools
    elif wanted is not None and definition.name == load_persona().name:
        wanted = (*wanted, *PERSONA_GRANTS, *more)
    if wanted == ():
        return (), ()
    removed = (*definition.disallowed_tools, *removed_tools(flags))
    selection = replace(definition, tools=wanted, disallowed_tools=removed).select_tools(pool)
    return tuple(pool[name] for name in selection.names), selection.warnings


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
