"""What a session is put together from: the host, the model, permissions, MCP servers, and the agent made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from agent.api import Agent
from agent.askers import Headless
from agent.events import RunStarted
from agent.knowledge.skills import builtin_skill_root, find_skills
from agent.mcp import Found
from agent.surfaces.configured import answers_of
from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags
from agent.surfaces.protocol.host import Host
from agent.surfaces.protocol.permission import HostAsker, ask_by_tool
from agent.surfaces.protocol.sdk_mcp import HostServer, SessionServers
from agent.surfaces.protocol.wire import Json
from agent.surfaces.setup import (
    Announced,
    agent_that_answers,
    build_agent,
    grants_of,
    removed_tools,
    servers_of,
    settle,
)
from agent.surfaces.steering import SteeredModel
from agent.surfaces.surroundings import Surroundings, look_around
from tools.ports import Asker
from tools.tool import ToolContext

PROTOCOL_VERSION = "2.1.330"
"""The Claude Code release whose contract this is. Hosts read it as `claude_code_version`."""

LOCAL_COMMANDS: Mapping[str, str] = {
    "clear": "Leave this conversation and begin a new one",
    "compact": "Go on from a summary of this conversation; what follows the command is kept above all",
}


class Assembly:
    """The lasting parts of a session. The agent is made for the first turn: only then all of `initialize` is known.

    `current_call` gives the id of the tool call that is running, `interrupt` stops the turn. Raises `UsageProblem` or
    `RuleError` for flags that cannot be kept.
    """

    def __init__(
        self,
        flags: Flags,
        env: Mapping[str, str],
        host: Host,
        *,
        current_call: Callable[[], str],
        interrupt: Callable[[], None],
    ) -> None:
        self.flags = flags
        self.host = host
        self.announced = Announced()
        self.grants = grants_of(flags)
        self.model = SteeredModel(flags.model or "auto", env, fallback=flags.fallback_model)
        self.agent: Agent | None = None
        self._root = Path(flags.directory).resolve()
        self._env = env
        self._current_call = current_call
        self._interrupt = interrupt
        self.servers = SessionServers((), (), removed=(), root=self._root, env=env)

    @cached_property
    def around(self) -> Surroundings:
        """Settings and what else is found here, read when it is first needed. Raises `UsageProblem`."""
        return look_around(self.flags, self.announced.agents, self._env)

    async def ready(self) -> Agent:
        """The agent, with its servers connected."""
        if self.agent is None:
            who = agent_that_answers(self.flags, self.announced, self.around)
            settle(self.grants, self.model, self.flags, self.around, who)
            found = servers_of(self.flags, self.around, who)
            self.servers = self._connections(found)
            await self.servers.start()
            agent = build_agent(
                self.flags, self.announced, self.around, self.grants, who=who, model=self.model, asker=self._asker()
            )
            agent.servers = self.servers
            agent.notices = (*agent.notices, *found.problems)
            self.agent = agent
        return self.agent

    async def aclose(self) -> None:
        """Close connections and stop servers."""
        await self.model.aclose()
        await self.servers.aclose()

    def init_message(self, started: RunStarted) -> Json:
        """The `system/init` message of a turn. `agent`, `sandbox` and `notices` are ours."""
        packs, _problems = find_skills([builtin_skill_root()])
        return {
            "type": "system",
            "subtype": "init",
            "apiKeySource": "ANTHROPIC_API_KEY" if self._env.get("ANTHROPIC_API_KEY") else "none",
            "claude_code_version": PROTOCOL_VERSION,
            "cwd": started.cwd,
            "tools": list(started.tools),
            "mcp_servers": [{"name": each["name"], "status": each["status"]} for each in self.servers.describe()],
            "model": started.model,
            "permissionMode": started.mode,
            "slash_commands": list(LOCAL_COMMANDS),
            "output_style": self.around.settings.output_style or "default",
            "skills": sorted({*packs, *self.around.catalogue.skills}),
            "plugins": [],
            "agents": sorted(self.around.catalogue.agents),
            "agent": started.agent,
            "sandbox": started.sandbox,
            "notices": list(dict.fromkeys(started.notices)),
        }

    def _connections(self, found: Found) -> SessionServers:
        names = dict.fromkeys([*found.sdk, *self.announced.sdk_servers])
        return SessionServers(
            found.configs,
            [HostServer(name, self.host, self._root, self._env) for name in names],
            removed=removed_tools(self.flags),
            root=self._root,
            env=self.around.env,
        )

    def _asker(self) -> Asker:
        wanted = self.flags.permission_prompt_tool
        if wanted is None or self.flags.permission_prompts == "none":
            return Headless(answers_of(self.flags.answers))
        return HostAsker(self._door(wanted), self.grants, self._current_call, self._interrupt)

    def _door(self, wanted: str) -> Callable[[Json], Awaitable[Json]]:
        if wanted == "stdio":
            return self._ask_host
        for tool in self.servers.tools:
            if tool.name == wanted:
                return ask_by_tool(tool, lambda: ToolContext.at(self.flags.directory))
        names = ", ".join(tool.name for tool in self.servers.tools) or "none"
        raise UsageProblem(f"There is no permission prompt tool {wanted!r}. MCP tools here: {names}.")

    async def _ask_host(self, fields: Mapping[str, Any]) -> Json:
        await asyncio.sleep(0)  # events before the question are written before it
        return await self.host.ask("can_use_tool", **fields)
