"""Compaction: a conversation that no longer fits goes on from a summary of itself.

The model is asked for the summary over the same prefix, so the prompt cache serves it. The new history is one user
message: the summary and what the runtime itself knows (steps, decisions, findings, files). Nothing else is kept, so no
thinking block remains that was bound to what is gone (preserved thinking, Messages API documentation, November 2026).
The journal keeps everything; an event tells from where the history goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from agent.events import CompactionStarted, HistoryCompacted
from agent.knowledge.prompt import system_fragment
from agent.models.port import Json, ModelError
from agent.session.resume import open_calls
from agent.turn.asking import ask
from agent.turn.window import estimate, room

if TYPE_CHECKING:
    from agent.conversation import Conversation

Trigger = Literal["auto", "manual"]

TOO_LONG = frozenset({"context_too_long", "too_large"})
"""Kinds of `ModelError` that a shorter conversation may cure."""

_HEAD = "This conversation goes on from an earlier part that no longer fits and was summarised by you."
_ONWARD = "Go on from here. Files are as the work left them, but what you read of them is gone: read before you edit."
_TEXT, _INPUT, _RESULT = 8_000, 1_000, 1_500  # characters kept of each when a conversation is told in short
_UNKNOWN_WINDOW = 40_000  # tokens; what small local models have at least


class NotCompactedError(Exception):
    """The history stays as it is; the message says why."""


def is_due(talk: Conversation) -> bool:
    """Whether the next request may no longer fit."""
    if not talk.auto_compact.enabled:
        return False
    most = room(talk.model.id, talk.max_tokens, talk.auto_compact.window)
    return most is not None and talk.window.tokens(talk.history) > most and len(talk.history) > 1


async def compact(talk: Conversation, trigger: Trigger, instructions: str = "", *, refused: bool = False) -> None:
    """Replace the history by a summary. `refused`: it is already too long to be sent once more.

    Raises `NotCompactedError` and changes nothing when a hook, an open call or the model stands against it, and
    `ModelError` when the model cannot be asked.
    """
    started, before = time.monotonic(), talk.window.tokens(talk.history) or estimate(talk.history)
    if talk.model.id == "playbook":
        raise NotCompactedError("The embedded rules need the whole history and no room for it.")
    if not any(message["role"] == "assistant" for message in talk.history):
        raise NotCompactedError("There is nothing yet that could be summarised.")
    if open_calls(talk.history):
        raise NotCompactedError("A tool call has no result yet. Continue the session first.")
    if talk.hooks is not None:
        outcome = await talk.hooks.pre_compact(trigger, instructions)
        if outcome.blocked or outcome.stop is not None:
            raise NotCompactedError(outcome.reason or outcome.stop or "A hook is against it.")
    talk.emit(CompactionStarted(trigger=trigger, agent_id=talk.agent_id))
    summary = await _summary(talk, instructions, refused)
    message = talk.calls.redactor.json({"role": "user", "content": await _content(talk, summary)})
    talk.history = [message]
    talk.window.filled, talk.window.counted = 0, 0
    talk.calls.context.state.pop("files", None)  # nothing read is known any more
    talk.emit(
        HistoryCompacted(
            message=message,
            trigger=trigger,
            tokens_before=before,
            tokens_after=talk.window.tokens(talk.history),
            seconds=time.monotonic() - started,
            agent_id=talk.agent_id,
        )
    )
    if talk.hooks is not None:
        talk.calls.judge.note(await talk.hooks.post_compact(trigger, summary))


async def _summary(talk: Conversation, instructions: str, refused: bool) -> str:
    asked = system_fragment("compact") + (f"\n\nThe user adds: {instructions}" if instructions else "")
    if not refused:
        try:
            return await _told(talk, [*talk.history, {"role": "user", "content": asked}])
        except ModelError as error:
            if error.kind not in TOO_LONG:
                raise
    characters = 2 * (room(talk.model.id, talk.max_tokens) or _UNKNOWN_WINDOW)
    while True:
        told = in_short(talk.history, characters)
        try:
            return await _told(talk, [{"role": "user", "content": f"{told}\n\n{asked}"}])
        except ModelError as error:
            characters //= 3
            if error.kind not in TOO_LONG or characters < _RESULT:
                raise


async def _told(talk: Conversation, messages: list[Json]) -> str:
    message = (await ask(talk, messages, shown=False)).message
    said = [str(block.get("text") or "") for block in message["content"] if block.get("type") == "text"]
    text = "\n\n".join(said).strip()
    if not text or message.get("stop_reason") in ("refusal", "tool_use"):
        raise NotCompactedError("The model gave no summary.")
    return text


async def _content(talk: Conversation, summary: str) -> list[Json]:
    """The new first message: summary, what the runtime knows, hooks' context, and a prompt not yet answered."""
    texts = [_HEAD, f"# Summary\n{summary}", *_known(talk)]
    if talk.hooks is not None and talk.agent_id is None:
        judge = talk.calls.judge
        judge.note(await talk.hooks.session_start("compact", talk.model.id))
        texts += judge.reminders
        judge.reminders.clear()
    last = talk.history[-1]
    blocks = [{"type": "text", "text": last["content"]}] if isinstance(last["content"], str) else last["content"]
    asked = last["role"] == "user" and not any(block.get("type") == "tool_result" for block in blocks)
    return [{"type": "text", "text": "\n\n".join([*texts, _ONWARD])}, *(blocks if asked else [])]


