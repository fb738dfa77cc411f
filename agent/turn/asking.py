"""One question to the model: sent, retried, shown while it is answered, booked and announced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.events import ModelAnswered, ModelEvent, RetryScheduled
from agent.models.port import Json, Request
from agent.models.retry import Response, Retry, respond

if TYPE_CHECKING:
    from agent.conversation import Conversation


async def ask(talk: Conversation, messages: Sequence[Json], *, shown: bool = True) -> Response:
    """The model's answer to `messages` behind the conversation's prefix. Raises `ModelError`.

    `shown`: its stream is passed on as it arrives.
    """

    def on_event(event: Mapping[str, Any]) -> None:
        talk.emit(ModelEvent(event=event, agent_id=talk.agent_id))
        talk.calls.foresee(event)

    def on_retry(retry: Retry) -> None:
        if retry.usage:
            talk.ledger.book(talk.model.id, retry.usage)  # an answer that was cut may be billed
        talk.emit(
            RetryScheduled(
                attempt=retry.attempt,
                max_attempts=retry.max_attempts,
                delay=retry.delay,
                kind=retry.error.kind,
                status=retry.error.status,
                reason=retry.error.message,
                discarded=retry.discarded and shown,
                agent_id=talk.agent_id,
            )
        )

    request = Request(
        messages=messages,
        system=talk.system,
        tools=talk.tools,
        max_tokens=talk.max_tokens,
        options=talk.options,
    )
    response = await respond(talk.model, request, on_event=on_event if shown else None, on_retry=on_retry)
    model = str(response.message.get("model") or talk.model.id)
    talk.emit(
        ModelAnswered(
            model=model,
            usage=response.usage,
            cost_usd=talk.ledger.book(model, response.usage),
            stop_reason=response.message.get("stop_reason"),
            seconds=response.seconds,
            request_id=response.request_id,
            agent_id=talk.agent_id,
        )
    )
    return response
