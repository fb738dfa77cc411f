"""A child agent put together: its definition's tools, skills, model and rules, and never more than its parent may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.calls.runner import CallRunner
from agent.calls.shelter import Confined, Shelter
from agent.conversation import Conversation
from agent.delegation.claims import ClaimingTool, Claims
from agent.delegation.rules import grants_of, situation
from agent.delegation.shares import Share
from agent.events import Event
from agent.knowledge.definition import AgentDefinition
from agent.knowledge.names import fold, select_tools
from agent.knowledge.prompt import system_blocks, tool_definitions
from agent.knowledge.skills import Skill, choose_preloaded
from agent.models.choose import ModelChoiceError
from agent.models.port import Model
from tools.paths import only_readable
from tools.tool import Tool, ToolContext

if TYPE_CHECKING:
    from agent.hooks import Hooks
    from agent.permissions import Mode, PermissionEngine

SPAWNING = frozenset({"Agent", "Task", "Delegate"})
_NEVER = frozenset({"AskUserQuestion", "CompleteStep", "EnterPlanMode", "ExitPlanMode"})
"""What no child gets: the user and the steps of the workflow belong to the outermost agent."""

_KNOWS_DRY_RUN = frozenset({"WriteArtifact", "InstrumentApp", "CheckArtifacts", *SPAWNING})
_OWN_STATE = frozenset({"devops", "files", "github.hub", "search", "shell", "todo", "web.pages"})
"""State that each agent keeps for itself. All other state is policy and binds children too."""

_LOOSE = frozenset({"acceptEdits", "auto", "bypassPermissions"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLimits:
    """Limits of a tree of agents. `turns` and `seconds` are those of one child whose file names none."""

    depth: int = 3
    at_once: int = 8
    total: int = 200
    turns: int = 60
    seconds: float = 1800.0

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> TreeLimits:
        """With Claude Code's variables for nesting and agents at once, where they hold a whole number above 0."""
        read = {"depth": "CLAUDE_CODE_MAX_SUBAGENT_SPAWN_DEPTH", "at_once": "CLAUDE_CODE_MAX_CONCURRENT_SUBAGENTS"}
        given = {name: env.get(variable, "") for name, variable in read.items()}
        known = {name: text for name, text in given.items() if text.isascii() and text.isdigit() and int(text)}
        return cls(**{name: int(text) for name, text in known.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is the same for all children of a run.

    `agents` are those that may be started, by canonical name, all of them trusted: their hooks run. `pool` is every
    tool a child may get at most, by name; `sandbox` confines its shell, `shelter` says to what. `choose` makes the
    model of a name, None where all use their parent's; `model` overrides what files and calls say. `session` is the
    directory of the journal, `instructions` are the texts that hold for all agents here (CLAUDE.md and the like).
    """

    agents: Mapping[str, AgentDefinition]
    pool: Mapping[str, Tool]
    skills: Mapping[str, Skill] = field(default_factory=dict)
    choose: Callable[[str], Model] | None = None
    model: str | None = None
    session: Path | None = None
    instructions: Sequence[str] = ()
    sandbox: bool = True
    shelter: Shelter = field(default_factory=Shelter)


@dataclass(frozen=True, slots=True)
class Child:
    """A child ready to be driven. `written` fills with the files it wrote; `closing` frees what only it uses."""

    talk: Conversation
    closing: tuple[Callable[[], Awaitable[None]], ...]
    notices: tuple[str, ...]
    mode: str
    written: dict[str, None]


def may_spawn(agent: AgentDefinition, depth: int, limits: TreeLimits) -> bool:
    """Whether an agent at `depth` (the outermost is 0) may start agents itself."""
    return agent.orchestration.spawns_subagents is not False and depth < limits.depth


def assemble(
    setting: Setting,
    parent: Conversation,
    parent_name: str,
    agent: AgentDefinition,
    *,
    agent_id: str,
    above: Sequence[str],
    prompt: str,
    history: Sequence[dict[str, Any]],
    model: str | None,
    share: Share,
    claims: Claims,
    spawns: bool,
    emit: Callable[[Event], None],
) -> Child:
    """The child's conversation. Raises `DefinitionError` when no tool is left to it."""
    context = _context(parent.calls.context, agent_id)
    pool = _offered(setting.pool, spawns=spawns, dry_run=bool(context.state.get("dry_run")))
    selection = agent.select_tools(pool)
    granted = {*selection.names, *grants_of(agent), *_of_servers(agent, pool)}
    names = [name for name in pool if name in granted]
    written: dict[str, None] = {}
    tools: dict[str, Tool] = {
        name: ClaimingTool(pool[name], claims, agent_id, above, written)
        if "writes" in pool[name].effects
        else pool[name]
        for name in sorted(names)
    }
    if setting.sandbox and "Bash" in tools:
        tools["Bash"] = Confined(tools["Bash"], context, emit, setting.shelter)
    mode = _mode(agent, parent.calls)
    hooks, remarks = _hooks(parent, agent, agent_id, context)
    calls = CallRunner(
        tools,
        context,
        lambda: _engine(parent.calls, agent, selection.deny_rules, mode, tools),
        parent.calls.redactor,
        emit,
        agent_id=agent_id,
        hooks=hooks,
    )
    only_readable(context, lambda path: calls.permissions.decide("Read", {"file_path": str(path)}).behavior != "deny")
    calls.judge.taint = parent.calls.judge.taint
    skills, missing = choose_preloaded(agent.skills, setting.skills)
    chosen, own, problems = _model(setting, parent.model, setting.model or model or agent.model)
    talk = Conversation(
        session_id=parent.session_id,
        model=chosen,
        system=system_blocks(agent, skills, context.root, [situation(parent_name), *setting.instructions]),
        tools=tool_definitions(tools.values()),
        calls=calls,
        ledger=share,
        emit=emit,
        prompt=parent.calls.redactor.text(prompt),
        history=list(history),
        options={**parent.options, **({"effort": agent.effort} if agent.effort is not None else {})},
        agent_id=agent_id,
        hooks=hooks,
        auto_compact=parent.auto_compact,
    )
    closing = [chosen.aclose] if own else []
    if hooks is not None and parent.hooks is None:
        closing.append(hooks.aclose)
    notices = (*agent.warnings, *selection.warnings, *missing, *problems, *remarks, *_not_done(agent))
    return Child(talk, tuple(closing), notices, mode, written)


def _context(parent: ToolContext, agent_id: str) -> ToolContext:
    """A context of its own in the same workspace. What binds the parent's tools binds the child's."""
    scratch = parent.scratch / agent_id
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    context = ToolContext(root=parent.root, cwd=parent.cwd, scratch=scratch, env=parent.env, asker=parent.asker)
    context.state.update({key: value for key, value in parent.state.items() if key not in _OWN_STATE})
    if "paths" in context.state:
        context.state["paths"] = set(context.state["paths"])
    if "shell" in parent.state:
        from tools.shell import Shell, shell

        given = shell(parent)
        context.state["shell"] = Shell(launcher=given.launcher, may_leave_sandbox=given.may_leave_sandbox)
    return context


def _offered(pool: Mapping[str, Tool], *, spawns: bool, dry_run: bool) -> dict[str, Tool]:
    """The part of the pool any child here may have. In a dry run nothing is offered that would act all the same."""
    withheld = _NEVER | (frozenset() if spawns else SPAWNING)
    return {
        name: tool
        for name, tool in pool.items()
        if name not in withheld and not (dry_run and tool.effects & {"writes", "runs"} and name not in _KNOWS_DRY_RUN)
    }


def _of_servers(agent: AgentDefinition, pool: Iterable[str]) -> list[str]:
    """The tools of the MCP servers that the agent's file names, of those that this run has."""
    servers = [fold(f"mcp__{name}__") for name in agent.mcp_servers if isinstance(name, str)]
    allowed = select_tools(pool, None, agent.disallowed_tools).names
    return [tool for tool in allowed if any(fold(tool).startswith(server) for server in servers)]


def _not_done(agent: AgentDefinition) -> list[str]:
    """What the file asks of a child that is not done here: said, not passed over."""
    asked = {
        "isolation": agent.isolation is not None and "it works in its caller's directory",
        "memory": agent.memory is not None and "it keeps no memory of its own",
        "mcpServers": any(not isinstance(s, str) for s in agent.mcp_servers) and "no server is started for it alone",
        "background": agent.background and "its caller waits for it",
    }
    return [f"{agent.name}: `{name}` has no effect here: {how}" for name, how in asked.items() if how]


def _mode(agent: AgentDefinition, parent: CallRunner) -> Mode:
    """`default` in a file takes the parent's mode where that is looser, as in Claude Code; never more than that."""
    of_parent = parent.permissions.mode
    wanted = agent.permission_mode
    return of_parent if wanted is None or (wanted == "default" and of_parent in _LOOSE) else wanted


def _engine(
    parent: CallRunner, agent: AgentDefinition, denied: Sequence[str], mode: Mode, tools: Mapping[str, Tool]
) -> PermissionEngine:
    from agent.permissions import Rules

    own = Rules.parse(deny=denied, source=agent.name, anchor=parent.context.root)
    return parent.permissions.child(own, mode, tools=tools)


def _hooks(
    parent: Conversation, agent: AgentDefinition, agent_id: str, context: ToolContext
) -> tuple[Hooks | None, list[str]]:
    """The run's hooks and the agent's own, and what is wrong with those."""
    if parent.hooks is None and not agent.hooks:
        return None, []
    from agent.hooks import HookRunner, Hooks
    from agent.hooks.config import read_hooks

    own, remarks = read_hooks(agent.hooks, agent.name)
    base = parent.hooks or Hooks(
        runner=HookRunner(handlers=(), root=context.root, scratch=context.scratch, redactor=parent.calls.redactor),
        common=lambda: {"session_id": parent.session_id},
    )
    return base.for_agent(agent_id, agent.name, own), [str(remark) for remark in remarks]


def _model(setting: Setting, parent: Model, wanted: str) -> tuple[Model, bool, tuple[str, ...]]:
    """The model, whether it is the child's own to close, and what could not be had."""
    if wanted == "inherit" or setting.choose is None:
        return parent, False, ()
    try:
        return setting.choose(wanted), True, ()
    except ModelChoiceError as error:
        return parent, False, (f"the model {wanted!r} cannot be used here, so its caller's is: {error}",)