def _known(talk: Conversation) -> Iterator[str]:
    """What the runtime itself holds, whatever the summary left out."""
    context = talk.calls.context
    if talk.recap is not None:
        yield f"# Steps of the workflow, as the runtime has them\n{talk.recap()}"
    if todo := context.state.get("todo"):
        yield "# Your list\n" + "\n".join(f"- [{item['status']}] {item['content']}" for item in todo)
    if "files" in context.state:
        from tools.files.ledger import ledger

        yield "# Files read or written so far\n" + "\n".join(f"- {path}" for path in ledger(context).seen)
    if "shell" in context.state:
        from tools.shell import shell

        running = [task for task in shell(context).tasks.values() if task.status == "running"]
        if running:
            yield "# Background commands\n" + "\n".join(f"- {task.id}: {task.command}" for task in running)
    yield f"# Place\nThe working directory is {context.cwd}."


def in_short(history: list[Json], characters: int) -> str:
    """A conversation told as text of at most about so many characters: its beginning, and above all its end."""
    parts = [_short(message) for message in history]
    first = _cut(parts[0], characters // 4)
    left, kept = characters - len(first), list[str]()
    for part in reversed(parts[1:]):
        left -= len(part)
        if left < 0:
            kept.append("[A part of the conversation is left out here.]")
            break
        kept.append(part)
    return "\n\n".join(["# The conversation so far, in short", first, *reversed(kept)])


def _short(message: Mapping[str, Any]) -> str:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    lines = [line for block in blocks if (line := _short_block(block))]
    return f"## {message['role']}\n" + "\n".join(lines)


def _short_block(block: Mapping[str, Any]) -> str:
    match block.get("type"):
        case "text":
            return _cut(str(block["text"]), _TEXT)
        case "tool_use":
            return f"calls {block['name']} " + _cut(json.dumps(block["input"], ensure_ascii=False), _INPUT)
        case "tool_result":
            content = block.get("content") or ""
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            text = "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts)
            return ("error: " if block.get("is_error") else "result: ") + _cut(text, _RESULT)
        case "image" | "document":
            return f"[{block['type']}]"
        case _:
            return ""


def _cut(text: str, most: int) -> str:
    """`text`, or its beginning and end with a mark between."""
    if len(text) <= most:
        return text
    return f"{text[: 2 * most // 3]}\n[... {len(text) - most:,} characters left out ...]\n{text[-most // 3 :]}"
