"""The turn loop: ask the model, run what it asks for, give the results back, until it is done.

    drive:  budget left? -> ask the model -> decide the next step -> (again | finish)

A turn becomes a value, `Again` or `Finish`, so deciding is apart from doing. History only grows: messages are appended
and never edited, since thinking signatures and the prompt cache are bound to the prefix. Nothing here knows a provider,
a terminal or a file format: the model, the tools, the permissions, the journal and the person are handed in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.conversation import Conversation, last_text
from agent.events import Notice, TurnStarted
from agent.models.port import ERROR_NAMES, Json, ModelError
from agent.result import Completed, Failed, Interrupted, NeedsInput, OutOfBudget, Refused, Result
from agent.said import blocks_of, text_of
from agent.session.resume import open_calls
from agent.turn.asking import ask
from agent.turn.compaction import TOO_LONG, NotCompactedError, compact, is_due
from tools.ports import NeedsInput as Unanswered

if TYPE_CHECKING:
    from agent.turn.structured import Answer

_CONTINUE = (
    "Your answer was cut at the output limit. Continue where it stopped; make smaller tool calls if one was cut."
)
_RESUME = "Continue where you stopped."
_NUDGE = "Your last answer was empty. Continue with the task, or say in a sentence that it is done."
_MOST_REPEATS = 3  # how often in a row a cut, paused, empty or incomplete answer is continued before the run fails
_MOST_OUTPUT = 128_000  # the largest output limit of any current model


@dataclass(frozen=True, slots=True)
class Again:
    """Another turn. `reason` names a repeat that may not go on for ever; progress resets the count."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    result: Result


async def drive(talk: Conversation) -> Result:
    """Run the conversation to its one result. Cancelling the task gives `Interrupted`."""
    started = time.monotonic()
    repeats: dict[str, int] = {}
    try:
        await _begin(talk)
        while True:
            if talk.hooks is not None and (why := talk.hooks.ending.reason) is not None:
                return _finish(talk, started, Refused, by="hook", reason=why, stop_reason="hook_stopped")
            if (limit := talk.ledger.exceeded()) is not None:
                return _finish(talk, started, OutOfBudget, limit=limit[0], reason=limit[1])
            match await _fitting_turn(talk, started):
                case Finish(result):
                    return result
                case Again(reason=None):
                    repeats.clear()
                case Again(reason=str(reason)):
                    repeats[reason] = repeats.get(reason, 0) + 1
                    if repeats[reason] > _MOST_REPEATS:
                        return _finish(talk, started, Failed, kind="incomplete", reason=f"No progress: {reason}.")
    except Unanswered as question:
        return _finish(talk, started, NeedsInput, questions=question.questions)
    except ModelError as error:
        return await _failed(talk, started, error)
    except asyncio.CancelledError:
        talk.emit(Notice(level="info", text="Interrupted.", agent_id=talk.agent_id))
        return _finish(talk, started, Interrupted)


async def _failed(talk: Conversation, started: float, error: ModelError) -> Result:
    if talk.hooks is not None:
        name = ERROR_NAMES.get(error.kind, "unknown")
        talk.calls.judge.note(await talk.hooks.stop_failure(name, error.message, last_text(talk.history)))
    return _finish(talk, started, Failed, kind=error.kind, reason=error.message, http_status=error.status)


async def compact_now(talk: Conversation) -> Result:
    """Summarise the conversation at a person's wish; `talk.prompt` is what they want kept above all."""
    started = time.monotonic()
    try:
        await _open(talk)
        await compact(talk, "manual", text_of(talk.prompt))
        return _finish(talk, started, Completed)
    except NotCompactedError as error:
        return _finish(talk, started, Failed, kind="compaction", reason=str(error))
    except ModelError as error:
        return await _failed(talk, started, error)
    except asyncio.CancelledError:
        return _finish(talk, started, Interrupted)


