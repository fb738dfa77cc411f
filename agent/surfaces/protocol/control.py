"""Control requests of the host: one handler a subtype, one answer a request, an error for what is not known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent.models.catalog import facts
from agent.models.choose import ModelChoiceError
from agent.models.port import ModelError
from agent.surfaces.errors import UsageProblem
from agent.surfaces.grants import GrantError
from agent.surfaces.protocol.assembly import LOCAL_COMMANDS, PROTOCOL_VERSION
from agent.surfaces.protocol.hooks import HookShapeError
from agent.surfaces.protocol.initialize import read_initialize
from agent.surfaces.protocol.session import Session
from agent.surfaces.protocol.wire import Json
from agent.turn.structured import SchemaError
from tools.tool import ToolError

Handler = Callable[[Session, Mapping[str, Any]], Awaitable[Json]]

_CHARACTERS_A_TOKEN = 4


class ControlError(Exception):
    """The request cannot be carried out; the message goes back to the host."""


_REFUSALS = (
    ControlError,
    GrantError,
    HookShapeError,
    ModelChoiceError,
    ModelError,
    SchemaError,
    ToolError,
    UsageProblem,
)
"""What a handler may raise; its text is the host's answer."""


async def answer(session: Session, frame: Mapping[str, Any]) -> None:
    """Carry out one `control_request` and write its `control_response`."""
    request_id, request = frame.get("request_id"), frame.get("request")
    response: Json = {"subtype": "success", "request_id": request_id}
    try:
        subtype = request.get("subtype") if isinstance(request, Mapping) else None
        handler = _HANDLERS.get(str(subtype))
        if handler is None or not isinstance(request, Mapping):
            raise ControlError(f"The control request {subtype!r} is not supported.")
        response["response"] = await handler(session, request)
    except _REFUSALS as error:
        response = {"subtype": "error", "request_id": request_id, "error": str(error)}
    session.wire.send({"type": "control_response", "response": response})


async def _initialize(session: Session, request: Mapping[str, Any]) -> Json:
    if session.started is not None or session.busy:
        raise ControlError("initialize has to come before the first prompt.")
    session.parts.announced = read_initialize(request, session.host)
    agents = session.parts.around.catalogue.agents
    return {
        "commands": [{"name": name, "description": text, "argumentHint": ""} for name, text in LOCAL_COMMANDS.items()],
        "agents": [{"name": a.name, "description": a.description, "model": a.model} for a in agents.values()],
        "output_style": "default",
        "available_output_styles": ["default"],
        "models": _models(),
        "account": {},
        "claude_code_version": PROTOCOL_VERSION,
        "hooks_applied": True,
        "hook_on_failure_supported": True,
    }


async def _interrupt(session: Session, request: Mapping[str, Any]) -> Json:
    cancelled = []
    if request.get("cancel_queued"):
        cancelled = [frame.get("uuid") for frame in session.frames if frame.get("uuid")]
        session.frames.clear()
    session.interrupt()
    return {
        "still_queued": [frame.get("uuid") for frame in session.frames if frame.get("uuid")],
        "cancelled": cancelled,
    }


async def _set_permission_mode(session: Session, request: Mapping[str, Any]) -> Json:
    session.parts.grants.set_mode(request.get("mode"))
    return {}


async def _set_model(session: Session, request: Mapping[str, Any]) -> Json:
    name = request.get("model")
    if name is not None and not isinstance(name, str):
        raise ControlError("model must be a text or null.")
    session.parts.model.use(None if name == "default" else name)
    return {}


async def _set_max_thinking_tokens(session: Session, request: Mapping[str, Any]) -> Json:
    tokens = request.get("max_thinking_tokens")
    if tokens is not None and not isinstance(tokens, int):
        raise ControlError("max_thinking_tokens must be a whole number or null.")
    session.parts.model.think(tokens)
    return {}


async def _mcp_status(session: Session, _request: Mapping[str, Any]) -> Json:
    return {"mcpServers": session.parts.servers.describe()}


async def _mcp_reconnect(session: Session, request: Mapping[str, Any]) -> Json:
    await session.parts.servers.reconnect(str(request.get("serverName")))
    return {}


async def _mcp_toggle(session: Session, request: Mapping[str, Any]) -> Json:
    await session.parts.servers.switch(str(request.get("serverName")), on=bool(request.get("enabled")))
    return {}


async def _get_context_usage(session: Session, _request: Mapping[str, Any]) -> Json:
    """What fills the window. The total is the server's count of the last request; parts of it are estimates."""
    model = session.parts.model.id
    known = facts(model)
    window = known.window if known else 200_000
    total = sum(value for name, value in session.last_usage.items() if name.endswith("_tokens") and value)
    prefix = session.started.prefix if session.started else {}
    system, tools = (_tokens(prefix.get(part, "")) for part in ("system", "tools"))
    parts = {"System prompt": min(system, total), "Tools": min(tools, max(total - system, 0))}
    parts["Messages"] = total - sum(parts.values())
    return {
        "categories": [{"name": name, "tokens": count, "color": "text"} for name, count in parts.items()],
        "totalTokens": total,
        "maxTokens": window,
        "rawMaxTokens": window,
        "percentage": round(100 * total / window, 1),
        "model": model,
        "isAutoCompactEnabled": known is not None and session.parts.around.settings.auto_compact.enabled,
        "memoryFiles": [],
        "mcpTools": [
            {"name": tool.name, "serverName": tool.server.config.name, "tokens": _tokens(tool.input_schema)}
            for tool in session.parts.servers.tools
        ],
        "agents": [],
        "gridRows": [],
    }


async def _rewind_files(_session: Session, _request: Mapping[str, Any]) -> Json:
    return {"canRewind": False, "error": "File checkpoints are not kept here, so nothing can be rewound."}


async def _stop_task(session: Session, request: Mapping[str, Any]) -> Json:
    if await session.stop_task(str(request.get("task_id"))):
        return {}
    raise ControlError(f"There is no running task {request.get('task_id')!r} that could be stopped.")


async def _list_models(_session: Session, _request: Mapping[str, Any]) -> Json:
    return {"models": _models()}


_HANDLERS: Mapping[str, Handler] = {
    "initialize": _initialize,
    "interrupt": _interrupt,
    "set_permission_mode": _set_permission_mode,
    "set_model": _set_model,
    "set_max_thinking_tokens": _set_max_thinking_tokens,
    "mcp_status": _mcp_status,
    "mcp_reconnect": _mcp_reconnect,
    "mcp_toggle": _mcp_toggle,
    "get_context_usage": _get_context_usage,
    "rewind_files": _rewind_files,
    "stop_task": _stop_task,
    "list_models": _list_models,
}


def _tokens(value: object) -> int:
    return len(str(value)) // _CHARACTERS_A_TOKEN


def _models() -> list[Json]:
    names = {
        "default": "What the environment gives: Claude with a key, else the embedded playbook",
        "opus": "Claude Opus",
        "sonnet": "Claude Sonnet",
        "haiku": "Claude Haiku",
        "playbook": "The embedded rules; needs no key",
    }
    return [{"value": name, "displayName": name.capitalize(), "description": text} for name, text in names.items()]
