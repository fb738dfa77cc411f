"""Retries: what is tried again, when, and what the caller hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from agent.models.anthropic import AnthropicModel
from agent.models.port import ModelError, Request
from agent.models.retry import Response, Retry, RetryPolicy, respond
from agent.testing import FakeMessagesServer, Fault, HttpError, ScriptedModel, Turn, UnplannedCallError, http_error

ASK = Request(messages=[{"role": "user", "content": "hello"}])


class Waits:
    """Sleeps that take no time and are written down."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.delays.append(seconds)


async def over_http(server: FakeMessagesServer, retries: list[Retry], waits: Waits) -> Response:
    model = AnthropicModel(
        "claude-opus-5-5", base_url=server.base_url, api_key="k" * 12, profile="full", idle_timeout=0.3
    )
    try:
        return await respond(model, ASK, on_retry=retries.append, sleep=waits)
    finally:
        await model.aclose()


@pytest.mark.parametrize(
    ("failing", "kind", "discarded"),
    [
        (http_error(529), "overloaded", False),
        (http_error(500), "server", False),
        (http_error(429, headers={"retry-after": "3"}), "rate_limit", False),
        (Turn(["x" * 400], fault=Fault(cut_after=900)), "stream_cut", True),
        (Turn(["x" * 400], fault=Fault(stall_after=900)), "timeout", True),
        (Turn(["x" * 400], fault=Fault(error_type="overloaded_error", after_events=5)), "overloaded", True),
        (Turn(["x"], fault=Fault(without_stop=True)), "stream_cut", True),
    ],
)
async def test_a_passing_failure_is_retried_as_a_whole(failing: Turn | HttpError, kind: str, discarded: bool) -> None:
    retries: list[Retry] = []
    with FakeMessagesServer([failing, "whole"]) as server:
        response = await over_http(server, retries, Waits())
    server.assert_clean()
    assert response.message["content"] == [{"type": "text", "text": "whole"}]
    assert response.request_id == "req_0002"
    assert [(retry.attempt, retry.error.kind, retry.discarded) for retry in retries] == [(1, kind, discarded)]
    assert server.requests[0].body == server.requests[1].body


@pytest.mark.parametrize(
    "answer",
    [
        http_error(400),
        http_error(401),
        http_error(403),
        http_error(404),
        http_error(413),
        http_error(429),
        http_error(429, code="enforced_spend_limit_reached", headers={"retry-after": "1"}),
        http_error(500, headers={"x-should-retry": "false"}),
    ],
)
async def test_what_will_not_pass_is_not_retried(answer: HttpError) -> None:
    with FakeMessagesServer([answer]) as server, pytest.raises(ModelError):
        await over_http(server, [], Waits())
    assert len(server.requests) == 1


@pytest.mark.parametrize(("named", "least", "most"), [("3", 3.0, 3.75), ("90", 60.0, 60.0), ("0", 0.0, 0.0)])
async def test_the_named_time_is_kept_up_to_a_minute(named: str, least: float, most: float) -> None:
    waits = Waits()
    with FakeMessagesServer([http_error(429, headers={"retry-after": named}), "ok"]) as server:
        await over_http(server, [], waits)
    assert least <= waits.delays[0] <= most


async def test_waits_grow_and_end() -> None:
    waits, retries = Waits(), list[Retry]()
    model = ScriptedModel([ModelError("overloaded", "busy", retryable=True)] * 10)
    with pytest.raises(ModelError, match="busy"):
        await respond(model, ASK, on_retry=retries.append, sleep=waits)
    model.assert_complete()
    assert [retry.attempt for retry in retries] == list(range(1, 10))
    assert waits.delays == [retry.delay for retry in retries]
    for number, delay in enumerate(waits.delays):
        assert min(0.5 * 2**number, 30) <= delay <= min(0.5 * 2**number + 1, 30)


async def test_attempts_are_limited_by_the_policy() -> None:
    model = ScriptedModel([ModelError("server", "down", retryable=True)] * 2)
    with pytest.raises(ModelError):
        await respond(model, ASK, policy=RetryPolicy(max_attempts=2), sleep=Waits())
    model.assert_complete()


async def test_events_are_handed_out_as_they_come_and_usage_of_a_cut_answer_is_told() -> None:
    cut = Turn(["abc"], usage={"input_tokens": 77}, fault=Fault(without_stop=True))
    events: list[Mapping[str, Any]] = []
    retries: list[Retry] = []
    response = await respond(
        ScriptedModel([cut, "ok"]), ASK, on_event=events.append, on_retry=retries.append, sleep=Waits()
    )
    assert [event["type"] for event in events].count("message_start") == 2
    assert [event["type"] for event in events].count("message_stop") == 1
    assert retries[0].usage["input_tokens"] == 77
    assert response.usage["output_tokens"] > 0
    assert response.seconds >= 0


async def test_malformed_tool_input_reaches_the_caller() -> None:
    from agent.testing import broken_call

    response = await respond(ScriptedModel([["go", broken_call("Read", '{"file_path": ')]]), ASK)
    assert response.malformed == {1: '{"file_path": '}
    assert response.message["content"][1]["input"] == {}


async def test_a_callback_that_fails_ends_the_request_at_once() -> None:
    def broken(_event: Mapping[str, Any]) -> None:
        raise LookupError("the screen is gone")

    model = ScriptedModel(["one", "two"])
    with pytest.raises(LookupError):
        await respond(model, ASK, on_event=broken)
    assert len(model.requests) == 1


async def test_a_stream_that_is_left_is_closed_at_once() -> None:
    class Watched(ScriptedModel):
        left = False

        async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
            try:
                async for event in super().stream(request):
                    yield event
            finally:
                self.left = True

    def broken(_event: Mapping[str, Any]) -> None:
        raise LookupError

    model = Watched(["one"])
    with pytest.raises(LookupError):
        await respond(model, ASK, on_event=broken)
    assert model.left


@pytest.mark.parametrize("waiting", [True, False])
async def test_cancelling_goes_straight_through(waiting: bool) -> None:
    begun = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        begun.set()
        await asyncio.Event().wait()

    script: list[Any] = [http_error(529)] if waiting else [Turn(["x" * 400], fault=Fault(stall_after=900))]
    with FakeMessagesServer(script) as server:
        model = AnthropicModel("m", base_url=server.base_url)
        task = asyncio.create_task(respond(model, ASK, on_event=lambda _event: begun.set(), sleep=sleep))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await model.aclose()
    assert len(server.requests) == 1


async def test_a_script_at_its_end_is_not_retried() -> None:
    model = ScriptedModel([])
    with pytest.raises(UnplannedCallError):
        await respond(model, ASK, sleep=Waits())
