"""Permission rules: `Tool`, `Tool(specifier)`, read from settings, flags and agent definitions.

Grammar (Claude Code's): `Tool`, `Tool()` and `Tool(*)` mean the whole tool. The specifier of Bash is a command
pattern, of Read and Edit a path pattern, of WebFetch `domain:HOST`, of Agent and Skill a name. Deny and ask rules
may also say `Tool(parameter:value)` for a top-level scalar of the input. An allow rule that cannot be read is
dropped with a warning; an unreadable deny or ask rule raises `RuleError`, since leaving it out would allow more
than its author wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

RuleKind = Literal["allow", "ask", "deny"]

# Whose rules count for a tool: the head's path rules and whole-tool rules cover the whole family.
FAMILIES: Mapping[str, str] = {
    "Monitor": "Bash",
    "Grep": "Read",
    "Glob": "Read",
    "LSP": "Read",
    "Write": "Edit",
    "NotebookEdit": "Edit",
    "WriteArtifact": "Edit",
    "InstrumentApp": "Edit",
    "Task": "Agent",
    "Delegate": "Agent",
}
_PRIMARY_FIELDS = frozenset({"command", "file_path", "path", "notebook_path", "url"})
_SCOPED = frozenset({"Bash", "Read", "Edit", "WebFetch", "Agent", "Skill"})
_RULE = re.compile(r"(?P<tool>\*|[A-Za-z][\w.*-]*)\s*(?:\((?P<specifier>.*)\))?", re.DOTALL)
_PARAMETER = re.compile(r"(?P<name>[A-Za-z_]\w*):(?P<value>.+)", re.DOTALL)

WORD_SPACE = "\ue000"
"""Stands for a space inside a word, so that a pattern's spaces only match borders between words."""
EMPTY_WORD = "\ue001"


class RuleError(ValueError):
    """A deny or ask rule cannot be read. The message names the rule, its source and what is wrong."""


