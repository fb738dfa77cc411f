"""Child agents as the contract shows them: `task_started`, `task_progress` and exactly one `task_notification` each.

A host that waits for running tasks keeps its input open, so whatever was announced is also ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.events import Event, ModelAnswered, RunFinished, ToolFinished, ToolStarted
from agent.surfaces.protocol.wire import Json

_ENDED = {"completed": "completed", "interrupted": "stopped"}


@dataclass(slots=True)
class _Child:
    id: str
    call_id: str | None
    parent: str | None
    description: str
    agent: str
    started: float = field(default_factory=time.monotonic)
    tokens: int = 0
    tool_uses: int = 0
    last_tool: str | None = None
    ended: bool = False


class Children:
    """The children of one turn, known by the events that carry their `agent_id`."""

    def __init__(self) -> None:
        self._children: dict[str, _Child] = {}
        self._calls: dict[str, ToolStarted] = {}

    def agent_of(self, agent_id: str) -> str:
        """Which agent a child is, by name."""
        child = self._children.get(agent_id)
        return child.agent if child else ""

    def messages(self, event: Event) -> Iterator[Json]:
        """What `event` says about children. Called before the event's own messages, for every event."""
        if isinstance(event, ToolStarted):
            self._calls[event.call_id] = event
        if event.agent_id is not None and event.agent_id not in self._children:
            yield self._begin(event)
        if event.agent_id is not None:
            yield from self._advance(self._children[event.agent_id], event)
        if isinstance(event, ToolFinished):
            self._calls.pop(event.call_id, None)
            status = "failed" if event.block.get("is_error") else "completed"
            for child in self._children.values():
                if child.call_id == event.call_id:
                    yield from self._end(child, status, _text(event.block))

    def end_all(self) -> Iterator[Json]:
        """The turn is over, so no child of it runs any more."""
        for child in self._children.values():
            yield from self._end(child, "stopped", "")

    def _begin(self, event: Event) -> Json:
        call = self._calls.get(event.parent_call_id or "")
        given: Mapping[str, Any] = call.input if call else {}
        child = _Child(
            id=str(event.agent_id),
            call_id=event.parent_call_id,
            parent=call.agent_id if call else None,
            description=str(given.get("description") or given.get("subject") or "A child agent"),
            agent=str(given.get("subagent_type") or given.get("to") or getattr(event, "agent", "") or "agent"),
        )
        self._children[child.id] = child
        return _task(
            child,
            "task_started",
            description=child.description,
            task_type="local_agent",
            subagent_type=child.agent,
            prompt=given.get("prompt") or given.get("task"),
            parent_task_id=child.parent,
        )

    def _advance(self, child: _Child, event: Event) -> Iterator[Json]:
        match event:
            case ModelAnswered():
                counts = [value for key, value in event.usage.items() if key.endswith("_tokens")]
                child.tokens += sum(value for value in counts if isinstance(value, int))
            case ToolFinished():
                child.tool_uses += 1
                child.last_tool = event.tool
                yield _task(
                    child,
                    "task_progress",
                    description=child.description,
                    usage=_usage(child),
                    last_tool_name=child.last_tool,
                )
            case RunFinished():
                text = str(event.result.get("text") or "")
                yield from self._end(child, _ENDED.get(event.status, "failed"), text)

    def _end(self, child: _Child, status: str, summary: str) -> Iterator[Json]:
        if child.ended:
            return
        child.ended = True
        for other in self._children.values():
            if other.parent == child.id:
                yield from self._end(other, "stopped", "")
        yield _task(
            child,
            "task_notification",
            status=status,
            output_file="",
            summary=summary[:2_000] or child.description,
            usage=_usage(child),
        )


def _task(child: _Child, subtype: str, **fields: Any) -> Json:
    named = {"type": "system", "subtype": subtype, "task_id": child.id, "tool_use_id": child.call_id, **fields}
    return {key: value for key, value in named.items() if value is not None}


def _usage(child: _Child) -> Json:
    milliseconds = round((time.monotonic() - child.started) * 1000)
    return {"total_tokens": child.tokens, "tool_uses": child.tool_uses, "duration_ms": milliseconds}


def _text(block: Mapping[str, Any]) -> str:
    content = block.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text") or "") for part in content or [] if isinstance(part, Mapping))
