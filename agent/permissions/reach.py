"""Where a command that a wildcard rule fits reaches beyond the working directories: directories it works in, files
it takes code or settings from, files it writes. Knowledge is in reach.yaml.

`Bash(make:*)` is consent to this project's Makefile, not to the one of `make -C /elsewhere`. A rule that spells the
place, or an exact one, covers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from agent.permissions import paths, programs
from agent.permissions.decision import load_data
from agent.permissions.files import HARMLESS_DEVICES, Files
from agent.permissions.words import Word

_REMOTE = re.compile(r"(?i)[a-z][a-z0-9+.-]*(?:::|://)|[\w.-]+@[\w.-]+:")
_SCRATCH = "/tmp"  # noqa: S108 - private to each session in the sandbox


@dataclass(frozen=True, slots=True)
class _Place:
    """What may be a path in the word with this index; `code`: the program works there or does what is written there."""

    word: int
    text: str
    code: bool


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    table: dict[str, Mapping[str, Any]] = {}
    for name, spec in cast("dict[str, dict[str, Any]]", load_data("reach.yaml")).items():
        for alias in (name, *spec.get("same", ())):
            table[alias] = spec
    return table


def reaches_outside(words: tuple[Word, ...], spelled: int, files: Files, at: Sequence[str]) -> str | None:
    """The first place outside the working directories among the words after the `spelled` ones, or None.

    `at` are the directories the command may run in. The system's directory for temporary files counts as inside for
    files that are only read or written, unless a working directory lies in it.
    """
    if [word.text for word in words[1:3]] == ["-m", "pytest"]:
        words, spelled = words[2:], spelled - 2
    name = programs.program(words[0])
    if name in ("curl", "wget") and _addresses(words[:spelled]) and (other := _addresses(words[spelled:])):
        return other[0]  # the rule names an address
    spec = _table().get(name, {})
    scratch = not any(paths.inside(form, _SCRATCH) for place in files.directories for form in place.both)
    for place in (*_named(words, spec), *_operands(words, spec)):
        if place.word >= spelled:
            remote = place.code and "remote" in spec
            if _outside(place.text, files, at, scratch=scratch and not place.code, remote=remote):
                return place.text
    return None


def _addresses(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words if "://" in word.text]


def _named(words: tuple[Word, ...], spec: Mapping[str, Any]) -> Iterator[_Place]:
    """What options name."""
    for index, word in enumerate(words[1:], start=1):
        following = words[index + 1].text if index + 1 < len(words) else ""
        for kind in ("code", "files", "sent"):
            for value in _values(word.text, spec.get(kind, ()), abbreviated="exact" not in spec):
                text, where = (following, index + 1) if value is None else (value, index)
                for reading in _readings(text):
                    if kind != "sent" or reading.startswith(("@", "<")):
                        yield _Place(where, reading.lstrip("@<"), kind == "code")


def _operands(words: tuple[Word, ...], spec: Mapping[str, Any]) -> Iterator[_Place]:
    """What stands without an option; of programs that write files, all that may be a path."""
    name = programs.program(words[0])
    writer = programs.is_listed(name, "writers") or (name in ("sed", "perl") and programs.writes(words))
    every = writer or spec.get("operands") is True
    given: Sequence[str] = programs.data()["patterns"].get(name, ())
    skip = programs.pattern_operand(words)
    for index, word in enumerate(words[1:], start=1):
        if index == skip or (given and words[index - 1].text in given):
            continue
        if every:
            yield from (_Place(index, text, not writer) for text in (*_readings(word.text), *_attached(word.text)))
        elif not word.text.startswith("-"):
            before = [one.text for one in words[1:index] if not one.text.startswith("-")]
            if _starts(before, spec.get("operands", ())):
                yield _Place(index, word.text, code=True)
            elif _starts(before, spec.get("file_operands", ())):
                yield _Place(index, word.text, code=False)


def _starts(before: Sequence[str], subcommands: Sequence[str]) -> bool:
    return any(before[: len(one.split())] == one.split() for one in subcommands)


def _values(text: str, options: Sequence[str], *, abbreviated: bool) -> Iterator[str | None]:
    """What `text` gives to one of the options, None for the next word. Too much rather than too little."""
    name, equals, value = text.partition("=")
    for option in options:
        if option.startswith("--"):
            if name == option or (abbreviated and len(name) > 3 and option.startswith(name)):
                yield value if equals else None
        elif len(option) > 2:  # -chdir, in Go's way also --chdir
            if name.startswith("-") and name.lstrip("-") == option[1:]:
                yield value if equals else None
        elif re.match(r"-[^-]", text) and option[1] in text:
            yield text[text.index(option[1]) + 1 :].removeprefix("=") or None


def _attached(text: str) -> Iterator[str]:
    """A path that follows the letter of an option: `-C/`, `-xPC../x`."""
    if found := re.match(r"-[a-zA-Z]+(?=[/~.])", text):
        yield text[found.end() :]


def _readings(value: str) -> Iterator[str]:
    """The paths in a value: itself, `name=file`, `/host:/container`, `type=bind,src=/x`, `file:///x`."""
    for piece in dict.fromkeys((value, *value.split(","))):
        for text in dict.fromkeys((piece, piece.partition("=")[2], piece.rpartition("=")[2])):
            bare = re.sub(r"^fileb?://", "", text)
            yield bare
            if ":" in bare and not _REMOTE.match(bare):
                yield bare.partition(":")[0]


def _outside(text: str, files: Files, at: Sequence[str], *, scratch: bool, remote: bool) -> bool:
    if _REMOTE.match(text):
        return remote
    if not text or text in HARMLESS_DEVICES:
        return False
    for directory in at:
        try:
            place = paths.locate(text, directory, files.home)
        except paths.BadPath:
            return True
        if scratch and all(paths.inside(form, _SCRATCH) for form in place.both):
            continue
        if not paths.contained(place, files.directories):
            return True
    return False
