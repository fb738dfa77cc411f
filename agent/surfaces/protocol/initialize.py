"""The `initialize` request: what a host says about the session before its first prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.surfaces.protocol.hooks import host_hooks
from agent.surfaces.protocol.host import Host
from agent.surfaces.setup import Announced
from agent.turn.structured import OutputSchema


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


def _prompt_text(value: Any) -> str | None:
    """A prompt as a text, or as a list of texts and text blocks."""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in value]
        value = "\n\n".join(part for part in parts if isinstance(part, str))
    return value if isinstance(value, str) and value else None
