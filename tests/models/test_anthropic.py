"""The transport over real HTTP: what is sent, what comes back, what a failure means."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from agent.models.anthropic import AnthropicModel, build_body, encode
from agent.models.port import ModelError, Request
from agent.models.stream import MessageBuilder
from agent.testing import FakeMessagesServer, Fault, HttpError, Turn, call, http_error, thinking

KEY = "sk-ant-test-0123456789abcdefghij"
READ = {"name": "Read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}}}
ASK = Request(messages=[{"role": "user", "content": "hello"}])


def model_at(server: FakeMessagesServer, **options: Any) -> AnthropicModel:
    defaults = {"api_key": KEY, "profile": "full"}
    return AnthropicModel("claude-opus-5-5", base_url=server.base_url, **(defaults | options))


async def ask(model: AnthropicModel, request: Request = ASK) -> MessageBuilder:
    builder = MessageBuilder()
    try:
        async for event in model.stream(request):
            builder.feed(event)
    finally:
        await model.aclose()
    return builder


async def failure(model: AnthropicModel, request: Request = ASK) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(model, request)
    return caught.value


async def test_a_conversation_sends_a_growing_history_and_reads_the_cache() -> None:
    request = Request(
        messages=[{"role": "user", "content": "go"}], system=[{"type": "text", "text": "S" * 400}], tools=[READ]
    )
    with FakeMessagesServer([[thinking(), call("Read", file_path="x")], "done"], api_key=KEY) as server:
        first = await ask(model_at(server), request)
        result = {"type": "tool_result", "tool_use_id": first.message["content"][1]["id"], "content": "ok"}
        history = [*request.messages, {"role": "assistant", "content": first.message["content"]}]
        second = await ask(
            model_at(server), Request([*history, {"role": "user", "content": [result]}], request.system, request.tools)
        )
    server.assert_clean()
    assert first.message["stop_reason"] == "tool_use"
    assert first.request_id == "req_0001"
    assert second.message["content"] == [{"type": "text", "text": "done"}]
    written = first.usage["cache_creation_input_tokens"]
    assert written > 100
    assert second.usage["cache_read_input_tokens"] == written


async def test_the_connection_is_used_again() -> None:
    with FakeMessagesServer(["one", "two"]) as server:
        model = model_at(server)
        for _ in range(2):
            async for _event in model.stream(ASK):
                pass
        connections = server.connections
        await model.aclose()
        await model.aclose()
    assert connections == 1


@pytest.mark.parametrize("chunk", [1, 7, 64])
async def test_odd_pieces_on_the_wire(chunk: int) -> None:
    with FakeMessagesServer([Turn(["héllo 한국"], fault=Fault(chunk=chunk))]) as server:
        assert (await ask(model_at(server))).message["content"] == [{"type": "text", "text": "héllo 한국"}]


@pytest.mark.parametrize(
    ("credentials", "header", "value"),
    [
        ({"api_key": KEY}, "x-api-key", KEY),
        ({"api_key": None, "auth_token": "token-123456"}, "authorization", "Bearer token-123456"),
        ({"api_key": KEY, "auth_token": "token-123456"}, "x-api-key", KEY),
        ({"api_key": None, "auth_token": "sk-ant-oat-123"}, "anthropic-beta", "oauth-2025-04-20"),
        ({"headers": {"X-Team": "infra"}}, "x-team", "infra"),
        ({"profile": "full"}, "anthropic-version", "2026-10-21"),
        ({"profile": None}, "anthropic-version", "2023-06-01"),
    ],
)
async def test_headers(credentials: dict[str, Any], header: str, value: str) -> None:
    with FakeMessagesServer(["ok"]) as server:
        await ask(model_at(server, **credentials))
    assert server.requests[0].headers[header] == value
    server.assert_clean()


async def test_betas_go_into_one_header() -> None:
    with FakeMessagesServer(["ok"]) as server:
        request = Request(ASK.messages, options={"betas": ["a-2026-01-01", "b-2026-01-01", "a-2026-01-01"]})
        await ask(model_at(server), request)
    assert server.requests[0].headers["anthropic-beta"] == "a-2026-01-01,b-2026-01-01"


def test_full_and_core_bodies() -> None:
    options = {
        "effort": "high",
        "thinking": {"type": "adaptive"},
        "stop_sequences": ["x"],
        "betas": ["b"],
        "metadata": None,
    }
    request = Request(ASK.messages, [{"type": "text", "text": "S"}], [READ], 200_000, options)
    full = build_body("claude-opus-5-5", request, "full")
    assert full["output_config"] == {"effort": "high"}
    assert full["thinking"] == {"type": "adaptive"}
    assert full["max_tokens"] == 128_000
    assert "cache_control" in full["system"][0]
    assert "betas" not in full
    assert "metadata" not in full
    core = build_body("local", request, "core")
    assert core["stop_sequences"] == ["x"]
    assert core["max_tokens"] == 200_000
    assert not {"thinking", "output_config", "effort", "betas"} & set(core)
    assert b"cache_control" not in encode(core)


@pytest.mark.parametrize(
    ("model_id", "wanted", "sent"),
    [
        ("claude-opus-5-5", "xhigh", "xhigh"),
        ("claude-opus-4-6", "xhigh", "high"),
        ("claude-opus-4-5", "max", "high"),
        ("claude-haiku-4-5", "high", None),
        ("claude-next-9", "max", "max"),
    ],
)
def test_effort_is_lowered_to_what_the_model_takes(model_id: str, wanted: str, sent: str | None) -> None:
    body = build_body(model_id, Request(ASK.messages, options={"effort": wanted}), "full")
    assert body.get("output_config", {}).get("effort") == sent


def test_bytes_are_the_same_for_the_same_request_and_never_invalid() -> None:
    request = Request([{"role": "user", "content": "lone \ud800 한국"}])
    body = encode(build_body("m", request, "core"))
    assert body == encode(build_body("m", request, "core"))
    assert json.loads(body)["messages"][0]["content"] == "lone ? 한국"


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "partial"),
    [
        (Fault(cut_after=20), "connection", False),
        (Fault(cut_after=700), "stream_cut", True),
        (Fault(without_stop=True), "stream_cut", True),
        (Fault(error_type="overloaded_error", after_events=4), "overloaded", True),
        (Fault(error_type="overloaded_error", after_events=0), "overloaded", False),
        (Fault(error_type="api_error"), "server", True),
        (Fault(bad_json=True), "server", True),
        (Fault(stall_after=700), "timeout", True),
        (Fault(stall_after=0), "timeout", False),
    ],
)
async def test_a_broken_stream(fault: Fault, kind: str, partial: bool) -> None:
    with FakeMessagesServer([Turn(["word " * 100], fault=fault)]) as server:
        error = await failure(model_at(server, idle_timeout=0.3))
    assert (error.kind, error.partial, error.retryable) == (kind, partial, True)


async def test_a_refused_request_in_the_middle_of_a_stream_is_not_retried() -> None:
    with FakeMessagesServer([Turn(["x"], fault=Fault(error_type="invalid_request_error"))]) as server:
        assert not (await failure(model_at(server))).retryable


async def test_pings_and_slow_pieces_are_life() -> None:
    with FakeMessagesServer([Turn(["x" * 60], fault=Fault(chunk=200, delay=0.1))]) as server:
        assert (await ask(model_at(server, idle_timeout=0.5))).complete


async def test_nobody_listens() -> None:
    with FakeMessagesServer([]) as server:
        address = server.base_url
    error = await failure(AnthropicModel("m", base_url=address, api_key=KEY))
    assert (error.kind, error.retryable, error.status) == ("connection", True, None)
    assert address in error.message


async def test_cancelling_leaves_at_once() -> None:
    with FakeMessagesServer([Turn(["x" * 400], fault=Fault(stall_after=600))]) as server:
        model = model_at(server)
        begun = asyncio.Event()

        async def read() -> None:
            async for _event in model.stream(ASK):
                begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.client_left.wait, 5)
        await model.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        HttpError(200, b"<html>sign in</html>", {"content-type": "text/html"}),
        HttpError(307, b"", {"location": "http://elsewhere.example/v1/messages"}),
    ],
)
async def test_a_wrong_address_is_named_and_not_retried(answer: HttpError) -> None:
    with FakeMessagesServer([answer]) as server:
        error = await failure(model_at(server))
    assert (error.kind, error.retryable) == ("not_found", False)
    assert "elsewhere" in error.message or "text/html" in error.message


# --- the key -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [http_error(401, f"bad key {KEY}"), HttpError(500, f"dump: {KEY}".encode())])
async def test_no_error_holds_the_key(answer: HttpError) -> None:
    with FakeMessagesServer([answer]) as server:
        model = model_at(server, headers={"x-gateway": "hidden-gateway-value"})
        error = await failure(model)
    shown = f"{error} {error!r} {error.__cause__} {error.__context__} {vars(error)} {model!r}"
    assert KEY not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY} 한", "\x00" * 9])
def test_a_key_no_header_can_hold_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ModelError, match="x-api-key") as caught:
        AnthropicModel("m", api_key=key)
    assert key.strip() not in str(caught.value)


@pytest.mark.parametrize("url", ["", "ftp://x", "host:8080", "https://user:pass@host", "https://"])
def test_an_unusable_address_is_refused(url: str) -> None:
    with pytest.raises(ModelError, match="https://host"):
        AnthropicModel("m", base_url=url)


# --- from the environment ----------------------------------------------------------------------------------------


async def test_everything_from_the_environment() -> None:
    with FakeMessagesServer(["ok"], api_key=KEY) as server:
        env = {
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_AUTH_TOKEN": "not-used-token",
            "ANTHROPIC_BASE_URL": f"{server.base_url}/v1/",
            "ANTHROPIC_CUSTOM_HEADERS": "X-One: 1\nno header\nX-Two:  2 ",
            "ANTHROPIC_MODEL": "haiku[1m]",
            "EXPERT_DEVOPS_ENDPOINT": "full",
        }
        model = AnthropicModel.from_environment(env)
        await ask(model)
    received = server.requests[0]
    assert model.id == received.body["model"] == "claude-haiku-5-5"
    assert received.path == "/v1/messages"
    assert (received.headers["x-one"], received.headers["x-two"]) == ("1", "2")
    server.assert_clean()


def test_a_key_is_needed_for_the_first_party_api_only() -> None:
    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY"):
        AnthropicModel.from_environment({})
    assert AnthropicModel.from_environment({"ANTHROPIC_BASE_URL": "http://127.0.0.1:8080"}, "qwen").id == "qwen"


@pytest.mark.parametrize("env", [{"API_TIMEOUT_MS": "soon"}, {"API_TIMEOUT_MS": "-1"}, {"EXPERT_DEVOPS_ENDPOINT": "x"}])
def test_wrong_settings_are_named(env: Mapping[str, str]) -> None:
    with pytest.raises(ModelError, match=next(iter(env))):
        AnthropicModel.from_environment({"ANTHROPIC_API_KEY": KEY, **env})


def test_nothing_heavy_is_imported_before_the_first_request() -> None:
    program = """
        import sys
        from agent.models.anthropic import AnthropicModel
        from agent.models.retry import respond
        AnthropicModel("claude-opus-5-5", api_key="k" * 20)
        heavy = ("anthropic", "httpx", "httpx2", "tenacity", "pydantic", "yaml")
        print([name for name in heavy if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_request_imports_neither_the_sdk_nor_the_old_client() -> None:
    with FakeMessagesServer(["ok"]) as server:
        program = f"""
            import asyncio, sys
            from agent.models.anthropic import AnthropicModel
            from agent.models.port import Request
            from agent.models.retry import respond
            model = AnthropicModel("m", base_url="{server.base_url}", api_key="k" * 20)
            response = asyncio.run(respond(model, Request([{{"role": "user", "content": "x"}}])))
            assert response.message["content"][0]["text"] == "ok"
            print([name for name in ("anthropic", "httpx", "pydantic", "rich", "click") if name in sys.modules])
        """
        arguments = [sys.executable, "-c", textwrap.dedent(program)]
        done = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


async def test_streams_may_run_side_by_side() -> None:
    def echo(body: Mapping[str, Any]) -> str:
        return str(body["messages"][0]["content"][0]["text"])

    with FakeMessagesServer(echo) as server:
        model = model_at(server)

        async def one(word: str) -> str:
            builder = MessageBuilder()
            events: AsyncIterator[Mapping[str, Any]] = model.stream(Request([{"role": "user", "content": word}]))
            async for event in events:
                builder.feed(event)
            return str(builder.message["content"][0]["text"])

        words = [f"word-{number}" for number in range(12)]
        assert await asyncio.gather(*map(one, words)) == words
        await model.aclose()
