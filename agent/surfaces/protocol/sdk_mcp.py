"""MCP servers that live in the host's own process, beside those of the configuration.

A `HostServer` is a server like any other; only its connection differs: requests go through the control protocol, so no
MCP library is needed. Spoken are `initialize`, `notifications/initialized`, `tools/list` and `tools/call`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.knowledge.names import fold, select_tools
from agent.mcp.client import McpTool, Server, Servers
from agent.mcp.config import ServerConfig, server_name
from agent.mcp.connection import Connection, ToolSpec
from agent.mcp.pins import Pins, hash_of
from agent.surfaces.protocol.host import Host, HostError
from agent.surfaces.protocol.wire import Json, LineTooLongError
from tools.resources import version
from tools.text import clean
from tools.tool import ToolContext, ToolError

PROTOCOL = "2025-06-18"
_MOST_DESCRIPTION = 2_048
_MOST_PAGES = 50


class McpError(Exception):
    """The server answered with an error, or not in MCP."""


class HostConnection(Connection):
    """The way to one in-process server. `remote` is its name as the host knows it."""

    def __init__(self, config: ServerConfig, root: Path, host: Host, remote: str) -> None:
        super().__init__(config, root)
        self.remote = remote
        self._host = host
        self._numbers = itertools.count(1)

    async def open(self, seconds: float) -> None:
        """Say hello and list the tools within `seconds`. Never raises; see `status`."""
        try:
            async with asyncio.timeout(seconds):
                hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": _client()}
                self.info = _object((await self._request("initialize", hello)).get("serverInfo"))
                await self._send({"method": "notifications/initialized", "params": {}})
                self.listed = await self._tools()
        except (HostError, McpError, LineTooLongError) as error:
            self.status, self.error = "failed", clean(str(error))
        except TimeoutError:
            self.status, self.error = "failed", f"It did not answer within {seconds:g} seconds."
        else:
            self.status, self.error = "connected", None

    async def call(self, ctx: ToolContext, name: str, arguments: Mapping[str, Any], seconds: float) -> Json:  # noqa: ARG002 - the host may be asking a person, so there is no time limit
        """`tools/call`. Raises `ToolError`."""
        try:
            return await self._request("tools/call", {"name": name, "arguments": dict(arguments)})
        except (HostError, McpError, LineTooLongError) as error:
            raise ToolError(f"{name} of {self.config.name} failed: {clean(str(error))}") from error

    async def _tools(self) -> tuple[ToolSpec, ...]:
        found: list[ToolSpec] = []
        params: Json = {}
        for _page in range(_MOST_PAGES):
            page = await self._request("tools/list", params)
            entries = page.get("tools")
            specs = [_spec(entry) for entry in entries] if isinstance(entries, list) else []
            found += [spec for spec in specs if spec is not None]
            if not page.get("nextCursor"):
                break
            params = {"cursor": page["nextCursor"]}
        return tuple(found)

    async def _request(self, method: str, params: Mapping[str, Any]) -> Json:
        answer = await self._send({"id": next(self._numbers), "method": method, "params": params})
        if (error := answer.get("error")) is not None:
            raise McpError(str(error.get("message") if isinstance(error, Mapping) else error))
        result = answer.get("result")
        if not isinstance(result, dict):
            raise McpError(f"{method} was answered without a result.")
        return result

    async def _send(self, message: Json) -> Json:
        payload = await self._host.ask("mcp_message", server_name=self.remote, message={"jsonrpc": "2.0", **message})
        return _object(payload.get("mcp_response"))


class HostServer(Server):
    """One in-process server. The host vouches for it, so its tools are not compared with what was approved before."""

    def __init__(self, name: str, host: Host, root: Path, env: Mapping[str, str]) -> None:
        config = ServerConfig(name=server_name(name), scope="flag", where="the host", digest="")
        super().__init__(config, root, env, Pins(), "en")
        self._connection = HostConnection(config, root, host, name)
        self.enabled = True

    async def call(self, ctx: ToolContext, spec: ToolSpec, raw: Mapping[str, Any]) -> Json:
        if not self.enabled:
            raise ToolError(f"The MCP server {self.config.name} is switched off. Go on without it.")
        return await super().call(ctx, spec, raw)

    def describe(self) -> Json:
        status = {} if self.enabled else {"status": "disabled"}
        return super().describe() | {"config": {"type": "sdk", "name": self.config.name}, "scope": "dynamic"} | status

    def _check_pins(self) -> None:
        """Nothing to compare."""

    def _approve(self, spec: ToolSpec) -> None:
        """Nothing to record."""


class SessionServers(Servers):
    """All servers of a session: configured ones, and `hosts`. Tools that `removed` names are not offered."""

    def __init__(
        self,
        configs: Sequence[ServerConfig],
        hosts: Sequence[HostServer],
        *,
        removed: Sequence[str],
        root: Path,
        env: Mapping[str, str],
    ) -> None:
        super().__init__(configs, root=root, env=env)
        self.hosts = {fold(server.config.name): server for server in hosts}
        self._removed = removed

    @property
    def everyone(self) -> Sequence[Server]:
        return (*super().everyone, *self.hosts.values())

    @property
    def tools(self) -> tuple[McpTool, ...]:
        offered = {tool.name: tool for server in self.hosts.values() for tool in server.tools}
        offered |= {tool.name: tool for tool in super().tools}
        return tuple(offered[name] for name in select_tools(offered, None, self._removed).names)

    def describe(self) -> list[Json]:
        return [*(server.describe() for server in self.hosts.values()), *super().describe()]

    async def reconnect(self, name: str) -> None:
        """Connect a server again where it is not. Raises `ToolError` when there is none or it fails."""
        host = self.hosts.get(fold(name))
        if host is None:
            await self.connection(name)
            return
        host.enabled = True
        await host.connected()

    async def switch(self, name: str, *, on: bool) -> None:
        """Switch an in-process server off or on; its tools stay in the frozen prefix. Raises `ToolError`."""
        host = self.hosts.get(fold(name))
        if host is None:
            raise ToolError(f"There is no in-process MCP server {name!r}; only those can be switched.")
        host.enabled = on


def _spec(entry: Any) -> ToolSpec | None:
    """A tool of `tools/list`; None when its name or schema cannot be offered to a model."""
    if not isinstance(entry, Mapping) or not isinstance(name := entry.get("name"), str) or not name:
        return None
    schema = entry.get("inputSchema") or {}
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        return None
    schema = {"type": "object", **schema}
    description = clean(str(entry.get("description") or ""))[:_MOST_DESCRIPTION]
    read_only = _object(entry.get("annotations")).get("readOnlyHint") is True
    return ToolSpec(name, description, schema, hash_of(name, description, schema), read_only, always_ask=False)


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _client() -> Json:
    return {"name": "expert-devops", "version": version()}
