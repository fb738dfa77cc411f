"""One answer, however many attempts it takes.

    response = await respond(model, request, on_event=show, on_retry=tell)

A broken answer is never continued: the whole request is sent again and what had arrived is void. `on_retry` says so
with `discarded`, so that a surface can take back what it has shown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.models.port import Message, Model, ModelError, Request
from agent.models.stream import MessageBuilder


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer.

    `message` is the whole Messages-API message (`content`, `stop_reason`, `stop_details`, `model`, ...). `malformed`
    holds, by position in `content`, tool inputs that were no JSON object; nothing may be run for them. `seconds` is
    the time of the attempt that succeeded.
    """

    message: Message
    malformed: Mapping[int, str]
    usage: Mapping[str, Any]
    request_id: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Retry:
    """Attempt number `attempt` (from 1) failed; the next starts in `delay` seconds.

    `discarded`: events of the failed attempt were already handed out and are void. `usage` is what it had reported by
    then, since a cut answer may be billed.
    """

    attempt: int
    max_attempts: int
    delay: float
    error: ModelError
    discarded: bool
    usage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits grow from `first` seconds, doubled each time with up to a second of jitter, to at most `longest`.

    A time named by the server replaces that, up to `longest_named` seconds: a longer one is cut to it.
    """

    max_attempts: int = 10
    first: float = 0.5
    longest: float = 30.0
    longest_named: float = 60.0


async def respond(
    model: Model,
    request: Request,
    *,
    on_event: Callable[[Mapping[str, Any]], None] | None = None,
    on_retry: Callable[[Retry], None] | None = None,
    policy: RetryPolicy = RetryPolicy(),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Response:
    """Ask until an answer is complete. Raises the last `ModelError` when it cannot be retried or attempts run out.

    Cancellation and errors of the callbacks go straight through.
    """
    from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
    from tenacity.wait import wait_exponential_jitter, wait_random

    growing = wait_exponential_jitter(multiplier=policy.first, max=policy.longest)
    builder = MessageBuilder()

    def wait(state: RetryCallState) -> float:
        named = _error(state).retry_after
        if named is None:
            return float(growing(state))
        return min(named + wait_random(0, named / 4)(state), policy.longest_named)  # apart from others told the same

    def announce(state: RetryCallState) -> None:
        if on_retry is not None:
            delay = state.next_action.sleep if state.next_action else 0.0
            error = _error(state)
            on_retry(
                Retry(state.attempt_number, policy.max_attempts, delay, error, bool(builder.message), builder.usage)
            )

    async def attempt() -> Response:
        nonlocal builder
        builder = MessageBuilder()
        return await _attempt(model, request, builder, on_event)

    return await AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, ModelError) and error.retryable),
        wait=wait,
        stop=stop_after_attempt(policy.max_attempts),
        before_sleep=announce,
        sleep=sleep,
        reraise=True,
    )(attempt)


async def _attempt(
    model: Model, request: Request, builder: MessageBuilder, on_event: Callable[[Mapping[str, Any]], None] | None
) -> Response:
    started = time.monotonic()
    events = model.stream(request)
    try:
        async for event in events:
            builder.feed(event)
            if on_event is not None:
                on_event(event)
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()  # at once, not when it is collected: the connection hangs on it
    if not builder.complete:
        raise ModelError("stream_cut", "The answer ended before it was complete.", retryable=True, partial=True)
    return Response(builder.message, builder.malformed, builder.usage, builder.request_id, time.monotonic() - started)


def _error(state: Any) -> ModelError:
    error = state.outcome.exception()
    assert isinstance(error, ModelError)  # noqa: S101 - nothing else is retried
    return error