@dataclass(frozen=True)
class Rule:
    """One rule. `anchor` is the directory that `/path` patterns of this source start from."""

    text: str
    kind: RuleKind
    tool: str
    specifier: str | None = None
    source: str = "settings"
    anchor: Path = Path("/")

    @property
    def whole(self) -> bool:
        """True for a rule without a specifier."""
        return self.specifier is None

    @cached_property
    def command(self) -> CommandPattern:
        """The specifier read as a command pattern."""
        return CommandPattern.parse(self.specifier or "*")

    def covers_tool(self, tool: str) -> bool:
        """Whether the rule speaks about `tool` at all, specifier aside."""
        if self.tool == tool or self.tool == FAMILIES.get(tool):
            return True
        if FAMILIES.get(self.tool, self.tool) == FAMILIES.get(tool, tool) and not self.whole:
            return True  # Write(path) and Glob(path) in deny and ask, Task(name) everywhere
        return covers_mcp(self, tool) if tool.startswith("mcp__") else self.tool == "*"

    def matches_parameter(self, tool_input: Mapping[str, Any]) -> bool:
        """`Tool(parameter:value)`, deny and ask only: the value equals the input's, `*` is a wildcard."""
        found = _PARAMETER.fullmatch(self.specifier or "")
        if self.kind == "allow" or not found or found["name"] in _PRIMARY_FIELDS or found["name"] not in tool_input:
            return False
        value = tool_input[found["name"]]
        if isinstance(value, bool):
            value = str(value).lower()
        return isinstance(value, str | int | float) and wildcard(found["value"], str(value))


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules in force. Deny comes before ask before allow, whatever the source."""

    allow: tuple[Rule, ...] = ()
    ask: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def parse(
        cls,
        *,
        allow: Iterable[str] = (),
        ask: Iterable[str] = (),
        deny: Iterable[str] = (),
        source: str = "settings",
        anchor: Path | str = "/",
    ) -> Rules:
        """Rules from one source. Raises `RuleError` for an unreadable ask or deny rule."""
        kept: dict[RuleKind, list[Rule]] = {"allow": [], "ask": [], "deny": []}
        warnings: list[str] = []
        texts: dict[RuleKind, Iterable[str]] = {"allow": allow, "ask": ask, "deny": deny}
        for kind, entries in texts.items():
            if isinstance(entries, str):
                raise RuleError(f"{source}: {kind} must be a list of rules, not the text {entries!r}")
            for text in entries:
                try:
                    kept[kind].append(parse_rule(text, kind, source=source, anchor=Path(anchor)))
                except RuleError as error:
                    if kind != "allow":
                        raise
                    warnings.append(str(error))
        return cls(tuple(kept["allow"]), tuple(kept["ask"]), tuple(kept["deny"]), tuple(warnings))

    def __add__(self, other: Rules) -> Rules:
        return Rules(
            self.allow + other.allow, self.ask + other.ask, self.deny + other.deny, self.warnings + other.warnings
        )

    def of(self, kind: RuleKind, tool: str) -> list[Rule]:
        """The rules of one kind that speak about `tool`."""
        rules: tuple[Rule, ...] = getattr(self, kind)
        return [rule for rule in rules if rule.covers_tool(tool)]


def parse_rule(text: object, kind: RuleKind, *, source: str, anchor: Path) -> Rule:
    """One rule. Raises `RuleError` with the source and the cause."""

    def wrong(why: str) -> RuleError:
        return RuleError(f"{source}: {kind} rule {text!r}: {why}")

    if not isinstance(text, str):
        raise wrong("a rule is a text")
    found = _RULE.fullmatch(text.strip())
    if not found:
        raise wrong("expected Tool or Tool(specifier)")
    tool, specifier = found["tool"], (found["specifier"] or "").strip()
    if any(not char.isprintable() for char in text):
        raise wrong("control characters are not allowed")
    if "*" in tool and kind == "allow" and not re.fullmatch(r"mcp__[\w.-]*[^\W_][\w.-]*?__[\w.-]*\*[\w.*-]*", tool):
        raise wrong("in allow a tool glob needs a literal mcp__server__ before it")
    if specifier in ("", "*"):
        return Rule(text.strip(), kind, tool, None, source, anchor)
    if why := _wrong_specifier(tool, specifier, kind):
        raise wrong(why)
    return Rule(text.strip(), kind, tool, specifier, source, anchor)


def _wrong_specifier(tool: str, specifier: str, kind: RuleKind) -> str | None:
    """What is wrong with a specifier, or None."""
    family = FAMILIES.get(tool, tool)
    parameter = _PARAMETER.fullmatch(specifier)
    by_parameter = kind != "allow" and parameter is not None and parameter["name"] not in _PRIMARY_FIELDS
    if family not in _SCOPED:
        return None if by_parameter else f"{tool} takes no such specifier"
    if kind == "allow" and family != tool and family in ("Read", "Edit"):
        return f"{tool} takes no path; use {family}(...)"
    if family == "WebFetch" and not re.fullmatch(r"domain:\S+", specifier) and not by_parameter:
        return "expected WebFetch(domain:HOST)"
    if family in ("Read", "Edit") and specifier.startswith("!"):
        return "negated paths are not supported"
    return None


def covers_mcp(rule: Rule, tool: str) -> bool:
    """MCP names compare whole and case-sensitively: `mcp__git` does not cover `mcp__github__x`."""
    pattern = rule.tool
    if pattern == tool or (rule.kind != "allow" and pattern in ("*", "mcp__*")):
        return True
    if not pattern.startswith("mcp__"):
        return False
    if "*" in pattern:
        server, _, glob = pattern.removeprefix("mcp__").partition("__")
        rest = tool.removeprefix(f"mcp__{server}__")
        if rule.kind != "allow":
            return wildcard(pattern, tool)
        # A server may have "__" in its name: what follows must be a tool name of this server for certain.
        return rest != tool and "__" not in rest and wildcard(glob, rest)
    rest = tool.removeprefix(f"{pattern}__")
    return rest != tool and (rule.kind != "allow" or "__" not in rest)


def wildcard(pattern: str, text: str) -> bool:
    """`*` spans anything; everything else is literal. Linear in the length of `text` for each piece."""
    return _pieces_match(tuple(pattern.split("*")), text)


def _pieces_match(pieces: tuple[str, ...], text: str) -> bool:
    if len(pieces) == 1:
        return pieces[0] == text
    first, *middle, last = pieces
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


@dataclass(frozen=True, slots=True)
class CommandPattern:
    """A Bash specifier: literal `pieces` between wildcards; `tail` when it ends in ` *` (a word border, then
    anything).
    """

    pieces: tuple[str, ...]
    tail: bool

    @classmethod
    def parse(cls, text: str) -> CommandPattern:
        """Never fails: quotes that do not close are ordinary characters. `\\*` is a literal star."""
        text = text.strip()
        if text.endswith(":*"):
            text = f"{text[:-2].rstrip()} *"
        return _compile(text)

    @property
    def exact(self) -> bool:
        return len(self.pieces) == 1 and not self.tail

    @property
    def named(self) -> tuple[str, ...]:
        """The whole words spelled before the first wildcard."""
        words = self.pieces[0].split(" ")
        if len(self.pieces) > 1 and words:
            words = words[:-1]  # the last one runs into a wildcard
        return tuple(word for word in words if word)

    def matches(self, command: str) -> bool:
        """Whether the words of `command` (joined by spaces, see `WORD_SPACE`) fit the pattern."""
        if not self.tail:
            return _pieces_match(self.pieces, command)
        # "prefix *" is the prefix alone or followed by a space and anything.
        return _pieces_match(self.pieces, command) or _pieces_match(
            (*self.pieces[:-1], f"{self.pieces[-1]} ", ""), command
        )

    def could_match(self, known: list[str], beginning: str) -> bool:
        """Whether a command of the words `known`, a word that begins with `beginning`, and unknown rest could fit."""
        words = self.pieces[0].split(" ") if len(self.pieces) == 1 else list(self.named)
        if words[: len(known)] != known[: len(words)]:
            return False
        return len(words) <= len(known) or words[len(known)].startswith(beginning)


@lru_cache(maxsize=4096)
def _compile(text: str) -> CommandPattern:
    words = split_words(text)
    tail = len(words) > 1 and words[-1] == ["", ""]
    if tail:
        words = words[:-1]
    pieces: list[str] = [""]
    for number, word in enumerate(words):
        pieces[-1] += (" " if number else "") + word[0]
        pieces += word[1:]
    return CommandPattern(tuple(pieces), tail)


def split_words(text: str) -> list[list[str]]:
    """Words of a pattern, each a list of literals between wildcards, with quotes and backslashes taken away."""
    words: list[list[str]] = []
    word: list[str] | None = None
    quote = ""
    index = 0
    while index < len(text):
        char = text[index]
        index += 1
        if not quote and char in " \t\n":
            word = None
            continue
        if word is None:
            word = [""]
            words.append(word)
        if char == quote:
            quote = ""
        elif not quote and char in "'\"" and char in text[index:]:
            quote = char
            if text[index] == quote and (index + 1 == len(text) or text[index + 1] == " ") and word == [""]:
                word[-1] = EMPTY_WORD
        elif char == "\\" and quote != "'" and index < len(text) and not text[index].isalnum():
            word[-1] += WORD_SPACE if text[index] == " " else text[index]
            index += 1
        elif char == "*":
            word.append("")
        else:
            word[-1] += WORD_SPACE if char == " " else char
    return words


def quoted(text: str) -> str:
    """One word of a command as it is written in a rule."""
    if not text:
        return "''"
    escaped = text.replace("\\", "\\\\").replace("*", "\\*").replace('"', '\\"').replace("'", "\\'")
    return f'"{escaped}"' if " " in text else escaped
