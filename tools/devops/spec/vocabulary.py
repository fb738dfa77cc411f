"""The words of `vocabulary.yaml`, compiled once.

Patterns are case-insensitive and ASCII-bounded, so `\\b` holds between a Latin word and a Korean particle. No pattern
holds an unbounded repeat of anything that can match long runs twice, so matching stays linear in practice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FLAGS = re.IGNORECASE | re.ASCII
_BEFORE = r"(?<![A-Za-z0-9_.@-])"
_AFTER = (
    r"(?![A-Za-z0-9_])(?!\.(?:ts|js|py|json|ya?ml|toml|md|sql|conf|config|tsx|mjs|go|sh)\b)(?!-(?:js|py|client|sdk)\b)"
)


@dataclass(frozen=True, slots=True)
class Name:
    """A product or place by its canonical `value`. `generic` ones give way to more exact ones."""

    value: str
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None = None
    generic: bool = False
    weak: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """One occurrence of a name: its value and its span in the text searched."""

    value: str
    start: int
    end: int
    generic: bool = False
    weak: bool = False


@cache
def words() -> Mapping[str, Any]:
    """The whole vocabulary file."""
    import yaml

    text = Path(__file__).with_name("vocabulary.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
    return data


@cache
def pattern(path: str) -> re.Pattern[str]:
    """One pattern for a list in the vocabulary, named by its path: `pattern("stance.planned")`."""
    node: Any = words()
    for part in path.split("."):
        node = node[part]
    return re.compile("|".join(f"(?:{item})" for item in node), FLAGS)


def found(path: str, text: str) -> bool:
    """Whether any expression of the list at `path` occurs in `text`."""
    return pattern(path).search(text) is not None


def last(path: str, text: str) -> re.Match[str] | None:
    """The last match of the list at `path` in `text`."""
    match = None
    for match in pattern(path).finditer(text):  # noqa: B007 - the last one is wanted
        pass
    return match


@cache
def names(path: str) -> tuple[Name, ...]:
    """The names listed under `path` (`platforms`, `databases`, ...) in file order."""
    return tuple(_name(value, entry) for value, entry in words()[path].items())


def _name(value: str, entry: Any) -> Name:
    entry = {"terms": entry} if isinstance(entry, list) else entry
    terms = [f"{_BEFORE}(?i:{term}){_AFTER}" for term in entry.get("terms", ())]
    terms += [f"{_BEFORE}(?:{term}){_AFTER}" for term in entry.get("exact", ())]
    unless = entry.get("unless")
    return Name(
        value=value,
        pattern=re.compile("|".join(terms), re.ASCII),
        unless=re.compile(rf"[\s'’s]{{0,3}}(?:{'|'.join(unless)})", FLAGS) if unless else None,
        generic=bool(entry.get("generic")),
        weak=re.compile("|".join(entry["weak"]), FLAGS) if "weak" in entry else None,
    )


def mentions(path: str, text: str) -> list[Mention]:
    """Every name of the list in `text`, in order; where two overlap the longer one stays."""
    hits = [hit for name in names(path) for hit in _hits(name, text)]
    hits.sort(key=lambda hit: (hit.start, -(hit.end - hit.start)))
    kept: list[Mention] = []
    for hit in hits:
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept


def _hits(name: Name, text: str) -> Iterable[Mention]:
    for match in name.pattern.finditer(text):
        if name.unless is not None and name.unless.match(text, match.end()):
            continue
        weak = name.weak is not None and name.weak.match(match.group()) is not None
        yield Mention(name.value, match.start(), match.end(), name.generic, weak)
