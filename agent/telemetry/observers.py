"""Readers of a run's events that the environment asks for: a log in JSON, and traces.

    EXPERT_DEVOPS_LOG_FORMAT=json   one JSON object a line on standard error (`--log-format json`)
    OTEL_...                        spans; see `agent.telemetry.traces`

Only the process's own environment counts: settings of a project cannot send a run's events anywhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

from agent.events import Event, HookRan, ModelEvent, Notice, RetryScheduled, RunFinished, RunStarted, to_json
from tools.secrets import Redactor

Reader = Callable[[Event], None]
LOG_FORMAT = "EXPERT_DEVOPS_LOG_FORMAT"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def observers(env: Mapping[str, str], redactor: Redactor) -> tuple[list[Reader], list[str]]:
    """The readers, and what was asked for and cannot be had."""
    readers: list[Reader] = []
    problems = []
    if logs_json(env):
        readers.append(JsonLog(sys.stderr, redactor))
    elif env.get(LOG_FORMAT, "text") != "text":
        problems.append(f"{LOG_FORMAT}={env[LOG_FORMAT]!r} is not known; use json or text.")
    if wants_traces(env):
        from agent.telemetry import traces

        try:
            readers.append(traces.spans_of(env))
        except traces.TelemetryError as error:
            problems.append(str(error))
    return readers, problems


def logs_json(env: Mapping[str, str]) -> bool:
    return env.get(LOG_FORMAT) == "json"


def wants_traces(env: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces: an exporter or endpoint is named, nothing switches it off."""
    exporter = env.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    return bool(exporter) or any(env.get(name) for name in _ENDPOINTS)


class JsonLog:
    """Writes each event as one line: `time` (UTC), `level`, `event`, `session_id`, and the event's own members.

    Secrets are redacted. Pieces of an answer and the frozen prefix are left out: the whole message follows, and the
    prefix is in the journal. A log that cannot be written any more is given up; the run goes on.
    """

    def __init__(self, out: TextIO, redactor: Redactor) -> None:
        self._out: TextIO | None = out
        self._redactor = redactor
        self._session = ""

    def __call__(self, event: Event) -> None:
        if self._out is None or isinstance(event, ModelEvent):
            return
        if isinstance(event, RunStarted):
            self._session = event.session_id
        data = to_json(event)
        if data.pop("type") == "run_started":
            data.pop("prefix")
        when = datetime.fromtimestamp(data.pop("time"), UTC).isoformat(timespec="milliseconds")
        hook = {"hook_event": data.pop("event")} if isinstance(event, HookRan) else {}
        shown = {"level": _level(event), "event": event.type, "session_id": self._session, **hook, **data}
        line = json.dumps({"time": when, **self._redactor.json(shown)}, ensure_ascii=True, separators=(",", ":"))
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except (OSError, ValueError):
            self._out = None


def _level(event: Event) -> str:
    match event:
        case Notice():
            return event.level
        case RetryScheduled() | HookRan(outcome="error"):
            return "warning"
        case RunFinished(status="failed"):
            return "error"
        case _:
            return "info"
