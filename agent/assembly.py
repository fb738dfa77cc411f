"""Putting one run together: session, journal, frozen prefix, tools, permissions, hooks, siblings, workflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.askers import Headless, Recorded
from agent.budget import Ledger
from agent.calls.runner import CallRunner
from agent.calls.shelter import Confined
from agent.calls.taint import tainted_by
from agent.conversation import Conversation
from agent.delegation.setup import Delegating, with_spawning
from agent.events import Event, Notice, RunFinished, RunStarted, StepChanged
from agent.grants import PERSONA_GRANTS, WORKFLOW_GRANTS
from agent.knowledge.definition import load_persona
from agent.knowledge.names import select_tools
from agent.knowledge.prompt import system_blocks, system_fragment, tool_definitions
from agent.knowledge.skills import builtin_skill_root, choose_preloaded, find_skills
from agent.models.choose import choose_model
from agent.result import Outcome, Refused, Result, failed
from agent.said import Said, joined
from agent.session import carried
from agent.session.journal import JOURNAL, SessionError
from agent.session.opening import Opening, open_session
from agent.session.recording import Recording
from agent.session.resume import Restored
from agent.session.transcript import transcript_path
from agent.telemetry.observers import Reader, observers
from agent.workflow.written import work_of_session
from tools.catalogue import builtin_tools
from tools.github.settings import GitHubSettings
from tools.paths import grant, only_readable
from tools.plain import to_json
from tools.ports import DelegationResult
from tools.resources import data_root
from tools.secrets import Redactor
from tools.tool import Tool, ToolContext

if TYPE_CHECKING:
    from agent.api import Agent
    from agent.hooks import Hooks
    from agent.permissions import PermissionEngine
    from agent.session.sitting import Sitting
    from agent.turn.structured import Answer
    from agent.workflow.run import WorkflowRun

_HANDOVER = 8  # the step that rests on what others were asked to do
_CI_FILES = (".github/workflows/**", ".github/dependabot.yml", ".env.example")
"""Protected paths the workflow grants to `WriteArtifact`: the persona's own CI files."""


