"""MCP servers a run uses: started together, offered as tools, asked one call at a time.

    servers = Servers(found.configs, root=cwd)
    await servers.start()     # a bad one is `failed` with the reason, a slow one `pending`
    servers.tools             # `Tool`s named mcp__SERVER__TOOL
    await servers.aclose()

Nothing a server does ends or blocks a run, and nothing it says is believed: names are normalised, texts cleaned, marked
and capped, tools pinned by hash, its environment is the short one that all child processes get plus its own variables.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.knowledge.names import fold
from agent.mcp.config import ServerConfig
from agent.mcp.connection import Connection, Status, ToolSpec
from agent.mcp.content import tool_result
from agent.mcp.forms import Language
from agent.mcp.pins import Pins
from tools.text import clean
from tools.tool import Effect, ToolContext, ToolError, ToolResult

Json = dict[str, Any]

_START_SECONDS = 30.0
_PATIENCE = 5.0  # seconds that a run waits for its servers; what starts later serves later conversations
_CALL_SECONDS = 600.0
_CHARACTERS_PER_TOKEN = 4
_OUTPUT_TOKENS = 25_000
_MOST_NAME = 128  # what the Messages API takes
_MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class McpTool:
    """A server's tool, as the loop takes tools. `spec` is what the server said when the run began."""

    server: Server
    spec: ToolSpec
    name: str

    @property
    def description(self) -> str:
        return self.spec.description

    @property
    def input_schema(self) -> Mapping[str, Any]:
        return self.spec.schema

    @property
    def effects(self) -> frozenset[Effect]:
        """A server's word that a tool only reads decides how it may run beside others, never whether it may run."""
        return frozenset({"network"}) if self.spec.read_only else frozenset({"runs", "network"})

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        result = await self.server.call(ctx, self.spec, raw)
        return tool_result(result, self.name, ctx.scratch, self.server.output_limit)


class Server:
    """One server of a run: its connection, its tools, and what is wrong with it."""

    def __init__(
        self, config: ServerConfig, root: Path, env: Mapping[str, str], pins: Pins, language: Language
    ) -> None:
        self.config = config
        self.tools: tuple[McpTool, ...] = ()
        self.notices: list[str] = []
        self.ask: set[str] = set()
        self.output_limit = _number(env, "MAX_MCP_OUTPUT_TOKENS", _OUTPUT_TOKENS) * _CHARACTERS_PER_TOKEN
        self._start_seconds = _number(env, "MCP_TIMEOUT", round(_START_SECONDS * 1000)) / 1000
        default = _number(env, "MCP_TOOL_TIMEOUT", round(_CALL_SECONDS * 1000)) / 1000
        self._call_seconds = config.timeout or default
        self._pins = pins
        self._connection = Connection(config, root, language)
        self._attempts = 0
        self._begun = False
        self._door = asyncio.Lock()

    @property
    def status(self) -> Status:
        return self._connection.status

    @property
    def error(self) -> str | None:
        return self._connection.error

    async def start(self) -> None:
        """Connect and list the tools, once. Never raises; the outcome is `status` and `error`."""
        if self._begun:
            return
        self._begun = True
        async with self._door:
            await self._connect()
        if self.status == "connected":
            self.tools = tuple(self._offered())
            self._check_pins()

    async def call(self, ctx: ToolContext, spec: ToolSpec, raw: Mapping[str, Any]) -> Json:
        """The JSON result of a call. Raises `ToolError`, or `NeedsInput` when the server asked and nobody answers."""
        await self.connected()
        now = next((each for each in self._connection.listed if each.name == spec.name), None)
        if now is None or now.hash != spec.hash:
            raise ToolError(
                f"The MCP server {self.config.name} changed or removed its tool {spec.name!r} since this run began. "
                "It is not called; go on without it."
            )
        self._approve(spec)
        return await self._connection.call(ctx, spec.name, raw, self._call_seconds)

    async def connected(self) -> Connection:
        """The connection, opened again when it was lost. Raises `ToolError` when that fails too."""
        async with self._door:
            if self.status == "connected":
                await self._connection.refresh(self._start_seconds)
            if self.status != "connected" and self._attempts < _MOST_ATTEMPTS:
                await self._connect()
            if self.status != "connected":
                raise ToolError(f"The MCP server {self.config.name} is not available: {self.error} Go on without it.")
            return self._connection

    async def _connect(self) -> None:
        self._attempts += 1
        await self._connection.open(self._start_seconds)
        if self.status == "connected":
            self._attempts = 0

    def _offered(self) -> list[McpTool]:
        taken: dict[str, McpTool] = {}
        for spec in self._connection.listed:
            name = f"mcp__{self.config.name}__{_plain(spec.name)}"
            if len(name) > _MOST_NAME or fold(name) in taken:
                self.notices.append(
                    f"MCP server {self.config.name}: its tool {spec.name[:80]!r} has no name of its own."
                )
            else:
                taken[fold(name)] = McpTool(self, spec, name)
        self.notices += self._connection.left_out
        return list(taken.values())

    def _check_pins(self) -> None:
        """Compare with what was approved. A server seen for the first time is recorded as it is."""
        known = self._pins.known(self.config.digest)
        if known is None:
            self._record({tool.spec.name: tool.spec.hash for tool in self.tools})
            return
        for tool in self.tools:
            before = known.get(tool.spec.name)
            if before != tool.spec.hash:
                self.ask.add(tool.name)
                what = "is new" if before is None else "was changed by its server"
                self.notices.append(f"The MCP tool {tool.name} {what} since it was last approved; it asks again.")
        self.ask |= {tool.name for tool in self.tools if tool.spec.always_ask}

    def _approve(self, spec: ToolSpec) -> None:
        """A call that got here was permitted: from now on this is how the tool looks."""
        if (self._pins.known(self.config.digest) or {}).get(spec.name) != spec.hash:
            self._record({spec.name: spec.hash})

    def _record(self, hashes: Mapping[str, str]) -> None:
        try:
            self._pins.record(self.config.digest, hashes)
        except OSError as error:
            self.notices.append(f"What MCP tools look like cannot be recorded: {error.strerror}; changes go unnoticed.")

    def describe(self) -> Json:
        """The server as `mcp_status` shows it. No header, variable, argument or query: they may hold secrets."""
        shown: Json = {"type": self.config.kind}
        url = (self.config.url or "").partition("?")[0]
        shown |= {"url": url} if url else {"command": self.config.command}
        return {
            "name": self.config.name,
            "status": self.status,
            "config": shown,
            "scope": self.config.scope,
            "tools": [{"name": tool.spec.name, "description": tool.description} for tool in self.tools],
            **({"serverInfo": self._connection.info} if self._connection.info else {}),
            **({"error": self.error} if self.error else {}),
        }

    async def aclose(self) -> None:
        await self._connection.aclose()


