"""The words by which a SPEC is read, in English and Korean: one file a subject under `words/`, compiled once.

Each list holds regular expressions, gathered from the structure of public SPEC files, 2026-11. They are
case-insensitive and ASCII-bounded, so `\\b` holds between a Latin word and a Korean particle. Every repeat is
bounded. Whether a list occurs at all is asked of RE2, in one linear pass; Python's engine, which knows
look-around and positions, only works where the answer is yes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

FLAGS = re.IGNORECASE | re.ASCII
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]|\(\?<?[=!]|[()]|[^\\\[()]+", re.DOTALL)
_BEFORE = r"(?<![A-Za-z0-9_.@-])"
_AFTER = r"(?![A-Za-z0-9_])(?!\.[A-Za-z])(?!-(?:js|py|client|sdk)\b)"


@dataclass(frozen=True, slots=True)
class Name:
    """A product or place by its canonical `value`. The more `generic`, the sooner it gives way to an exact one."""

    value: str
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None = None
    generic: int = 0
    weak: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """One occurrence of a name: its value and its span in the text searched."""

    value: str
    start: int
    end: int
    generic: int = 0
    weak: bool = False


@cache
def words() -> Mapping[str, Any]:
    """The lists of every subject; no two files may define the same one."""
    import yaml

    data: dict[str, Any] = {}
    for file in sorted(Path(__file__).with_name("words").glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        lists: dict[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
        if repeated := data.keys() & lists.keys():
            raise ValueError(f"{file}: {', '.join(sorted(repeated))} is already defined in another file.")
        data |= lists
    return data


@cache
def pattern(path: str) -> re.Pattern[str]:
    """One pattern for a list in the vocabulary, named by its path: `pattern("stance.planned")`."""
    node: Any = words()
    for part in path.split("."):
        node = node[part]
    return re.compile("|".join(f"(?:{item})" for item in node), FLAGS)


@lru_cache(maxsize=16384)  # labels and headings are asked about again for every statement under them
def found(path: str, text: str) -> bool:
    """Whether any expression of the list at `path` occurs in `text`."""
    gate, exact = _gate(path)
    return gate.search(text) is not None and (exact or pattern(path).search(text) is not None)


@cache
def _gate(path: str) -> tuple[Any, bool]:
    """RE2 for the list at `path`, and whether it is exact. Look-around, unknown to RE2, is dropped: more gets in."""
    node: Any = words()
    for part in path.split("."):
        node = node[part]
    return loose([str(item) for item in node])


def loose(expressions: Sequence[str]) -> tuple[Any, bool]:
    """The expressions as one RE2 pattern without look-around, and whether none had to be dropped."""
    import re2

    plain = [_without_look_around(expression) for expression in expressions]
    joined = "|".join(f"(?:{expression})" for expression in plain)
    return re2.compile(f"(?i){joined}"), plain == list(expressions)


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
        generic=int(entry.get("generic", 0)),
        weak=re.compile("|".join(entry["weak"]), FLAGS) if "weak" in entry else None,
    )


def _without_look_around(expression: str) -> str:
    kept, depth, dropped_at = [], 0, 0
    for piece in _TOKEN.findall(expression):
        if piece.startswith("("):
            depth += 1
            if not dropped_at and piece.startswith(("(?=", "(?!", "(?<=", "(?<!")):
                dropped_at = depth
        if not dropped_at:
            kept.append(piece)
        if piece == ")":
            dropped_at = 0 if dropped_at == depth else dropped_at
            depth -= 1
    return "".join(kept)


@cache
def _names_gate(path: str) -> Any:
    terms: list[str] = []
    for entry in words()[path].values():
        terms += entry if isinstance(entry, list) else [*entry.get("terms", ()), *entry.get("exact", ())]
    return loose(terms)[0]


@lru_cache(maxsize=1024)
def mentions(path: str, text: str) -> list[Mention]:
    """Every name of the list in `text`, in order; where two overlap the longer one stays."""
    if _names_gate(path).search(text) is None:
        return []
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
