"""Claude, or any server that speaks the Messages API, over a thin transport of our own on httpx2.

No SDK is imported: that would cost a second at start. One request is one streaming POST to `/v1/messages`; nothing is
retried here (see `retry.py`). Two profiles of servers exist: `full` for the first-party API, with cache markers, effort
and beta fields, and `core` for compatible servers, which get only the fields that all of them know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from agent.models.caching import with_cache_markers
from agent.models.catalog import facts, resolve_alias
from agent.models.errors import from_event, from_response, from_transport, transport_errors
from agent.models.port import Json, ModelError, Request
from agent.models.sse import EventReader
from tools.secrets import Redactor

if TYPE_CHECKING:
    import httpx2

FIRST_PARTY = "https://api.anthropic.com"
API_VERSION = "2026-10-21"
CORE_API_VERSION = "2023-06-01"  # the one version every compatible server accepts
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 300.0
"""How long a silence may last. Pings count as life; local servers send nothing while they read a long prompt."""

Profile = Literal["full", "core"]
_CORE_OPTIONS = frozenset({"tool_choice", "stop_sequences", "metadata", "temperature", "top_p", "top_k"})
_MOST_ERROR_BYTES = 64 * 1024
_END_SECONDS = 0.5
_KEEP_SECONDS = 60.0  # tools run between two requests; a kept connection saves the handshake


class AnthropicModel:
    """The Messages API behind the `Model` port.

    `api_key` goes out as `x-api-key`, `auth_token` as a bearer token; with both, the key wins. `profile` None chooses
    by host. `Request.options` are body fields by their API names, with two exceptions: `effort` (a level, lowered to
    what the model accepts) and `betas` (names for the `anthropic-beta` header).
    """

    def __init__(
        self,
        model_id: str,
        *,
        base_url: str = FIRST_PARTY,
        api_key: str | None = None,
        auth_token: str | None = None,
        headers: Mapping[str, str] | None = None,
        profile: Profile | None = None,
        connect_timeout: float = CONNECT_SECONDS,
        idle_timeout: float = IDLE_SECONDS,
    ) -> None:
        self.id = model_id
        self._root = _root(base_url)
        self._profile: Profile = profile or ("full" if self._root == FIRST_PARTY else "core")
        self._headers = _headers(api_key, auth_token, headers or {}, self._profile)
        self._redactor = Redactor(_secrets(api_key, auth_token, headers or {}))
        self._timeouts = (connect_timeout, idle_timeout)
        self._client: httpx2.AsyncClient | None = None

    @classmethod
    def from_environment(
        cls, env: Mapping[str, str], model: str | None = None, *, inherit: str | None = None
    ) -> AnthropicModel:
        """The model that the usual variables describe. Raises `ModelError("authentication")` when no key is set.

        `ANTHROPIC_API_KEY` before `ANTHROPIC_AUTH_TOKEN`; `ANTHROPIC_BASE_URL` (no key needed for a compatible server);
        `ANTHROPIC_CUSTOM_HEADERS` with one `Name: value` a line; `ANTHROPIC_MODEL`; `API_TIMEOUT_MS` for the longest
        silence; `EXPERT_DEVOPS_ENDPOINT` = `full` for a gateway in front of the first-party API, or `core`.
        """
        base_url = env.get("ANTHROPIC_BASE_URL", "").strip() or FIRST_PARTY
        api_key, token = (env.get(name, "").strip() or None for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))
        if not api_key and not token and _root(base_url) == FIRST_PARTY:
            raise ModelError("authentication", "No key: set ANTHROPIC_API_KEY, or ANTHROPIC_AUTH_TOKEN.")
        return cls(
            resolve_alias(model, env, inherit=inherit),
            base_url=base_url,
            api_key=api_key,
            auth_token=token,
            headers=_custom_headers(env.get("ANTHROPIC_CUSTOM_HEADERS", "")),
            profile=_profile(env.get("EXPERT_DEVOPS_ENDPOINT", "")),
            idle_timeout=_seconds(env.get("API_TIMEOUT_MS", "")),
        )

    def __repr__(self) -> str:
        return f"<AnthropicModel {self.id} at {self._root}>"

    async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        """Events as the API sends them, without pings; `message_start` also carries the `request_id`.

        Raises `ModelError`; its `partial` is true once the message had begun.
        """
        begun = False
        request_id = None
        try:
            async with self._post(request) as response, aclosing(response.aiter_bytes()) as chunks:
                request_id = response.headers.get("request-id")
                reader = EventReader()
                async for chunk in chunks:
                    for event in reader.feed(chunk):
                        kind = event["type"]
                        if kind == "error":
                            raise from_event(event, request_id, redactor=self._redactor, partial=begun)
                        if kind == "message_start":
                            begun = True
                            event["request_id"] = request_id
                        if kind == "message_stop":
                            await _read_to_end(chunks)
                        if kind != "ping":
                            yield event
                        if kind == "message_stop":
                            return
        except transport_errors() as error:
            # Without the cause: its text and its request may hold the key.
            raise from_transport(
                error, self._root, redactor=self._redactor, partial=begun, request_id=request_id
            ) from None
        reason = "The answer ended before it was complete." if begun else "The server answered 200 without an answer."
        raise ModelError("stream_cut", reason, status=200, retryable=True, request_id=request_id, partial=begun)

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def _post(self, request: Request) -> AsyncIterator[httpx2.Response]:
        """Send, and give the response once it is known to be an event stream."""
        client = self._http()
        body = encode(build_body(self.id, request, self._profile))
        message = client.build_request("POST", f"{self._root}/v1/messages", content=body, headers=self._betas(request))
        response = await client.send(message, stream=True)
        try:
            if response.status_code != 200:
                raise await self._refusal(response)
            kind = response.headers.get("content-type", "")
            if "event-stream" not in kind:
                reason = f"{self._root} answered with {kind[:80] or 'nothing'}, not with an event stream."
                raise ModelError("not_found", reason, status=200)
            yield response
        finally:
            await response.aclose()

    def _http(self) -> httpx2.AsyncClient:
        if self._client is None:
            import httpx2

            connect, idle = self._timeouts
            self._client = httpx2.AsyncClient(
                headers=self._headers,
                timeout=httpx2.Timeout(idle, connect=connect),
                limits=httpx2.Limits(keepalive_expiry=_KEEP_SECONDS),
                follow_redirects=False,  # a redirect to another host would take the key along
            )
        return self._client

    def _betas(self, request: Request) -> dict[str, str]:
        """The beta header of one request: the names that always apply and those asked for."""
        names = [*self._headers.get("anthropic-beta", "").split(","), *request.options.get("betas", ())]
        joined = ",".join(dict.fromkeys(name.strip() for name in names if name.strip()))
        return {"anthropic-beta": joined} if joined and self._profile == "full" else {}

    async def _refusal(self, response: httpx2.Response) -> ModelError:
        body = b""
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) >= _MOST_ERROR_BYTES:
                    break
        if response.is_redirect:
            body = f"redirected to {response.headers['location']}; requests go to one host only".encode()
        return from_response(
            response.status_code,
            response.headers,
            body,
            redactor=self._redactor,
            strict_429=self._profile == "full",
        )


async def _read_to_end(chunks: AsyncIterator[bytes]) -> None:
    """Read what is left, so that the connection can be used again; a server that does not end it is left alone."""
    with suppress(TimeoutError, *transport_errors()):
        async with asyncio.timeout(_END_SECONDS):
            async for _ in chunks:
                pass


def build_body(model_id: str, request: Request, profile: Profile) -> Json:
    """The body of POST /v1/messages. Order of fields and blocks is fixed: equal requests give equal bytes."""
    options = {k: v for k, v in request.options.items() if k not in {"betas", "effort"} and v is not None}
    known = facts(model_id)
    system, tools, messages = list(request.system), list(request.tools), list(request.messages)
    if profile == "full":
        if "cache_control" not in options:
            system, tools, messages = with_cache_markers(system, tools, messages)
        effort = _effort(request.options.get("effort"), known.effort if known else None)
        if effort:
            options["output_config"] = {"effort": effort, **options.get("output_config", {})}
    else:
        options = {key: value for key, value in options.items() if key in _CORE_OPTIONS}
    body: Json = {
        "model": model_id,
        "max_tokens": min(request.max_tokens, known.max_output) if known else request.max_tokens,
        "stream": True,
    }
    return (
        body
        | ({"tools": tools} if tools else {})
        | ({"system": system} if system else {})
        | {"messages": messages}
        | options
    )


def encode(body: Mapping[str, Any]) -> bytes:
    """JSON bytes. Lone surrogates, which tool output can hold, become `?`: the API refuses them."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _effort(wanted: str | None, levels: tuple[str, ...] | None) -> str | None:
    """The level to send: `wanted`, or the highest accepted one below it; an unknown model gets what was asked for."""
    if wanted is None or levels is None or wanted in levels:
        return wanted
    ladder = ("low", "medium", "high", "xhigh", "max")
    below = ladder[: ladder.index(wanted)] if wanted in ladder else ()
    return next((level for level in reversed(below) if level in levels), None)


