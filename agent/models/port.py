"""A model is anything that answers a request with Messages-API stream events.

`anthropic` (over the wire), `playbook` (rules) and `replay` (scripted turns) are peers behind `Model`; the loop cannot
tell them apart. Failures come as `ModelError`, sorted by what the caller can do about them:

    ModelError
    +-- retryable        `retryable` is true; `retry_after` in seconds where the server named one
    +-- not retryable    wrong key, wrong request, spent budget, unknown model: the message says what to change
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Json = dict[str, Any]
Message = Json
"""One Messages-API message: `{"role", "content"}` with content a string or a list of blocks, kept verbatim."""

ErrorKind = Literal[
    "authentication",
    "permission",
    "billing",
    "spend_limit",
    "invalid_request",
    "too_large",
    "context_too_long",
    "not_found",
    "rate_limit",
    "overloaded",
    "server",
    "timeout",
    "connection",
    "stream_cut",
    "unknown",
]

ERROR_NAMES: Mapping[str, str] = {
    "authentication": "authentication_failed",
    "permission": "authentication_failed",
    "billing": "billing_error",
    "spend_limit": "billing_error",
    "invalid_request": "invalid_request",
    "too_large": "invalid_request",
    "context_too_long": "invalid_request",
    "not_found": "model_not_found",
    "rate_limit": "rate_limit",
    "overloaded": "overloaded",
    "server": "server_error",
    "timeout": "server_error",
    "connection": "server_error",
    "stream_cut": "server_error",
}
"""Kinds of `ModelError` -> the names that hosts and hooks of Claude Code's contract know."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `system` and `tools` stay byte-identical for a whole conversation; `messages` only grows."""

    messages: Sequence[Message]
    system: Sequence[Json] = ()
    tools: Sequence[Json] = ()
    max_tokens: int = 32_000
    options: Mapping[str, Any] = field(default_factory=dict)


class Model(Protocol):
    """The port. `stream` yields the events of one message: message_start ... message_stop."""

    @property
    def id(self) -> str:
        """The model id shown to people and used for prices."""
        ...

    def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        """Events of one answer, parsed JSON as the API sends it. Raises `ModelError`. Does not retry.

        A transport may leave pings out and add `request_id` to `message_start`.
        """
        ...

    async def aclose(self) -> None:
        """Free connections. Safe to call twice."""
        ...


class ModelError(Exception):
    """A request failed. `status` is the HTTP status (None without one); `partial` is true once output had begun."""

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
        partial: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.message = message
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.request_id = request_id
        self.partial = partial
