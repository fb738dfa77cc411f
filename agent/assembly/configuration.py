"""What an agent is configured with. `agent.api.Agent` is one that can be started."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.askers import Headless
from agent.budget import Limits
from agent.calls.shelter import Shelter
from agent.events import Event
from agent.knowledge.definition import AgentDefinition, load_persona
from agent.models.port import Model
from agent.session.sessions import Sessions
from agent.turn.window import AutoCompact
from tools.ports import Asker
from tools.tool import Tool

if TYPE_CHECKING:
    from agent.hooks import Handler
    from agent.knowledge.skills import Skill
    from agent.mcp import Servers
    from agent.permissions import Mode, Rules
    from agent.turn.structured import Shape


@dataclass(kw_only=True)
class Configuration:
    """Who an agent is, which model drives it, what it may use and who answers for it.

    `model` is a `Model`, or a name: `auto` (Claude when a key is set, else the playbook), `playbook`, a model id.
    `tools` replaces the built-in ones; those named by the definition are offered. `rules` and `mode` are permissions.
    `hooks` run at their events. `sandbox` confines shell commands where the system can, and says so where it cannot.
    `shelter` says what they reach beyond the workspace, and which secrets which command gets.
    `skills` are those of project and user, found and trusted by the caller, beside the built-in packs; `instructions`
    are further texts for the system prompt (CLAUDE.md and the like); `directories` are further working directories;
    `notices` are shown when a run starts. `servers` are MCP servers, closed by whoever made them. `siblings` says
    whether delegation starts agents here or leaves the run as typed requests, as it must when this run was itself
    spawned; `agents` are those besides the built-in ones, trusted ones only. `output` is a JSON Schema or a pydantic
    class: the run then completes with a `structured_output` that fits it, or does not complete. `readers` see every
    event as it happens, beside those the environment asks for; they may not block. `sessions` says where sessions are
    kept, and whether one lasts for several runs; `auto_compact` when a long one goes on from a summary.
    """

    cwd: str | os.PathLike[str] = "."
    model: Model | str = "auto"
    definition: AgentDefinition = field(default_factory=load_persona)
    tools: Sequence[Tool] | None = None
    rules: Rules | None = None
    mode: Mode = "default"
    limits: Limits = field(default_factory=Limits)
    asker: Asker = field(default_factory=Headless)
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    hooks: Sequence[Handler] = ()
    sandbox: bool = True
    shelter: Shelter = field(default_factory=Shelter)
    servers: Servers | None = None
    skills: Mapping[str, Skill] = field(default_factory=dict)
    instructions: Sequence[str] = ()
    directories: Sequence[Path] = ()
    notices: Sequence[str] = ()
    siblings: Literal["start", "request"] = "start"
    agents: Mapping[str, AgentDefinition] = field(default_factory=dict)
    output: Shape | None = None
    readers: Sequence[Callable[[Event], None]] = ()
    sessions: Sessions = field(default_factory=Sessions)
    auto_compact: AutoCompact = field(default_factory=AutoCompact)
