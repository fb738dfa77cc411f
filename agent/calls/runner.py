"""Running the tool calls of one answer: judge, announce, run, record; in parallel where effects allow.

Calls run in the order the model gave them. Neighbours that only read, run programs or use the network run together; a
call that writes files, waits for a person or closes a step runs alone, after everything before it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.calls.judging import Call, Judge
from agent.calls.limits import digest_of
from agent.calls.shelter import Confined
from agent.events import Event, Notice, ToolFinished, ToolProgress, ToolStarted
from agent.knowledge.names import fold
from agent.result import Denial
from tools.ports import NeedsInput
from tools.secrets import Redactor
from tools.tool import Tool, ToolContext, ToolError, ToolResult, wrong_input

if TYPE_CHECKING:
    from agent.hooks import Hooks
    from agent.permissions import PermissionEngine

Json = dict[str, Any]

_ALONE = frozenset({"writes", "asks"})
_MOST_PARALLEL = 32


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The call a task is running, so that progress lines of parallel calls find their owner."""


@dataclass(slots=True)
class CallRunner:
    """Runs calls for one agent; `judge` decides which. `engine` makes its permission engine when it is needed."""

    tools: Mapping[str, Tool]
    context: ToolContext
    engine: Callable[[], PermissionEngine]
    redactor: Redactor
    emit: Callable[[Event], None]
    agent_id: str | None = None
    hooks: Hooks | None = None
    judge: Judge = field(init=False)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_PARALLEL))

    def __post_init__(self) -> None:
        self.context.progress = self.progress
        self.judge = Judge(self.engine, self.context, self.emit, self.agent_id, self.hooks)
        if self.hooks is not None:
            self.hooks.serve(
                self.emit, lambda: {"cwd": str(self.context.cwd), "permission_mode": self.permissions.mode}
            )

    @property
    def permissions(self) -> PermissionEngine:
        """The engine in force, session rules included."""
        return self.judge.permissions

    @permissions.setter
    def permissions(self, engine: PermissionEngine) -> None:
        self.judge.permissions = engine

    @property
    def denials(self) -> list[Denial]:
        return self.judge.denials

    def foresee(self, event: Mapping[str, Any]) -> None:
        """See a stream event: the shell a call names gets ready while the rest of the call is written."""
        block = event.get("content_block") or {}
        if block.get("type") == "tool_use" and isinstance(tool := self.tools.get(str(block.get("name"))), Confined):
            tool.prepare()

    async def run(
        self, content: Sequence[Json], malformed: Mapping[int, str], settled: Mapping[str, Json]
    ) -> list[Json]:
        """Result blocks for every tool_use in `content`, in order. `settled` ones are taken as they are.

        Raises `NeedsInput` when a call waits for a person nobody can reach; calls already run keep their effect and
        their journal entry.
        """
        calls = [
            self._resolve(block, malformed.get(index))
            for index, block in enumerate(content)
            if block.get("type") == "tool_use"
        ]
        results = dict(settled)
        for group in _groups([call for call in calls if call.id not in results]):
            finished = await self._together(group)
            results.update(zip((call.id for call in group), finished, strict=True))
        if self.hooks is not None and calls:
            responses = [(call, results[call.id].get("content")) for call in calls]
            self.judge.note(await self.hooks.post_batch(responses))
        reminders, self.judge.reminders = self.judge.reminders, []
        return [*(results[call.id] for call in calls), *({"type": "text", "text": text} for text in reminders)]

    async def _together(self, group: Sequence[Call]) -> list[Json]:
        """All calls of a group at once. The first failure stops the others before it is raised."""
        running = [asyncio.ensure_future(self._one(call)) for call in group]
        try:
            return await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _resolve(self, block: Json, malformed: str | None) -> Call:
        name = str(block.get("name"))
        tool = self.tools.get(name)
        if tool is None:
            folded = {fold(known): each for known, each in self.tools.items()}
            tool = folded.get(fold(name))
        raw = block.get("input")
        if malformed is None and not isinstance(raw, Mapping):
            malformed = repr(raw)
        return Call(
            str(block["id"]), tool.name if tool else name, raw if isinstance(raw, Mapping) else {}, tool, malformed
        )

    async def _one(self, call: Call) -> Json:
        """One call to its result block. Every failure becomes a result the model can act on."""
        async with self._slots:
            if call.tool is None:
                names = ", ".join(sorted(self.tools))
                return _block(call, ToolResult(f"There is no tool {call.name!r}. Available: {names}.", is_error=True))
            if call.malformed is not None:
                text = f"The input of {call.name} was not valid JSON and nothing was run: {call.malformed[:500]}"
                return _block(call, ToolResult(text, is_error=True))
            if (repeated := self.judge.repeats.before(call.name, call.input)) is not None:
                self.emit(Notice(level="warning", text=repeated, agent_id=self.agent_id))
                return _block(call, ToolResult(repeated, is_error=True))
            if (
                wrong := wrong_input(call.tool, call.input)
            ) is not None:  # no reason to ask a person, or to book a denial
                return _block(call, self._remark(call, call.tool, ToolResult(wrong, is_error=True)))
            permitted = await self.judge.permitted(call)
            if isinstance(permitted, str):
                return _block(call, ToolResult(permitted, is_error=True))
            return await self._execute(permitted, call.tool)

    async def _execute(self, call: Call, tool: Tool) -> Json:
        effects = sorted(tool.effects)
        self.emit(
            ToolStarted(call_id=call.id, tool=call.name, input=call.input, effects=effects, agent_id=self.agent_id)
        )
        started = time.monotonic()
        cwd = self.context.cwd
        result = await self._invoke(call, tool)
        self.judge.ran(call, cwd, result.data.get("exitCode"))
        if self.hooks is not None:
            result = await self._afterwards(call, result, time.monotonic() - started)
        self.judge.taint.heard(call.name, call.input, result.content)
        result = self._remark(call, tool, result)
        block = self.redactor.json(_block(call, result))
        self.emit(
            ToolFinished(
                call_id=call.id,
                tool=call.name,
                block=block,
                data=result.data,
                seconds=time.monotonic() - started,
                agent_id=self.agent_id,
            )
        )
        return dict(block)

    def _remark(self, call: Call, tool: Tool, result: ToolResult) -> ToolResult:
        """Tell the model when it repeats itself."""
        wrote = "writes" in tool.effects and not result.is_error
        remark = self.judge.repeats.after(call.name, call.input, digest_of(result.content), wrote=wrote)
        if remark is None:
            return result
        if isinstance(result.content, str):
            return replace(result, content=f"{result.content}\n\n{remark}")
        return replace(result, content=[*result.content, {"type": "text", "text": remark}])

    async def _afterwards(self, call: Call, result: ToolResult, seconds: float) -> ToolResult:
        """What hooks make of a result: they may replace what the model reads, or add to it."""
        from agent.hooks import replaced_output

        assert self.hooks is not None  # noqa: S101 - asked by the caller
        if result.is_error:
            outcome = await self.hooks.post_tool_failure(call, str(result.content), seconds=seconds)
        else:
            outcome = await self.hooks.post_tool(call, result, seconds)
        self.judge.note(outcome)
        if (replaced := replaced_output(call.name, outcome)) is not None:
            result = replace(result, content=replaced)
        if outcome.blocked and outcome.reason:
            self.judge.reminders.append(f"<system-reminder>\n{outcome.reason}\n</system-reminder>")
        return result

    def progress(self, line: str) -> None:
        """Show a line from the tool call this task is running."""
        call = current_call.get()
        if call is not None:
            self.emit(ToolProgress(call_id=call.id, tool=call.name, line=line, agent_id=self.agent_id))

    async def _invoke(self, call: Call, tool: Tool) -> ToolResult:
        current_call.set(call)
        try:
            return await tool.invoke(self.context, call.input)
        except ToolError as error:
            return ToolResult(str(error), is_error=True)
        except NeedsInput:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in one tool must not end the run; it is reported to both sides
            text = f"{call.name} failed unexpectedly: {type(error).__name__}: {error}"
            self.emit(Notice(level="warning", text=text, agent_id=self.agent_id))
            return ToolResult(f"{text}. Try another way.", is_error=True)


def _alone(call: Call) -> bool:
    return call.tool is not None and bool(call.tool.effects & _ALONE)


def _groups(calls: Sequence[Call]) -> list[list[Call]]:
    groups: list[list[Call]] = []
    for call in calls:
        if groups and not _alone(call) and not _alone(groups[-1][-1]):
            groups[-1].append(call)
        else:
            groups.append([call])
    return groups


def _block(call: Call, result: ToolResult) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": call.id, "content": result.content}
    if result.is_error:
        block["is_error"] = True
    return block
