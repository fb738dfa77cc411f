"""Spans of whole runs: their tree, their attributes, and what never leaves; sent to a receiver that decodes OTLP."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from agent.api import Agent
from agent.models.port import ModelError
from agent.permissions import Rules
from agent.telemetry.observers import wants_traces
from agent.telemetry.traces import Spans, TelemetryError, spans_of
from agent.testing import FakeMessagesServer, ScriptedModel, Turn, call
from tools.tool import ToolContext, ToolError, ToolResult, tool


@tool("Echo", effects={"reads"})
async def echo(ctx: ToolContext, word: str) -> ToolResult:
    """Say it back."""
    if word == "fail":
        raise ToolError("it broke")
    return ToolResult(word)


class Seen:
    """The finished spans of a run, by name."""

    def __init__(self, spans: Sequence[ReadableSpan]) -> None:
        self.spans = spans

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def above(self, span: ReadableSpan) -> str | None:
        if span.parent is None:
            return None
        return next(s.name for s in self.spans if s.context and s.context.span_id == span.parent.span_id)


async def traced(tmp_path: Path, turns: Sequence[Any], model_id: str = "claude-sonnet-5-5", **options: Any) -> Seen:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    model = ScriptedModel(turns, model_id=model_id)
    given: dict[str, Any] = {"tools": [echo], "rules": Rules.parse(allow=["Echo"])}
    agent = Agent(cwd=tmp_path, model=model, env={}, readers=[Spans(provider.get_tracer("t"))], **(given | options))
    await agent.run("A secret prompt.")
    return Seen(exporter.get_finished_spans())


async def test_a_run_is_an_agent_with_its_requests_and_calls(tmp_path: Path) -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 7}
    seen = await traced(tmp_path, [Turn([call("Echo", word="a")], usage=usage), "Done."])
    agent, tool_span = seen.one("invoke_agent expert-devops"), seen.one("execute_tool Echo")
    first, second = seen.named("chat claude-sonnet-5-5")

    assert seen.above(agent) is None
    assert {seen.above(span) for span in (first, second, tool_span)} == {agent.name}
    assert (agent.kind, first.kind, tool_span.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.INTERNAL)
    assert agent.attributes is not None
    assert first.attributes is not None
    assert tool_span.attributes is not None
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-5-5",
        "gen_ai.response.model": "claude-sonnet-5-5",
        "gen_ai.response.id": "msg_0001",
        "gen_ai.response.finish_reasons": ("tool_use",),
        "gen_ai.usage.input_tokens": 117,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_creation.input_tokens": 7,
    }
    assert expected.items() <= dict(first.attributes).items()
    assert agent.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert agent.attributes["gen_ai.agent.name"] == "expert-devops"
    assert agent.attributes["gen_ai.conversation.id"] == first.attributes["gen_ai.conversation.id"]
    assert agent.attributes["expert_devops.status"] == "completed"
    assert tool_span.attributes["gen_ai.operation.name"] == "execute_tool"
    assert tool_span.attributes["gen_ai.tool.name"] == "Echo"
    assert tool_span.attributes["gen_ai.tool.call.id"] == "toolu_0001_0"
    assert first.start_time is not None
    assert first.end_time is not None
    assert tool_span.start_time is not None
    assert first.start_time <= first.end_time <= tool_span.start_time


async def test_nothing_that_was_said_is_in_a_span(tmp_path: Path) -> None:
    seen = await traced(tmp_path, [[call("Echo", word="tangerine")], "An answer of plums."])
    shown = "".join(span.to_json() for span in seen.spans)
    assert all(word not in shown for word in ("tangerine", "plums", "secret prompt"))


async def test_a_child_is_below_the_call_that_started_it(tmp_path: Path) -> None:
    task = call("Delegate", to="expert-backend", subject="Look", task="Look around.")
    turns = [[task], [call("Glob", pattern="*")], "Nothing.", "Nothing."]
    seen = await traced(tmp_path, turns, tools=None, rules=None)
    child = seen.one("invoke_agent expert-backend")
    assert seen.above(child) == "execute_tool Delegate"
    assert seen.above(seen.one("execute_tool Glob")) == child.name
    assert sorted(str(seen.above(span)) for span in seen.named("chat claude-sonnet-5-5")) == [
        *(["invoke_agent expert-backend"] * 2),
        *(["invoke_agent expert-devops"] * 2),
    ]
    assert child.attributes is not None
    assert child.attributes["gen_ai.agent.id"]


async def test_failures_are_marked_where_they_happened(tmp_path: Path) -> None:
    broken = ModelError("authentication", "The key is wrong.", status=401)
    seen = await traced(tmp_path, [[call("Echo", word="fail")], broken])
    failed = [span for span in seen.spans if span.status.status_code is StatusCode.ERROR]
    assert {(span.name, (span.attributes or {})["error.type"]) for span in failed} == {
        ("execute_tool Echo", "tool_error"),
        ("chat claude-sonnet-5-5", "authentication"),
        ("invoke_agent expert-devops", "authentication"),
    }
    assert len(seen.named("chat claude-sonnet-5-5")) == 2


async def test_a_denied_call_is_told_and_has_no_span_of_its_own(tmp_path: Path) -> None:
    seen = await traced(tmp_path, [[call("Echo", word="a")], "Denied."], rules=Rules.parse(deny=["Echo"]))
    agent = seen.one("invoke_agent expert-devops")
    assert [event.name for event in agent.events] == ["permission_denied"]
    assert seen.named("execute_tool Echo") == []


async def test_an_unknown_cost_is_absent_and_not_zero(tmp_path: Path) -> None:
    known = await traced(tmp_path, ["Done."])
    unknown = await traced(tmp_path, ["Done."], model_id="a-model-of-our-own")
    costs = [
        (s.one("invoke_agent expert-devops").attributes or {}).get("expert_devops.cost_usd") for s in (known, unknown)
    ]
    assert costs[0]
    assert costs[1] is None


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, False),
    ],
)
def test_only_the_standard_variables_switch_it_on(env: dict[str, str], expected: bool) -> None:
    assert wants_traces(env) is expected


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
    ],
)
def test_what_cannot_be_had_is_told(env: dict[str, str], said: str) -> None:
    with pytest.raises(TelemetryError, match=said):
        spans_of(env)


# --- a whole process and a receiver ---


class Receiver(ThreadingHTTPServer):
    """An OTLP/HTTP receiver that keeps the spans it decodes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receive)
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []


