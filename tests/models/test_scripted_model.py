"""The scripted model and the network switch of the public testing kit."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx2
import pytest

from agent.models.anthropic import AnthropicModel
from agent.models.port import ModelError, Request
from agent.models.retry import respond
from agent.testing import (
    FakeMessagesServer,
    Fault,
    NetworkBlockedError,
    ScriptedModel,
    Turn,
    UnplannedCallError,
    block_network,
    call,
    http_error,
    text,
    thinking,
)

ASK = Request([{"role": "user", "content": "go"}])


async def test_scripted_turns_of_every_form() -> None:
    script: list[Any] = [
        "plain",
        call("Read", file_path="a", name="n"),
        [thinking("hm"), text("x", future=1), call("Read")],
        Turn(["cut"], stop_reason="max_tokens", usage={"input_tokens": 5}),
        lambda request: f"saw {len(request.messages)} message",
    ]
    model = ScriptedModel(script, model_id="m")
    answers = [await respond(model, ASK) for _ in script]
    model.assert_complete()
    assert [answer.message["stop_reason"] for answer in answers] == [
        "end_turn",
        "tool_use",
        "tool_use",
        "max_tokens",
        "end_turn",
    ]
    assert answers[1].message["content"][0]["input"] == {"file_path": "a", "name": "n"}
    assert answers[2].message["content"][1] == {"type": "text", "text": "x", "future": 1}
    assert answers[3].usage["input_tokens"] == 5
    assert answers[4].message["content"] == [text("saw 1 message")]
    ids = [block["id"] for answer in answers for block in answer.message["content"] if block["type"] == "tool_use"]
    assert len(ids) == len(set(ids)) == 2


async def test_requests_are_kept_as_they_were() -> None:
    messages = [{"role": "user", "content": "go"}]
    model = ScriptedModel(["a", "b"])
    await respond(model, Request(messages))
    messages.append({"role": "user", "content": "more"})
    assert len(model.requests[0].messages) == 1


async def test_an_unplanned_call_fails_twice() -> None:
    model = ScriptedModel(["only"])
    await respond(model, ASK)
    with pytest.raises(UnplannedCallError):
        await respond(model, ASK)
    with pytest.raises(AssertionError, match="1 answers more"):
        model.assert_complete()


def test_a_script_that_is_not_used_up_fails() -> None:
    with pytest.raises(AssertionError, match="'never said'"):
        ScriptedModel(["never said"]).assert_complete()


async def test_scripted_failures() -> None:
    model = ScriptedModel([ModelError("billing", "pay"), Turn(["x"], fault=Fault(error_type="api_error"))])
    with pytest.raises(ModelError, match="pay"):
        await respond(model, ASK)
    with pytest.raises(ModelError, match="api_error") as caught:
        [event async for event in model.stream(ASK)]
    assert caught.value.partial


@pytest.mark.parametrize("turn", [http_error(500), Turn(["x"], fault=Fault(cut_after=1))])
async def test_faults_of_the_wire_need_the_server(turn: Any) -> None:
    with pytest.raises(TypeError, match="FakeMessagesServer"):
        await respond(ScriptedModel([turn]), ASK)


async def test_a_deciding_function_is_never_at_its_end() -> None:
    model = ScriptedModel(lambda request: "again")
    for _ in range(3):
        await respond(model, ASK)
    model.assert_complete()


# --- the network switch --------------------------------------------------------------------------------------------


async def test_no_real_call_leaves_a_test() -> None:
    model = AnthropicModel("claude-opus-5-5", api_key="k" * 12)
    with block_network(), pytest.raises(NetworkBlockedError, match="anthropic"):
        await respond(model, ASK)
    await model.aclose()


def test_addresses_names_and_other_threads_are_blocked_and_the_switch_is_undone() -> None:
    def connect() -> None:
        with socket.socket() as client:
            client.connect(("192.0.2.1", 80))

    before = socket.socket.connect, socket.getaddrinfo
    with block_network():
        with pytest.raises(NetworkBlockedError):
            connect()
        with pytest.raises(NetworkBlockedError), socket.socket() as client:
            client.connect_ex(("2001:db8::1", 80))
        with pytest.raises(NetworkBlockedError):
            socket.getaddrinfo("example.com", 80)
        with pytest.raises(NetworkBlockedError):
            asyncio.run(asyncio.to_thread(connect))
    assert (socket.socket.connect, socket.getaddrinfo) == before


def test_this_machine_stays_reachable() -> None:
    with block_network(), FakeMessagesServer(["ok"]) as server:
        for host in ("127.0.0.1", "localhost"):
            assert httpx2.get(server.base_url.replace("127.0.0.1", host) + "/v1/models").status_code == 200
