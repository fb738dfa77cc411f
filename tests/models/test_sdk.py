"""Other clouds, through the official SDK and real HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent.models.port import ModelError, Request
from agent.models.retry import Retry, respond
from agent.models.sdk import CloudModel, cloud_of, sdk_model
from agent.testing import FakeMessagesServer, Fault, HttpError, Turn, call, http_error, thinking

ASK = Request(messages=[{"role": "user", "content": "hello"}], options={"effort": "high", "betas": ["b-2026-01-01"]})
KEY = "foundry-key-0123456789"


def foundry(server: FakeMessagesServer) -> CloudModel:
    env = {"ANTHROPIC_FOUNDRY_API_KEY": KEY, "ANTHROPIC_FOUNDRY_BASE_URL": f"{server.base_url}/anthropic"}
    return sdk_model("foundry/opus", env)


async def no_wait(_seconds: float) -> None:
    return None


async def test_foundry_answers_like_the_first_party_api() -> None:
    blocks = [thinking(), {"type": "from_the_future", "x": [1]}, call("Read", file_path="한국")]
    with FakeMessagesServer([blocks]) as server:
        model = foundry(server)
        response = await respond(model, ASK)
        await model.aclose()
        await model.aclose()
    server.assert_clean()
    assert model.id == "foundry/claude-opus-5-5"
    assert response.request_id == "req_0001"
    assert [block["type"] for block in response.message["content"]] == ["thinking", "from_the_future", "tool_use"]
    assert response.message["content"][1] == blocks[1]
    assert response.message["content"][2]["input"] == {"file_path": "한국"}
    received = server.requests[0]
    assert received.path == "/anthropic/v1/messages"
    assert received.body["output_config"] == {"effort": "high"}
    assert received.headers["anthropic-beta"] == "b-2026-01-01"


async def test_vertex_speaks_its_own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "Authorization: Bearer gateway-token")
    with FakeMessagesServer(["ok"]) as server:
        env = {
            "CLOUD_ML_REGION": "global",
            "ANTHROPIC_VERTEX_PROJECT_ID": "p",
            "ANTHROPIC_VERTEX_BASE_URL": server.base_url,
        }
        model = sdk_model("vertex/sonnet", env)
        response = await respond(model, ASK)
        await model.aclose()
    server.assert_clean()
    assert response.message["content"] == [{"type": "text", "text": "ok"}]
    assert server.requests[0].path.endswith("/models/claude-sonnet-5-5:streamRawPredict")


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "bedrock-2023-05-31"),
        ("anthropic.claude-opus-5-5", "2026-10-21"),
    ],
)
async def test_bedrock_is_asked_in_its_own_form(model: str, version: str) -> None:
    """What is sent only: reading its binary frames needs a library that is not among ours."""
    with listening() as (address, received):
        env = {
            "AWS_REGION": "eu-west-1",
            "AWS_BEARER_TOKEN_BEDROCK": "token-123456",
            "ANTHROPIC_BEDROCK_BASE_URL": address,
        }
        cloud = sdk_model(f"bedrock/{model}", env)
        with pytest.raises(ModelError, match="403"):
            await respond(cloud, ASK)
        await cloud.aclose()
    path, body = received[0]
    assert path.replace("%3A", ":") == f"/model/{model}/invoke-with-response-stream"
    assert (body["anthropic_version"], body["anthropic_beta"]) == (version, ["b-2026-01-01"])
    assert "model" not in body


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """An address that refuses every POST with 403, and what was posted there."""
    received: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
            """Say nothing."""

        def do_POST(self) -> None:
            received.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_error(403)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


async def test_failures_are_sorted_and_retried_here_only() -> None:
    script: list[Turn | HttpError | str] = [
        http_error(529),
        Turn(["x" * 300], fault=Fault(error_type="overloaded_error", after_events=5)),
        Turn(["x" * 300], fault=Fault(cut_after=900)),
        Turn(["x"], fault=Fault(without_stop=True)),
        "whole",
    ]
    retries: list[Retry] = []
    with FakeMessagesServer(script) as server:
        model = foundry(server)
        response = await respond(model, ASK, on_retry=retries.append, sleep=no_wait)
        await model.aclose()
    server.assert_clean()
    assert response.message["content"] == [{"type": "text", "text": "whole"}]
    kinds = [(retry.error.kind, retry.discarded) for retry in retries]
    assert kinds == [("overloaded", False), ("overloaded", True), ("stream_cut", True), ("stream_cut", True)]


@pytest.mark.parametrize(("status", "kind"), [(401, "authentication"), (404, "not_found"), (400, "invalid_request")])
async def test_refusals_do_not_hold_the_key(status: int, kind: str) -> None:
    with FakeMessagesServer([http_error(status, f"refused {KEY}")]) as server:
        model = foundry(server)
        with pytest.raises(ModelError) as caught:
            await respond(model, ASK)
        await model.aclose()
    assert (caught.value.kind, caught.value.retryable) == (kind, False)
    assert KEY not in f"{caught.value} {caught.value.__cause__} {vars(caught.value)}"


async def test_nobody_listens() -> None:
    with FakeMessagesServer([]) as server:
        model = foundry(server)
    with pytest.raises(ModelError) as caught:
        async for _event in model.stream(ASK):
            pass
    await model.aclose()
    assert (caught.value.kind, caught.value.retryable) == ("connection", True)


@pytest.mark.parametrize(
    ("name", "env", "reason"),
    [
        ("foundry/x", {}, "foundry"),
        ("vertex/x", {}, "region"),
        ("bedrock/x", {"AWS_REGION": "eu-west-1", "ANTHROPIC_BEDROCK_BASE_URL": "http://127.0.0.1:9"}, "bedrock"),
    ],
)
async def test_missing_settings_and_libraries_are_named(name: str, env: dict[str, str], reason: str) -> None:
    model = sdk_model(name, env)
    with pytest.raises(ModelError, match=reason) as caught:
        async for _event in model.stream(ASK):
            pass
    await model.aclose()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("name", "env", "cloud"),
    [
        ("bedrock/x", {}, "bedrock"),
        ("opus", {"CLAUDE_CODE_USE_VERTEX": "1"}, "vertex"),
        ("foundry/x", {"CLAUDE_CODE_USE_VERTEX": "1"}, "foundry"),
        (None, {"CLAUDE_CODE_USE_FOUNDRY": "true"}, "foundry"),
        ("opus", {"CLAUDE_CODE_USE_BEDROCK": "0"}, None),
        ("opus", {}, None),
    ],
)
def test_which_cloud(name: str | None, env: dict[str, str], cloud: str | None) -> None:
    assert cloud_of(name, env) == cloud


def test_short_names_on_clouds() -> None:
    assert sdk_model("bedrock/opus", {}).id == "bedrock/anthropic.claude-opus-5-5"
    assert sdk_model("bedrock/eu.anthropic.claude-opus-5-5-v1:0", {}).id == "bedrock/eu.anthropic.claude-opus-5-5-v1:0"
    assert sdk_model("vertex/haiku", {}).id == "vertex/claude-haiku-4-5"
    with pytest.raises(ModelError, match="bedrock/"):
        sdk_model("opus", {})


def test_the_sdk_is_imported_with_the_first_request_only() -> None:
    program = """
        import sys
        from agent.models.sdk import sdk_model
        sdk_model("foundry/opus", {})
        print("anthropic" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
