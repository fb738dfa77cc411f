"""MCP servers that live in the host's own process: a small client whose transport is the control protocol.

Requests are `initialize`, `notifications/initialized`, `tools/list` and `tools/call` of MCP 2025-06-18.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from agent.surfaces.protocol.host import Host, HostError
from agent.surfaces.protocol.wire import Json, LineTooLongError
from tools.text import clean
from tools.tool import Effect, ToolContext, ToolError, ToolResult

PROTOCOL = "2025-06-18"
_MOST_TEXT = 100_000  # characters of one result in the conversation; about the reference client's 25,000 tokens
_MOST_DESCRIPTION = 2_048
_MOST_PAGES = 50


class McpError(Exception):
    """The server answered with an error, or not in MCP."""


@dataclass(slots=True)
class HostServer:
    """One in-process server. `status` is `pending`, `connected`, `failed` or `disabled`; `error` says why it failed."""

    name: str
    host: Host
    status: str = "pending"
    error: str | None = None
    info: Json = field(default_factory=dict)
    tools: tuple[HostTool, ...] = ()
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def connect(self) -> None:
        """Say hello and list the tools. A server that fails is marked so and holds up nothing."""
        try:
            hello = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": _client()}
            answer = await self.request("initialize", hello)
            self.info = _object(answer.get("serverInfo"))
            await self._send({"method": "notifications/initialized", "params": {}})
            self.tools = await self._list()
        except (HostError, McpError, LineTooLongError) as error:
            self.status, self.error = "failed", clean(str(error))
        else:
            self.status, self.error = "connected", None

    async def request(self, method: str, params: Mapping[str, Any]) -> Json:
        """The result of a JSON-RPC request. Raises `McpError`, `HostError` or `LineTooLongError`."""
        answer = await self._send({"id": next(self._numbers), "method": method, "params": params})
        if (error := answer.get("error")) is not None:
            raise McpError(str(error.get("message") if isinstance(error, Mapping) else error))
        result = answer.get("result")
        if not isinstance(result, dict):
            raise McpError(f"{self.name} answered {method} without a result.")
        return result

    async def _send(self, message: Json) -> Json:
        payload = await self.host.ask("mcp_message", server_name=self.name, message={"jsonrpc": "2.0", **message})
        return _object(payload.get("mcp_response"))

    async def _list(self) -> tuple[HostTool, ...]:
        found: dict[str, HostTool] = {}
        params: Json = {}
        for _page in range(_MOST_PAGES):
            page = await self.request("tools/list", params)
            entries = page.get("tools")
            for entry in entries if isinstance(entries, list) else ():
                if (tool := _tool(self, entry)) is not None:
                    found.setdefault(tool.name, tool)
            if not page.get("nextCursor"):
                break
            params = {"cursor": page["nextCursor"]}
        return tuple(found.values())

    def describe(self) -> Json:
        """The server as `mcp_status` shows it."""
        return {
            "name": self.name,
            "status": self.status,
            "config": {"type": "sdk", "name": self.name},
            "scope": "dynamic",
            "tools": [{"name": tool.remote, "description": tool.description} for tool in self.tools],
            **({"serverInfo": self.info} if self.info else {}),
            **({"error": self.error} if self.error else {}),
        }


@dataclass(frozen=True, slots=True)
class HostTool:
    """A tool of such a server, as the loop takes tools. What it does is unknown, so it may do anything."""

    server: HostServer
    remote: str
    name: str
    description: str
    input_schema: Mapping[str, Any]
    effects: frozenset[Effect] = frozenset({"runs", "network"})

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        if self.server.status != "connected":
            raise ToolError(f"The MCP server {self.server.name} is {self.server.status}. Go on without it.")
        try:
            result = await self.server.request("tools/call", {"name": self.remote, "arguments": dict(raw)})
        except (HostError, McpError, LineTooLongError) as error:
            raise ToolError(f"{self.name} failed: {clean(str(error))}") from error
        return _result(result, ctx.scratch)


def _tool(server: HostServer, entry: Any) -> HostTool | None:
    """A tool of `tools/list`; None when its name or schema cannot be offered to a model."""
    if not isinstance(entry, Mapping) or not isinstance(name := entry.get("name"), str) or not name:
        return None
    schema = entry.get("inputSchema") or {"type": "object"}
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        return None
    return HostTool(
        server=server,
        remote=name,
        name=f"mcp__{_plain(server.name)}__{_plain(name)}"[:128],
        description=clean(str(entry.get("description") or ""))[:_MOST_DESCRIPTION],
        input_schema={"type": "object", **schema},
    )


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _result(result: Mapping[str, Any], scratch: Path) -> ToolResult:
    """The result of `tools/call`: texts and images as Messages-API blocks, everything else as text."""
    content = result.get("content")
    blocks = (
        [_block(item, scratch) for item in content if isinstance(item, Mapping)] if isinstance(content, list) else []
    )
    structured = result.get("structuredContent")
    if not blocks and structured is not None:
        blocks = [_text(json.dumps(structured, ensure_ascii=False), scratch)]
    data = {"content": content or [], **({"structuredContent": structured} if structured is not None else {})}
    return ToolResult(blocks or "(no output)", is_error=bool(result.get("isError")), data=data)


def _block(item: Mapping[str, Any], scratch: Path) -> Json:
    match item.get("type"):
        case "text":
            return _text(str(item.get("text") or ""), scratch)
        case "image" if isinstance(item.get("data"), str):
            source = {"type": "base64", "media_type": item.get("mimeType") or "image/png", "data": item["data"]}
            return {"type": "image", "source": source}
        case "resource":
            resource = _object(item.get("resource"))
            return _text(str(resource.get("text") or f"[resource {resource.get('uri')}]"), scratch)
        case "resource_link":
            return _text(f"[resource {item.get('uri')}: {item.get('name') or ''}]", scratch)
        case kind:
            return _text(f"[{kind} content left out]", scratch)


def _text(text: str, scratch: Path) -> Json:
    text = clean(text)
    if len(text) > _MOST_TEXT:
        path = scratch / f"mcp-{uuid4().hex[:12]}.txt"
        path.write_text(text, encoding="utf-8")
        text = f"{text[:2_000]}\n[... {len(text):,} characters in all; Read {path} for the rest]"
    return {"type": "text", "text": text}


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _client() -> Json:
    from agent.surfaces.cli import version

    return {"name": "expert-devops", "version": version()}
