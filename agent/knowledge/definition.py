"""Agent definition files: what Claude Code reads, plus the orchestration lines that this runtime enforces.

A definition is a Markdown file: a header with at least `name` and `description`, and a body that becomes the system
prompt. The body may hold `key: value` lines of orchestration metadata (`can_resume`, `spawns_subagents`, ...). A broken
file raises `DefinitionError`; what is odd but usable (unknown fields, unknown tools) is kept in `warnings`, which a
surface shows. Field meanings: Claude Code documentation on subagents, state of August 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from agent.knowledge.fields import DefinitionError, Fields, parse_definition, read_text, truth
from agent.knowledge.names import ToolSelection, resolve_agent_name, select_tools, split_list, split_rule
from tools.resources import data_root

PermissionMode = Literal["default", "acceptEdits", "auto", "dontAsk", "bypassPermissions", "plan"]
Level = Literal["low", "medium", "high"]

_ORCHESTRATION_KEYS = (
    "can_resume",
    "typical_chain_position",
    "depends_on",
    "spawns_subagents",
    "token_budget",
    "context_retention",
    "output_format",
)
_FIELDS = frozenset(
    {
        *("name", "description", "tools", "disallowedTools", "model", "permissionMode", "maxTurns", "skills"),
        *("mcpServers", "hooks", "memory", "background", "effort", "isolation", "color", "initialPrompt"),
        *_ORCHESTRATION_KEYS,
    }
)
_JSON_ONLY_FIELDS = frozenset({"autoCompactWindow", "omitClaudeMd", "observer", "observerMessage"})
_ORCHESTRATION_LINE = re.compile(rf"[ \t]*(?:[-*][ \t]+)?[*_`]*({'|'.join(_ORCHESTRATION_KEYS)})[*_`]*[ \t]*:[*_`]*")
_LIST_ITEM = re.compile(r"[ \t]*[-*][ \t]+")
_POSITIONS = {"initiator": "initiator", "initial": "initiator", "middle": "middle", "terminal": "terminal"}
_LEVELS = {"low": "low", "medium": "medium", "high": "high"}


@dataclass(frozen=True, slots=True)
class Orchestration:
    """How an orchestrator may use the agent. None means the file does not say.

    `can_resume`: false refuses to continue a finished run. `spawns_subagents`: false withholds the spawn tools, so that
    delegation is by request. `depends_on` is soft: a missing input is named, not fatal. `token_budget` bounds the
    context handed in, `context_retention` what is kept for the caller; `output_format` lists the parts of a result.
    """

    can_resume: bool | None = None
    typical_chain_position: Literal["initiator", "middle", "terminal"] | None = None
    depends_on: tuple[str, ...] = ()
    spawns_subagents: bool | None = None
    token_budget: Level | None = None
    context_retention: Level | None = None
    output_format: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentDefinition:
    """One agent. `prompt` is the body; `tools` None inherits the whole pool; `model` `inherit` takes the caller's."""

    name: str
    description: str
    prompt: str
    path: Path | None = None
    tools: tuple[str, ...] | None = None
    disallowed_tools: tuple[str, ...] = ()
    model: str = "inherit"
    permission_mode: PermissionMode | None = None
    max_turns: int | None = None
    skills: tuple[str, ...] = ()
    mcp_servers: tuple[str | Mapping[str, Any], ...] = ()
    hooks: Mapping[str, Any] = field(default_factory=dict)
    memory: str | None = None
    background: bool = False
    effort: str | int | None = None
    isolation: str | None = None
    color: str | None = None
    initial_prompt: str | None = None
    orchestration: Orchestration = Orchestration()
    warnings: tuple[str, ...] = ()

    @property
    def spawnable(self) -> tuple[str, ...] | None:
        """The agent names in `Agent(a, b)`; None when spawning is not limited by name. Canonical names."""
        listed = [split_rule(entry)[1] for entry in self.tools or () if split_rule(entry)[0] == "Agent"]
        if not listed or any(names is None for names in listed):
            return None
        return tuple(resolve_agent_name(name) for names in listed for name in split_list(names or ""))

    def select_tools(self, pool: Iterable[str]) -> ToolSelection:
        """The part of `pool` this agent may use (see `names.select_tools`).

        Raises `DefinitionError` when tools are listed and none of them is left: no agent starts toolless by accident.
        """
        selection = select_tools(pool, self.tools, self.disallowed_tools)
        if self.tools is not None and not selection.names:
            listed = ", ".join(self.tools) or "an empty list"
            raise DefinitionError(f"no tool is left to use here; 'tools' names {listed}", self.path)
        return selection


# --- reading ---------------------------------------------------------------------------------------------------


def load_agent(path: Path) -> AgentDefinition:
    """The agent in the file `path`. Raises `DefinitionError`."""
    return parse_agent(read_text(path), path)


def parse_agent(text: str, path: Path | None = None) -> AgentDefinition:
    """The agent in `text`; `path` is for messages. Raises `DefinitionError`."""
    values, body = parse_definition(text, path)
    return _build(Fields(values, path), body)


def agent_from_json(name: str, value: Mapping[str, Any]) -> AgentDefinition:
    """One entry of the JSON form (`--agents`, SDK `initialize`): the same fields with the body as `prompt`."""
    if not isinstance(prompt := value.get("prompt"), str):
        raise DefinitionError(f"agent {name!r} has no 'prompt'")
    values = {key: item for key, item in value.items() if key != "prompt" and key not in _JSON_ONLY_FIELDS}
    return _build(Fields(values | {"name": name}, None), prompt)


