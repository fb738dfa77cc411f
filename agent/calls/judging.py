"""Whether a tool call may run: hooks, then permissions, then whoever can be asked. Announced and booked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.calls.limits import RepeatGuard, digest_of
from agent.calls.taint import Taint
from agent.events import Event, Notice, PermissionDecided
from agent.result import Denial
from tools.paths import grant
from tools.ports import PermissionRequest
from tools.tool import Tool, ToolContext

if TYPE_CHECKING:
    from agent.calls.plans import Plans
    from agent.hooks import HookOutcome, Hooks
    from agent.permissions import Decision, PermissionEngine


@dataclass(frozen=True, slots=True)
class Call:
    """One tool_use block, with the tool it resolved to (None: unknown) and its raw text when that was no JSON."""

    id: str
    name: str
    input: Mapping[str, Any]
    tool: Tool | None
    malformed: str | None = None


@dataclass(slots=True)
class Judge:
    """Decides calls for one agent. `denials` collects what was refused, `reminders` what hooks tell the model.

    `engine` makes the permission engine when the first call comes: a run that waits for its first answer need not have
    loaded it.
    """

    engine: Callable[[], PermissionEngine]
    context: ToolContext
    emit: Callable[[Event], None]
    agent_id: str | None = None
    hooks: Hooks | None = None
    denials: list[Denial] = field(default_factory=list)
    reminders: list[str] = field(default_factory=list)
    repeats: RepeatGuard = field(default_factory=RepeatGuard)
    taint: Taint = field(default_factory=Taint)
    _plans: Plans | None = None
    _engine: PermissionEngine | None = None

    @property
    def permissions(self) -> PermissionEngine:
        """The engine in force, session rules included."""
        if self._engine is None:
            self._engine = self.engine()
        return self._engine

    @permissions.setter
    def permissions(self, engine: PermissionEngine) -> None:
        self._engine = engine

    async def permitted(self, call: Call) -> Call | str:
        """The call as it may run (a hook or a person may have changed its input), or the denial the model reads."""
        call, decision = await self._decide(call)
        decision = self.taint.weigh(call.name, call.input, self._as_planned(call, decision), self.permissions)
        by, reason = "rule", decision.reason
        behavior: str = decision.behavior
        if behavior == "ask":
            call, behavior, reason, by = await self._ask(call, decision)
        allowed = behavior == "allow"
        self.emit(
            PermissionDecided(
                call_id=call.id,
                tool=call.name,
                behavior="allow" if allowed else "deny",
                by=by,
                reason=reason,
                rule=decision.rule,
                command_class=decision.command_class,
                decision=decision.behavior,
                mode=self.permissions.mode,
                part=decision.part,
                source=self.permissions.source_of(decision.rule),
                input_digest=digest_of(call.input),
                agent_id=self.agent_id,
            )
        )
        if allowed:
            self._grant(call)
            return call
        self.denials.append(Denial(tool=call.name, call_id=call.id, input=call.input, reason=reason))
        self.repeats.denied(call.name, call.input)
        if self.hooks is not None:
            self.note(await self.hooks.permission_denied(call, reason))
        return f"{call.name} was not permitted: {reason} Do not try it another way; adapt, or say what you need."

    async def _decide(self, call: Call) -> tuple[Call, Decision]:
        cwd = self.context.cwd
        if self.hooks is None:
            return call, self.permissions.decide(call.name, call.input, cwd=cwd)
        from agent.hooks import judge

        outcome = await self.hooks.pre_tool(call)
        self.note(outcome)
        if outcome.updated_input is not None:
            call = replace(call, input=outcome.updated_input)
        return call, judge(self.permissions, call.name, call.input, outcome, cwd)

    def ran(self, call: Call, cwd: Path, exit_code: object) -> None:
        """A command ran in `cwd`: if it planned a change of infrastructure, that change may now be made."""
        if isinstance(exit_code, int) and (plans := self._plans_for(call.input)) is not None:
            plans.ran(str(call.input["command"]), cwd, self.context.env, exit_code)

    def _as_planned(self, call: Call, decision: Decision) -> Decision:
        """A change of infrastructure is refused where it differs from the plan shown, asked about where none was."""
        command = call.input.get("command")
        if decision.command_class not in ("change", "destroy") or decision.behavior == "deny":
            return decision
        plans = self._plans_for(call.input)
        found = plans.objection(str(command), self.context.cwd, self.context.env) if plans is not None else None
        if found is None:
            return decision
        behavior, reason = found
        mode = self.permissions.mode
        if behavior == "ask" and (mode == "bypassPermissions" or decision.rule == f"Bash({command})"):
            return decision  # a rule that spells the very command stands for a plan
        if behavior == "ask" and decision.behavior == "ask":
            reason = f"{decision.reason} {reason}"
        return replace(decision, behavior="deny" if mode == "dontAsk" else behavior, reason=reason)

    def _plans_for(self, tool_input: Mapping[str, Any]) -> Plans | None:
        """The plans of this conversation; None for a call that has nothing to do with infrastructure."""
        if not isinstance(tool_input.get("command"), str):
            return None
        if self._plans is None:
            from agent.calls.plans import Plans

            self._plans = Plans(Path.home(), self.permissions.language)
        return self._plans

    async def _ask(self, call: Call, decision: Decision) -> tuple[Call, str, str, str]:
        """The answer of a hook that stands in for a person, else of the person: input, behavior, reason, by whom."""
        if self.hooks is not None:
            outcome = await self.hooks.permission_request(call)
            self.note(outcome)
            if outcome.decision in ("allow", "deny"):
                reason = outcome.reason or decision.reason
                return (*self._changed(call, outcome.updated_input, outcome.decision, reason), "hook")
            told = f"{call.name} waits for your permission."
            self.note(await self.hooks.notification(told, "permission_prompt"))
        request = PermissionRequest(call.name, call.input, decision.reason, decision.suggestion, call.id, self.agent_id)
        answer = await self.context.asker.permission(request)
        if answer.behavior == "allow" and answer.rules:
            self._allow_for_session(answer.rules)
        changed = self._changed(call, answer.updated_input, answer.behavior, answer.message or decision.reason)
        return (*changed, answer.by)

    def _changed(
        self, call: Call, updated: Mapping[str, Any] | None, behavior: str, reason: str
    ) -> tuple[Call, str, str]:
        """A changed input is judged again: approving one thing does not approve another."""
        if behavior != "allow" or updated is None:
            return call, behavior, reason
        call = replace(call, input=updated)
        if self.permissions.decide(call.name, call.input, cwd=self.context.cwd).behavior == "deny":
            return call, "deny", "The changed input is denied by a rule."
        return call, behavior, reason

    def _allow_for_session(self, rules: Sequence[str]) -> None:
        from agent.permissions import Rules

        self._engine = self.permissions.with_rules(Rules.parse(allow=rules, source="session"))

    def note(self, outcome: HookOutcome) -> None:
        """Keep what a hook says: context for the model, messages for the person."""
        if text := outcome.reminder():
            self.reminders.append(text)
        for message in outcome.messages:
            self.emit(Notice(level="warning", text=message, agent_id=self.agent_id))

    def _grant(self, call: Call) -> None:
        """File tools stay in the workspace by themselves; a path that was judged and allowed is opened to them."""
        if call.name.startswith("mcp__"):
            return  # a path in there is a server's, not ours
        for name in ("file_path", "notebook_path", "path"):
            if isinstance(path := call.input.get(name), str):
                grant(self.context, self.context.resolve(path))
