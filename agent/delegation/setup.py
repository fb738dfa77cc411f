"""Delegation of one run set up: who carries its requests out, and what became of those it made earlier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.calls.shelter import Shelter
from agent.conversation import Conversation
from agent.delegation.requests import Requests
from agent.events import DelegationsAnswered, Event
from agent.knowledge.definition import AgentDefinition, builtin_agents
from agent.knowledge.names import select_tools
from agent.models.port import Model
from agent.said import Said, joined
from tools.plain import to_json
from tools.ports import DelegationRequest, DelegationResult
from tools.tool import Tool

if TYPE_CHECKING:
    from agent.delegation.router import Router
    from agent.knowledge.skills import Skill


@dataclass(kw_only=True)
class Delegating:
    """The delegation of a run by `who`, set up as the fields of `agent.api.Agent` say.

    `results` answer what its session had asked of others; with `request` nothing is started here.

    prompt = delegating.with_answers(prompt, earlier)             # earlier: the directory of a resumed session
    context.delegator = delegating.begin(pool, skills, directory)
    delegating.serve(talk)                                        # once the conversation is there
    """

    who: AgentDefinition
    agents: Mapping[str, AgentDefinition]
    model: Model | str
    env: Mapping[str, str]
    instructions: Sequence[str]
    sandbox: bool
    shelter: Shelter
    request: bool
    results: Sequence[DelegationResult]
    _requests: Requests = field(default_factory=Requests)
    _make: Callable[[], Router] | None = None
    _talk: Conversation | None = None
    _router: Router | None = None

    @property
    def open(self) -> tuple[DelegationRequest, ...]:
        """What is asked of others and not answered."""
        return tuple(self._requests.requests)

    def with_answers(self, prompt: Said, earlier: Path | None) -> Said:
        """Take up what the session had asked of others; the prompt, with what came back before it."""
        if earlier is not None:
            self._requests = Requests.recorded(earlier)
        if not self.results:
            return prompt
        return joined(self._requests.answer(self.results), prompt)

    def note_answers(self, emit: Callable[[Event], None]) -> None:
        """Record which requests were answered: none of them is open any more, also after a crash."""
        answered = zip(self._requests.answered, self.results, strict=True)
        told = [to_json(request) | {"status": result.status} for request, result in answered]
        if told:
            emit(DelegationsAnswered(requests=told))

    def begin(self, pool: Mapping[str, Tool], skills: Mapping[str, Skill], directory: Path) -> Requests | Delegating:
        """Who takes this run's requests: itself, or where it was spawned the list for whoever spawned it."""
        if self.request:
            return self._requests
        self._make = partial(self._routed, pool, skills, directory)
        return self

    def _routed(self, pool: Mapping[str, Tool], skills: Mapping[str, Skill], directory: Path) -> Router:
        from agent.delegation.child import Setting, TreeLimits
        from agent.delegation.router import Router, Tree
        from agent.models.choose import chooser

        def setting() -> Setting:
            return Setting(
                agents=known_agents(self.agents),
                pool=pool,
                skills=skills,
                choose=chooser(self.model, self.env),
                model=_override(self.env),
                session=directory,
                instructions=self.instructions,
                sandbox=self.sandbox,
                shelter=self.shelter,
            )

        return Router(setting, Tree(TreeLimits.from_environment(self.env)), elsewhere=self._requests)

    @property
    def router(self) -> Router:
        """What starts siblings, made when the first is asked for: most runs start without one."""
        if self._router is None:
            assert self._make is not None  # noqa: S101 - `begin` comes first
            assert self._talk is not None  # noqa: S101 - and `serve` before any call
            self._router = self._make()
            self._router.serve(self._talk, self.who)
        return self._router

    async def delegate(self, request: DelegationRequest) -> DelegationResult:
        """Have a sibling carry out `request`, here."""
        return await self.router.delegate(request)

    def stop(self, agent_id: str) -> bool:
        """End one agent that was started, and those below it. False when none of that id runs."""
        return self._router is not None and self._router.stop(agent_id)

    def serve(self, talk: Conversation) -> None:
        """Delegate for this conversation."""
        self._talk = talk


def known_agents(given: Mapping[str, AgentDefinition]) -> dict[str, AgentDefinition]:
    """The agents that can be started: the built-in ones and those `given`, which come first."""
    return builtin_agents() | dict(given)


def with_spawning(
    pool: Mapping[str, Tool], who: AgentDefinition, agents: Mapping[str, AgentDefinition]
) -> dict[str, Tool]:
    """The pool, with Claude Code's Agent beside Delegate where the definition lets its agent start others."""
    allowed = select_tools([*pool, "Agent"], who.tools, who.disallowed_tools).names
    if who.orchestration.spawns_subagents is False or "Agent" not in allowed:
        return dict(pool)
    from agent.delegation.tool import agent_tool

    return {**pool, "Agent": agent_tool(who, known_agents(agents).values())}


def _override(env: Mapping[str, str]) -> str | None:
    """The model that Claude Code's variable sets for all child agents."""
    model = env.get("CLAUDE_CODE_SUBAGENT_MODEL")
    return model if model and model != "inherit" else None