def _build(fields: Fields, body: str) -> AgentDefinition:
    name, description = fields.required("name"), fields.required("description")
    if name.startswith("-") or ":" in name or not name.isprintable():
        raise DefinitionError(f"the name {name[:60]!r} may not start with '-' or contain ':'", fields.path)
    agent = AgentDefinition(
        name=name,
        description=description,
        prompt=body,
        path=fields.path,
        tools=fields.names("tools", strict=True) if fields.values.get("tools") is not None else None,
        disallowed_tools=fields.names("disallowedTools", strict=True),
        model=fields.text("model") or "inherit",
        permission_mode=_permission_mode(fields),
        max_turns=fields.positive("maxTurns"),
        skills=fields.names("skills"),
        mcp_servers=_servers(fields),
        hooks=fields.mapping("hooks"),
        memory=fields.choice("memory", ("user", "project", "local")),
        background=fields.flag("background", default=False),
        effort=fields.effort(),
        isolation=fields.choice("isolation", ("worktree",)),
        color=fields.text("color"),
        initial_prompt=fields.text("initialPrompt"),
        orchestration=_orchestration(_orchestration_lines(body, fields.values), fields),
    )
    fields.warn_unknown(_FIELDS)
    return replace(agent, warnings=tuple(fields.warnings))


def _permission_mode(fields: Fields) -> PermissionMode | None:
    """An unknown mode reads as `default`, which asks for everything."""
    value = fields.text("permissionMode")
    if value is None or value in get_args(PermissionMode):
        return value  # type: ignore[return-value]  # checked against the members of the literal
    if value != "manual":
        fields.warn(f"unknown permissionMode {value[:60]!r} is read as 'default'")
    return "default"


def _servers(fields: Fields) -> tuple[str | Mapping[str, Any], ...]:
    """`mcpServers`: names, `{name: config}` entries, a comma list, or one mapping."""
    value = fields.values.get("mcpServers")
    if isinstance(value, dict):
        return tuple({name: config} for name, config in value.items())
    if isinstance(value, str):
        return split_list(value)
    if isinstance(value, list) and all(isinstance(item, str | dict) for item in value):
        return tuple(value)
    if value is not None:
        fields.ignore("mcpServers", "a list of names or mappings")
    return ()


# --- orchestration ---------------------------------------------------------------------------------------------


def _orchestration_lines(body: str, header: Mapping[str, Any]) -> dict[str, list[str]]:
    """Values by key: from the header, else from the first matching line of the body outside code fences."""
    found = {key: _items(header[key]) for key in _ORCHESTRATION_KEYS if header.get(key) is not None}
    open_list: list[str] | None = None
    fenced = False
    for line in body.split("\n"):
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        match = None if fenced else _ORCHESTRATION_LINE.match(line)
        if match is not None:
            items = _items(line[match.end() :])
            found.setdefault(match[1], items)
            open_list = items if not items and found[match[1]] is items else None
        elif open_list is not None and (item := _LIST_ITEM.match(line)):
            open_list.extend(_items(line[item.end() :]))
        else:
            open_list = None
    return found


def _items(value: Any) -> list[str]:
    """One value as a list: a YAML list, `[a, b]` or `a, b`. Comments, quotes and emphasis marks fall away."""
    if isinstance(value, list):
        return [str(item).strip() for item in value]
    text = str(value).partition(" #")[0].strip().removeprefix("[").removesuffix("]")
    return [item for entry in split_list(text) if (item := entry.strip("'\"`*_ "))]


def _orchestration(found: Mapping[str, list[str]], fields: Fields) -> Orchestration:
    words = {key: " ".join(items).casefold() for key, items in found.items() if items}

    def flag(key: str) -> bool | None:
        if key not in words:
            return None
        meaning = truth(words[key].split(" ")[0])
        if meaning is None:
            fields.warn(f"{key!r} should be true or false; it is read as false")
        return bool(meaning)

    def choice(key: str, allowed: Mapping[str, str]) -> Any:
        if key in words and words[key] not in allowed:
            fields.ignore(key, f"one of {', '.join(dict.fromkeys(allowed.values()))}")
        return allowed.get(words.get(key, ""))

    return Orchestration(
        can_resume=flag("can_resume"),
        typical_chain_position=choice("typical_chain_position", _POSITIONS),
        depends_on=tuple(resolve_agent_name(name) for name in found.get("depends_on", ()) if name.casefold() != "none"),
        spawns_subagents=flag("spawns_subagents"),
        token_budget=choice("token_budget", _LEVELS),
        context_retention=choice("context_retention", _LEVELS),
        output_format=tuple(found.get("output_format", ())),
    )


# --- finding ---------------------------------------------------------------------------------------------------


def find_agents(roots: Sequence[Path]) -> tuple[dict[str, AgentDefinition], tuple[str, ...]]:
    """Agents below `roots` by name, and one line for each file that could not be used. Earlier roots win."""
    agents: dict[str, AgentDefinition] = {}
    problems: list[str] = []
    for root in roots:
        for path in sorted(root.rglob("*.md")) if root.is_dir() else ():
            try:
                agent = load_agent(path)
            except DefinitionError as error:
                problems.append(str(error))
                continue
            agents.setdefault(agent.name, agent)
    return agents, tuple(problems)


@cache
def load_persona() -> AgentDefinition:
    """The built-in persona `expert-devops`."""
    return load_agent(data_root() / "AGENT.md")


def builtin_agents() -> dict[str, AgentDefinition]:
    """The persona and its siblings by name."""
    siblings, problems = find_agents([data_root() / "prompts" / "siblings"])
    if problems:
        raise DefinitionError("; ".join(problems))
    persona = load_persona()
    return {persona.name: persona} | siblings
