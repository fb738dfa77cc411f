"""From the run's events to the contract's messages: one reader of the event stream, for one turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from agent.events import (
    CompactionStarted,
    Event,
    HistoryCompacted,
    HookRan,
    MessageAdded,
    ModelAnswered,
    ModelEvent,
    Notice,
    PermissionDecided,
    RetryScheduled,
    RunFinished,
    RunStarted,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    TurnStarted,
)
from agent.models.port import ERROR_NAMES
from agent.surfaces.protocol.children import Children
from agent.surfaces.protocol.partial import Partial
from agent.surfaces.protocol.result import TurnTotals
from agent.surfaces.protocol.wire import Json
from tools.plain import to_json

_PROGRESS_SECONDS = 1.0  # at most one tool_progress a second for a call, however much it prints
_IN_MESSAGE = ("id", "type", "role", "model")


@dataclass(slots=True)
class Shown:
    """What a host asked to see beyond the usual. `replay` is the user's frame, to be echoed."""

    partial: Partial | None = None
    child_text: bool = False
    hooks: bool = False
    replay: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Translator:
    """Turns the events of one turn into messages. `init` makes the first message of the turn."""

    init: Callable[[RunStarted], Json]
    shown: Shown = field(default_factory=Shown)
    session_id: str = ""
    totals: TurnTotals = field(default_factory=TurnTotals)
    last_usage: Mapping[str, Any] = field(default_factory=dict)
    running: dict[str, ToolStarted] = field(default_factory=dict)
    _children: Children = field(default_factory=Children)
    _answers: dict[str | None, Json] = field(default_factory=dict)
    _results: set[str] = field(default_factory=set)
    _progress: dict[str, float] = field(default_factory=dict)
    _prompt_seen: bool = False
    _compacting: bool = False

    def messages(self, event: Event) -> Iterator[Json]:
        """The messages of one event, complete with `uuid` and `session_id`."""
        if isinstance(event, RunStarted) and event.agent_id is None:
            self.session_id = event.session_id
        if self._compacting and isinstance(event, TurnStarted | RunFinished) and event.agent_id is None:
            self._compacting = False
            yield self.stamped(_status("failed"))
        for message in self._children.messages(event):
            yield self.stamped(message)
        for message in self._of(event):
            yield self.stamped(message)

    def ending(self) -> Iterator[Json]:
        """What is due before the result."""
        for message in self._children.end_all():
            yield self.stamped(message)

    def stamped(self, message: Json) -> Json:
        return {"uuid": str(uuid4()), **message, "session_id": self.session_id}

    def _of(self, event: Event) -> Iterator[Json]:
        match event:
            case RunStarted(agent_id=None):
                yield self.init(event)
            case TurnStarted(agent_id=None):
                self.totals.turns += 1
            case ModelEvent():
                yield from self._model_event(event)
            case ModelAnswered():
                self._model_answered(event)
            case MessageAdded(message={"role": "assistant"}):
                yield from self._assistant(event)
            case MessageAdded():
                yield from self._user(event)
            case RetryScheduled():
                yield _retry(event)
            case PermissionDecided(behavior="deny"):
                yield _denied(event)
            case Notice(level="warning"):
                yield {"type": "system", "subtype": "informational", "content": event.text, "level": "warning"}
            case HookRan() if event.kind != "callback" and (self.shown.hooks or event.event == "SessionStart"):
                yield _hook(event)
            case _:
                yield from self._of_rest(event)

    def _of_rest(self, event: Event) -> Iterator[Json]:
        match event:
            case CompactionStarted(agent_id=None):
                self._compacting = True
                yield {"type": "system", "subtype": "status", "status": "compacting"}
            case HistoryCompacted(agent_id=None):
                self.last_usage = {"input_tokens": event.tokens_after}
                self._compacting = False
                yield _status("success")
                yield _boundary(event)
            case ToolStarted():
                self.running[event.call_id] = event
            case ToolProgress():
                yield from self._tool_progress(event)
            case ToolFinished():
                self.running.pop(event.call_id, None)
                yield self._tool_result(event.block, event, to_json(event.data))

    # --- the model ---

    def _model_event(self, event: ModelEvent) -> Iterator[Json]:
        raw = {key: value for key, value in event.event.items() if key != "request_id"}
        if raw.get("type") == "message_start":
            self._answers[event.agent_id] = {key: raw["message"].get(key) for key in _IN_MESSAGE}
        if self.shown.partial is not None and event.agent_id is None:
            for ready in self.shown.partial.events(raw):
                yield {"type": "stream_event", "event": ready, "parent_tool_use_id": None}

    def _model_answered(self, event: ModelAnswered) -> None:
        self.totals.api_seconds += event.seconds
        answer = self._answers.setdefault(event.agent_id, {"type": "message", "role": "assistant"})
        answer |= {"model": event.model, "stop_reason": event.stop_reason, "usage": dict(event.usage)}
        answer["request_id"] = event.request_id
        if event.agent_id is None:
            self.totals.add(event.usage)
            self.last_usage = event.usage

    def _assistant(self, event: MessageAdded) -> Iterator[Json]:
        answer = dict(self._answers.get(event.agent_id, {"type": "message", "role": "assistant", "model": ""}))
        request_id = answer.pop("request_id", None)
        content = event.message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if event.agent_id is not None and not self.shown.child_text:
            blocks = [block for block in blocks if block.get("type") == "tool_use"]
        if not blocks:
            return
        message = {"type": "assistant", "message": {**answer, "content": blocks}, **self._origin(event)}
        message["uuid"] = event.uuid
        yield message | ({"request_id": request_id} if request_id else {})

    # --- the user's side ---

    def _user(self, event: MessageAdded) -> Iterator[Json]:
        """Tool results not yet shown, the prompt when it is to be echoed, and what the loop itself says."""
        content = event.message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if block.get("type") == "tool_result" and block.get("tool_use_id") not in self._results:
                yield self._tool_result(block, event, None)
        said = [block for block in blocks if block.get("type") != "tool_result"]
        if not said or event.agent_id is not None:
            return
        if self._prompt_seen:
            yield self._user_message(said, event) | {"isSynthetic": True, "uuid": event.uuid}
            return
        self._prompt_seen = True
        if self.shown.replay is not None:
            echoed = {"message": self.shown.replay.get("message"), "isReplay": True, "uuid": event.uuid}
            yield self._user_message(said, event) | echoed

    def _tool_result(self, block: Json, event: Event, data: Any) -> Json:
        self._results.add(str(block.get("tool_use_id")))
        message = self._user_message([block], event)
        return message | ({"tool_use_result": data} if data else {})

    def _user_message(self, blocks: list[Json], event: Event) -> Json:
        return {"type": "user", "message": {"role": "user", "content": blocks}, **self._origin(event)}

    def _origin(self, event: Event) -> Json:
        if event.agent_id is None:
            return {"parent_tool_use_id": None}
        agent = self._children.agent_of(event.agent_id)
        return {"parent_tool_use_id": event.parent_call_id, "agent_id": event.agent_id, "subagent_type": agent}

    def _tool_progress(self, event: ToolProgress) -> Iterator[Json]:
        started, now = self.running.get(event.call_id), time.time()
        if started is None or now - self._progress.get(event.call_id, started.time) < _PROGRESS_SECONDS:
            return
        self._progress[event.call_id] = now
        yield {
            "type": "tool_progress",
            "tool_use_id": event.call_id,
            "tool_name": event.tool,
            "parent_tool_use_id": event.parent_call_id,
            "elapsed_time_seconds": round(now - started.time, 3),
        }


