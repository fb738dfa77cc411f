"""Putting one run together: session, journal, frozen prefix, tools, permissions, hooks, siblings, workflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.askers import Headless, Recorded
from agent.assembly.configuration import Configuration
from agent.assembly.tools import Offer, offer
from agent.budget import Ledger
from agent.calls.runner import CallRunner
from agent.calls.shelter import Confined, Shelter, expected
from agent.calls.taint import tainted_by
from agent.conversation import Conversation
from agent.delegation.setup import Delegating
from agent.events import Event, Notice, RunFinished, RunStarted, StepChanged
from agent.knowledge.prompt import system_blocks, system_fragment, tool_definitions
from agent.knowledge.skills import builtin_skill_root, choose_preloaded, find_skills
from agent.models.choose import choose_model
from agent.result import Refused, Result, failed, result_json
from agent.said import Said, joined
from agent.session import carried
from agent.session.journal import JOURNAL, SessionError
from agent.session.opening import Opened, Opening, open_session
from agent.session.recording import Recording
from agent.session.resume import Restored
from agent.telemetry.observers import Reader, observers
from tools.github.settings import GitHubSettings
from tools.paths import grant, only_readable
from tools.ports import DelegationResult
from tools.resources import data_root
from tools.secrets import Redactor
from tools.tool import ToolContext

if TYPE_CHECKING:
    from agent.hooks import Hooks
    from agent.knowledge.skills import Skill
    from agent.permissions import PermissionEngine
    from agent.turn.structured import Answer
    from agent.workflow.run import WorkflowRun

_HANDOVER = 8  # the step that rests on what others were asked to do
_CI_FILES = (".github/workflows/**", ".github/dependabot.yml", ".env.example")
"""Protected paths the workflow grants to `WriteArtifact`: the persona's own CI files."""


