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

from agent.events import Event, Notice, PermissionDecided, ToolFinished, ToolProgress, ToolStarted
from agent.names import fold
from agent.result import Denial
from tools.paths import grant
from tools.ports import NeedsInput, PermissionRequest
from tools.secrets import Redactor
from tools.tool import Tool, ToolContext, ToolError, ToolResult

if TYPE_CHECKING:
    from agent.permissions import PermissionEngine

Json = dict[str, Any]

_ALONE = frozenset({"writes", "asks"})
_MOST_PARALLEL = 32


@dataclass(frozen=True, slots=True)
class Call:
    """One tool_use block, with the tool it resolved to (None: unknown) and its raw text when that was no JSON."""

    id: str
    name: str
    input: Mapping[str, Any]
    tool: Tool | None
    malformed: str | None = None

    @property
    def alone(self) -> bool:
        return self.tool is not None and bool(self.tool.effects & _ALONE)


_current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The call a task is running, so that progress lines of parallel calls find their owner."""


@dataclass(slots=True)
class CallRunner:
    """Runs calls for one agent. `denials` collects what permissions or a person refused.

    `engine` makes the permission engine when the first call comes: a run that waits for its first answer need not have
    loaded it.
    """

    tools: Mapping[str, Tool]
    context: ToolContext
    engine: Callable[[], PermissionEngine]
    redactor: Redactor
    emit: Callable[[Event], None]
    agent_id: str | None = None
    denials: list[Denial] = field(default_factory=list)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_PARALLEL))

    _engine: PermissionEngine | None = None

    def __post_init__(self) -> None:
        self.context.progress = self.progress

    @property
    def permissions(self) -> PermissionEngine:
        """The engine in force, session rules included."""
        if self._engine is None:
            self._engine = self.engine()
        return self._engine

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
        return [results[call.id] for call in calls]

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
            permitted = await self._permitted(call)
            if isinstance(permitted, str):
                return _block(call, ToolResult(permitted, is_error=True))
            return await self._execute(permitted, call.tool)

    async def _permitted(self, call: Call) -> Call | str:
        """The call as it may run (a person may have changed its input), or the denial the model reads."""
        decision = self.permissions.decide(call.name, call.input, cwd=self.context.cwd)
        by, reason, rule = "rule", decision.reason, decision.rule
        behavior = decision.behavior
        if behavior == "ask":
            request = PermissionRequest(
                call.name, call.input, decision.reason, decision.suggestion, call.id, self.agent_id
            )
            answer = await self.context.asker.permission(request)
            by, reason, behavior = "person", answer.message or decision.reason, answer.behavior
            if answer.behavior == "allow" and answer.rules:
                self._allow_for_session(answer.rules)
            if answer.behavior == "allow" and answer.updated_input is not None:
                call = replace(call, input=answer.updated_input)
                if self.permissions.decide(call.name, call.input, cwd=self.context.cwd).behavior == "deny":
                    behavior, reason = "deny", "The changed input is denied by a rule."
        allowed = behavior == "allow"
        self.emit(
            PermissionDecided(
                call_id=call.id,
                tool=call.name,
                behavior="allow" if allowed else "deny",
                by=by,
                reason=reason,
                rule=rule,
                command_class=decision.command_class,
                agent_id=self.agent_id,
            )
        )
        if allowed:
            self._grant(call)
            return call
        self.denials.append(Denial(tool=call.name, call_id=call.id, input=call.input, reason=reason))
        return f"{call.name} was not permitted: {reason} Do not try it another way; adapt, or say what you need."

    def _allow_for_session(self, rules: Sequence[str]) -> None:
        from agent.permissions import Rules

        self._engine = self.permissions.with_rules(Rules.parse(allow=rules, source="session"))

    def _grant(self, call: Call) -> None:
        """File tools stay in the workspace by themselves; a path that was judged and allowed is opened to them."""
        if call.name.startswith("mcp__"):
            return  # a path in there is a server's, not ours
        for name in ("file_path", "notebook_path", "path"):
            if isinstance(path := call.input.get(name), str):
                grant(self.context, self.context.resolve(path))

    async def _execute(self, call: Call, tool: Tool) -> Json:
        effects = sorted(tool.effects)
        self.emit(
            ToolStarted(call_id=call.id, tool=call.name, input=call.input, effects=effects, agent_id=self.agent_id)
        )
        started = time.monotonic()
        result = await self._invoke(call, tool)
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

    def progress(self, line: str) -> None:
        """Show a line from the tool call this task is running."""
        call = _current_call.get()
        if call is not None:
            self.emit(ToolProgress(call_id=call.id, tool=call.name, line=line, agent_id=self.agent_id))

    async def _invoke(self, call: Call, tool: Tool) -> ToolResult:
        _current_call.set(call)
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


def _groups(calls: Sequence[Call]) -> list[list[Call]]:
    groups: list[list[Call]] = []
    for call in calls:
        if groups and not call.alone and not groups[-1][-1].alone:
            groups[-1].append(call)
        else:
            groups.append([call])
    return groups


def _block(call: Call, result: ToolResult) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": call.id, "content": result.content}
    if result.is_error:
        block["is_error"] = True
    return block
