"""An agent as this machine, this user and, where trusted, this project configure it, for surfaces without a host."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from agent.api import Agent
from agent.budget import Limits
from agent.settings.trust import TrustStore, what_would_run
from agent.surfaces.flags import Flags
from tools.ports import Asker

T = TypeVar("T")


def configured_agent(
    directory: Path | str,
    *,
    model: str,
    asker: Asker,
    limits: Limits,
    mode: str | None = None,
    trust: bool = False,
    siblings: Literal["start", "request"] = "start",
) -> Agent:
    """The agent for `directory`. `trust` trusts it from now on; `mode` None takes the settings' mode.

    What an untrusted project configures (hooks, allow rules, agents, skills, servers) is left out and said in the
    notices. Raises `UsageProblem`.
    """
    flags = Flags(
        directory=str(directory),
        agent="expert-devops",
        model=model,
        permission_mode=mode,
        max_turns=limits.turns,
        max_budget_usd=limits.cost_usd,
        trust=trust,
        siblings=siblings,
    )
    return agent_of(flags, asker)


def agent_of(flags: Flags, asker: Asker) -> Agent:
    """The agent that the flags and the surroundings describe; its MCP servers start with its first run.

    Run it inside `closing`. Raises `UsageProblem`.
    """
    from agent.mcp import Servers
    from agent.surfaces.setup import (
        Announced,
        agent_that_answers,
        build_agent,
        check_flags,
        grants_of,
        servers_of,
        settle,
    )
    from agent.surfaces.steering import SteeredModel
    from agent.surfaces.surroundings import look_around

    check_flags(flags)
    announced, around, grants = Announced(), look_around(flags, {}, os.environ), grants_of(flags)
    model = SteeredModel(flags.model or "auto", around.env, fallback=flags.fallback_model)
    who = agent_that_answers(flags, announced, around)
    settle(grants, model, flags, around, who)
    found = servers_of(flags, around, who)
    agent = build_agent(flags, announced, around, grants, who=who, model=model, asker=asker)
    agent.servers = Servers(found.configs, root=around.places.cwd, env=around.env)
    unserved = [f"The MCP server {name} lives in a host, and there is none here." for name in found.sdk]
    agent.notices = (*agent.notices, *found.problems, *unserved)
    return agent


async def closing(agent: Agent, work: Awaitable[T]) -> T:
    """Do `work`, then stop the agent's MCP servers, whatever happened."""
    try:
        return await work
    finally:
        if agent.servers is not None:
            await agent.servers.aclose()


def ask_for_trust(directory: Path | str) -> bool:
    """Ask on the terminal whether to trust a folder that would run something; no question where there is nothing."""
    cwd = Path(directory).resolve()
    lines = [] if TrustStore().is_trusted(cwd) else what_would_run(cwd)
    if not lines:
        return False
    print(f"{cwd} brings configuration that would run or loosen something:", *lines, sep="\n  ", file=sys.stderr)
    return input("Trust this folder? y = yes, n = go on without it [n]: ").strip().lower() in {"y", "yes", "예"}


def answers_of(path: str | None) -> Mapping[str, str]:
    """The answers file, or none. Raises `AnswersError`."""
    from agent.askers import read_answers

    return read_answers(Path(path)) if path else {}