class Setup:
    """One run of a configured agent, from what it is asked to its last event.

    `show` receives every event; `results` answer what the session had asked of others.
    """

    def __init__(
        self,
        agent: Configuration,
        workflow: WorkflowRun | None,
        show: Callable[[Event], None],
        results: Sequence[DelegationResult] = (),
    ) -> None:
        self._agent = agent
        self._cwd = Path(agent.cwd).resolve()
        self._delegating = Delegating(
            who=agent.definition,
            agents=agent.agents,
            model=agent.model,
            env=agent.env,
            instructions=agent.instructions,
            sandbox=agent.sandbox,
            shelter=self._shelter().for_child(),
            request=agent.siblings == "request",
            results=results,
        )
        self._workflow = workflow
        self._show = show
        self._redactor = Redactor.from_environment(agent.env, also=agent.shelter.named())
        self._recording: Recording | None = None
        self._answer = _owed(agent)
        self._readers: list[Reader] = [*agent.readers]
        self.session_id = ""

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

    async def stop(self, task_id: str, context: ToolContext) -> bool:
        """End a child agent or a background command. False when nothing of that id is running."""
        if self._delegating.stop(task_id):
            return True
        if "shell" not in context.state:
            return False
        from tools.shell import shell, stop

        task = shell(context).tasks.get(task_id)
        if task is None or task.status != "running":
            return False
        await stop(task)
        return True

    async def servers_ready(self) -> None:
        """Start the MCP servers, once for all runs of the agent. The surface that made them closes them."""
        if self._agent.servers is not None:
            await self._agent.servers.start()

    def conversation(self, prompt: Said, opening: Opening, prompt_id: str | None = None) -> Conversation:
        """The conversation, its beginning recorded and told. Raises `SessionError`."""
        agent = self._agent
        opened = open_session(opening, self._cwd, agent.env, agent.sessions.store)
        self.session_id = opened.session_id
        taken_up = opened.restored is not None and not opened.copied
        prompt = self._delegating.with_answers(prompt, opened.directory if taken_up else None)
        transcript = self._transcript()
        recording = self._recording = Recording(opened, self._cwd, self._redactor, transcript)
        found, unobserved = observers(os.environ, self._redactor)
        self._readers += found

        offered = offer(agent, workflow=self._workflow is not None)
        packs = find_skills([builtin_skill_root()])[0] | dict(agent.skills)
        skills, missing = choose_preloaded(agent.definition.skills, packs)
        asker = Recorded(agent.asker, self.emit, dict(opened.restored.answers) if opened.restored else {})
        context = self._context(opened, asker)
        context.delegator = self._delegating.begin(offered.available, packs, opened.directory)
        talk = self._talk(offered, skills, context, transcript or opened.directory / JOURNAL)
        talk.prompt, talk.prompt_id = self._redactor.json(prompt), prompt_id
        unseen = ["The embedded rules read text only: images and documents are not looked at."]
        unseen = unseen if talk.model.id == "playbook" and not isinstance(prompt, str) else []
        notices = [*agent.definition.warnings, *offered.warnings, *missing, *unobserved, *unseen]
        self._begin(recording, talk, opened, notices)
        if self._workflow is not None:
            self._attach(self._workflow, talk, opened.restored, asker)
        self._go_on(talk, opened)
        return talk

    def _transcript(self) -> Path | None:
        if not self._agent.sessions.transcripts:
            return None
        from agent.session.transcript import transcript_path

        return transcript_path(self._cwd, self.session_id, self._agent.env)

    def _context(self, opened: Opened, asker: Recorded) -> ToolContext:
        """What tools get of this run: where they work, what they may reach, who answers."""
        context = ToolContext(root=self._cwd, cwd=self._cwd, scratch=opened.directory / "scratch", asker=asker)
        context.scratch.mkdir(mode=0o700, exist_ok=True)
        for place in (data_root() / "skills", *self._agent.directories):
            grant(context, place)
        context.state["mcp"] = self._agent.servers
        context.state["github"] = GitHubSettings.from_environment(self._agent.env)
        return context

    def _talk(self, offered: Offer, skills: Sequence[Skill], context: ToolContext, transcript: Path) -> Conversation:
        """The conversation as it begins: its prefix, its tools and what stands before each of their calls."""
        agent, tools = self._agent, offered.tools
        if self._answer is not None:
            tools[self._answer.name] = self._answer
        definitions = tool_definitions(tools.values())
        hooks = self._hooks(transcript, context)
        unconfined: Callable[[], str] = str
        if "Bash" in tools:
            confined = Confined(
                tools["Bash"], context, self.emit, self._shelter(), sandbox=agent.sandbox, env=agent.env
            )
            tools["Bash"], unconfined = confined, confined.missing
        engine = partial(self._engine, context.scratch, offered.denied, unconfined)
        calls = CallRunner(tools, context, engine, self._redactor, self.emit, hooks=hooks)
        only_readable(context, lambda path: _may_read(calls, path))
        return Conversation(
            session_id=self.session_id,
            model=choose_model(agent.model, agent.env) if isinstance(agent.model, str) else agent.model,
            system=system_blocks(agent.definition, skills, self._cwd, [*self._briefs(), *agent.instructions]),
            tools=definitions,
            calls=calls,
            ledger=Ledger(agent.limits, agent.definition.name, place=context.scratch),
            emit=self.emit,
            hooks=hooks,
            answer=self._answer,
            auto_compact=agent.auto_compact,
        )

    def _begin(self, recording: Recording, talk: Conversation, opened: Opened, notices: Sequence[str]) -> None:
        """Freeze the prefix, a resumed session's being the one it began with, and tell that the run starts."""
        agent, restored = self._agent, opened.restored
        if restored is not None and restored.started is not None:
            before = restored.started.prefix
            if self._answer is not None and talk.tools != before["tools"]:
                talk.prompt = joined(talk.prompt, self._answer.demand())
            talk.system, talk.tools = before["system"], before["tools"]
        served = agent.servers.notices if agent.servers is not None else ()
        started = RunStarted(
            session_id=self.session_id,
            model=talk.model.id,
            agent=agent.definition.name,
            cwd=str(self._cwd),
            tools=sorted(talk.calls.tools),
            mode=agent.mode,
            prefix={"system": talk.system, "tools": talk.tools},
            workflow=self._workflow.options() if self._workflow else None,
            resumed=restored is not None,
            notices=[*agent.notices, *notices, *served],
            sandbox=expected(sandbox=agent.sandbox) if "Bash" in talk.calls.tools else "",
        )
        recording.begin(started)
        self._tell(started)
        self._delegating.note_answers(self.emit)
        self._delegating.serve(talk)

    def _go_on(self, talk: Conversation, opened: Opened) -> None:
        """Take over what the session was before this run, in an earlier process or in this one."""
        context, sessions, restored = talk.calls.context, self._agent.sessions, opened.restored
        if restored is not None:
            _take_over(talk, restored, "fork" if opened.forked_from else "resume")
            carried.load(context, restored.directory)
        if sessions.lasting:
            talk.begins = sessions.begins(self.session_id, talk.begins if restored else None)
            if talk.begins is None:
                context.env = {**context.env, **sessions.environment}

    def _shelter(self) -> Shelter:
        agent = self._agent
        return replace(agent.shelter, directories=(*agent.directories, *agent.shelter.directories))

    def _engine(self, scratch: Path, denied: Sequence[str], unconfined: Callable[[], str]) -> PermissionEngine:
        from agent.permissions import PermissionEngine, Rules
        from tools.github import ALWAYS_ASK

        own = Rules.parse(deny=denied, source=self._agent.definition.name, anchor=self._cwd)
        return PermissionEngine(
            rules=self._agent.rules + own if self._agent.rules else own,
            mode=self._agent.mode,
            cwd=self._cwd,
            home=Path.home(),
            directories=(scratch, *self._agent.directories),
            granted_paths=_CI_FILES if self._workflow else (),
            unconfined=unconfined,
            exact=ALWAYS_ASK | (self._agent.servers.ask if self._agent.servers else frozenset()),
        )

    def _hooks(self, transcript: Path, context: ToolContext) -> Hooks | None:
        if not self._agent.hooks:
            return None
        from agent.hooks import HookRunner, Hooks

        common = {"session_id": self.session_id, "transcript_path": str(transcript)}
        handlers = tuple(self._agent.hooks)
        runner = HookRunner(handlers=handlers, root=self._cwd, scratch=context.scratch, redactor=self._redactor)
        return Hooks(runner=runner, common=lambda: common, attended=not isinstance(self._agent.asker, Headless))

    def _briefs(self) -> list[str]:
        """What this run adds to the system prompt: that nobody can answer, and the steps of a workflow."""
        alone = [system_fragment("headless")] if isinstance(self._agent.asker, Headless) else []
        return [*alone, *(self._workflow.brief() if self._workflow else ())]

    def _attach(self, workflow: WorkflowRun, talk: Conversation, restored: Restored | None, asker: Recorded) -> None:
        """Let the workflow's steps guard the conversation."""

        def changed(step: int, status: Any, record: Mapping[str, Any]) -> None:
            self.emit(StepChanged(step=step, status=status, record=record))

        context = talk.calls.context
        steps = workflow.begin(context, changed, restored.steps if restored else {}, asker.answered)
        if self._delegating.results:
            steps.reopen(_HANDOVER)
        context.steps = steps
        talk.guard = steps
        talk.recap = workflow.recap

    async def release(self, talk: Conversation) -> None:
        """Close what the run opened: the model's connections, hooks and programs left in the background."""
        await talk.model.aclose()
        await self._agent.sessions.pause(talk.session_id, talk.exported, talk.hooks)
        context = talk.calls.context
        carried.save(context, context.scratch.parent)
        if "shell" in context.state:
            from tools.shell import shell

            await shell(context).aclose()

    def conclude(self, result: Result) -> Result:
        """Add what the run as a whole knows: typed delegations and the workflow's report and verdict."""
        result = replace(result, delegations=self._delegating.open)
        if self._answer is not None and not self._answer.given and isinstance(result, Refused) and result.by == "hook":
            reason = f"A hook stopped the run before there was a structured answer: {result.reason}"
            result = failed(result, "structured_output", reason)
        if self._workflow is None or self._recording is None:
            return result
        from agent.workflow.written import work_of_session

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


def _owed(agent: Configuration) -> Answer | None:
    """The structured answer the run owes. Raises `SchemaError`."""
    if agent.output is None:
        return None
    from agent.turn.structured import Answer, output_schema

    return Answer(output_schema(agent.output))


def _may_read(calls: CallRunner, path: Path) -> bool:
    return calls.permissions.decide("Read", {"file_path": str(path)}).behavior != "deny"


def _take_over(talk: Conversation, restored: Restored, why: str) -> None:
    talk.begins = why
    talk.history.extend(restored.history)
    talk.calls.judge.taint = tainted_by(restored.history)
    talk.settled = restored.settled
    talk.turn = restored.turns
    talk.window.note(*restored.counted)
    for name, model, usage in restored.usage:
        talk.ledger.book(model, usage, name)
