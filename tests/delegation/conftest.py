"""A parent and its siblings, put together from real parts, with a scripted model for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tools as core
from agent.askers import Headless
from agent.budget import Ledger, Limits
from agent.calls.runner import CallRunner
from agent.conversation import Conversation
from agent.delegation.child import Setting, TreeLimits
from agent.delegation.router import Router, Tree
from agent.delegation.tool import agent_tool
from agent.events import Event, RunStarted
from agent.hooks import Handler, HookRunner, Hooks
from agent.knowledge.definition import AgentDefinition, Orchestration
from agent.knowledge.prompt import tool_definitions
from agent.loop import drive
from agent.models.port import Model, Request
from agent.permissions import Mode, PermissionEngine, Rules
from agent.result import Result
from agent.session.journal import Journal, new_session_id
from agent.testing import ScriptedModel
from tools.ports import Asker
from tools.secrets import Redactor
from tools.tool import Tool, ToolContext, ToolResult, tool

Script = Callable[[str, Request], Any]
"""(name of the agent that asks, its request) -> a turn."""


@tool("Echo", effects={"reads"})
async def echo(ctx: ToolContext, word: str) -> ToolResult:
    """Say it back."""
    return ToolResult(word)


def definition(name: str, **fields: Any) -> AgentDefinition:
    """An agent whose prompt is its name, so that the script knows who asks."""
    orchestration = {key: fields.pop(key) for key in list(fields) if key in Orchestration.__dataclass_fields__}
    return AgentDefinition(
        name=name,
        description=f"{name} does it.",
        prompt=f"I am {name}.",
        orchestration=Orchestration(**orchestration),
        **fields,
    )


@dataclass
class Family:
    """One parent, `boss`, its children, and everything they emitted."""

    talk: Conversation
    router: Router
    events: list[Event]
    journal: Journal

    async def run(self) -> Result:
        return await drive(self.talk)

    def results(self) -> list[dict[str, Any]]:
        """All tool results the parent was given."""
        messages = [m["content"] for m in self.talk.history if m["role"] == "user" and isinstance(m["content"], list)]
        return [block for content in messages for block in content if block["type"] == "tool_result"]

    def ended(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


Build = Callable[..., Family]
Member = Callable[..., AgentDefinition]


@pytest.fixture
def member() -> Member:
    return definition


def asks(request: Request) -> str:
    """Which agent sends this request."""
    return str(request.system[0]["text"]).split("\n")[0].removeprefix("I am ").rstrip(".")


@pytest.fixture
def family(tmp_path: Path) -> Build:
    def build(
        script: Script | Model,
        agents: list[AgentDefinition],
        *,
        limits: Limits | None = None,
        tree: TreeLimits | None = None,
        mode: Mode = "acceptEdits",
        rules: Rules | None = None,
        asker: Asker | None = None,
        pool: Mapping[str, Tool] | None = None,
        root: Path | None = None,
        boss: AgentDefinition | None = None,
        state: Mapping[str, Any] | None = None,
        sandbox: bool = False,
        hooks: Sequence[Handler] = (),
    ) -> Family:
        model: Model = ScriptedModel(lambda r: script(asks(r), r)) if callable(script) else script
        root = root or tmp_path / "project"
        root.mkdir(exist_ok=True)
        redactor = Redactor()
        journal = Journal(tmp_path / "session", redactor)
        events: list[Event] = []

        def emit(event: Event) -> None:
            journal.record(event)
            events.append(event)

        parent = boss or definition("boss")
        everything: dict[str, Tool] = {"Echo": echo, "Delegate": core.delegate, "Agent": agent_tool(parent, agents)}
        everything |= {
            each.name: each for each in (core.read, core.write, core.edit, core.bash, core.ask_user_question)
        }
        everything |= pool or {}
        known = {agent.name: agent for agent in [parent, *agents]}
        setting = Setting(agents=known, pool=everything, session=journal.directory, sandbox=sandbox)
        router = Router(lambda: setting, Tree(tree or TreeLimits()))
        context = ToolContext(
            root=root,
            cwd=root,
            scratch=tmp_path / "scratch",
            asker=asker or Headless(),
            delegator=router,
            state=dict(state or {}),
        )
        engine_rules = rules if rules is not None else Rules.parse(allow=["Echo", "Slow"])
        engine = PermissionEngine(engine_rules, mode=mode, cwd=root, home=tmp_path, directories=(context.scratch,))
        runner = HookRunner(handlers=tuple(hooks), root=root, scratch=context.scratch, redactor=redactor)
        facade = Hooks(runner=runner, common=lambda: {"cwd": str(context.cwd)}) if hooks else None
        calls = CallRunner(everything, context, lambda: engine, redactor, emit, hooks=facade)
        talk = Conversation(
            session_id=new_session_id(),
            model=model,
            system=[{"type": "text", "text": parent.prompt}],
            tools=tool_definitions(everything.values()),
            calls=calls,
            ledger=Ledger(limits or Limits()),
            emit=emit,
            prompt="go",
            hooks=facade,
        )
        emit(
            RunStarted(
                session_id=talk.session_id, model=model.id, agent="boss", cwd=str(root), tools=[], mode=mode, prefix={}
            )
        )
        router.serve(talk, parent)
        return Family(talk, router, events, journal)

    return build
