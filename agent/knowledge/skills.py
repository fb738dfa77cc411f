"""Skills: a directory with a `SKILL.md`, by the Agent Skills open standard and Claude Code's additions to it.

The open standard's limits are warnings, since skills in the wild break them and still work. A file that cannot be
read, has a broken header or says nothing raises `DefinitionError`: its header may hold `disable-model-invocation`, so
guessing would fail open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.knowledge.fields import DefinitionError, Fields, parse_definition, read_text
from agent.knowledge.names import fold
from tools.resources import data_root

LISTING_CHARS = 1536
"""Claude Code cuts description and `when_to_use` to this length in the listing of skills."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NAME_CHARS = 64
_DESCRIPTION_CHARS = 1024
_COMPATIBILITY_CHARS = 500
_BODY_LINES = 500
_FIELDS = frozenset(
    {
        *("name", "description", "license", "compatibility", "metadata", "allowed-tools"),
        *("when_to_use", "argument-hint", "arguments", "disable-model-invocation", "user-invocable"),
        *("disallowed-tools", "model", "effort", "context", "agent", "background", "hooks", "paths", "shell"),
    }
)


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill. `name` is the directory's name; `label` what its header calls it.

    `allowed_tools` pre-approves tools for the turn that uses the skill and restricts nothing; `disallowed_tools` takes
    tools away until the next user message. `context` `fork` runs the body as the prompt of the subagent `agent`.
    """

    name: str
    description: str
    body: str
    directory: Path
    label: str = ""
    when_to_use: str = ""
    argument_hint: str = ""
    arguments: tuple[str, ...] = ()
    model_invocable: bool = True
    user_invocable: bool = True
    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()
    model: str | None = None
    effort: str | int | None = None
    context: str | None = None
    agent: str | None = None
    background: bool = True
    hooks: Mapping[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    shell: str | None = None
    license: str | None = None
    compatibility: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def listing(self) -> str:
        """What the model reads of the skill before it is loaded."""
        return f"{self.description} {self.when_to_use}".strip()[:LISTING_CHARS]

    def preload(self) -> str:
        """The full body as it is put into a prompt; relative paths in it resolve against the named directory."""
        return f"# Skill: {self.name}\nBase directory: {self.directory}\n\n{self.body}"


def load_skill(directory: Path) -> Skill:
    """The skill in `directory`. Raises `DefinitionError`."""
    path = directory / "SKILL.md"
    return parse_skill(read_text(path), directory)


def parse_skill(text: str, directory: Path) -> Skill:
    """The skill with this `SKILL.md`; its files lie in `directory`. Raises `DefinitionError`."""
    path = directory / "SKILL.md"
    values, body = parse_definition(text, path)
    fields = Fields(values, path)
    if not body.strip():
        raise DefinitionError("no instructions below the header", path)
    skill = Skill(
        name=directory.name,
        description=fields.text("description") or _first_paragraph(body),
        body=body,
        directory=directory,
        label=fields.text("name") or directory.name,
        when_to_use=fields.text("when_to_use") or "",
        argument_hint=_hint(fields),
        arguments=fields.names("arguments", spaces=True),
        model_invocable=not fields.flag("disable-model-invocation", default=False),
        user_invocable=fields.flag("user-invocable", default=True),
        allowed_tools=fields.names("allowed-tools", spaces=True, strict=True),
        disallowed_tools=fields.names("disallowed-tools", spaces=True, strict=True),
        model=fields.text("model"),
        effort=fields.effort(),
        context=fields.choice("context", ("fork",)),
        agent=fields.text("agent"),
        background=fields.flag("background", default=True),
        hooks=fields.mapping("hooks"),
        paths=fields.names("paths"),
        shell=fields.choice("shell", ("bash", "powershell")),
        license=fields.text("license"),
        compatibility=fields.text("compatibility"),
        metadata=fields.mapping("metadata"),
    )
    fields.warn_unknown(_FIELDS)
    return replace(skill, warnings=(*fields.warnings, *_beyond_standard(skill, fields)))


def _first_paragraph(body: str) -> str:
    paragraphs = (part.strip() for part in re.split(r"\n[ \t]*\n", body))
    return next((" ".join(part.split()) for part in paragraphs if part and not part.startswith("#")), "")


def _hint(fields: Fields) -> str:
    """`argument-hint: [file]` is meant as text, although YAML reads a list."""
    value = fields.values.get("argument-hint")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return f"[{', '.join(value)}]"
    return fields.text("argument-hint") or ""


def _beyond_standard(skill: Skill, fields: Fields) -> Iterable[str]:
    """What the open standard forbids or advises against (agentskills.io, August 2026)."""
    if not _NAME.fullmatch(skill.label) or len(skill.label) > _NAME_CHARS:
        yield f"the name should be 1 to {_NAME_CHARS} of a-z, 0-9 and single inner hyphens"
    if fields.text("name") is None:
        yield "no 'name' in the header"
    elif skill.label != skill.name:
        yield f"the name {skill.label[:60]!r} should equal the directory's name {skill.name!r}"
    if fields.text("description") is None:
        yield "no 'description' in the header; the first paragraph is used"
    elif len(skill.description) > _DESCRIPTION_CHARS:
        yield f"the description is longer than {_DESCRIPTION_CHARS} characters"
    if len(skill.compatibility or "") > _COMPATIBILITY_CHARS:
        yield f"'compatibility' is longer than {_COMPATIBILITY_CHARS} characters"
    if skill.body.count("\n") >= _BODY_LINES:
        yield f"the body has more than {_BODY_LINES} lines; move long parts to files read on demand"


def find_skills(roots: Sequence[Path]) -> tuple[dict[str, Skill], tuple[str, ...]]:
    """Skills in `<root>/<name>/SKILL.md` by name, and one line for each that could not be used. Earlier roots win."""
    skills: dict[str, Skill] = {}
    problems: list[str] = []
    for root in roots:
        for path in sorted(root.glob("*/SKILL.md")):
            try:
                skill = load_skill(path.parent)
            except DefinitionError as error:
                problems.append(str(error))
                continue
            skills.setdefault(skill.name, skill)
    return skills, tuple(problems)


def builtin_skill_root() -> Path:
    """Where the packs of this project lie; the last root to search."""
    return data_root() / "skills"


def choose_preloaded(wanted: Sequence[str], found: Mapping[str, Skill]) -> tuple[tuple[Skill, ...], tuple[str, ...]]:
    """The skills an agent's `skills` field names, in its order, and a warning for each that cannot be preloaded."""
    by_name = {fold(name): skill for name, skill in found.items()}
    chosen: list[Skill] = []
    warnings: list[str] = []
    for name in dict.fromkeys(wanted):
        skill = by_name.get(fold(name))
        if skill is None:
            warnings.append(f"the skill {name!r} was not found")
        elif not skill.model_invocable:
            warnings.append(f"the skill {name!r} is for users only and cannot be preloaded")
        else:
            chosen.append(skill)
    return tuple(chosen), tuple(warnings)
