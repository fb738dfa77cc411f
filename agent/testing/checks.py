"""What the Messages API refuses: the shape of one request. Each problem reads like the API's own message.

Source: the Messages API reference of version 2026-10-21.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.models.catalog import facts
from agent.models.port import Json

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_REQUIRED = {"model": str, "max_tokens": int, "messages": list}
_FIELDS = frozenset(
    {"model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream", "stop_sequences", "metadata"}
    | {"thinking", "output_config", "cache_control", "context_management", "compaction", "service_tier", "speed"}
    | {"inference_geo", "container", "mcp_servers", "fallbacks", "fallback_credit_token", "diagnostics", "thread"}
)
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
MAX_MARKERS = 4
_THINKING = frozenset({"thinking", "redacted_thinking"})


def problems_of(body: Any, headers: Mapping[str, str], *, paused: bool = False) -> list[str]:
    """Everything wrong with a request. `headers` have lower-case names; `paused`: it continues a paused turn."""
    if not isinstance(body, dict):
        return ["body: must be a JSON object"]
    problems = [*_headers(headers), *_fields(body), *_shapes(body)]
    if problems:
        return problems
    messages = body["messages"]
    problems = [*_tools(body.get("tools", [])), *_system(body.get("system", [])), *_roles(messages, paused)]
    for at, message in enumerate(messages):
        problems += _content(at, message, last=at == len(messages) - 1)
    if not problems:
        problems = [*_pairing(messages), *_model_rules(body)]
    if (markers := _markers(body)) > MAX_MARKERS:
        problems.append(f"A maximum of {MAX_MARKERS} blocks with cache_control may be provided. Found {markers}.")
    return problems


def _headers(headers: Mapping[str, str]) -> Iterator[str]:
    if "anthropic-version" not in headers:
        yield "anthropic-version: header is required"
    if not headers.get("content-type", "").startswith("application/json"):
        yield "content-type: must be application/json"
    if "x-api-key" in headers and "authorization" in headers:
        yield "authorization: not together with x-api-key"


def _fields(body: Mapping[str, Any]) -> Iterator[str]:
    for name, kind in _REQUIRED.items():
        if name not in body:
            yield f"{name}: Field required"
        elif not isinstance(body[name], kind) or isinstance(body[name], bool):
            yield f"{name}: Input should be a valid {kind.__name__}"
        elif not body[name]:
            yield f"{name}: may not be empty or zero"
    for name in body:
        if name not in _FIELDS:
            yield f"{name}: Extra inputs are not permitted"


def _shapes(body: Mapping[str, Any]) -> Iterator[str]:
    """Whether everything the later checks look into is an object or a list of typed blocks."""
    for name in ("tool_choice", "output_config", "thinking", "metadata"):
        if not isinstance(body.get(name, {}), dict):
            yield f"{name}: Input should be a valid dictionary"
    if not _objects(body.get("tools", [])):
        yield "tools: Input should be a valid list of objects"
    if not isinstance(body.get("system", ""), str) and not _objects(body["system"]):
        yield "system: Input should be a valid string or list of blocks"
    messages = body.get("messages")
    for at, message in enumerate(messages if isinstance(messages, list) else ()):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
            yield f"messages.{at}.role: Input should be 'user', 'assistant' or 'system'"
        elif not isinstance(message.get("content"), str) and not _objects(message.get("content"), typed=True):
            yield f"messages.{at}.content: Input should be a valid string or list of blocks with a type"


def _objects(value: Any, *, typed: bool = False) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and (not typed or isinstance(item.get("type"), str)) for item in value
    )


def _tools(tools: Any) -> Iterator[str]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    names = set()
    for at, tool in enumerate(tools):
        name = str(tool.get("name", ""))
        if not _TOOL_NAME.fullmatch(name):
            yield f"tools.{at}.name: {name!r} does not match {_TOOL_NAME.pattern}"
        if name in names:
            yield f"tools: Tool names must be unique, {name!r} is not"
        names.add(name)
        if "type" in tool and tool["type"] != "custom":
            continue  # a server tool or one with a built-in schema
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            yield f"tools.{at}.input_schema.type: Field required, must be 'object'"
            continue
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            yield f"tools.{at}.input_schema: JSON schema is invalid: {error.message}"


def _system(system: Any) -> Iterator[str]:
    if isinstance(system, str):
        return
    for at, block in enumerate(system):
        if block.get("type") != "text":
            yield f"system.{at}: only text blocks are allowed"
        elif not block.get("text"):
            yield f"system.{at}: text content blocks must be non-empty"


def _roles(messages: Sequence[Json], paused: bool) -> Iterator[str]:
    roles = [message["role"] for message in messages]
    if roles[0] != "user":
        yield "messages.0.role: the first message must be a user message"
    for at in (at for at, role in enumerate(roles) if role == "system"):
        if at + 1 < len(roles) and roles[at + 1] != "assistant":
            yield f"messages.{at}: a system message must be last or be followed by an assistant message"
    if roles[-1] == "assistant" and not paused:
        yield "messages: the conversation must end with a user message; prefill is not supported by this model"


def _content(at: int, message: Json, *, last: bool) -> Iterator[str]:
    content = message["content"]
    if not content and not (last and message["role"] == "assistant"):
        yield f"messages.{at}.content: must not be empty"
    if not content:
        return
    for number, block in enumerate(content if isinstance(content, list) else ()):
        where = f"messages.{at}.content.{number}"
        if block["type"] == "text" and not block.get("text"):
            yield f"{where}: text content blocks must be non-empty"
        elif block["type"] == "text" and message["role"] == "user" and block.get("citations"):
            yield f"{where}.citations: not allowed in a user message"
        elif block["type"] == "document" and message["role"] == "assistant":
            yield f"{where}: a document is not allowed in an assistant message"
        elif block["type"] == "tool_use" and not (_filled(block, "id") and _filled(block, "name")):
            yield f"{where}: tool_use needs id and name"
        elif block["type"] == "tool_use" and not isinstance(block.get("input"), dict):
            yield f"{where}.input: Input should be a valid dictionary"
        elif block["type"] == "tool_result" and not _filled(block, "tool_use_id"):
            yield f"{where}.tool_use_id: Field required"
    if message["role"] == "assistant" and isinstance(content, list) and content[-1]["type"] in _THINKING:
        yield f"messages.{at}: the final block in an assistant message cannot be `thinking`"


def _filled(block: Mapping[str, Any], name: str) -> bool:
    return isinstance(block.get(name), str) and bool(block[name])


def _pairing(messages: Sequence[Json]) -> Iterator[str]:
    """Every call is answered once, at the start of the next message, and nothing else is answered."""
    waiting: list[str] = []
    for at, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else []
        types = [block["type"] for block in blocks]
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        missing = [call for call in waiting if call not in answered]
        if missing:
            yield (
                f"messages.{at - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                + ", ".join(missing)
            )
        for result in answered:
            if result not in waiting:
                yield f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {result}"
        if len(answered) != len(set(answered)):
            yield f"messages.{at}: each tool_use must have a single result"
        if answered and types[: len(answered)] != ["tool_result"] * len(answered):
            yield f"messages.{at}: `tool_result` blocks must come first"
        if answered and message["role"] != "user":
            yield f"messages.{at}: `tool_result` blocks are allowed in user messages only"
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if waiting and message["role"] != "assistant":
            yield f"messages.{at}: `tool_use` blocks are allowed in assistant messages only"
    if waiting:
        yield (
            f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            + ", ".join(waiting)
        )


def _model_rules(body: Mapping[str, Any]) -> Iterator[str]:
    known = facts(body["model"])
    choice = (body.get("tool_choice") or {}).get("type")
    effort = (body.get("output_config") or {}).get("effort")
    kind = (body.get("thinking") or {}).get("type")
    if effort is not None and effort not in (known.effort if known else _EFFORTS):
        yield f"output_config.effort: {effort!r} is not supported by this model"
    if known is None:
        return
    if body["max_tokens"] > known.max_output:
        yield f"max_tokens: {body['max_tokens']} > {known.max_output}, the maximum of this model"
    if choice in ("any", "tool") and not known.forced_tool_choice:
        yield f"tool_choice: {choice!r} is not supported by this model"
    if kind is not None and kind not in known.thinking:
        yield f"thinking.type: {kind!r} is not supported by this model"
    if not known.system_messages and any(message["role"] == "system" for message in body["messages"]):
        yield "messages: role 'system' is not supported on this model"


def _markers(body: Mapping[str, Any]) -> int:
    system = body.get("system") or []
    parts: list[Any] = [body, *(system if isinstance(system, list) else []), *(body.get("tools") or [])]
    for message in body["messages"]:
        if isinstance(message["content"], list):
            parts += message["content"]
    return sum(1 for part in parts if part.get("cache_control"))