class _Receive(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        for group in request.resource_spans:
            self.server.resources.append({a.key: a.value.string_value for a in group.resource.attributes})
            self.server.spans += [span for scope in group.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def run_cli(directory: Path, *words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.surfaces.cli", "-C", str(directory), *words]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | env, timeout=60)


@pytest.mark.slow
def test_spans_of_a_process_reach_a_receiver_below_its_caller(tmp_path: Path, receiver: Receiver) -> None:
    with FakeMessagesServer(["All done."]) as server:
        env = {
            "ANTHROPIC_BASE_URL": server.base_url,
            "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.server_port}",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
        done = run_cli(tmp_path, "--model", "claude-sonnet-5-5", "-p", "Hello.", env=env)
    assert (done.returncode, done.stdout.strip()) == (0, "All done."), done.stderr
    assert sorted(span.name for span in receiver.spans) == ["chat claude-sonnet-5-5", "invoke_agent expert-devops"]
    assert {span.trace_id.hex() for span in receiver.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    agent = next(span for span in receiver.spans if span.name.startswith("invoke"))
    assert agent.parent_span_id.hex() == "b7ad6b7169203331"
    assert receiver.resources[0]["service.name"] == "expert-devops"
    assert receiver.resources[0]["deployment.environment.name"] == "test"


@pytest.mark.slow
def test_a_receiver_that_is_not_there_costs_nothing_but_its_spans(tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    done = run_cli(tmp_path, "--model", "playbook", "--output-format", "json", "-p", "Hello.", env=env)
    assert done.returncode == 0
    assert json.loads(done.stdout)["is_error"] is False
    assert len(done.stderr.splitlines()) == 1
    assert "Failed to export" in done.stderr


@pytest.mark.slow
def test_without_the_package_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError('absent', name='opentelemetry')\n")
    (project := tmp_path / "project").mkdir()
    paths = os.pathsep.join([str(tmp_path), *(entry for entry in sys.path if entry)])
    env = {"OTEL_TRACES_EXPORTER": "otlp", "PYTHONPATH": paths}
    done = run_cli(project, "--model", "playbook", "-p", "Hello.", env=env)
    assert done.returncode == 0
    assert "pip install 'expert-devops[otel]'" in done.stderr
