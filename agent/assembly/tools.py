"""Which tools a run has: those of its agent file, and what the runtime grants beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.assembly.configuration import Configuration
from agent.delegation.setup import with_spawning
from agent.knowledge.definition import load_persona
from agent.knowledge.names import select_tools
from tools.catalogue import builtin_tools
from tools.tool import Tool

PERSONA_GRANTS = (
    "AskUserQuestion",
    "CheckArtifacts",
    "Delegate",
    "DetectProject",
    "InstrumentApp",
    "PlanDeployment",
    "ReadSpec",
    "WriteArtifact",
)
"""What the runtime grants to its own persona beyond the header: DevOps tools, the user and siblings."""

WORKFLOW_GRANTS = ("CompleteStep",)
"""What a run of the eight steps grants in addition."""


@dataclass(frozen=True, slots=True)
class Offer:
    """`available` are the tools of the run and its children, `tools` those its own agent gets. `denied` are the deny
    rules of its definition, `warnings` what that names in vain.
    """

    available: Mapping[str, Tool]
    tools: dict[str, Tool]
    denied: Sequence[str] = ()
    warnings: Sequence[str] = ()


def offer(agent: Configuration, *, workflow: bool) -> Offer:
    """The tools of a run. Tools handed in by the caller are all offered."""
    available, definition = _available(agent, workflow), agent.definition
    if agent.tools is not None:
        return Offer(available, dict(available), select_tools((), None, definition.disallowed_tools).deny_rules)
    selection = definition.select_tools(available)
    own = definition.name == load_persona().name
    granted = (PERSONA_GRANTS if own else ()) + (WORKFLOW_GRANTS if workflow else ())
    if own and agent.servers is not None:  # a user who configures a server means it for this agent
        granted += tuple(tool.name for tool in agent.servers.tools)
    offered = {*selection.names, *(name for name in granted if name in available)}
    tools = {name: available[name] for name in sorted(offered)}
    return Offer(available, tools, selection.deny_rules, selection.warnings)


def _available(agent: Configuration, workflow: bool) -> dict[str, Tool]:
    """Every tool of a run: the caller's or the built-in ones, and those of servers, without disallowed ones."""
    if agent.tools is not None:
        pool = {tool.name: tool for tool in agent.tools}
    else:
        known = {name: tool for name, tool in builtin_tools().items() if name not in WORKFLOW_GRANTS}
        pool = with_spawning(known, agent.definition, agent.agents)
    if workflow:
        pool |= {name: builtin_tools()[name] for name in WORKFLOW_GRANTS}
    if agent.servers is not None:
        from agent.mcp import with_servers

        pool = with_servers(pool, agent.servers)
    return {name: pool[name] for name in select_tools(pool, None, agent.definition.disallowed_tools).names}
