"""What the loop calls: one method for each moment at which hooks run, with the input Claude Code's hooks expect."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agent.hooks.config import Handler, Json
from agent.hooks.runner import HookOutcome, HookRunner

if TYPE_CHECKING:
    from agent.events import Event
    from agent.permissions import Decision, PermissionEngine
    from tools.tool import ToolResult

MOST_STOP_BLOCKS = 8
"""A hook that keeps an agent from stopping so often in a row is overruled."""


class ToolCall(Protocol):
    """A tool call as the loop has it."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def input(self) -> Mapping[str, Any]: ...


@dataclass(slots=True)
class Ending:
    """Why a hook ends the run; None while none does. One for the whole tree: `continue: false` stops everything."""

    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Hooks:
    """The hooks of one agent. `common` gives the input every hook gets at this moment: `session_id`,
    `transcript_path`, `cwd`, `permission_mode`. `agent_id` is None for the outermost agent. `attended`: a person may be
    asked, so that there is somebody to notify.
    """

    runner: HookRunner
    common: Callable[[], Json]
    agent_id: str | None = None
    agent_type: str | None = None
    stop_blocks: int = 0
    attended: bool = True
    ending: Ending = field(default_factory=Ending)

    def serve(self, emit: Callable[[Event], None], now: Callable[[], Json]) -> None:
        """Show every run of a hook as an event; `now` is what of the common input changes while the agent runs."""
        before = self.common
        self.runner = replace(self.runner, watch=emit)
        self.common = lambda: {**before(), **now()}

    def for_agent(self, agent_id: str, agent_type: str, own: Sequence[Handler] = ()) -> Hooks:
        """The hooks of a child: this agent's, and those of the child's definition, whose `Stop` means its own stop.

        What guards an agent guards those it starts, too.
        """
        mine = [replace(h, event="SubagentStop", matcher=agent_type) if h.event == "Stop" else h for h in own]
        return replace(
            self, runner=self.runner.with_handlers(mine), agent_id=agent_id, agent_type=agent_type, stop_blocks=0
        )

    async def _run(self, event: str, matcher_value: str = "", **more: Any) -> HookOutcome:
        who = {"agent_id": self.agent_id, "agent_type": self.agent_type}
        given = {**self.common(), **who, **more}
        payload = {name: value for name, value in given.items() if value is not None}
        outcome = await self.runner.run(event, payload, matcher_value=matcher_value)
        if outcome.stop is not None and self.ending.reason is None:
            self.ending.reason = outcome.stop
        return outcome

    # --- a tool call ---

    async def pre_tool(self, call: ToolCall) -> HookOutcome:
        """Before permissions. See `judge` for what the outcome means to them."""
        return await self._run("PreToolUse", call.name, **_call(call))

    async def permission_request(self, call: ToolCall, suggestions: Sequence[Json] = ()) -> HookOutcome:
        """Before a person is asked. `allow` and `deny` answer in their place; None leaves it to them."""
        return await self._run(
            "PermissionRequest", call.name, **_call(call), permission_suggestions=suggestions or None
        )

    async def permission_denied(self, call: ToolCall, reason: str) -> HookOutcome:
        return await self._run("PermissionDenied", call.name, **_call(call), reason=reason)

    async def post_tool(self, call: ToolCall, result: ToolResult, seconds: float = 0.0) -> HookOutcome:
        """After success. `deny` tells the model `reason`; `replaced_output` tells what it reads instead."""
        response = dict(result.data) or {"content": result.content}
        took = round(seconds * 1000)
        return await self._run("PostToolUse", call.name, **_call(call), tool_response=response, duration_ms=took)

    async def post_tool_failure(
        self, call: ToolCall, error: str, *, interrupted: bool = False, seconds: float = 0.0
    ) -> HookOutcome:
        took = round(seconds * 1000)
        return await self._run(
            "PostToolUseFailure", call.name, **_call(call), error=error, is_interrupt=interrupted, duration_ms=took
        )

    async def post_batch(self, calls: Sequence[tuple[ToolCall, Any]]) -> HookOutcome:
        """After all calls of one answer, each with what the model reads of it. `deny` ends the run."""
        outcome = await self._run("PostToolBatch", tool_calls=[{**_call(c), "tool_response": r} for c, r in calls])
        if outcome.blocked and self.ending.reason is None:
            self.ending.reason = outcome.reason
        return outcome

    # --- the conversation ---

    async def user_prompt(self, text: str) -> HookOutcome:
        """`deny` keeps the prompt out of the history; `reason` is for the person."""
        return await self._run("UserPromptSubmit", prompt=text)

    async def stop(self, last_text: str, *, active: bool = False) -> HookOutcome:
        """The agent wants to stop. `deny` (with `reason`) or context sends it back to work, 8 times in a row at most.

        `active`: it goes on already because of such a hook. A child's stop is `SubagentStop`.
        """
        event, kind = ("Stop", "") if self.agent_id is None else ("SubagentStop", self.agent_type or "")
        outcome = await self._run(event, kind, stop_hook_active=active, last_assistant_message=last_text)
        self.stop_blocks = self.stop_blocks + 1 if outcome.blocked or outcome.context else 0
        if self.stop_blocks <= MOST_STOP_BLOCKS:
            return outcome
        text = f"A hook kept the agent from stopping {MOST_STOP_BLOCKS} times in a row and was overruled."
        return replace(outcome, decision=None, reason="", context=(), messages=(*outcome.messages, text))

    async def stop_failure(self, error: str, details: str = "", last_text: str = "") -> HookOutcome:
        """A failed request ends the agent. `error` is the contract's name of its kind; nothing can be changed."""
        return await self._run(
            "StopFailure", error, error=error, error_details=details or None, last_assistant_message=last_text or None
        )

    async def subagent_start(self) -> HookOutcome:
        """Of a child's hooks: its context goes into the child's first message."""
        return await self._run("SubagentStart", self.agent_type or "")

    # --- the session ---

    async def session_start(self, source: str, model: str | None = None) -> HookOutcome:
        """`source` is startup, resume, clear, compact or fork. `environment` is for later shell commands."""
        return await self._run("SessionStart", source, source=source, model=model)

    async def session_end(self, reason: str) -> HookOutcome:
        return await self._run("SessionEnd", reason, reason=reason)

    async def pre_compact(self, trigger: str, instructions: str = "") -> HookOutcome:
        """`trigger` is manual or auto. `deny` leaves the history as it is."""
        return await self._run("PreCompact", trigger, trigger=trigger, custom_instructions=instructions)

    async def post_compact(self, trigger: str, summary: str) -> HookOutcome:
        return await self._run("PostCompact", trigger, trigger=trigger, compact_summary=summary)

    async def notification(self, message: str, kind: str, title: str | None = None) -> HookOutcome:
        """A person is needed. Without one (`attended`) nobody is told."""
        if not self.attended:
            return HookOutcome()
        return await self._run("Notification", kind, message=message, notification_type=kind, title=title)

    async def aclose(self) -> None:
        await self.runner.aclose()


