"""What this agent offers to other programs over MCP: the eight steps, single looks at a project, and free tasks.

The tools are ours like any other; `agent.mcp.server` serves them. They stay inside the directory the server was started
for, and use the model it was started with: a client chooses neither.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.delegation.requests import DelegationError, result_of
from tools.plain import to_json
from tools.ports import Answers, Asker, DelegationResult, NeedsInput, PermissionAnswer, PermissionRequest, Question
from tools.secrets import Redactor
from tools.text import clean
from tools.tool import Tool, ToolContext, ToolError, ToolResult, tool

if TYPE_CHECKING:
    from agent.api import Agent
    from agent.events import Event
    from agent.permissions import Mode
    from agent.result import Result
    from agent.workflow.run import WorkflowRun

_MOST_TEXT = 100_000

Directory = Annotated[str, Field(description="The project, relative to the directory this server was started for.")]
Spec = Annotated[str | None, Field(description="SPEC id or path; without it the project's SPEC is found.")]
Given = Annotated[
    dict[str, str] | None, Field(description="Answers given beforehand, by question key, header or text.")
]
Session = Annotated[str | None, Field(description="A session id from an earlier result, to go on with it.")]


class Done(BaseModel):
    """What came of one request."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    agent: Annotated[str, Field(description="Whom the request went to.")]
    text: Annotated[str, Field(description="Its report.")]
    subject: Annotated[str | None, Field(description="The request's subject, where several went to one agent.")] = None
    status: Literal["completed", "failed", "refused"] = "completed"


@dataclass(frozen=True, slots=True)
class Serving:
    """How runs are made: the agent of a directory, who is asked and in which mode. Kept in `ctx.state["serving"]`."""

    agent: Callable[[Path, Asker, Mode], Agent]


# --- looking --------------------------------------------------------------------------------------------------------


@tool("detect", effects={"reads"})
async def detect(ctx: ToolContext, directory: Directory = ".") -> ToolResult:
    """Tell what a project is: deploy units, stacks, commands, services, platforms, and what production still needs."""
    from tools.devops.describe import project_text
    from tools.devops.project import scan_project
    from tools.devops.spec import conversation_language

    root = _inside(ctx, directory)
    data = to_json(await _attempt(scan_project, root))
    return ToolResult(clean(project_text(data, conversation_language(root))), data=data)


@tool("spec", effects={"reads"})
async def spec(ctx: ToolContext, directory: Directory = ".", spec: Spec = None) -> ToolResult:
    """Tell what the SPEC says on deployment, each value stated, excluded or not stated, with the line it stands in."""
    from tools.devops.describe import spec_text
    from tools.devops.spec import read_spec

    root = _inside(ctx, directory)
    data = to_json(await _attempt(read_spec, root, _inside_spec(root, spec)))
    return ToolResult(clean(spec_text(data)), data=data)


@tool("check", effects={"reads", "runs"})
async def check(
    ctx: ToolContext,
    directory: Directory = ".",
    kinds: Annotated[list[str] | None, Field(description="Only these gates; without it, all.")] = None,
) -> ToolResult:
    """Run every gate (schemas, linters, cross-file rules) on the deployment files that are there; no model.

    What could not be checked is said to be not verified; it never counts as passed.
    """
    from tools.devops.checks import run_checks, to_text
    from tools.devops.checks import to_json as report_json

    root = _inside(ctx, directory)
    report = await _attempt(lambda: run_checks(root, kinds=kinds))
    return ToolResult(clean(to_text(report)), data=json.loads(report_json(report)))


