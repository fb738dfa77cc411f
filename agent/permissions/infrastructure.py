"""What an infrastructure command does: read, plan, change, destroy. Knowledge is in infrastructure.yaml.

A destroying command is asked about in every mode unless an allow rule names it: an exact rule, or one that spells
the words which make it destroy (`Bash(terraform destroy:*)` names `terraform destroy`, `Bash(terraform:*)` does
not).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from agent.permissions.decision import CommandClass, load_data
from agent.permissions.programs import program
from agent.permissions.rules import CommandPattern, wildcard
from agent.permissions.words import Word

_ORDER: tuple[CommandClass, ...] = ("destroy", "change", "plan", "read")


@dataclass(frozen=True, slots=True)
class Effect:
    """What a command does; `words` are those that say so (empty: only an exact rule names it). `unclear`:
    unknowable now.
    """

    kind: CommandClass
    words: tuple[str, ...] = ()
    unclear: bool = False

    def named_by(self, pattern: CommandPattern, words: Sequence[Word]) -> bool:
        """Whether an allow pattern that matches also names this effect."""
        if pattern.exact:
            return True
        return bool(self.words) and {*self.words} <= {*pattern.named} and pattern.named[0] == words[0].text


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    table: dict[str, Mapping[str, Any]] = {}
    for name, spec in cast("dict[str, dict[str, Any]]", load_data("infrastructure.yaml")).items():
        for alias in (name, *spec.get("same", ())):
            table[alias] = spec
    return table


def binding_of(words: tuple[Word, ...]) -> Mapping[str, Any] | None:
    """How a change by this program is bound to its plan; None where the program has no plan."""
    spec = _table().get(program(words[0])) if words else None
    bound = spec.get("bound") if spec else None
    return cast("Mapping[str, Any] | None", bound)


def classify(words: tuple[Word, ...], stdin: str | None = None) -> Effect | None:
    """The effect of a command, or None if its program is no infrastructure tool."""
    if not words or not words[0].literal:
        return None
    spec = _table().get(program(words[0]))
    if spec is None:
        return None
    if spec.get("text"):
        return _by_text(words, spec, stdin)
    commands, early, unclear = _subcommands(words, spec)
    if "only" in spec and commands[:1] and commands[0] not in spec["only"]:
        return None
    found = list(_entries(words, commands, spec, early=early))
    if any(kind == "destroy" for kind, _ in found):
        kind, entry = next(item for item in found if item[0] == "destroy")
        return Effect(kind, entry)
    if unclear:
        return Effect("change", unclear=True)
    if not found:
        return Effect(spec.get("default", "change"), ()) if commands or "default" in spec else Effect("read")
    kind, entry = max(found, key=lambda item: (len(item[1]), -_ORDER.index(item[0])))
    return Effect(kind, entry)


def _entries(
    words: tuple[Word, ...], commands: list[str], spec: Mapping[str, Any], *, early: bool
) -> Iterator[tuple[CommandClass, tuple[str, ...]]]:
    """The entries of the table that fit, strongest class first, each with the words it was recognised by."""
    options = [word.text for word in words[1:] if word.text.startswith("-")]
    for kind in _ORDER:
        for entry in spec.get(kind, ()):
            if _entry_fits(entry.split(), commands, options, anywhere=early and kind == "destroy"):
                yield kind, tuple(entry.split())
        for verb in spec.get("verbs", {}).get(kind, ()):
            yield from ((kind, (word,)) for word in commands[:5] if wildcard(verb, word))
        pattern = spec.get("operands", {}).get(kind)
        if pattern and any(re.fullmatch(pattern, word) for word in commands[1:]):
            yield kind, ()


def _subcommands(words: tuple[Word, ...], spec: Mapping[str, Any]) -> tuple[list[str], bool, bool]:
    """Words that are no options; whether an unknown option stood before one; whether one may only be known at run
    time.
    """
    commands: list[str] = []
    early = unclear = False
    index = 1
    while index < len(words):
        word = words[index]
        if word.text.startswith("-") and word.literal:
            if word.text in spec.get("values", ()):
                index += 1
            elif not commands and "=" not in word.text:
                early = True
        elif not word.literal and (not commands or re.match(r"[-$`*?\[]|\"[$`]", word.source)):
            unclear = unclear or len(commands) < 2
            commands.append(word.text)
        else:
            commands.append(word.text)
        index += 1
    return commands, early, unclear


def _entry_fits(entry: list[str], commands: list[str], options: list[str], *, anywhere: bool) -> bool:
    wanted = [word for word in entry if not word.startswith("-")]
    starts = range(len(commands) - len(wanted) + 1) if anywhere else range(1)
    if not any(commands[start : start + len(wanted)] == wanted for start in starts):
        return False
    return all(
        any(_option_fits(option, given, commands) for given in options) for option in entry if option.startswith("-")
    )


def _option_fits(wanted: str, given: str, commands: list[str]) -> bool:
    """`--force` is met by `--force`, `--force=x`, an abbreviation, and a short option by a cluster that holds it."""
    name, _, value = wanted.partition("=")
    given_name, equals, given_value = given.partition("=")
    if value:
        if len(name) == 2 and given.upper() == f"{name}{value}".upper():
            return True  # -XDELETE
        values = [given_value] if equals else commands
        return given_name == name and value.upper() in [one.upper() for one in values]
    if not wanted.startswith("--"):
        if len(wanted) == 2:
            return not given.startswith("--") and wanted[1] in given_name[1:]
        return given_name.lstrip("-") == wanted.lstrip("-")  # terraform's -destroy, also written --destroy
    if equals and given_value.lower() in ("false", "0", "none", "no"):
        return False
    return given_name.startswith("--") and len(given_name) > 3 and wanted.startswith(given_name)


def _by_text(words: tuple[Word, ...], spec: Mapping[str, Any], stdin: str | None) -> Effect:
    """Database clients: the statements in their arguments and in a heredoc."""
    text = " ".join([*(word.text for word in words[1:]), stdin or ""])
    patterns: Mapping[str, str] = spec["patterns"]
    if re.search(patterns["destroy"], text):
        return Effect("destroy")
    if not all(word.literal for word in words):
        return Effect("change", unclear=True)
    if re.search(patterns["change"], text):
        return Effect("change")
    if re.fullmatch(patterns["read"], text.strip()):
        return Effect("read")
    return Effect("change")
