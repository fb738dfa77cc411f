"""One agent's conversation: what the turn loop works on, and what a turn's parts read and change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from agent.budget import Ledger
from agent.calls.runner import CallRunner
from agent.events import Event, MessageAdded, new_uuid
from agent.models.port import Json, Model
from agent.said import Said
from agent.turn.window import AutoCompact, Window

if TYPE_CHECKING:
    from agent.hooks import Hooks
    from agent.turn.structured import Answer


class StopGuard(Protocol):
    """Asked when the model wants to stop. A text sends it back to work; None lets it stop."""

    def unfinished(self) -> str | None: ...


@dataclass(slots=True)
class Conversation:
    """One agent's conversation: its model, its frozen prefix, its history and whoever takes part.

    `prompt` is what starts or continues it, `prompt_id` its message's name. `emit` receives every event (the journal is
    behind it). `settled` holds results for calls a crash left open. `begins` is why the session begins with this run,
    None when it goes on; `exported` is what its hooks then export to shell commands. `answer` is the structured answer
    that is owed. `recap` tells what a workflow must not forget.
    """

    session_id: str
    model: Model
    system: Sequence[Json]
    tools: Sequence[Json]
    calls: CallRunner
    ledger: Ledger
    emit: Callable[[Event], None]
    prompt: Said = ""
    prompt_id: str | None = None
    history: list[Json] = field(default_factory=list)
    settled: Mapping[str, Json] = field(default_factory=dict)
    guard: StopGuard | None = None
    answer: Answer | None = None
    hooks: Hooks | None = None
    max_tokens: int = 32_000
    options: Mapping[str, Any] = field(default_factory=dict)
    agent_id: str | None = None
    turn: int = 0
    begins: str | None = "startup"
    exported: Mapping[str, str] = field(default_factory=dict)
    window: Window = field(default_factory=Window)
    auto_compact: AutoCompact = field(default_factory=AutoCompact)
    recap: Callable[[], str] | None = None

    def append(self, role: str, content: str | list[Json], uuid: str | None = None) -> None:
        """Add a message to the history, for good."""
        message = {"role": role, "content": content}
        self.history.append(message)
        self.emit(MessageAdded(message=message, uuid=uuid or new_uuid(), agent_id=self.agent_id))


def last_text(history: Sequence[Json]) -> str:
    """The text of the last assistant message that has any."""
    for message in reversed(history):
        if message["role"] == "assistant":
            content = message["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            text = "\n\n".join(block["text"] for block in blocks if block.get("type") == "text" and block["text"])
            if text.strip():
                return text
    return ""
