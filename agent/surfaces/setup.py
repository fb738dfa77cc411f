"""One set-up for every surface: from flags, what a host announced and the surroundings to the agent they describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.api import Agent
from agent.assembly.tools import WORKFLOW_GRANTS
from agent.budget import Limits
from agent.delegation.setup import with_spawning
from agent.hooks import Handler
from agent.knowledge.definition import AgentDefinition, load_persona
from agent.knowledge.names import select_tools, split_rule
from agent.mcp import Found, find_servers
from agent.permissions import MODES, Rules
from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags
from agent.surfaces.grants import Grants
from agent.surfaces.sessions import check_session_flags
from agent.surfaces.steering import SteeredModel
from agent.surfaces.surroundings import Surroundings
from agent.turn.structured import OutputSchema, SchemaError, parse_schema
from tools.catalogue import builtin_tools
from tools.ports import Asker
from tools.tool import Tool

_TURNS = 200
_SPAWNING = "Agent"


@dataclass(frozen=True, slots=True)
class Announced:
    """What a host said in `initialize`. `agents` are in their JSON form."""

    hooks: tuple[Handler, ...] = ()
    agents: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str | None = None
    append_system_prompt: str | None = None
    sdk_servers: tuple[str, ...] = ()
    skills: tuple[str, ...] | None = None
    child_text: bool = False
    output: OutputSchema | None = None
    problems: tuple[str, ...] = ()


def check_flags(flags: Flags) -> None:
    """Raises `UsageProblem` for flags that cannot be kept or contradict each other."""
    if flags.permission_mode is not None and flags.permission_mode not in MODES:
        raise UsageProblem(f"--permission-mode {flags.permission_mode!r} is none of {', '.join(MODES)}.")
    if flags.max_turns is not None and flags.max_turns < 1:
        raise UsageProblem(f"--max-turns {flags.max_turns} leaves no turn; give 1 or more.")
    if flags.max_budget_usd is not None and not 0 < flags.max_budget_usd < float("inf"):
        raise UsageProblem(f"--max-budget-usd {flags.max_budget_usd} leaves nothing to spend; give more than 0.")
    if flags.delegation_results and flags.resume is None and not flags.continue_last:
        raise UsageProblem("--delegation-results belongs to a session that asked for them: give it with --resume.")
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


def settle(grants: Grants, model: SteeredModel, flags: Flags, around: Surroundings, who: AgentDefinition) -> None:
    """Let the agent's file and the settings say what the command line and the host do not: mode, rules, model."""
    settings = around.settings
    mode = who.permission_mode if flags.agent else None
    if mode is None or (mode == "bypassPermissions" and not grants.may_bypass):
        mode = settings.mode
    grants.settle(mode, settings.rules, bypass_allowed=settings.bypass_allowed)
    model.env = around.env
    named = who.model if flags.agent and who.model != "inherit" else settings.model
    if flags.model in {None, "auto"} and named:
        model.begin_with(named)
    model.options |= {"effort": flags.effort or settings.effort, "betas": flags.betas or None}
    if flags.max_thinking_tokens is not None or flags.thinking == "disabled":
        model.think(flags.max_thinking_tokens or 0)
    elif flags.thinking is not None:
        model.options["thinking"] = {"type": flags.thinking}


def servers_of(flags: Flags, around: Surroundings, who: AgentDefinition) -> Found:
    """The MCP servers of the command line, the agent's file and the surroundings."""
    return find_servers(
        around.places,
        around.settings,
        flags=flags.mcp_config,
        agent=who.mcp_servers,
        strict=flags.strict_mcp_config,
        env=around.env,
    )


def build_agent(
    flags: Flags,
    announced: Announced,
    around: Surroundings,
    grants: Grants,
    *,
    who: AgentDefinition,
    model: SteeredModel,
    asker: Asker,
) -> Agent:
    """The agent of a session, without servers. Raises `UsageProblem` when it cannot be put together."""
    tools, warnings = _chosen_tools(flags, around, who)
    turns = flags.max_turns or (who.max_turns if flags.agent else None) or _TURNS
    return Agent(
        cwd=flags.directory,
        model=model,
        definition=who,
        tools=tools,
        rules=grants.rules,
        mode=grants.in_force,
        limits=Limits(turns=turns, cost_usd=flags.max_budget_usd),
        asker=asker,
        env=around.env,
        sandbox=around.settings.sandbox.get("enabled") is not False,  # only a user's own file can say so
        shelter=around.settings.shelter,
        hooks=(*around.hooks, *announced.hooks),
        skills=around.catalogue.skills,
        instructions=around.instructions,
        directories=(*around.places.directories, *around.settings.directories),
        agents=around.catalogue.agents,
        siblings=flags.siblings,
        auto_compact=around.settings.auto_compact,
        output=announced.output or schema_of(flags),
        notices=(*flags.notices, *announced.problems, *around.notices, *warnings, *grants.base.warnings),
    )


def removed_tools(flags: Flags) -> tuple[str, ...]:
    """Bare names in `--disallowedTools`: those tools are not even offered."""
    return tuple(rule for rule in flags.disallowed_tools if split_rule(rule)[1] is None)


def agent_that_answers(flags: Flags, announced: Announced, around: Surroundings) -> AgentDefinition:
    """`--agent`, else the settings', else the persona, with the host's system prompt and without removed tools.

    An empty `--system-prompt` keeps the persona: SDKs send it when their caller set none, and the persona is what this
    program is. Raises `UsageProblem` for an agent that does not exist.
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
    if definition.tools is not None and definition.name == load_persona().name and _brings_agents(flags, announced):
        free = replace(definition.orchestration, spawns_subagents=None)
        definition = replace(definition, tools=(*definition.tools, _SPAWNING), orchestration=free)
    return replace(definition, disallowed_tools=(*definition.disallowed_tools, *removed_tools(flags)))


def _brings_agents(flags: Flags, announced: Announced) -> bool:
    """Whether the host brings agents of its own, or names the tool to start them."""
    named = {split_rule(rule)[0] for rule in (*flags.allowed_tools, *(flags.tools or ()))}
    return bool(announced.agents or flags.agents or _SPAWNING in named)


def _chosen_tools(
    flags: Flags, around: Surroundings, who: AgentDefinition
) -> tuple[tuple[Tool, ...] | None, Sequence[str]]:
    """The built-in tools that `--tools` names, and what it names in vain; None where the agent's own list decides."""
    if flags.tools is None:
        return None, ()
    pool = {name: tool for name, tool in builtin_tools().items() if name not in WORKFLOW_GRANTS}
    pool = with_spawning(pool, who, around.catalogue.agents)
    selection = select_tools(pool, None if flags.tools == ("default",) else flags.tools)
    if flags.tools and not selection.names:
        raise UsageProblem(f"--tools names no tool there is: {', '.join(flags.tools)}. See `expert-devops tools`.")
    return tuple(pool[name] for name in selection.names), selection.warnings


def _text(text: str | None, path: str | None) -> str | None:
    if path is None:
        return text
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"The prompt file {path} cannot be read: {error}") from error
