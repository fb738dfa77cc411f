"""What a session is put together from: the host, the model, permissions, MCP servers, and the agent made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.api import Agent
from agent.askers import Headless
from agent.definition import builtin_agents
from agent.events import RunStarted
from agent.skills import builtin_skill_root, find_skills
from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags
from agent.surfaces.protocol.configure import Announced, build_agent, check_flags, grants_of, mcp_servers
from agent.surfaces.protocol.host import Host
from agent.surfaces.protocol.permission import HostAsker, ask_by_tool
from agent.surfaces.protocol.sdk_mcp import HostServer
from agent.surfaces.protocol.steering import SteeredModel
from agent.surfaces.protocol.wire import Json
from tools.ports import Asker
from tools.tool import Tool, ToolContext

PROTOCOL_VERSION = "2.1.330"
"""The Claude Code release whose contract this is. Hosts read it as `claude_code_version`."""

LOCAL_COMMANDS: Mapping[str, str] = {"clear": "Leave this conversation and begin a new one"}


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
        check_flags(flags)
        self.flags = flags
        self.host = host
        self.announced = Announced()
        self.grants = grants_of(flags)
        self.model = SteeredModel(flags.model or "auto", env, fallback=flags.fallback_model)
        self.servers: dict[str, HostServer] = {}
        self.agent: Agent | None = None
        self._env = env
        self._current_call = current_call
        self._interrupt = interrupt
        self._other_servers: list[Json] = []
        self._notices: tuple[str, ...] = ()

    async def ready(self) -> Agent:
        """The agent, with its servers connected."""
        if self.agent is None:
            tools, problems = await self._connect()
            agent, notices = build_agent(
                self.flags, self.announced, self.grants, model=self.model, asker=self._asker(tools), extra=tools
            )
            self._set_thinking()
            self.agent, self._notices = agent, (*problems, *notices)
        return self.agent

    def server_list(self) -> list[Json]:
        """Every MCP server with its status, for `mcp_status`."""
        return [*(server.describe() for server in self.servers.values()), *self._other_servers]

    def init_message(self, started: RunStarted) -> Json:
        """The `system/init` message of a turn. `agent` and `notices` are ours."""
        skills, _problems = find_skills([Path(started.cwd) / ".claude" / "skills", builtin_skill_root()])
        return {
            "type": "system",
            "subtype": "init",
            "apiKeySource": "ANTHROPIC_API_KEY" if self._env.get("ANTHROPIC_API_KEY") else "none",
            "claude_code_version": PROTOCOL_VERSION,
            "cwd": started.cwd,
            "tools": list(started.tools),
            "mcp_servers": [{"name": each["name"], "status": each["status"]} for each in self.server_list()],
            "model": started.model,
            "permissionMode": started.mode,
            "slash_commands": list(LOCAL_COMMANDS),
            "output_style": "default",
            "skills": sorted(skills),
            "plugins": [],
            "agents": sorted({*builtin_agents(), *self.announced.agents}),
            "agent": started.agent,
            "notices": list(dict.fromkeys([*self._notices, *started.notices])),
        }

    async def _connect(self) -> tuple[Sequence[Tool], tuple[str, ...]]:
        """Connect the host's in-process servers; those of other kinds are listed as not connected."""
        configured, problems = mcp_servers(self.flags)
        sdk = [name for name, config in configured.items() if config.get("type") == "sdk"]
        self._other_servers = [
            {"name": name, "status": "failed", "error": "Only in-process servers are connected here."}
            for name in configured
            if name not in sdk
        ]
        names = dict.fromkeys([*sdk, *self.announced.sdk_servers])
        self.servers = {name: HostServer(name, self.host) for name in names}
        await asyncio.gather(*(server.connect() for server in self.servers.values()))
        return [tool for server in self.servers.values() for tool in server.tools], problems

    def _asker(self, tools: Sequence[Tool]) -> Asker:
        wanted = self.flags.permission_prompt_tool
        if wanted is None or self.flags.permission_prompts == "none":
            return Headless()
        return HostAsker(self._door(wanted, tools), self.grants, self._current_call, self._interrupt)

    def _door(self, wanted: str, tools: Sequence[Tool]) -> Callable[[Json], Awaitable[Json]]:
        if wanted == "stdio":
            return self._ask_host
        for tool in tools:
            if tool.name == wanted:
                return ask_by_tool(tool, lambda: ToolContext.at(self.flags.directory))
        names = ", ".join(tool.name for tool in tools) or "none"
        raise UsageProblem(f"There is no permission prompt tool {wanted!r}. MCP tools here: {names}.")

    async def _ask_host(self, fields: Mapping[str, Any]) -> Json:
        await asyncio.sleep(0)  # events before the question are written before it
        return await self.host.ask("can_use_tool", **fields)

    def _set_thinking(self) -> None:
        self.model.options |= {"effort": self.flags.effort, "betas": self.flags.betas or None}
        tokens, kind = self.flags.max_thinking_tokens, self.flags.thinking
        if tokens is not None or kind == "disabled":
            self.model.think(tokens or 0)
        elif kind is not None:
            self.model.options["thinking"] = {"type": kind}
