"""The rules of delegation as data: who does what, what a sibling is granted, and what its work may not break."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from agent.knowledge.definition import AgentDefinition
from agent.knowledge.names import resolve_agent_name
from tools.frontmatter import load_yaml
from tools.resources import data_root


@cache
def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = load_yaml((data_root() / "prompts" / "delegation.yaml").read_text(encoding="utf-8"))
    return data


def pick_sibling(task: str, agents: Iterable[str] | None = None) -> str | None:
    """The sibling a task belongs to by the persona's rules, among `agents` (all without it); None when none fits."""
    text = task.casefold()
    scores = {name: _weight(text, words) for name, words in _data()["matters"].items()}
    allowed = {name: score for name, score in scores.items() if score and (agents is None or name in set(agents))}
    return max(allowed, key=lambda name: allowed[name], default=None)


def _weight(text: str, words: Mapping[str, Iterable[str]]) -> int:
    """The length of all phrases found. English ones are whole words, Korean ones take endings."""
    english = (p for p in words["en"] if re.search(rf"(?<![a-z0-9]){re.escape(p)}(?![a-z0-9])", text))
    korean = (p for p in words["ko"] if p in text)
    return sum(map(len, english)) + sum(3 * len(p) for p in korean)


def is_elsewhere(name: str) -> bool:
    """Whether this canonical name is a partner that the project knows and does not bring."""
    return name in _data()["elsewhere"]


def grants_of(agent: AgentDefinition) -> tuple[str, ...]:
    """Tools granted beyond the header, to the project's own siblings only."""
    own = agent.path is not None and agent.path.is_relative_to(data_root() / "prompts" / "siblings")
    return tuple(_data()["grants"].get(agent.name, ())) if own else ()


def gates_of(name: str) -> tuple[str, ...]:
    """Kinds of checks that this sibling's work may not break."""
    return tuple(_data()["gates"].get(resolve_agent_name(name), ()))


def context_limit(agent: AgentDefinition) -> int:
    """Most characters handed to an agent, by its `token_budget`."""
    return int(_data()["context"][agent.orchestration.token_budget or "medium"])


def report_limit(agent: AgentDefinition) -> int:
    """Most characters that come back from an agent, by its `context_retention`."""
    return int(_data()["retention"][agent.orchestration.context_retention or "medium"])


def missing_parts(agent: AgentDefinition, report: str) -> list[str]:
    """The parts of `output_format` that the report does not mention, in English or Korean."""
    text = report.casefold()
    return [part for part in agent.orchestration.output_format if not _mentions(text, part.casefold())]


def _mentions(text: str, part: str) -> bool:
    """A part is there when all its words are: `API contract` is found in `contract of the API`."""
    spelled = [str(word).casefold() for word in _data()["parts"].get(part, ())]
    return all(word in text for word in re.findall(r"\w+", part)) or any(word in text for word in spelled)


def situation(parent: str) -> str:
    """What a child is told of where it stands, for its system prompt."""
    return str(_data()["situation"]).format(parent=parent).strip()