class Servers:
    """All servers of a run. `env` is read for MCP_TIMEOUT, MCP_TOOL_TIMEOUT (ms) and MAX_MCP_OUTPUT_TOKENS."""

    def __init__(
        self,
        configs: Sequence[ServerConfig],
        *,
        root: Path,
        env: Mapping[str, str] | None = None,
        pins: Pins | None = None,
        language: Language = "en",
    ) -> None:
        env, pins = os.environ if env is None else env, pins or Pins()
        self.all = {config.name: Server(config, root, env, pins, language) for config in configs}
        self._patience = None if _number(env, "MCP_TIMEOUT", 0) else _PATIENCE  # who sets it waits for servers as long
        self._starting: list[asyncio.Task[None]] = []

    @property
    def everyone(self) -> Sequence[Server]:
        """Every server, wherever it comes from."""
        return tuple(self.all.values())

    async def start(self) -> None:
        """Start all at once, and wait until each has connected or failed, or patience ends: the rest goes on starting
        behind the run. Safe to call for each run: what a server offers stays as it was first listed, since a
        conversation's tools may not change.
        """
        if not self._starting:
            self._starting = [asyncio.create_task(server.start()) for server in self.everyone]
            if self._starting:
                await asyncio.wait(self._starting, timeout=self._patience)

    @property
    def tools(self) -> tuple[McpTool, ...]:
        """The tools of all connected servers."""
        return tuple(tool for server in self.all.values() for tool in server.tools)

    @property
    def notices(self) -> list[str]:
        """What a person should be told: servers that failed, tools that changed."""
        failed = [f"MCP server {s.config.name} failed: {s.error}" for s in self.everyone if s.status == "failed"]
        late = [
            f"MCP server {s.config.name} is still starting (pending); this conversation goes on without its tools. "
            "To wait longer, set MCP_TIMEOUT to as many milliseconds."
            for s in self.everyone
            if s.status == "pending"
        ]
        return [*failed, *late, *(notice for server in self.everyone for notice in server.notices)]

    @property
    def ask(self) -> frozenset[str]:
        """Tools whose calls need a person, or a rule that names exactly them (`PermissionEngine(exact=...)`)."""
        return frozenset(name for server in self.all.values() for name in server.ask)

    def describe(self) -> list[Json]:
        """Every server with its status."""
        return [server.describe() for server in self.all.values()]

    async def connection(self, name: str) -> Connection:
        """The connection of a server by name, `-` and `_` equal. Raises `ToolError`."""
        server = next((each for key, each in self.all.items() if fold(key) == fold(name)), None)
        if server is None:
            raise ToolError(f"There is no MCP server {clean(name)[:60]!r}. There are: {', '.join(self.all) or 'none'}.")
        return await server.connected()

    async def aclose(self) -> None:
        """Stop all servers, also those that still start. Safe to call twice."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(server.aclose() for server in self.all.values()))


def _plain(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in name)


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    """A positive whole number from the environment; anything else takes the default."""
    text = env.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 10**9 else default