async def _open(talk: Conversation) -> None:
    """Run the hooks on the beginning of a session or of a child, where it begins."""
    judge = talk.calls.judge
    judge.repeats.reset()
    if talk.hooks is None:
        return
    if talk.agent_id is not None:
        judge.note(await talk.hooks.subagent_start())
    elif talk.begins is not None:
        began = await talk.hooks.session_start(talk.begins, talk.model.id)
        judge.note(began)
        talk.exported = began.environment
        talk.calls.context.env = {**talk.calls.context.env, **began.environment}


async def _begin(talk: Conversation) -> None:
    """Settle what an earlier run left open, then add the prompt. The API wants results before any text.

    A prompt that a hook refuses is not added, and ends the run.
    """
    await _open(talk)
    judge = talk.calls.judge
    if talk.hooks is not None:
        if talk.hooks.ending.reason is not None:
            return
        if talk.prompt and talk.agent_id is None:
            outcome = await talk.hooks.user_prompt(text_of(talk.prompt))
            judge.note(outcome)
            if outcome.blocked or outcome.stop is not None:
                talk.hooks.ending.reason = outcome.stop or outcome.reason or "A hook refused the prompt."
                return
    reminders = [{"type": "text", "text": text} for text in judge.reminders]
    judge.reminders.clear()
    if open_calls(talk.history):
        results = await talk.calls.run(talk.history[-1]["content"], {}, talk.settled)
        talk.append("user", [*results, *blocks_of(talk.prompt), *reminders], talk.prompt_id)
    elif talk.prompt or not talk.history or talk.history[-1]["role"] == "assistant":
        said = talk.prompt or _RESUME
        content = said if isinstance(said, str) and not reminders else [*blocks_of(said), *reminders]
        talk.append("user", content, talk.prompt_id)


async def _fitting_turn(talk: Conversation, started: float) -> Again | Finish:
    """A turn, with the history summarised before it where it would not fit, or once after it turned out not to."""
    if is_due(talk):
        try:
            await compact(talk, "auto")
        except NotCompactedError as error:
            talk.emit(Notice(level="warning", text=f"The conversation was not summarised: {error}"))
    try:
        return await _turn(talk, started)
    except ModelError as error:
        if error.kind not in TOO_LONG or talk.window.refused or not talk.auto_compact.enabled:
            raise
        talk.window.refused = True
        try:
            await compact(talk, "auto", refused=True)
        except NotCompactedError:
            raise error from None
        return Again()


async def _turn(talk: Conversation, started: float) -> Again | Finish:
    talk.turn += 1
    talk.ledger.turns += 1
    talk.emit(TurnStarted(turn=talk.turn, agent_id=talk.agent_id))
    response = await ask(talk, talk.history)
    talk.window.note(response.usage, len(talk.history) + 1)
    message = response.message
    content: list[Json] = message["content"]
    stop = message.get("stop_reason")
    talk.window.refused = talk.window.refused and stop == "model_context_window_exceeded"
    called = any(block.get("type") == "tool_use" for block in content)

    if stop == "refusal":
        details = message.get("stop_details") or {}
        reason = details.get("explanation") or "The model declined to answer."
        outcome = _finish(
            talk, started, Refused, by="model", reason=reason, category=details.get("category"), stop_reason=stop
        )
        return Finish(outcome)
    if stop in {"max_tokens", "model_context_window_exceeded"}:
        return _cut(talk, content, str(stop))
    if stop == "pause_turn":
        talk.append("assistant", content)
        return Again("the server paused the turn")
    if stop in {"tool_use", "end_turn", "stop_sequence"} and called:
        # Some compatible servers say end_turn although calls are present.
        talk.append("assistant", content)
        talk.append("user", await talk.calls.run(content, response.malformed, {}))
        if talk.answer is not None and talk.answer.attempted(content):
            return await _answered(talk, started, talk.answer, stop)
        return Again()
    if stop in {"end_turn", "stop_sequence", "tool_use"}:
        return await _ended(talk, started, content, stop)
    reason = f"The model stopped for a reason this version does not know: {stop!r}."
    return Finish(_finish(talk, started, Failed, kind="unknown", reason=reason, stop_reason=stop))


