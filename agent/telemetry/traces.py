"""A run's events as OpenTelemetry spans, by the semantic conventions for generative AI (as of 1.45, November 2026).

    invoke_agent expert-devops
    +-- chat claude-sonnet-5-5
    +-- execute_tool Delegate
        +-- invoke_agent expert-backend
            +-- chat ...

Spans carry names, counts and outcomes; prompts, answers, tool inputs and outputs never leave by this way. The package
`opentelemetry` is imported when spans are wanted: the extra `otel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from agent.events import (
    Event,
    ModelAnswered,
    ModelEvent,
    PermissionDecided,
    RetryScheduled,
    RunFinished,
    RunStarted,
    ToolFinished,
    ToolStarted,
    TurnStarted,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_SECONDS = 2.0  # a receiver that does not answer may not hold a finished run for the exporter's usual ten
_NO_ERROR = frozenset({"completed", "needs_input"})


class TelemetryError(Exception):
    """Spans are asked for and cannot be had; the message says what to change."""


def spans_of(env: Mapping[str, str]) -> Spans:
    """Spans that go where the process's environment says, below its `TRACEPARENT`. Raises `TelemetryError`."""
    try:
        tracer = _tracer(env.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp", _protocol(env))
    except ImportError as error:
        text = f"Traces are asked for, but {error.name} is not installed: pip install 'expert-devops[otel]'."
        raise TelemetryError(text) from error
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {name.lower(): env[name] for name in ("TRACEPARENT", "TRACESTATE") if name in env}
    return Spans(tracer, TraceContextTextMapPropagator().extract(carrier))


def _protocol(env: Mapping[str, str]) -> str:
    return next((env[name] for name in _PROTOCOLS if env.get(name)), "http/protobuf")


@cache
def _tracer(exporter: str, protocol: str) -> Tracer:
    """One provider a process, ours alone: libraries that look for a global one stay silent. It is flushed at exit."""
    if exporter not in {"otlp", "console"}:
        raise TelemetryError(f"OTEL_TRACES_EXPORTER={exporter!r} is not known here; use otlp, console or none.")
    if exporter == "otlp" and protocol != "http/protobuf":
        raise TelemetryError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r} is not known here; use http/protobuf.")
    import logging
    import os
    import sys

    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

    named = Resource.create({"service.name": "expert-devops"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named)
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # one line for spans that are lost, not one an attempt
    seconds = None if any(name in os.environ for name in _TIMEOUTS) else _SECONDS
    target: SpanExporter = (
        OTLPSpanExporter(timeout=seconds) if exporter == "otlp" else ConsoleSpanExporter(out=sys.stderr)
    )
    provider.add_span_processor(BatchSpanProcessor(target))
    return provider.get_tracer("expert-devops")


@dataclass(slots=True)
class _Agent:
    """The open spans of one agent: its own, the request under way, its calls by id."""

    span: Span
    model: str
    chat: Span | None = None
    calls: dict[str, Span] = field(default_factory=dict)


class Spans:
    """A reader of one run's events. `above` is the context the outermost agent's span belongs to."""

    def __init__(self, tracer: Tracer, above: Context | None = None) -> None:
        self._tracer = tracer
        self._above = above
        self._agents: dict[str | None, _Agent] = {}
        self._session = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._begin(event)
        elif (agent := self._agents.get(event.agent_id)) is not None:
            self._of_agent(event, agent)

    def _of_agent(self, event: Event, agent: _Agent) -> None:
        match event:
            case TurnStarted():
                agent.chat = self._chat(event, agent)
            case ModelEvent(event={"type": "message_start", "message": {"id": str(answer_id)}}) if agent.chat:
                agent.chat.set_attribute("gen_ai.response.id", answer_id)
            case RetryScheduled() if agent.chat:
                facts: dict[str, Any] = {"error.type": event.kind, "attempt": event.attempt, "delay": event.delay}
                agent.chat.add_event("retry", facts, _nanoseconds(event))
            case ModelAnswered() if agent.chat:
                _answered(agent.chat, event)
                agent.chat = None
            case PermissionDecided(behavior="deny"):
                facts = {"gen_ai.tool.name": event.tool, "gen_ai.tool.call.id": event.call_id, "decided_by": event.by}
                agent.span.add_event("permission_denied", facts, _nanoseconds(event))
            case ToolStarted():
                agent.calls[event.call_id] = self._call(event, agent)
            case ToolFinished() if (span := agent.calls.pop(event.call_id, None)) is not None:
                _end(span, event, "tool_error" if event.block.get("is_error") else None)
            case RunFinished():
                self._finish(event, self._agents.pop(event.agent_id))

    def _begin(self, event: RunStarted) -> None:
        self._session = event.session_id
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": _provider(event.model),
            "gen_ai.agent.name": event.agent,
            "gen_ai.agent.id": event.agent_id,
            "gen_ai.conversation.id": event.session_id,
            "gen_ai.request.model": event.model,
        }
        span = self._start(f"invoke_agent {event.agent}", event, attributes, self._starter_of(event))
        self._agents[event.agent_id] = _Agent(span, event.model)

    def _starter_of(self, event: RunStarted) -> Context | None:
        """A child belongs to the call that started it."""
        calls = {call_id: span for agent in self._agents.values() for call_id, span in agent.calls.items()}
        if event.parent_call_id in calls:
            return _below(calls[event.parent_call_id])
        return _below(self._agents[None].span) if None in self._agents else self._above

    def _chat(self, event: Event, agent: _Agent) -> Span:
        from opentelemetry.trace import SpanKind

        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _provider(agent.model),
            "gen_ai.request.model": agent.model,
            "gen_ai.request.stream": True,
            "gen_ai.conversation.id": self._session,
        }
        return self._start(f"chat {agent.model}", event, attributes, _below(agent.span), SpanKind.CLIENT)

    def _call(self, event: ToolStarted, agent: _Agent) -> Span:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.tool,
            "gen_ai.tool.call.id": event.call_id,
            "gen_ai.tool.type": "extension" if event.tool.startswith("mcp__") else "function",
        }
        return self._start(f"execute_tool {event.tool}", event, attributes, _below(agent.span))

    def _start(
        self, name: str, event: Event, attributes: Mapping[str, Any], above: Context | None, kind: Any = None
    ) -> Span:
        from opentelemetry.trace import SpanKind

        known = {key: value for key, value in attributes.items() if value is not None}
        kind = kind or SpanKind.INTERNAL
        return self._tracer.start_span(name, above, kind=kind, attributes=known, start_time=_nanoseconds(event))

    def _finish(self, event: RunFinished, agent: _Agent) -> None:
        """The agent's span, and what is still open below it: a request that failed, calls that were cut off."""
        error = None if event.status in _NO_ERROR else str(event.result.get("kind") or event.status)
        for span in (*agent.calls.values(), *([agent.chat] if agent.chat else [])):
            _end(span, event, error or event.status)
        usage = event.result.get("usage") or {}
        _usage(agent.span, _as_sent(usage), usage.get("cost_usd"))
        agent.span.set_attribute("expert_devops.status", event.status)
        _end(agent.span, event, error)


