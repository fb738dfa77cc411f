"""The rules of delegation as data: who does what, what a sibling is granted, and what its work may not break."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

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
    text = task[:_READ].casefold()
    scores = {
        name: (_weight(text, matters), _weight(text, fields))
        for name, (matters, fields) in _table().items()
        if agents is None or name in set(agents)
    }
    best = max(scores, key=lambda name: scores[name], default=None)
    if best is None or not any(scores[best]) or (not scores[best][0] and _weight(text, _own())):
        return None
    return best


_READ = 10_000  # characters of a task in which its subject is looked for
_Phrases: TypeAlias = Sequence[tuple[re.Pattern[str], int]]


@cache
def _table() -> Mapping[str, tuple[_Phrases, _Phrases]]:
    """By sibling: the words of its matters, and those of its field."""
    return {
        name: (_phrases([*words["en"], *words["ko"]]), _phrases(words["field"]))
        for name, words in _data()["matters"].items()
    }


@cache
def _own() -> _Phrases:
    return _phrases(_data()["own"])


def _weight(text: str, phrases: _Phrases) -> int:
    """The weight of all phrases found."""
    return sum(weight for pattern, weight in phrases if pattern.search(text))


def _phrases(written: Iterable[str]) -> _Phrases:
    """Each phrase as a pattern with its weight: its length, a Korean syllable counting for three letters."""
    return [(_pattern(p.casefold()), sum(3 if _HANGUL.match(c) else c.isalnum() for c in p)) for p in written]


_HANGUL = re.compile("[가-힣]")


def _pattern(phrase: str) -> re.Pattern[str]:
    korean = _HANGUL.search(phrase)
    between = r"[가-힣]{0,2}\s*" if korean else r"[\s/_-]+"
    gap = r".{0,12}?" if korean else r"\W+(?:\w+\W+){0,4}?"
    ending = "" if korean else r"(?:s|es|ing|ed)?"
    parts: list[str] = []
    joint = ""
    for word in phrase.split():
        if word == "..":
            joint = gap
            continue
        spelled = re.escape(word.rstrip("*")).replace(r"\-", r"[\s/_-]*")
        parts.append(joint + spelled + (r"\S*" if word.endswith("*") else ending))
        joint = between
    bounds = ("", "") if korean else (r"(?<![^\W가-힣])", r"(?![^\W가-힣])")
    return re.compile(f"{bounds[0]}{''.join(parts)}{bounds[1]}")


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
