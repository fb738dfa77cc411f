"""Reading a session back: its history, what was answered, and what a crash left open.

The journal is the only source. The history is every `message_added` in order, from the last `history_compacted` on.
When the last message holds tool calls without results, each open call is settled once:

    finished in the journal            its recorded result is used
    never started                      it runs now
    started, only reads                it runs again
    started, may have had effects      the model is told that the outcome is unknown
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.events import (
    UNKNOWN_OUTCOME,
    Event,
    HistoryCompacted,
    HistoryRewound,
    MessageAdded,
    ModelAnswered,
    QuestionsAnswered,
    RunStarted,
    StepChanged,
    ToolFinished,
    ToolStarted,
    TurnStarted,
    from_json,
)
from agent.session.journal import JOURNAL, SessionError, read_lines

Json = dict[str, Any]


@dataclass(slots=True)
class Restored:
    """A session as its journal tells it. `settled` maps call ids of the open turn to the result block to use.

    `started` is None for a session that comes from a transcript. `uuids` are the names of each message of the history.
    `counted` is the usage of the last answer and the number of messages it covers, that answer included.
    `usage` is of the whole tree of agents: agent, model, counts.
    """

    session_id: str
    directory: Path
    started: RunStarted | None
    history: list[Json] = field(default_factory=list)
    uuids: list[list[str]] = field(default_factory=list)
    begun: dict[str, ToolStarted] = field(default_factory=dict)
    ended: dict[str, Json] = field(default_factory=dict)
    settled: dict[str, Json] = field(default_factory=dict)
    steps: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    counted: tuple[Mapping[str, Any], int] = ({}, 0)
    usage: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    turns: int = 0
    redacted: bool = False

    @property
    def workflow(self) -> Mapping[str, Any] | None:
        """The options of an eight-step run; None for any other session."""
        return self.started.workflow if self.started is not None else None

    def rewind(self, kept: int) -> None:
        """Keep the first messages only."""
        del self.history[kept:], self.uuids[kept:]
        self.counted = {}, 0

    def settle(self) -> None:
        """Decide on the calls of the last message that have no result. See the module's table.

        Of a session without a journal nothing is known of a call's effects, so its outcome is unknown.
        """
        self.settled = {}
        for block in open_calls(self.history):
            call_id = block["id"]
            begun = self.begun.get(call_id)
            if call_id in self.ended:
                self.settled[call_id] = self.ended[call_id]
            elif self.started is None or (begun is not None and not set(begun.effects) <= {"reads", "asks"}):
                self.settled[call_id] = {
                    "type": "tool_result",
                    "tool_use_id": call_id,
                    "content": UNKNOWN_OUTCOME,
                    "is_error": True,
                }


def open_calls(history: list[Json]) -> list[Json]:
    """The tool_use blocks of the last message, when it is the assistant's."""
    if not history or history[-1]["role"] != "assistant" or isinstance(history[-1]["content"], str):
        return []
    return [block for block in history[-1]["content"] if block.get("type") == "tool_use"]


def history_of(lines: Iterable[Json], agent_id: str) -> list[Json]:
    """The history of a child agent from its run's journal."""
    history: list[Json] = []
    for data in lines:
        if data.get("agent_id") != agent_id:
            continue
        if data.get("type") == "message_added":
            history.append(data["message"])
        elif data.get("type") == "history_compacted":
            history = [data["message"]]
    return history


def restore(directory: Path) -> Restored:
    """Read a session. Raises `SessionError` when the journal holds no run."""
    restored: Restored | None = None
    names: dict[str | None, str] = {}
    for data in read_lines(directory / JOURNAL):
        try:
            event = from_json(data)
        except TypeError:
            continue
        if isinstance(event, RunStarted):
            names[event.agent_id] = event.agent
        if isinstance(event, RunStarted) and event.agent_id is None:
            if restored is None:
                restored = Restored(event.session_id, directory, event)
            continue
        if isinstance(event, ModelAnswered) and restored is not None:
            restored.usage.append((names.get(event.agent_id, ""), event.model, event.usage))
        if restored is None or event is None or event.agent_id is not None:
            continue
        _take(restored, event)
        restored.redacted = restored.redacted or bool(data.get("redacted"))
    if restored is None:
        raise SessionError(f"{directory / JOURNAL} holds no run that could be resumed. Start a new one.")
    if restored.redacted:
        restored.history = _without_thinking(restored.history)
    restored.settle()
    return restored


def _take(restored: Restored, event: Event) -> None:
    match event:
        case MessageAdded():
            restored.history.append(event.message)
            restored.uuids.append([event.uuid])
            if event.message["role"] == "assistant" and restored.usage:
                restored.counted = restored.usage[-1][2], len(restored.history)
        case HistoryCompacted():
            restored.history, restored.uuids = [event.message], [[event.uuid]]
            restored.counted = {"input_tokens": event.tokens_after}, 1
        case HistoryRewound():
            restored.rewind(event.kept)
        case ToolStarted():
            restored.begun[event.call_id] = event
        case ToolFinished():
            restored.ended[event.call_id] = event.block
        case StepChanged():
            restored.steps[event.step] = event.record
        case QuestionsAnswered():
            restored.answers.update(event.answers)
        case TurnStarted():
            restored.turns = event.turn
        case _:
            pass


def _without_thinking(history: list[Json]) -> list[Json]:
    """Signed thinking is bound to the exact prefix; where redaction changed a message, none of it may be replayed."""
    return [
        message
        if isinstance(message["content"], str)
        else {**message, "content": [b for b in message["content"] if "thinking" not in str(b.get("type"))]}
        for message in history
    ]