def _cut(talk: Conversation, content: Sequence[Json], stop: str) -> Again:
    """An answer cut by a limit. Its tool calls may be incomplete, so none is run; what was said is kept.

    Raises `ModelError` when the limit is the window's: then nothing is kept.
    """
    if stop == "model_context_window_exceeded":
        reason = "The conversation no longer fits the model's context window. Start a new session with a shorter task."
        raise ModelError("context_too_long", reason)
    kept = _without_trailing_thinking([block for block in content if block.get("type") != "tool_use"])
    if kept:
        talk.append("assistant", kept)
        talk.append("user", _CONTINUE)
    else:
        talk.max_tokens = min(2 * talk.max_tokens, _MOST_OUTPUT)
    return Again("the answer was cut at the output limit")


async def _ended(talk: Conversation, started: float, content: list[Json], stop: str) -> Again | Finish:
    """The model says it is done. An empty answer is nudged; a guard may send it back to work."""
    said = any(block.get("type") == "text" and block.get("text", "").strip() for block in content)
    if not said:
        if kept := _without_trailing_thinking(content):
            talk.append("assistant", kept)
        talk.append("user", _NUDGE)
        return Again("the answer was empty")
    talk.append("assistant", content)
    if talk.guard is not None and (unfinished := talk.guard.unfinished()) is not None:
        talk.append("user", unfinished)
        return Again("the model stopped before its steps were verified")
    if talk.answer is not None and (missing := talk.answer.missing(last_text(talk.history))) is not None:
        if not talk.answer.exhausted:
            talk.append("user", missing)
        return await _answered(talk, started, talk.answer, stop)
    return await _stop(talk, started, stop)


async def _answered(talk: Conversation, started: float, answer: Answer, stop: str) -> Again | Finish:
    """After a try to give the structured answer: the run ends with it, or with too many wrong ones."""
    if answer.given:
        return await _stop(talk, started, stop)
    if answer.exhausted:
        return Finish(_finish(talk, started, Failed, kind="structured_output", reason=answer.reason))
    return Again()


async def _stop(talk: Conversation, started: float, stop: str) -> Again | Finish:
    """The run ends, unless a hook sends the model back to work."""
    if talk.hooks is not None:
        outcome = await talk.hooks.stop(last_text(talk.history), active=talk.hooks.stop_blocks > 0)
        talk.calls.judge.note(outcome)
        reasons = [*([outcome.reason] if outcome.blocked else []), *talk.calls.judge.reminders]
        talk.calls.judge.reminders.clear()
        if outcome.stop is not None:
            return Again()  # and there the hook's reason ends the run
        if reasons:
            talk.append("user", "\n\n".join(reasons))
            return Again()
    return Finish(_finish(talk, started, Completed, stop_reason=stop))


def _without_trailing_thinking(content: Sequence[Json]) -> list[Json]:
    """The API rejects an assistant turn that ends in thinking."""
    kept = list(content)
    while kept and "thinking" in str(kept[-1].get("type")):
        kept.pop()
    return kept


def _finish(talk: Conversation, started: float, outcome: Callable[..., Result], **details: Any) -> Result:
    return outcome(
        session_id=talk.session_id,
        text=last_text(talk.history),
        turns=talk.turn,
        seconds=time.monotonic() - started,
        usage=talk.ledger.total,
        usage_by_model=talk.ledger.by_model,
        usage_by_agent={agent: dict(models) for agent, models in talk.ledger.by_agent.items()},
        denials=tuple(talk.calls.denials),
        structured_output=talk.answer.value if talk.answer is not None else None,
        **details,
    )
