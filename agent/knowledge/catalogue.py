"""Which agents and skills are visible here, where each comes from, and why others are not.

Agents: managed, then `--agents`, then the project (the working directory first, up to the repository's root, and
`--add-dir`'s), then the user's, then built-in. Skills: managed, the user's, the project's, built-in; a skill beats a
command of the same name (Claude Code documentation on subagents and skills, August 2026). Names are compared with case,
`-`, `_` and spaces equal. Nothing of a project that is not believed is visible.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from agent.knowledge.definition import AgentDefinition, agent_from_json, builtin_agents, load_agent
from agent.knowledge.fields import DefinitionError, read_text
from agent.knowledge.names import fold, resolve_agent_name
from agent.knowledge.skills import Skill, builtin_skill_root, choose_preloaded, load_skill, parse_skill
from agent.settings.places import Level, Places, SettingsError
from agent.settings.remarks import Remark, remark

_MOST_FILES = 5000
_DEEPEST = 12
_RESERVED_SKILLS = frozenset({"synced"})

T = TypeVar("T", AgentDefinition, Skill)


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One definition that was found. `where` is its file or flag; `why_not` None means that it is visible."""

    kind: Literal["agent", "skill", "command"]
    name: str
    level: Level
    where: str
    definition: T | None = None
    why_not: Remark | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`agents` and `skills` by name are those visible; the entries tell of every one found, in order of precedence."""

    agents: Mapping[str, AgentDefinition] = field(default_factory=dict)
    skills: Mapping[str, Skill] = field(default_factory=dict)
    agent_entries: tuple[Entry[AgentDefinition], ...] = ()
    skill_entries: tuple[Entry[Skill], ...] = ()

    def agent(self, name: str) -> AgentDefinition | None:
        """The agent of this name, in any spelling, or by an old name of a built-in one."""
        by_name = {fold(known): agent for known, agent in self.agents.items()}
        return by_name.get(fold(name)) or by_name.get(resolve_agent_name(name))

    @property
    def problems(self) -> tuple[Remark, ...]:
        """Why definitions are not visible."""
        entries: Iterable[Entry[AgentDefinition] | Entry[Skill]] = (*self.agent_entries, *self.skill_entries)
        return tuple(entry.why_not for entry in entries if entry.why_not is not None)


def load_catalogue(
    places: Places, *, agents: str | Mapping[str, Any] | None = None, tools: Collection[str] | None = None
) -> Catalogue:
    """Everything there is. `agents` is the value of `--agents` (JSON or its object); it raises `SettingsError` when it
    is no object of agents. With `tools`, the names of all tools, an agent left without any is not visible.
    """
    skill_entries = _settle(_skills(places))
    skills = {entry.name: entry.definition for entry in skill_entries if entry.definition is not None}
    found = (_checked(entry, skills, tools) for entry in _agents(places, agents))
    agent_entries = _settle(found)
    visible = {entry.name: entry.definition for entry in agent_entries if entry.definition is not None}
    return Catalogue(visible, skills, agent_entries, skill_entries)


def _settle(entries: Iterable[Entry[T]]) -> tuple[Entry[T], ...]:
    """The first of equal names is visible, later ones are hidden by it."""
    settled: list[Entry[T]] = []
    first: dict[str, Entry[T]] = {}
    for entry in entries:
        if entry.why_not is not None:
            settled.append(replace(entry, definition=None))
        elif (winner := first.setdefault(fold(entry.name), entry)) is entry:
            settled.append(entry)
        else:
            why = remark("shadowed", entry.where, what=entry.name, by=winner.where)
            settled.append(replace(entry, definition=None, why_not=why))
    return tuple(settled)


# --- agents ---


def _agents(places: Places, given: str | Mapping[str, Any] | None) -> Iterator[Entry[AgentDefinition]]:
    yield from _agent_files(places.managed / ".claude" / "agents", "managed")
    yield from _given_agents(given)
    if "project" in places.sources:
        for directory in (*places.project, *places.directories):
            trusted = places.trusted(directory)
            for entry in _agent_files(directory / ".claude" / "agents", "project"):
                yield _as_believed(entry, believed=trusted or places.vouched, trusted=trusted)
    if "user" in places.sources:
        yield from _agent_files(places.user / "agents", "user")
    for agent in builtin_agents().values():
        yield Entry("agent", agent.name, "built-in", "built-in", agent, warnings=agent.warnings)


def _given_agents(given: str | Mapping[str, Any] | None) -> Iterator[Entry[AgentDefinition]]:
    try:
        value = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"--agents is no valid JSON: {error}.") from error
    if value is not None and not isinstance(value, Mapping):
        raise SettingsError("--agents must be a JSON object of agents by name.")
    for name, fields in (value or {}).items():
        yield _entry("agent", name, "flag", "--agents", partial(_from_json, name, fields))


def _from_json(name: str, fields: object) -> AgentDefinition:
    if not isinstance(fields, Mapping):
        raise DefinitionError(f"agent {name!r} must be an object")
    return agent_from_json(name, fields)


def _agent_files(root: Path, level: Level) -> Iterator[Entry[AgentDefinition]]:
    for path in _markdown_files(root):
        if isinstance(path, Remark):
            yield Entry("agent", root.name, level, path.where, why_not=path)
        else:
            yield _entry("agent", path.stem, level, str(path), partial(load_agent, path))


def _as_believed(entry: Entry[AgentDefinition], *, believed: bool, trusted: bool) -> Entry[AgentDefinition]:
    """A project's agent as far as the project is believed: without trust it brings no hooks and no servers."""
    if not believed:
        return replace(entry, why_not=entry.why_not or remark("untrusted", entry.where, what=entry.name))
    agent = entry.definition
    if trusted or agent is None or not (agent.hooks or agent.mcp_servers):
        return entry
    names = tuple(server for server in agent.mcp_servers if isinstance(server, str))
    warning = "'hooks' and inline 'mcpServers' are not used until the folder is trusted"
    return replace(entry, definition=replace(agent, hooks={}, mcp_servers=names), warnings=(*entry.warnings, warning))