def _below(span: Span) -> Context:
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span)


def _answered(span: Span, event: ModelAnswered) -> None:
    span.set_attribute("gen_ai.response.model", event.model)
    if event.stop_reason is not None:
        span.set_attribute("gen_ai.response.finish_reasons", [event.stop_reason])
    _usage(span, event.usage, event.cost_usd)
    _end(span, event, None)


def _usage(span: Span, usage: Mapping[str, Any], cost: float | None) -> None:
    """Token counts. Cached tokens are part of the conventions' input tokens, other than the API's. An unknown cost has
    no attribute: it is not zero.
    """
    read, written = (usage.get(f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
    counts = {
        "gen_ai.usage.input_tokens": (usage.get("input_tokens") or 0) + read + written,
        "gen_ai.usage.output_tokens": usage.get("output_tokens") or 0,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_creation.input_tokens": written,
    }
    span.set_attributes(counts | ({} if cost is None else {"expert_devops.cost_usd": cost}))


def _as_sent(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    """A result's usage in the API's names."""
    return {
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cache_read_input_tokens": usage.get("cache_read_tokens"),
        "cache_creation_input_tokens": usage.get("cache_write_tokens"),
    }


def _end(span: Span, event: Event, error: str | None) -> None:
    from opentelemetry.trace import Status, StatusCode

    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR))
    span.end(_nanoseconds(event))


def _nanoseconds(event: Event) -> int:
    return int(event.time * 1e9)


def _provider(model: str) -> str:
    return "expert_devops" if model == "playbook" else "anthropic"