@tool("explain", effects={"reads"})
async def explain(
    ctx: ToolContext,
    tool: Annotated[str, Field(min_length=1, description="A tool's name, for example Bash.")],
    input: Annotated[dict[str, Any], Field(description='The call\'s input, for example {"command": "git push"}.')],  # noqa: A002 - the batch form's name
    allow: Annotated[list[str], Field(description="Permission rules that allow.")] = [],  # noqa: B006 - never changed
    ask: Annotated[list[str], Field(description="Rules that ask.")] = [],  # noqa: B006 - never changed
    deny: Annotated[list[str], Field(description="Rules that deny.")] = [],  # noqa: B006 - never changed
    mode: Literal["default", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions"] = "default",
    directory: Directory = ".",
) -> ToolResult:
    """Tell what a tool call would be decided under given permission rules, by which rule, and why. Nothing is run."""
    from agent.permissions import explain_batch

    rules = {"allow": allow, "ask": ask, "deny": deny}
    case = {"rules": rules, "mode": mode, "cwd": str(_inside(ctx, directory)), "tool": tool, "input": input}
    answer = json.loads(next(iter(explain_batch([json.dumps(case)]))))
    return ToolResult(clean(f"{answer['decision']}: {answer['reason']}"), data=answer)


# --- working --------------------------------------------------------------------------------------------------------


@tool("run", effects={"reads", "writes", "runs", "network", "asks"})
async def run(
    ctx: ToolContext,
    directory: Directory = ".",
    spec: Spec = None,
    first_step: Annotated[int, Field(ge=1, le=8)] = 1,
    last_step: Annotated[int, Field(ge=1, le=8)] = 8,
    dry_run: Annotated[bool, Field(description="Show what would be written; write nothing.")] = False,
    answers: Given = None,
    take_defaults: Annotated[bool, Field(description="Take documented defaults for what nobody answers.")] = False,
    session: Session = None,
    siblings: Annotated[
        Literal["start", "request"], Field(description="Start siblings here, or ask the caller for their work.")
    ] = "start",
    delegation_results: Annotated[
        list[Done] | None, Field(description="With session: what came of the requests it ended with.")
    ] = None,
) -> ToolResult:
    """Make a project deployable in eight verified steps: requirements, platform, design, files, CI/CD, secrets,
    monitoring, hand-overs.

    Questions that only the user can answer are asked through the client. Where it cannot ask, the result has status
    `needs_input` with the questions and a session id: call again with both `session` and `answers`. Likewise for
    `delegations`, work that the caller is asked to have done: call again with `session` and `delegation_results`.
    """
    from agent.workflow.run import WorkflowRun

    root = _inside(ctx, directory)
    if session is not None:
        workflow = _workflow_of(session, root)
    else:
        if last_step < first_step:
            raise ToolError("last_step lies before first_step.")
        steps = tuple(range(first_step, last_step + 1))
        workflow = WorkflowRun(root=root, spec=_inside_spec(root, spec), steps=steps, dry_run=dry_run)
        await _attempt(workflow.read_spec)
    if delegation_results and session is None:
        raise ToolError("delegation_results belong to a session that asked for them: give its id as `session`.")
    agent = _agent(ctx, workflow.root, answers, take_defaults, mode="acceptEdits")
    agent.siblings = siblings
    done = [result_of(item.model_dump(exclude_none=True)) for item in delegation_results or ()]
    return _shown(await _work(ctx, agent, "" if session else workflow.prompt(), session, workflow, done))


@tool("delegate", effects={"reads", "writes", "runs", "network", "asks"})
async def delegate(
    ctx: ToolContext,
    task: Annotated[str, Field(min_length=1, max_length=50_000, description="What to do, and how to see it done.")],
    directory: Directory = ".",
    to: Annotated[str, Field(description="expert-devops, or a sibling such as expert-backend.")] = "expert-devops",
    answers: Given = None,
    session: Session = None,
) -> ToolResult:
    """Hand a task in words to the DevOps expert or a sibling; it works in the project under its own permissions.

    Calls that no rule allows are put to the user through the client; where it cannot ask, they are refused.
    """
    from agent.delegation.setup import known_agents
    from agent.knowledge.names import resolve_agent_name

    root = _inside(ctx, directory)
    agent = _agent(ctx, root, answers, take_defaults=False, mode="default")
    agents = known_agents(agent.agents)
    if (name := resolve_agent_name(to)) not in agents:
        raise ToolError(f"There is no agent {clean(to)[:60]!r}. There are: {', '.join(sorted(agents))}.")
    if name == agent.definition.name:
        return _shown(await _work(ctx, agent, task, session))
    if session is not None and agents[name].orchestration.can_resume is False:
        raise ToolError(f"{name} cannot be resumed: each call is a fresh run. Put what it found before into the task.")
    from agent.delegation.direct import Direct
    from agent.session.journal import find_session

    direct = await Direct.of(agents[name], task, root, "orchestrator")
    agent.definition = direct.agent
    result = await _work(ctx, agent, direct.prompt, session)
    return _shown(await direct.verified(result, find_session(result.session_id, root)) if result.session_id else result)


SERVED: tuple[Tool, ...] = (run, check, detect, spec, explain, delegate)


def _agent(ctx: ToolContext, root: Path, answers: Mapping[str, str] | None, take_defaults: bool, mode: Mode) -> Agent:
    serving: Serving = ctx.state["serving"]
    return serving.agent(root, _GivenFirst(answers or {}, ctx.asker, take_defaults), mode)


async def _work(
    ctx: ToolContext,
    agent: Agent,
    prompt: str,
    session: str | None,
    workflow: WorkflowRun | None = None,
    done: Sequence[DelegationResult] = (),
) -> Result:
    """Run to the end, saying what happens. When the call is cancelled, the run is interrupted and its journal whole."""
    from agent.session.journal import SessionError

    try:
        going = agent.start(prompt, resume=session, workflow=workflow, delegation_results=done)
        async with aclosing(going.__aiter__()) as events:  # type: ignore[type-var]  # an async generator
            async for event in events:
                if line := _line(event):
                    ctx.progress(line)
    except (SessionError, DelegationError) as error:
        raise ToolError(str(error)) from error
    finally:
        if agent.servers is not None:
            await agent.servers.aclose()
    return going.result


def _shown(result: Result) -> ToolResult:
    from agent.api import result_json

    redactor = Redactor.from_environment(os.environ)
    data = redactor.json(result_json(result))
    text = redactor.text(_told(result))[:_MOST_TEXT]
    failed = result.status not in ("completed", "needs_input")
    return ToolResult(clean(text), is_error=failed, data=data)


def _told(result: Result) -> str:
    """The result for the model at the other end: status and session first, then questions or reasons, the report."""
    from agent.result import NeedsInput as Unanswered
    from agent.workflow.report import to_markdown

    parts = [f"Status: {result.status}. Session: {result.session_id}."]
    if isinstance(result, Unanswered):
        for question in result.questions:
            options = ", ".join(option.label for option in question.options)
            parts.append(f"Question `{question.key or question.question}`: {question.question} ({options})")
    if reason := getattr(result, "reason", ""):
        parts.append(str(reason))
    parts += [
        f"Requested of {request.to}: {request.subject}. It has not been started; carry it out or say so."
        for request in result.delegations
    ]
    parts.append(to_markdown(result.report) if result.report else result.text)
    return "\n\n".join(filter(None, parts))


def _line(event: Event) -> str:
    """One line for an event a person may want to see; empty for the rest."""
    from agent.events import Notice, StepChanged, ToolProgress, ToolStarted

    match event:
        case StepChanged():
            return f"{event.step}/8 {event.status}"
        case ToolStarted():
            subject = next((str(value) for value in event.input.values() if isinstance(value, str)), "")
            return f"{event.tool} {subject}".strip()
        case ToolProgress():
            return f"{event.tool}: {event.line}"
        case Notice():
            return event.text
        case _:
            return ""


@dataclass(slots=True)
class _GivenFirst:
    """Answers given with the call first, then the person at the client, then documented defaults if wanted."""

    given: Mapping[str, str]
    person: Asker
    take_defaults: bool
    _asked: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def questions(self, questions: Sequence[Question]) -> Answers:
        from agent.askers import Headless

        values: dict[str, str] = {}
        assumed: set[str] = set()
        rest = []
        headless = Headless(self.given, take_defaults=self.take_defaults)
        for question in questions:
            try:
                answer = await headless.questions([question])
            except NeedsInput:
                rest.append(question)
            else:
                values |= answer
                assumed |= answer.assumed
        if rest:
            async with self._asked:
                values |= await self.person.questions(rest)
        return Answers(values, assumed)

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        async with self._asked:
            return await self.person.permission(request)


# --- limits ---------------------------------------------------------------------------------------------------------


def _inside(ctx: ToolContext, directory: str) -> Path:
    """A directory within the server's; nothing else is touched, whatever a client asks for."""
    root = ctx.root.resolve()
    try:
        path = (root / directory).resolve()
        inside = path.is_relative_to(root) and path.is_dir()
    except (OSError, ValueError):
        inside = False
    if not inside:
        raise ToolError(f"{clean(directory)[:200]!r} is no directory inside {root}, which this server was started for.")
    return path


def _inside_spec(root: Path, spec: str | None) -> str | None:
    """A SPEC by id, or by a path within the project."""
    if spec is not None and not (root / spec).resolve().is_relative_to(root):
        raise ToolError(f"The SPEC {clean(spec)[:200]!r} lies outside the project.")
    return spec


def _workflow_of(session: str, root: Path) -> WorkflowRun:
    from agent.session.journal import SessionError, find_session
    from agent.session.resume import restore
    from agent.workflow.run import WorkflowRun

    try:
        options = restore(find_session(session, root)).workflow
    except SessionError as error:
        raise ToolError(str(error)) from error
    if options is None or not Path(options["root"]).resolve().is_relative_to(root):
        raise ToolError(f"Session {clean(session)[:60]} is no run of the eight steps in {root}.")
    return WorkflowRun.from_options(options)


async def _attempt(work: Any, *arguments: Any) -> Any:
    """Blocking work in a thread; its known failures are the caller's to read."""
    from tools.devops.project import ProjectError
    from tools.devops.spec import SpecError

    try:
        return await asyncio.to_thread(work, *arguments)
    except (ProjectError, SpecError, ValueError) as error:
        raise ToolError(clean(str(error))) from error
