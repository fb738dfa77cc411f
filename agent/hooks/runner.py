"""Running the hooks of one event: all that fit, in parallel, once each, to one outcome.

One runner serves a whole run, agents at every depth included, so that enforcement is the same for all of them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from agent.events import HookRan
from agent.hooks.command import Command, Raw, sourced
from agent.hooks.config import Handler, Json
from agent.hooks.events import EVENTS, SESSION_END_SECONDS
from agent.hooks.matching import condition_holds, fits
from agent.hooks.output import STRICTEST_LAST, BadOutput, Decision, Verdict, judge_output, read_output
from tools.secrets import Redactor
from tools.text import cap, clean
from tools.tool import child_environment

_MOST_CHARS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HookOutcome:
    """What the hooks of an event add up to.

    `decision` is the strictest (`deny` also stands for `decision: block`), `reason` the reasons of those who gave it.
    `updated_input` replaces the tool's whole input and is to be judged again. `context` is for the model, `messages`
    for the person. `stop` ends the whole run, with its reason. `environment` is for later shell commands.
    """

    decision: Decision | None = None
    reason: str = ""
    updated_input: Mapping[str, Any] | None = None
    context: tuple[str, ...] = ()
    stop: str | None = None
    messages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    runs: tuple[HookRan, ...] = ()

    @property
    def blocked(self) -> bool:
        return self.decision == "deny"

    def reminder(self) -> str:
        """The context as the model reads it beside the event; empty without any."""
        text = "\n\n".join(self.context).replace("</system-reminder", "&lt;/system-reminder")
        return f"<system-reminder>\n{text}\n</system-reminder>" if text else ""


@dataclass(slots=True)
class _Afterwards:
    """What outlives an event: hooks in the background, what they said since, and handlers that are spent."""

    running: set[asyncio.Task[None]] = field(default_factory=set)
    said: list[Verdict] = field(default_factory=list)
    spent: set[object] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class HookRunner:
    """Runs handlers. `root` is the project, `scratch` a private directory for inputs and long outputs.

    `env` is added to the clean environment of command hooks. `watch` sees every run begin and end.
    """

    handlers: tuple[Handler, ...]
    root: Path
    scratch: Path
    home: Path = field(default_factory=Path.home)
    env: Mapping[str, str] = field(default_factory=dict)
    redactor: Redactor = field(default_factory=Redactor)
    watch: Callable[[HookRan], None] = lambda _run: None
    _afterwards: _Afterwards = field(default_factory=_Afterwards)

    def with_handlers(self, more: Sequence[Handler]) -> HookRunner:
        """The same runner with further handlers, for instance those of one agent's definition."""
        return replace(self, handlers=(*self.handlers, *more)) if more else self

    async def run(self, event: str, payload: Json, *, matcher_value: str = "") -> HookOutcome:
        """Run all handlers of `event` whose matcher covers `matcher_value`. Never raises for what a hook does.

        Cancelling ends the running hooks with everything they started.
        """
        late = [self._afterwards.said.pop(0) for _ in range(len(self._afterwards.said))]
        handlers = self._fitting(event, payload, matcher_value)
        if not handlers and not late:
            return HookOutcome()
        text = json.dumps({**payload, "hook_event_name": event}, default=str)
        env = child_environment(self.env) | {"CLAUDE_PROJECT_DIR": str(self.root)}
        script = self.scratch / f"env-{uuid4().hex}.sh" if event == "SessionStart" else None
        if script is not None:
            env["CLAUDE_ENV_FILE"] = str(script)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._one(handler, self._begun(handler, payload, matcher_value), text, payload, env))
                for handler in handlers
            ]
        finished = [task.result() for task in tasks]
        outcome = _add_up([*late, *(verdict for verdict, _ in finished)])
        outcome = replace(outcome, runs=tuple(run for _, run in finished))
        if script is None:
            return outcome
        return await self._with_environment(outcome, script, self._cwd(payload), env)

    async def aclose(self) -> None:
        """End the hooks that run in the background."""
        running = list(self._afterwards.running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    # --- one event ---

    def _fitting(self, event: str, payload: Json, matcher_value: str) -> list[Handler]:
        """The handlers to run, in their order; of equal ones the first, strict when any of them is."""
        chosen: dict[object, Handler] = {}
        for handler in self.handlers:
            if handler.event != event or not fits(handler.matcher, matcher_value) or not self._wanted(handler, payload):
                continue
            known = chosen.setdefault(handler.identity, handler)
            if handler.must_work and not known.must_work:
                chosen[handler.identity] = replace(known, must_work=True)
        return list(chosen.values())

    def _wanted(self, handler: Handler, payload: Json) -> bool:
        if handler.once and handler.identity in self._afterwards.spent:
            return False
        if not handler.condition:
            return True
        tool, tool_input = payload.get("tool_name"), payload.get("tool_input")
        if not EVENTS[handler.event].tool or not isinstance(tool, str) or not isinstance(tool_input, Mapping):
            return False
        return condition_holds(handler.condition, tool, tool_input, self._cwd(payload), self.home)

    def _begun(self, handler: Handler, payload: Json, matcher_value: str) -> HookRan:
        return HookRan(
            id=str(uuid4()),
            event=handler.event,
            hook=f"{handler.event}:{matcher_value}" if matcher_value else handler.event,
            name=self._show(handler.name),
            where=handler.where,
            kind=handler.kind,
            outcome="started",
            agent_id=payload.get("agent_id"),
        )

    async def _one(
        self, handler: Handler, run: HookRan, text: str, payload: Json, env: Mapping[str, str]
    ) -> tuple[Verdict, HookRan]:
        self.watch(run)
        started = time.monotonic()
        try:
            verdict, raw = await self._ask(handler, text, payload, env)
        except asyncio.CancelledError:
            self.watch(replace(run, outcome="cancelled", seconds=time.monotonic() - started))
            raise
        if handler.once and not verdict.failure:
            self._afterwards.spent.add(handler.identity)
        run = replace(
            run,
            outcome="error" if verdict.failure or raw.exit_code == 2 else "success",
            exit_code=raw.exit_code,
            stdout=self._show(raw.stdout),
            stderr=self._show(raw.stderr or verdict.failure),
            seconds=time.monotonic() - started,
        )
        self.watch(run)
        return self._presentable(handler, verdict), run

    async def _ask(self, handler: Handler, text: str, payload: Json, env: Mapping[str, str]) -> tuple[Verdict, Raw]:
        if handler.callback is not None:
            return await self._call(handler, payload), Raw()
        if handler.url:
            raw = await self._post(handler, text)
        else:
            raw = await self._command(handler, text, self._cwd(payload), env)
        return judge_output(handler, raw), raw

    def _cwd(self, payload: Json) -> Path:
        return Path(str(payload.get("cwd") or self.root))

    async def _command(self, handler: Handler, text: str, cwd: Path, env: Mapping[str, str]) -> Raw:
        try:
            command = await Command.start(handler, text, cwd, env, self.scratch)
        except (OSError, ValueError) as error:
            return Raw(failure=f"it cannot be started: {error}")
        seconds = _limit(handler)
        finishing = asyncio.create_task(command.finish(seconds))
        released = asyncio.create_task(command.released.wait())
        try:
            if not handler.background:
                await asyncio.wait({finishing, released}, return_when=asyncio.FIRST_COMPLETED)
                if finishing.done():
                    return finishing.result()
            task = asyncio.create_task(self._later(handler, finishing))
            self._afterwards.running.add(task)
            task.add_done_callback(self._afterwards.running.discard)
            return Raw(exit_code=0)
        except asyncio.CancelledError:
            finishing.cancel()
            with suppress(asyncio.CancelledError):
                await finishing
            raise
        finally:
            released.cancel()

    async def _later(self, handler: Handler, finishing: asyncio.Task[Raw]) -> None:
        """Keep what a background hook says for the next event. It came too late to decide anything."""
        try:
            verdict = judge_output(handler, await finishing)
        except asyncio.CancelledError:
            finishing.cancel()
            await asyncio.gather(finishing, return_exceptions=True)
            raise
        told = verdict.reason if verdict.decision == "deny" else ""
        context = "\n".join(filter(None, (verdict.context, told)))
        late = Verdict(context=context, message=verdict.message, failure=verdict.failure)
        self._afterwards.said.append(self._presentable(handler, late))

    async def _post(self, handler: Handler, text: str) -> Raw:
        from agent.hooks.http import post

        seconds = _limit(handler)
        try:
            async with asyncio.timeout(seconds):
                return await post(handler, text, seconds)
        except TimeoutError:
            return Raw(failure=f"it took longer than {seconds:g} s")

    async def _call(self, handler: Handler, payload: Json) -> Verdict:
        """A callback's verdict. One that guards tool calls and gives no usable answer blocks."""
        assert handler.callback is not None  # noqa: S101 - the caller has looked
        seconds = _limit(handler)
        call_id = payload.get("tool_use_id")
        try:
            async with asyncio.timeout(seconds):
                given = await handler.callback({**payload, "hook_event_name": handler.event}, call_id)
            if not isinstance(given, Mapping):
                raise BadOutput("it gave no JSON object")
            return read_output(handler.event, given)
        except TimeoutError:
            failure = f"it took longer than {seconds:g} s"
        except Exception as error:  # noqa: BLE001 - foreign code may raise anything; it is shown
            failure = f"{type(error).__name__}: {error}"
        guard = handler.must_work or handler.event == "PreToolUse"
        return judge_output(replace(handler, must_work=guard), Raw(failure=failure))

    # --- what came out ---

    def _show(self, text: str) -> str:
        return cap(clean(self.redactor.text(text)), _MOST_CHARS)

    def _presentable(self, handler: Handler, verdict: Verdict) -> Verdict:
        """Texts redacted, without anything invisible, and bounded; what is cut off lies in a file."""
        why = verdict.failure.removesuffix(".")
        failed = f"The hook {handler.name!r} ({handler.where}) failed: {why}." if why else ""
        return replace(
            verdict,
            reason=self._bounded(verdict.reason),
            context=self._bounded(verdict.context),
            message=self._bounded("\n".join(filter(None, (verdict.message, failed)))),
            stop=None if verdict.stop is None else self._bounded(verdict.stop),
        )

    def _bounded(self, text: str) -> str:
        text = clean(self.redactor.text(text))
        if len(text) <= _MOST_CHARS:
            return text
        path = self.scratch / f"hook-{uuid4().hex}.txt"
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            return cap(text, _MOST_CHARS, note=f"could not be kept: {error.strerror}")
        return cap(text, _MOST_CHARS, note=f"all of it is in {path}")

    async def _with_environment(
        self, outcome: HookOutcome, script: Path, cwd: Path, env: Mapping[str, str]
    ) -> HookOutcome:
        if not await asyncio.to_thread(script.is_file):
            return outcome
        try:
            return replace(outcome, environment=await sourced(script, cwd, env, self.scratch))
        except OSError as error:
            return replace(outcome, messages=(*outcome.messages, self._bounded(str(error))))
        finally:
            await asyncio.to_thread(script.unlink, missing_ok=True)


def _limit(handler: Handler) -> float:
    seconds = handler.seconds or EVENTS[handler.event].seconds
    return min(seconds, SESSION_END_SECONDS) if handler.event == "SessionEnd" else seconds


def _add_up(verdicts: Sequence[Verdict]) -> HookOutcome:
    """The strictest decision with its reasons; of rewritten inputs and fields the last, of stops the first."""
    decided = [verdict.decision for verdict in verdicts if verdict.decision is not None]
    decision = max(decided, key=STRICTEST_LAST.index, default=None)
    fields: dict[str, Any] = {}
    for verdict in verdicts:
        fields |= verdict.fields
    reasons = dict.fromkeys(v.reason for v in verdicts if v.decision == decision and v.reason)
    return HookOutcome(
        decision=decision,
        reason="\n".join(reasons),
        updated_input=next((v.updated_input for v in reversed(verdicts) if v.updated_input is not None), None),
        context=tuple(v.context for v in verdicts if v.context),
        stop=next((v.stop for v in verdicts if v.stop is not None), None),
        messages=tuple(v.message for v in verdicts if v.message),
        fields=fields,
    )