def _checked(
    entry: Entry[AgentDefinition], skills: Mapping[str, Skill], tools: Collection[str] | None
) -> Entry[AgentDefinition]:
    """The entry with what cannot be resolved here: skills it names in vain, and that no tool is left to it."""
    agent = entry.definition
    if agent is None:
        return entry
    warnings = [*entry.warnings, *choose_preloaded(agent.skills, skills)[1]]
    if tools is None:
        return replace(entry, warnings=tuple(warnings))
    try:
        warnings += agent.select_tools(tools).warnings
    except DefinitionError as error:
        why = remark("refused", entry.where, what=entry.name, why=error.reason)
        return replace(entry, why_not=entry.why_not or why)
    return replace(entry, warnings=tuple(warnings))


# --- skills ---


def _skills(places: Places) -> Iterator[Entry[Skill]]:
    yield from _skill_root(places.managed / ".claude" / "skills", "managed")
    for find in (_skill_root, _command_root):
        plural = "skills" if find is _skill_root else "commands"
        if "user" in places.sources:
            yield from find(places.user / plural, "user")
        if "project" in places.sources:
            for directory in (*places.project, *places.directories):
                yield from _if_believed(find(directory / ".claude" / plural, "project"), places.believes(directory))
    yield from _skill_root(builtin_skill_root(), "built-in")


def _if_believed(entries: Iterable[Entry[Skill]], believed: bool) -> Iterator[Entry[Skill]]:
    for entry in entries:
        hidden = remark("untrusted", entry.where, what=entry.name)
        yield entry if believed else replace(entry, why_not=entry.why_not or hidden)


def _skill_root(root: Path, level: Level) -> Iterator[Entry[Skill]]:
    """Skills are directories with a `SKILL.md`; links to directories are followed."""
    try:
        names = sorted(path.name for path in root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield Entry("skill", root.name, level, str(root), why_not=_unreadable(root, error))
        return
    if len(names) > _MOST_FILES:
        yield Entry("skill", root.name, level, str(root), why_not=remark("too_many", root, limit=_MOST_FILES))
    for name in names[:_MOST_FILES]:
        directory = root / name
        if not (directory / "SKILL.md").is_file():
            continue
        if name in _RESERVED_SKILLS:
            yield Entry("skill", name, level, str(directory), why_not=remark("reserved", directory, what=name))
        else:
            yield _entry("skill", name, level, str(directory / "SKILL.md"), partial(load_skill, directory))


def _command_root(root: Path, level: Level) -> Iterator[Entry[Skill]]:
    for path in _markdown_files(root):
        if isinstance(path, Remark):
            yield Entry("command", root.name, level, path.where, why_not=path)
        else:
            yield _entry("command", path.stem, level, str(path), partial(_load_command, path))


def _load_command(path: Path) -> Skill:
    """A command file is a skill of one file, named after it. Limits of the skill standard do not concern it."""
    try:
        skill = parse_skill(read_text(path), path.with_suffix(""))
    except DefinitionError as error:
        raise DefinitionError(error.reason, path, error.line) from error
    return replace(skill, directory=path.parent, warnings=())


# --- files ---


def _entry(
    kind: Literal["agent", "skill", "command"], name: str, level: Level, where: str, load: Callable[[], T]
) -> Entry[T]:
    """The entry of one definition, loaded, or refused with the reason."""
    try:
        definition = load()
    except DefinitionError as error:
        line = f"line {error.line}: " if error.line else ""
        return Entry(kind, name, level, where, why_not=remark("refused", where, what=name, why=line + error.reason))
    return Entry(kind, definition.name, level, where, definition, warnings=definition.warnings)


def _markdown_files(root: Path) -> Iterator[Path | Remark]:
    """Markdown files below `root` in order; links to directories are not followed, so that there are no cycles."""
    count = 0
    problems: list[Remark] = []
    for directory, directories, files in os.walk(root, onerror=lambda e: problems.append(_unreadable(root, e))):
        directories.sort()
        if len(Path(directory).relative_to(root).parts) >= _DEEPEST:
            directories.clear()
        for name in sorted(files):
            if not name.lower().endswith(".md"):
                continue
            count += 1
            if count > _MOST_FILES:
                yield remark("too_many", root, limit=_MOST_FILES)
                return
            yield Path(directory) / name
    if root.is_dir():
        yield from problems


def _unreadable(root: Path, error: OSError) -> Remark:
    return remark("unreadable", error.filename or root, what=root.name, why=error.strerror or error)
