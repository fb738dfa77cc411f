"""Commands known to be harmless: a program, the options it may have, what its operands are. Knowledge is in
readonly.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from agent.permissions.decision import load_data
from agent.permissions.programs import unsafe_script
from agent.permissions.words import Word


@dataclass(slots=True)
class Harmless:
    """A recognised command: `paths` are the operands that name files; `is_git` where a repository's settings count."""

    paths: list[Word]
    is_git: bool = False


@cache
def _data() -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", load_data("readonly.yaml"))


def read_only(words: tuple[Word, ...]) -> Harmless | None:
    """`words` as a harmless command, or None. The program must be spelled as in the table, without a path."""
    if not words or any(word.kind == "dynamic" for word in words) or not words[0].literal:
        return None
    name = words[0].text
    if name == "git":
        return _git(words)
    spec = _data()["commands"].get(name)
    if spec is None:
        return None
    if spec.get("expression"):
        return _find(words)
    if spec.get("script") and unsafe_script(words):
        return None
    return _fits(words[1:], _data()["commands"][spec["like"]] if "like" in spec else spec)


def edit_command(words: tuple[Word, ...]) -> Harmless | None:
    """`words` as a file command of acceptEdits, or None. Its paths are all written."""
    spec = _data()["edits"].get(words[0].text) if words else None
    if spec is None or not all(word.literal for word in words) or unsafe_script(words):
        return None
    return _fits(words[1:], spec)


def _git(words: tuple[Word, ...]) -> Harmless | None:
    rest = words[1:]
    while rest and rest[0].text in _data()["git"]["globals"]:
        rest = rest[1:]
    table = _data()["git"]["commands"]
    for length in (2, 1):
        spec = table.get(" ".join(word.text for word in rest[:length]))
        if spec is not None and len(rest) >= length and all(word.literal for word in rest):
            found = _fits(rest[length:], spec)
            return found and Harmless([], is_git=True)
    return None


def _find(words: tuple[Word, ...]) -> Harmless | None:
    table = _data()["find"]
    paths: list[Word] = []
    index = 1
    while index < len(words):
        word = words[index]
        if word.text in table["values"] and index + 1 < len(words) and words[index + 1].literal:
            index += 2
            continue
        if word.text not in table["flags"] and not re.fullmatch(r"-O\d", word.text):
            if word.text.startswith("-") or not word.literal:
                return None
            paths.append(word)
        index += 1
    return Harmless(paths)


def _fits(words: tuple[Word, ...], spec: Mapping[str, Any]) -> Harmless | None:
    """Options checked one by one against `spec`; anything unknown is None."""
    if "refused" in spec and any(re.search(spec["refused"], word.text) for word in words):
        return None
    operands: list[Word] = []
    seen: set[str] = set()
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word.text == "--" and not spec.get("any_option"):
            operands += words[index:]
            break
        if not word.text.startswith("-") or word.text == "-" or spec.get("any_option"):
            operands.append(word)
            continue
        # `--include=*.py` stays that option whatever files there are.
        fixed = word.literal or (word.kind == "glob" and re.match(r"--[\w-]+=", word.source) is not None)
        taken = _option(word.text, spec, has_next=index < len(words)) if fixed else None
        if taken is None:
            return None
        seen.add(word.text.partition("=")[0] if word.text.startswith("--") else word.text[:2])
        if taken and index < len(words) and re.match(r"-(?!\d+$)", words[index].text):
            return None  # the option may take no value after all, and then this word is an option of its own
        index += taken
    if not spec.get("globs") and any(_may_become_option(word) for word in operands):
        return None
    if "required" in spec and not seen & set(spec["required"]):
        return None
    return _operands(operands, spec, seen)


def _may_become_option(word: Word) -> bool:
    return not word.literal and re.match(r"[\w./]", word.source) is None


def _option(text: str, spec: Mapping[str, Any], *, has_next: bool) -> int | None:
    """How many further words the option takes; None for an unknown one."""
    if spec.get("digits") and re.fullmatch(r"-\d+", text):
        return 0
    if text.startswith("--"):
        name, equals, _ = text.partition("=")
        if equals:
            return 0 if name in spec.get("long_values", ()) else None
        if text in spec.get("long", ()):
            return 0
        return 1 if text in spec.get("long_values", ()) and has_next else None
    for position, letter in enumerate(text[1:], start=1):
        if letter in spec.get("short_optional", "") and re.fullmatch(r"|\.\w+", text[position + 1 :]):
            return 0
        if letter in spec.get("short_values", ""):
            return 0 if text[position + 1 :] else 1 if has_next else None
        if letter not in spec.get("short", ""):
            return None
    return 0


def _operands(operands: list[Word], spec: Mapping[str, Any], seen: set[str]) -> Harmless | None:
    kind = spec.get("operands", "none")
    if kind == "none":
        return None if operands else Harmless([])
    if len(operands) > spec.get("max", len(operands)):
        return None
    if kind == "format":
        return Harmless([]) if all(word.text.startswith("+") for word in operands) else None
    if kind == "choice":
        return Harmless([]) if all(word.text in spec["choice"] for word in operands) else None
    if kind == "listed":
        return None if operands and not seen & set(spec["listing"]) else Harmless([])
    if kind == "text":
        return Harmless([word for word in operands if word.kind == "glob"])  # a glob shows names of files
    if spec.get("home") and not operands:
        operands = [Word("~", tilde=True, source="~")]
    if spec.get("home") and operands[0].text == "-":
        return None
    if kind == "pattern" and not seen & set(spec.get("pattern_options", ())):
        operands = operands[1:]
    return Harmless([word for word in operands if word.text != "-"])