def _root(base_url: str) -> str:
    root = base_url.strip().rstrip("/").removesuffix("/v1")
    parts = urlsplit(root)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise ModelError(
            "invalid_request", "ANTHROPIC_BASE_URL must look like https://host, without user and password."
        )
    return root


def _headers(
    api_key: str | None, auth_token: str | None, custom: Mapping[str, str], profile: Profile
) -> dict[str, str]:
    headers = {
        "anthropic-version": API_VERSION if profile == "full" else CORE_API_VERSION,
        "content-type": "application/json",
        "accept": "text/event-stream",
        "user-agent": "expert-devops",
    }
    if api_key:
        headers["x-api-key"] = api_key
    elif auth_token:
        headers["authorization"] = f"Bearer {auth_token}"
        if auth_token.startswith("sk-ant-oat"):
            headers["anthropic-beta"] = "oauth-2025-04-20"
    headers |= {name.lower(): value for name, value in custom.items()}
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable():
            raise ModelError(
                "authentication", f"The value for the header {name!r} holds characters no header may hold."
            )
    return headers


def _secrets(api_key: str | None, auth_token: str | None, custom: Mapping[str, str]) -> list[str]:
    return [value for value in (api_key, auth_token, *custom.values()) if value]


def _custom_headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def _profile(value: str) -> Profile | None:
    if value not in {"", "full", "core"}:
        raise ModelError("invalid_request", f"EXPERT_DEVOPS_ENDPOINT must be full or core, not {value!r}.")
    return value or None  # type: ignore[return-value]  # narrowed above


def _seconds(milliseconds: str) -> float:
    try:
        seconds = float(milliseconds) / 1000 if milliseconds else IDLE_SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ModelError("invalid_request", f"API_TIMEOUT_MS must be a number of milliseconds, not {milliseconds!r}.")
    return seconds