def replaced_output(tool: str, outcome: HookOutcome) -> str | list[Any] | None:
    """What the model reads in place of a tool's output: a text, or content blocks; None leaves it as it is.

    `updatedMCPToolOutput` counts for the tools of MCP servers only, `updatedToolOutput` for all.
    """
    value = outcome.fields.get("updatedToolOutput")
    if value is None and tool.startswith("mcp__"):
        value = outcome.fields.get("updatedMCPToolOutput")
        if isinstance(value, Mapping) and isinstance(value.get("content"), list):
            value = value["content"]
    if value is None or isinstance(value, str):
        return value
    blocks = isinstance(value, list) and all(isinstance(b, Mapping) and b.get("type") == "text" for b in value)
    return [dict(block) for block in value] if blocks else json.dumps(value, ensure_ascii=False)


def _call(call: ToolCall) -> dict[str, Any]:
    return {"tool_name": call.name, "tool_input": call.input, "tool_use_id": call.id}


def judge(
    engine: PermissionEngine, tool: str, tool_input: Mapping[str, Any], outcome: HookOutcome, cwd: Path
) -> Decision:
    """Permissions and hooks on one call, whose input is already the rewritten one.

    A hook tightens anything. Its allow counts like an allow rule for this one call: deny and ask rules, protected
    paths and critical removals hold against it. A hook that ends the run denies. So does `defer`: this run has nobody
    who would resume the call.
    """
    from agent.permissions import Decision, Rules

    if outcome.decision == "allow":
        engine = engine.with_rules(Rules.parse(allow=[tool], source="hook"))
    decision = engine.decide(tool, tool_input, cwd=cwd)
    held = outcome.stop is not None or outcome.decision in ("deny", "defer")
    if held and decision.behavior != "deny":
        reason = outcome.stop or outcome.reason or "A hook denied it."
        return replace(decision, behavior="deny", rule=None, reason=reason, suggestion=None)
    if outcome.decision == "ask" and decision.behavior == "allow":
        reason = outcome.reason or "A hook asks for a person's approval."
        return Decision(
            "deny" if engine.mode == "dontAsk" else "ask", reason=reason, command_class=decision.command_class
        )
    return decision