def _status(result: str) -> Json:
    return {"type": "system", "subtype": "status", "status": None, "compact_result": result}


def _boundary(event: HistoryCompacted) -> Json:
    counted = {"trigger": event.trigger, "pre_tokens": event.tokens_before, "post_tokens": event.tokens_after}
    metadata = counted | {"duration_ms": round(event.seconds * 1000)}
    return {"type": "system", "subtype": "compact_boundary", "compact_metadata": metadata}


def _retry(event: RetryScheduled) -> Json:
    return {
        "type": "system",
        "subtype": "api_retry",
        "attempt": event.attempt,
        "max_retries": event.max_attempts,
        "retry_delay_ms": round(event.delay * 1000),
        "error_status": event.status,
        "error": ERROR_NAMES.get(event.kind, "unknown"),
    }


def _hook(event: HookRan) -> Json:
    """A hook as hosts see it. Those whose code is the host's own are not told to it."""
    named = {"hook_id": event.id, "hook_name": event.hook, "hook_event": event.event}
    if event.outcome == "started":
        return {"type": "system", "subtype": "hook_started", **named}
    said = {"output": event.stdout + event.stderr, "stdout": event.stdout, "stderr": event.stderr}
    ended = {"outcome": event.outcome} | ({} if event.exit_code is None else {"exit_code": event.exit_code})
    return {"type": "system", "subtype": "hook_response", **named, **said, **ended}


def _denied(event: PermissionDecided) -> Json:
    return {
        "type": "system",
        "subtype": "permission_denied",
        "tool_name": event.tool,
        "tool_use_id": event.call_id,
        "message": event.reason,
        "decision_reason": event.rule or event.reason,
        "decision_reason_type": event.by,
        **({"agent_id": event.agent_id} if event.agent_id else {}),
    }