class Setup:
    """Puts one run together: session, journal, prefix, tools, permissions, workflow."""

    def __init__(
        self,
        agent: Agent,
        workflow: WorkflowRun | None,
        show: Callable[[Event], None],
        results: Sequence[DelegationResult] = (),
    ) -> None:
        self._agent = agent
        self._delegating = Delegating(
            who=agent.definition,
            agents=agent.agents,
            model=agent.model,
            env=agent.env,
            instructions=agent.instructions,
            sandbox=agent.sandbox,
            request=agent.siblings == "request",
            results=results,
        )
        self._workflow = workflow
        self._show = show
        self._recording: Recording | None = None
        self._answer = _owed(agent)
        self._readers: list[Reader] = [*agent.readers]
        self.session_id = ""

    @property
    def sitting(self) -> Sitting | None:
        return self._agent.sitting

    def emit(self, event: Event) -> None:
        """Write first, then show: what a surface has seen is on disk."""
        problem = self._recording.write(event) if self._recording is not None else None
        self._tell(event)
        if problem is not None:
            self.emit(Notice(level="warning", text=problem))

    def _tell(self, event: Event) -> None:
        for read in self._readers:
            read(event)
        self._show(event)

    async def servers_ready(self) -> None:
        """Start the MCP servers, once for all runs of the agent. The surface that made them closes them."""
        if self._agent.servers is not None:
            await self._agent.servers.start()

    def conversation(self, prompt: Said, opening: Opening, prompt_id: str | None = None) -> Conversation:
        agent = self._agent
        cwd = Path(agent.cwd).resolve()
        opened = open_session(opening, cwd, agent.env, agent.store)
        restored, directory = opened.restored, opened.directory
        self.session_id = opened.session_id
        prompt = self._delegating.with_answers(
            prompt, directory if restored is not None and not opened.copied else None
        )
        redactor = Redactor.from_environment(agent.env)
        transcript = transcript_path(cwd, self.session_id, agent.env) if agent.transcripts else None
        self._recording = Recording(opened, cwd, redactor, transcript)
        found, unobserved = observers(os.environ, redactor)
        self._readers += found
        model = choose_model(agent.model, agent.env) if isinstance(agent.model, str) else agent.model

        available = self._available()
        tools, denied, warnings = self._tools(available)
        if self._answer is not None:
            tools[self._answer.name] = self._answer
        packs, _ = find_skills([builtin_skill_root()])
        skills, missing = choose_preloaded(agent.definition.skills, packs | dict(agent.skills))
        delegator = self._delegating.begin(available, packs | dict(agent.skills), directory)
        asker = Recorded(agent.asker, self.emit, dict(restored.answers) if restored else {})
        context = ToolContext(root=cwd, cwd=cwd, scratch=directory / "scratch", asker=asker, delegator=delegator)
        context.scratch.mkdir(mode=0o700, exist_ok=True)
        grant(context, data_root() / "skills")
        context.state["mcp"] = agent.servers
        context.state["github"] = GitHubSettings.from_environment(agent.env)
        for place in agent.directories:
            grant(context, place)
        fresh = {
            "system": system_blocks(agent.definition, skills, cwd, [*self._briefs(), *agent.instructions]),
            "tools": tool_definitions(tools.values()),
        }
        prefix = restored.started.prefix if restored is not None and restored.started is not None else fresh
        hooks = self._hooks(cwd, transcript or directory / JOURNAL, context, redactor)
        unconfined: Callable[[], str] = str
        if agent.sandbox and "Bash" in tools:
            confined = Confined(tools["Bash"], context, self.emit)
            tools["Bash"], unconfined = confined, confined.missing
        engine = partial(self._engine, cwd, context.scratch, denied, unconfined)
        calls = CallRunner(tools, context, engine, redactor, self.emit, hooks=hooks)
        only_readable(context, lambda path: _may_read(calls, path))
        talk = Conversation(
            session_id=self.session_id,
            model=model,
            system=prefix["system"],
            tools=prefix["tools"],
            calls=calls,
            ledger=Ledger(agent.limits, agent.definition.name),
            emit=self.emit,
            prompt=redactor.json(prompt),
            prompt_id=prompt_id,
            hooks=hooks,
            answer=self._answer,
        )
        served = agent.servers.notices if agent.servers is not None else ()
        unseen = ["The embedded rules read text only: images and documents are not looked at."]
        unseen = unseen if model.id == "playbook" and not isinstance(prompt, str) else []
        notices = [*agent.notices, *agent.definition.warnings, *warnings, *missing, *served, *unobserved, *unseen]
        started = RunStarted(
            session_id=self.session_id,
            model=model.id,
            agent=agent.definition.name,
            cwd=str(cwd),
            tools=sorted(tools),
            mode=agent.mode,
            prefix=prefix,
            workflow=self._workflow.options() if self._workflow else None,
            resumed=restored is not None,
            notices=notices,
        )
        self._recording.begin(started)
        self._tell(started)
        self._delegating.note_answers(self.emit)
        self._delegating.serve(talk)
        if self._workflow is not None:
            self._attach(self._workflow, talk, context, restored, asker)
        if restored is not None:
            _take_over(talk, restored, "fork" if opened.forked_from else "resume")
            carried.load(context, restored.directory)
        if agent.sitting is not None:
            talk.begins = agent.sitting.begins(self.session_id, talk.begins if restored else None)
            if talk.begins is None:
                context.env = {**context.env, **agent.sitting.environment}
        if restored is not None and self._answer is not None and fresh["tools"] != prefix["tools"]:
            talk.prompt = joined(talk.prompt, self._answer.demand())
        return talk

    def _engine(
        self, cwd: Path, scratch: Path, denied: Sequence[str], unconfined: Callable[[], str]
    ) -> PermissionEngine:
        from agent.permissions import PermissionEngine, Rules
        from tools.github import ALWAYS_ASK

        own = Rules.parse(deny=denied, source=self._agent.definition.name, anchor=cwd)
        return PermissionEngine(
            rules=self._agent.rules + own if self._agent.rules else own,
            mode=self._agent.mode,
            cwd=cwd,
            home=Path.home(),
            directories=(scratch, *self._agent.directories),
            granted_paths=_CI_FILES if self._workflow else (),
            unconfined=unconfined,
            exact=ALWAYS_ASK | (self._agent.servers.ask if self._agent.servers else frozenset()),
        )

    def _hooks(self, cwd: Path, transcript: Path, context: ToolContext, redactor: Redactor) -> Hooks | None:
        if not self._agent.hooks:
            return None
        from agent.hooks import HookRunner, Hooks

        common = {
            "session_id": self.session_id,
            "transcript_path": str(transcript),
        }
        handlers = tuple(self._agent.hooks)
        runner = HookRunner(handlers=handlers, root=cwd, scratch=context.scratch, redactor=redactor)
        return Hooks(runner=runner, common=lambda: common, attended=not isinstance(self._agent.asker, Headless))

    def _briefs(self) -> list[str]:
        """What this run adds to the system prompt: that nobody can answer, and the steps of a workflow."""
        alone = [system_fragment("headless")] if isinstance(self._agent.asker, Headless) else []
        return [*alone, *(self._workflow.brief() if self._workflow else ())]

    def _available(self) -> dict[str, Tool]:
        """Every tool of this run: the caller's or the built-in ones, and those of servers, without disallowed ones."""
        agent = self._agent
        if agent.tools is not None:
            pool = {tool.name: tool for tool in agent.tools}
        else:
            known = {name: tool for name, tool in builtin_tools().items() if name not in WORKFLOW_GRANTS}
            pool = with_spawning(known, agent.definition, agent.agents)
        if self._workflow is not None:
            pool |= {name: builtin_tools()[name] for name in WORKFLOW_GRANTS}
        if agent.servers is not None:
            from agent.mcp import with_servers

            pool = with_servers(pool, agent.servers)
        return {name: pool[name] for name in select_tools(pool, None, agent.definition.disallowed_tools).names}

    def _tools(self, available: Mapping[str, Tool]) -> tuple[dict[str, Tool], Sequence[str], Sequence[str]]:
        """The tools this agent gets, its own deny rules, and what its definition names in vain.

        Tools handed in by the caller are all offered.
        """
        definition = self._agent.definition
        if self._agent.tools is not None:
            return dict(available), select_tools((), None, definition.disallowed_tools).deny_rules, ()
        selection = definition.select_tools(available)
        own = definition.name == load_persona().name
        granted = (PERSONA_GRANTS if own else ()) + (WORKFLOW_GRANTS if self._workflow else ())
        if own and self._agent.servers is not None:  # a user who configures a server means it for this agent
            granted += tuple(tool.name for tool in self._agent.servers.tools)
        offered = {*selection.names, *(name for name in granted if name in available)}
        return {name: available[name] for name in sorted(offered)}, selection.deny_rules, selection.warnings

    def _attach(
        self,
        workflow: WorkflowRun,
        talk: Conversation,
        context: ToolContext,
        restored: Restored | None,
        asker: Recorded,
    ) -> None:
        def changed(step: int, status: Any, record: Mapping[str, Any]) -> None:
            self.emit(StepChanged(step=step, status=status, record=record))

        steps = workflow.begin(context, changed, restored.steps if restored else {}, asker.answered)
        if self._delegating.results:
            steps.reopen(_HANDOVER)
        context.steps = steps
        talk.guard = steps
        talk.recap = workflow.recap

    def conclude(self, result: Result) -> Result:
        """Add what the run as a whole knows: typed delegations and the workflow's report and verdict."""
        result = replace(result, delegations=self._delegating.open)
        if self._answer is not None and not self._answer.given and isinstance(result, Refused) and result.by == "hook":
            reason = f"A hook stopped the run before there was a structured answer: {result.reason}"
            result = failed(result, "structured_output", reason)
        if self._workflow is None or self._recording is None:
            return result
        return self._workflow.conclude(result, work_of_session(self._recording.directory, self._workflow.root))

    def finished(self, result: Result) -> None:
        """The last event. A journal that cannot be written any more does not hide the result."""
        event = RunFinished(status=result.status, result=result_json(result))
        try:
            self.emit(event)
        except SessionError:
            self._tell(event)
        if self._recording is not None:
            self._recording.close()
            self._recording = None


