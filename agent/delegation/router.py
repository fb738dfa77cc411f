"""The router: resolves who is asked, starts it as a conversation of its own, and gives its report back once.

One router stands beside each agent that may delegate; all of a run share one tree: its slots, its claims on files and
the number of agents started. An agent that waits for its children lends them its slot, so depth cannot lock it up.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from agent.calls.runner import current_call
from agent.conversation import Conversation
from agent.delegation.child import Child, Setting, TreeLimits, assemble, may_spawn
from agent.delegation.claims import Claims
from agent.delegation.messages import report_of, task_message
from agent.delegation.order import Order
from agent.delegation.requests import Requests
from agent.delegation.rules import is_elsewhere, pick_sibling
from agent.delegation.shares import Share, share_of
from agent.delegation.verify import Change, look
from agent.events import Event, RunFinished, RunStarted, ToolStarted
from agent.knowledge.definition import AgentDefinition
from agent.knowledge.fields import DefinitionError
from agent.knowledge.names import fold, resolve_agent_name
from agent.loop import drive
from agent.result import Failed, Interrupted, OutOfBudget, Result
from agent.session.journal import JOURNAL, SessionError, read_lines
from agent.session.resume import history_of
from tools.plain import to_json
from tools.ports import DelegationRequest, DelegationResult

_EARLIER = 4000  # characters of a report kept for agents that depend on it


@dataclass(slots=True)
class Tree:
    """What all agents of a run share.

    `running` maps agent ids to what drives them, `ended` to the agent's name and how it ended, `written` to the files
    it has written so far; `reports` maps agent names to the beginning of their last report.
    """

    limits: TreeLimits = field(default_factory=TreeLimits)
    slots: asyncio.Semaphore = field(init=False)
    started: int = 0
    claims: Claims = field(default_factory=Claims)
    ended: dict[str, tuple[str, str]] = field(default_factory=dict)
    written: dict[str, dict[str, None]] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    running: dict[str, asyncio.Future[Result]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.limits.at_once)


class Router:
    """The `Delegator` of one agent. `serve` tells it whose; `requests` are those that leave the run unfulfilled.

    `setting` is asked for with the first request: most runs delegate nothing and need not have read a sibling's file.
    """

    def __init__(
        self,
        setting: Callable[[], Setting],
        tree: Tree | None = None,
        depth: int = 0,
        elsewhere: Requests | None = None,
    ) -> None:
        self._make_setting = setting
        self._tree = tree or Tree()
        self._depth = depth
        self._order = Order()
        self._shares: dict[str, Share] = {}
        self._waiting = 0
        self._elsewhere = elsewhere if elsewhere is not None else Requests()
        self._parent: Conversation | None = None
        self._ancestors: tuple[str, ...] = ()
        self._name = ""
        self._spawnable: tuple[str, ...] | None = None

    def serve(self, talk: Conversation, agent: AgentDefinition) -> None:
        """Delegate for this conversation from now on."""
        self._parent, self._name, self._spawnable = talk, agent.name, agent.spawnable

    @cached_property
    def _setting(self) -> Setting:
        return self._make_setting()

    @property
    def _serving(self) -> Conversation:
        assert self._parent is not None, "serve() comes first"  # noqa: S101 - a mistake of the program, not of a run
        return self._parent

    @property
    def requests(self) -> list[DelegationRequest]:
        """Requests to partners that are not here: the run's result carries them to an orchestrator."""
        return self._elsewhere.requests

    async def delegate(self, request: DelegationRequest) -> DelegationResult:
        """Carry a request out. All are waited for, `blocking` or not: those of one answer run side by side."""
        return await self.start(request)

    async def start(
        self, request: DelegationRequest, *, model: str | None = None, resume: str | None = None
    ) -> DelegationResult:
        """Carry a request out and return the report. `resume` continues an agent that has completed, by its id."""
        agent = self._find(request.to)
        if agent is None:
            if is_elsewhere(resolve_agent_name(request.to)):
                return await self._elsewhere.delegate(replace(request, to=resolve_agent_name(request.to)))
            return _refused(request.to, self._unknown(request))
        if refusal := self._refusal(agent, resume) or self._forbidden(agent, request.to):
            return _refused(agent.name, refusal)
        entry = await self._order.enter(agent.name, agent.orchestration.depends_on)
        try:
            async with self._slot():
                return await self._carry_out(request, agent, model, resume)
        finally:
            self._order.leave(entry)

    def stop(self, agent_id: str) -> bool:
        """End one agent of the tree and those below it; who waits for it goes on. False when none of that id runs."""
        driving = self._tree.running.get(agent_id)
        return driving is not None and driving.cancel()

    # --- who ---

    def _find(self, name: str) -> AgentDefinition | None:
        agents = {fold(key): agent for key, agent in self._setting.agents.items()}
        return agents.get(fold(name)) or agents.get(resolve_agent_name(name))

    def _unknown(self, request: DelegationRequest) -> str:
        names = [name for name in self._setting.agents if name != self._name]
        hint = pick_sibling(f"{request.subject}\n{request.task}", names)
        suited = f" This looks like a task for {hint}." if hint else ""
        return f"There is no agent {request.to!r}. There are: {', '.join(names) or 'none'}.{suited}"

    def _refusal(self, agent: AgentDefinition, resume: str | None) -> str | None:
        """Why this agent may not be started, or None."""
        limits = self._tree.limits
        if agent.name == self._name:
            return "That is the agent that asks. Do the task yourself."
        if self._spawnable is not None and fold(agent.name) not in map(fold, self._spawnable):
            return f"{self._name} may start only: {', '.join(self._spawnable)}."
        if self._depth >= limits.depth:
            return f"Agents may be nested {limits.depth} deep, no deeper. Do the task yourself."
        if self._tree.started >= limits.total:
            return (
                f"This run has started {limits.total} agents, its limit. Do not ask again; finish with what there is."
            )
        return self._no_resume(agent, resume) if resume is not None else None

    def _forbidden(self, agent: AgentDefinition, named: str) -> str | None:
        """Rules on agents count for what an alias stands for, too."""
        decision = self._serving.calls.permissions.decide("Agent", {"subagent_type": agent.name})
        if decision.behavior == "deny":
            return f"{agent.name} may not be started: {decision.reason}"
        if decision.behavior == "ask" and fold(named) != fold(agent.name):
            return f"A rule asks before {agent.name} is started. Ask for it by that name."
        return None

    def _no_resume(self, agent: AgentDefinition, resume: str) -> str | None:
        if agent.orchestration.can_resume is False:
            return (
                f"{agent.name} cannot be resumed (can_resume: false): each call is a fresh run. Start it anew and put "
                "what it found before into the task."
            )
        name, outcome = self._tree.ended.get(resume, ("", ""))
        if name != agent.name or self._setting.session is None:
            return f"No agent {agent.name} with the id {resume!r} has run here."
        return (
            None if outcome == "completed" else f"{resume} ended as {outcome} and cannot be continued. Start it anew."
        )

    # --- running it ---

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """One of the places to run."""
        if self._depth and not self._waiting:
            self._tree.slots.release()
        self._waiting += 1
        try:
            async with self._tree.slots:
                yield
        finally:
            self._waiting -= 1
            if self._depth and not self._waiting:
                await self._tree.slots.acquire()

    async def _carry_out(
        self, request: DelegationRequest, agent: AgentDefinition, model: str | None, resume: str | None
    ) -> DelegationResult:
        parent = self._serving
        if refusal := self._refusal(agent, resume):  # others may have been started since
            return _refused(agent.name, refusal)
        limits = self._tree.limits
        share = share_of(
            parent.ledger,
            self._shares.values(),
            len(self._order) - len(self._shares),
            agent=agent.name,
            turns=agent.max_turns or limits.turns,
            seconds=limits.seconds,
        )
        if share is None:
            return _refused(agent.name, "Too little of this run's budget is left for another agent. Finish yourself.")
        agent_id = resume or f"{re.sub('[^a-z0-9]+', '-', fold(agent.name))[:40]}-{secrets.token_hex(4)}"
        call = current_call.get()
        watch = _Watch(parent.emit, agent_id, call.id if call else None)
        spawns = may_spawn(agent, self._depth + 1, limits)
        try:
            child = assemble(
                self._setting,
                parent,
                self._name,
                agent,
                agent_id=agent_id,
                above=self._above(),
                prompt=task_message(request, agent, self._name, self._earlier(agent)),
                history=self._history(resume) if resume else (),
                model=model,
                share=share,
                claims=self._tree.claims,
                spawns=spawns,
                emit=watch.emit,
            )
        except DefinitionError as error:
            return _refused(agent.name, f"{agent.name} cannot be started: {error}")
        if spawns:
            self._let_it_delegate(child, agent)
        self._tree.started += 1
        self._shares[agent_id] = share
        self._tree.claims.names[agent_id] = agent.name
        self._tree.written[agent_id] = child.written
        try:
            before = await look(child.talk.calls.context.root, agent.name)
            result = await self._drive(child, agent, share)
            others = {path for other, files in self._tree.written.items() if other != agent_id for path in files}
            change = await before.change(child.written, others) if result.status == "completed" else Change()
        finally:
            self._tree.claims.release(agent_id)
            self._shares.pop(agent_id)
        facts = {"agent_id": agent_id, "subject": request.subject, "tool_calls": watch.calls, "files": [*child.written]}
        report = report_of(agent, result, facts, change)
        self._tree.ended[agent_id] = (agent.name, result.status)
        if report.status == "completed":
            self._tree.reports[agent.name] = result.text[:_EARLIER]
        return report

    def _let_it_delegate(self, child: Child, agent: AgentDefinition) -> None:
        calls = child.talk.calls
        setting = replace(self._setting, pool={name: self._setting.pool[name] for name in calls.tools})
        below = Router(lambda: setting, self._tree, self._depth + 1, self._elsewhere)
        below.serve(child.talk, agent)
        below._ancestors = self._above()
        calls.context.delegator = below

    def _above(self) -> tuple[str, ...]:
        """The ids of the agents that wait for what is started here."""
        parent = self._serving.agent_id
        return (*self._ancestors, parent) if parent is not None else ()

    def _earlier(self, agent: AgentDefinition) -> dict[str, str | None]:
        known = {fold(name) for name in self._setting.agents}
        return {
            name: self._tree.reports.get(name)
            for name in agent.orchestration.depends_on
            if name in known and name != fold(self._name)
        }

    def _history(self, agent_id: str) -> Sequence[dict[str, Any]]:
        """The messages of an agent that has ended, from the journal."""
        assert self._setting.session is not None  # noqa: S101 - checked in _no_resume
        return history_of(read_lines(self._setting.session / JOURNAL), agent_id)

    async def _driven(self, talk: Conversation) -> Result:
        """`drive` as a task of its own, so that `stop` can end it alone."""
        driving = asyncio.ensure_future(drive(talk))
        agent_id = str(talk.agent_id)
        self._tree.running[agent_id] = driving
        try:
            return await driving
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return Interrupted(session_id=talk.session_id)  # stopped before it had begun
        finally:
            del self._tree.running[agent_id]

    async def _drive(self, child: Child, agent: AgentDefinition, share: Share) -> Result:
        """The child's one result, whatever happens to it. Cancelling goes through to it and on to the parent."""
        talk = child.talk
        talk.emit(_started(child, agent))
        result: Result = Interrupted(session_id=talk.session_id)
        try:
            async with asyncio.timeout(share.limits.seconds) as clock:
                result = await self._driven(talk)
            if clock.expired():
                reason = f"The limit of {share.limits.seconds:.0f} s was reached."
                shared = {f: getattr(result, f) for f in ("session_id", "text", "turns", "seconds", "usage", "denials")}
                result = OutOfBudget(**shared, limit="seconds", reason=reason)
        except SessionError:
            raise
        except Exception as error:  # noqa: BLE001 - a crash of one child is its result, not the end of the run
            reason = f"{type(error).__name__}: {error}"
            result = Failed(session_id=talk.session_id, kind="internal", reason=reason, turns=talk.turn)
        finally:
            await _release(child)
            talk.emit(RunFinished(status=result.status, result={"status": result.status, **to_json(result)}))
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError
        return result


@dataclass(slots=True)
class _Watch:
    """Passes a child's events on as the child's, below the call that started it."""

    show: Callable[[Event], None]
    agent_id: str
    call_id: str | None
    calls: int = 0

    def emit(self, event: Event) -> None:
        if event.agent_id in (None, self.agent_id):
            self.calls += isinstance(event, ToolStarted)
            event = replace(event, agent_id=self.agent_id, parent_call_id=self.call_id)
        self.show(event)


def _started(child: Child, agent: AgentDefinition) -> RunStarted:
    talk = child.talk
    return RunStarted(
        session_id=talk.session_id,
        model=talk.model.id,
        agent=agent.name,
        cwd=str(talk.calls.context.cwd),
        tools=sorted(talk.calls.tools),
        mode=child.mode,
        prefix={"system": talk.system, "tools": talk.tools},
        resumed=bool(talk.history),
        notices=child.notices,
    )


async def _release(child: Child) -> None:
    """Close what only the child used."""
    for close in child.closing:
        await close()
    if "shell" in child.talk.calls.context.state:
        from tools.shell import shell

        await shell(child.talk.calls.context).aclose()


def _refused(agent: str, why: str) -> DelegationResult:
    return DelegationResult("refused", agent, why)