def _owed(agent: Agent) -> Answer | None:
    """The structured answer the run owes. Raises `SchemaError`."""
    if agent.output is None:
        return None
    from agent.turn.structured import Answer, output_schema

    return Answer(output_schema(agent.output))


def _may_read(calls: CallRunner, path: Path) -> bool:
    return calls.permissions.decide("Read", {"file_path": str(path)}).behavior != "deny"


async def release(talk: Conversation, sitting: Sitting | None) -> None:
    """Close what the run opened: the model's connections, hooks and programs left in the background.

    In a `sitting` the session goes on: its end is the sitting's.
    """
    await talk.model.aclose()
    if sitting is not None:
        sitting.keep(talk.session_id, talk.exported, talk.hooks)
    elif talk.hooks is not None:
        await talk.hooks.session_end("other")
    if talk.hooks is not None:
        await talk.hooks.aclose()
    context = talk.calls.context
    carried.save(context, context.scratch.parent)
    if "shell" in context.state:
        from tools.shell import shell

        await shell(context).aclose()


def _take_over(talk: Conversation, restored: Restored, why: str) -> None:
    talk.begins = why
    talk.history.extend(restored.history)
    talk.calls.judge.taint = tainted_by(restored.history)
    talk.settled = restored.settled
    talk.turn = restored.turns
    talk.window.note(*restored.counted)
    for name, model, usage in restored.usage:
        talk.ledger.book(model, usage, name)


def result_json(result: Outcome) -> dict[str, Any]:
    """A result as JSON-ready data, with its `status`."""
    data = to_json(result)
    assert isinstance(data, dict)  # noqa: S101 - a dataclass becomes a mapping
    return {"status": result.status, **data}
