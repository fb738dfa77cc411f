"""Words of a shell command: what a word means once quotes are gone, and a second, independent way to split commands.

`read_word` decodes one word by bash's quoting rules. `split` cuts a whole command into argument lists on its own;
the engine lets a scoped rule allow a command only where this list and the parser's agree, so that a mistake in one
of them asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

WordKind = Literal["literal", "glob", "dynamic"]


@dataclass(frozen=True, slots=True)
class Word:
    """One word. `text` is its value without quotes; unknown pieces of a dynamic word stand in it as written.

    `kind`: literal (the value is exactly `text`), glob (file names decide), dynamic (the value is only known at run
    time). `tilde`: begins with an unquoted `~`. `source` is the word as written.
    """

    text: str
    kind: WordKind = "literal"
    tilde: bool = False
    source: str = ""

    @property
    def literal(self) -> bool:
        return self.kind == "literal"


class Unclear(Exception):  # noqa: N818 - not a failure: the answer is "cannot say"
    """The text is not plain enough to be read with certainty."""


# Everything bash and a reader (or the parser) may see differently. Tab and newline are fine.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xa0\xad\u0600-\u0605\u061c\u070f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\ue000\ue001\U000e0000-\U000e0fff]"
)
_SPECIAL_IN_DOUBLE = '$`"\\\n'
_BREAKS = " \t\n;&|<>()"
# "$(cat <<'EOF' ... EOF)" is a way to write a literal text: nothing in it expands.
_CONSTANT = re.compile(r"\$\(cat <<(['\"])(\w+)\1\n(?P<body>(?:(?!\2\n).*\n)*)\2\n[ \t\n]*\)")
_ANSI = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ANSI_CODE = re.compile(
    r"(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{1,2})|u(?P<short>[0-9a-fA-F]{1,4})|U(?P<long>[0-9a-fA-F]{1,8})|c(?P<control>.)",
    re.DOTALL,
)


def hidden_characters(command: str) -> list[str]:
    """Characters that make a command look other than it is, in order."""
    return _HIDDEN.findall(command)


def unfold(command: str) -> str:
    """`command` with line continuations joined as bash does: not in single quotes, comments and quoted heredocs.

    Raises `Unclear` where a continuation stands beside a comment or heredoc, whose rules differ.
    """
    if "\\\n" not in command:
        return command
    if "<<" in command or re.search(r"(?:^|[\s;&|()])#", command):
        raise Unclear("a line continuation beside a comment or heredoc")
    out: list[str] = []
    quote = ""
    index = 0
    while index < len(command):
        char = command[index]
        if char == "\\" and quote != "'" and index + 1 < len(command):
            if command[index + 1] != "\n":
                out.append(command[index : index + 2])
            index += 2
            continue
        if char in "'\"" and quote in ("", char):
            quote = "" if quote else char
            if quote == "'" and index and command[index - 1] == "$":
                raise Unclear("a line continuation beside $'...'")
        out.append(char)
        index += 1
    return "".join(out)


def read_word(text: str, start: int = 0) -> tuple[Word, int]:
    """The word at `start` and the index after it. Raises `Unclear` for an unclosed quote or substitution."""
    reader = _Reader(text, start)
    reader.run()
    return reader.word(), reader.index


class _Reader:
    """State of `read_word`."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.start = self.index = start
        self.out: list[str] = []
        self.kind: WordKind = "literal"
        self.plain = ""

    def word(self) -> Word:
        source = self.text[self.start : self.index]
        value = "".join(self.out)
        if self.kind == "glob" and not re.search(r"[*?]|\[.*\]", self.plain):
            self.kind = "literal"  # a lone [
        if re.search(r"\{[^{}]*(?:,|\.\.)", self.plain):
            self.kind = "dynamic"
        return Word(value, self.kind, source.startswith("~"), source)

    def run(self) -> None:
        while self.index < len(self.text):
            char = self.text[self.index]
            if char in _BREAKS:
                if not self._process_substitution(char):
                    return
            elif char == "'":
                self.out.append(self._until("'"))
            elif char == '"':
                self.index += 1
                self._double()
            elif char == "\\":
                self._need(self.index + 1)
                self.out.append(self.text[self.index + 1])
                self.index += 2
            elif char == "$":
                self._dollar(in_double=False)
            elif char == "`":
                self._dynamic(self._closing_backtick())
            else:
                self._plain(char)

    def _plain(self, char: str) -> None:
        if char in "*?[" and self.kind == "literal":
            self.kind = "glob"
        self.plain += char
        self.out.append(char)
        self.index += 1

    def _process_substitution(self, char: str) -> bool:
        if char in "<>" and self.text[self.index + 1 : self.index + 2] == "(":
            self._dynamic(_closing(self.text, self.index + 1, "(", ")"))
            return True
        if char == "(" and self.index > self.start and self.text[self.index - 1] in "?*+@!=":
            raise Unclear("an extended glob or array")
        return False

    def _need(self, index: int) -> None:
        if index >= len(self.text):
            raise Unclear("the text ends inside a word")

    def _until(self, quote: str) -> str:
        end = self.text.find(quote, self.index + 1)
        if end < 0:
            raise Unclear("an unclosed quote")
        value, self.index = self.text[self.index + 1 : end], end + 1
        return value

    def _dynamic(self, end: int) -> None:
        self.kind = "dynamic"
        self.out.append(self.text[self.index : end])
        self.index = end

    def _double(self) -> None:
        while True:
            self._need(self.index)
            char = self.text[self.index]
            if char == '"':
                self.index += 1
                return
            if char == "\\":
                self._need(self.index + 1)
                following = self.text[self.index + 1]
                self.out.append(following if following in _SPECIAL_IN_DOUBLE else "\\" + following)
                self.index += 2
            elif char == "$":
                self._dollar(in_double=True)
            elif char == "`":
                self._dynamic(self._closing_backtick())
            else:
                self.out.append(char)
                self.index += 1

    def _dollar(self, *, in_double: bool) -> None:
        following = self.text[self.index + 1 : self.index + 2]
        if in_double and (constant := _CONSTANT.match(self.text, self.index)):
            self.out.append(constant["body"].rstrip("\n"))
            self.index = constant.end()
        elif following == "'" and not in_double:
            self._ansi()
        elif following == '"' and not in_double:
            self.kind = "dynamic"  # translated by the locale
            self.index += 1
        elif following == "(":
            self._dynamic(_closing(self.text, self.index + 1, "(", ")"))
        elif following in ("{", "["):
            self._dynamic(_closing(self.text, self.index + 1, following, "}" if following == "{" else "]"))
        elif name := re.compile(r"[A-Za-z_]\w*|[\d@*#?$!-]").match(self.text, self.index + 1):
            self._dynamic(name.end())
        else:
            self.out.append("$")
            self.index += 1

    def _ansi(self) -> None:
        self.index += 2
        while True:
            self._need(self.index)
            char = self.text[self.index]
            if char == "'":
                self.index += 1
                return
            if char != "\\":
                self.out.append(char)
                self.index += 1
                continue
            self._need(self.index + 1)
            code = _ANSI_CODE.match(self.text, self.index + 1)
            if code:
                self.out.append(_ansi_character(code))
                self.index = code.end()
            else:
                char = self.text[self.index + 1]
                self.out.append(_ANSI.get(char, char if char in "\\'\"?" else "\\" + char))
                self.index += 2

    def _closing_backtick(self) -> int:
        end = _closing_backtick(self.text, self.index, -1)
        if end < 0:
            raise Unclear("an unclosed backtick")
        return end


def _closing_backtick(text: str, start: int, unclosed: int) -> int:
    """The index after the backtick that closes the one at `start`; `unclosed` where there is none."""
    index = start + 1
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == "`":
            return index + 1
        index += 1
    return unclosed


def _ansi_character(code: re.Match[str]) -> str:
    if code["control"]:
        raise Unclear("a control character")
    number = int(code["octal"], 8) if code["octal"] else int(code["hex"] or code["short"] or code["long"], 16)
    if number == 0 or number > 0x10FFFF or (number > 0x7F and not (code["short"] or code["long"])):
        raise Unclear("an escape that is no character")  # NUL ends the word in bash; single bytes need joining
    return chr(number)


def _closing(text: str, start: int, opening: str, closing: str) -> int:
    """The index after the bracket that closes the one at `start`. Quotes inside are skipped."""
    depth = 0
    index = start
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
        elif char == "'" and (end := text.find("'", index + 1)) >= 0:
            index = end
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                return index + 1
        index += 1
    raise Unclear("an unclosed substitution")


def embedded_code(text: str) -> list[str]:
    """The commands of `$(...)` and backticks in a text that expands. An unclosed one reaches to the end."""
    found: list[str] = []
    index = 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == "`":
            end = _closing_backtick(text, index, len(text))
            found.append(text[index + 1 : end].removesuffix("`").replace("\\`", "`"))
            index = end - 1
        elif text.startswith("$(", index):
            try:
                end = _closing(text, index + 1, "(", ")")
            except Unclear:
                end = len(text)
            found.append(text[index + 2 : end].removesuffix(")"))
            index = end - 1
        index += 1
    return found


_OPERATOR = re.compile(r"&&|\|\||\|&|;|\||&(?!>)|\n|[()]")
_REDIRECT = re.compile(r"\d*(?:>>|>\||>&|<&|>|<<<|<(?![<>(]))|&>>?")
_HEREDOC = re.compile(r"<<(?P<dash>-?)[ \t]*(?P<start>'\w+'|\"\w+\"|\w+)")
_GROUPING = frozenset({"{", "}", "!", "if", "then", "elif", "else", "fi"})
RESERVED_WORDS = _GROUPING | {"case", "esac", "for", "select", "while", "until", "do", "done", "function"}


def split(command: str) -> list[list[str]]:
    """Argument lists of a command made of plain words, separators, groups, redirects and heredocs, in order.

    Redirections are left out, as bash does. Raises `Unclear` for anything else.
    """
    commands: list[list[str]] = [[]]
    heredocs: list[re.Match[str]] = []
    index = 0
    while index < len(command):
        char = command[index]
        if char in " \t":
            index += 1
        elif char == "#":
            index = _line_end(command, index)
        elif found := _HEREDOC.match(command, index):
            heredocs.append(found)
            index = found.end()
        elif found := _REDIRECT.match(command, index):
            index = _skip_target(command, found.end())
        elif found := _OPERATOR.match(command, index):
            index = found.end()
            commands.append([])
            if found[0] == "\n" and heredocs:
                index = _skip_bodies(command, index, heredocs)
        else:
            index = _take_word(command, index, commands)
    if heredocs:
        raise Unclear("a heredoc without a body")
    return [words for words in commands if words]


def _take_word(command: str, index: int, commands: list[list[str]]) -> int:
    word, end = read_word(command, index)
    if end == index:
        raise Unclear("an unexpected character")
    if word.kind == "dynamic":
        raise Unclear("a value that is only known at run time")
    words = commands[-1]
    if not words and word.source in _GROUPING:
        commands.append([])
    elif words or not re.match(r"[A-Za-z_]\w*=", word.source):
        words.append(word.text)
    return end


def _skip_target(command: str, index: int) -> int:
    while command[index : index + 1] in (" ", "\t"):
        index += 1
    if command[index : index + 1] == "-":
        return index + 1
    word, end = read_word(command, index)
    if end == index or word.kind == "dynamic":
        raise Unclear("a redirect without a plain target")
    return end


def _skip_bodies(command: str, index: int, heredocs: list[re.Match[str]]) -> int:
    for heredoc in heredocs:
        quoted = heredoc["start"][0] in "'\""
        end = heredoc["start"].strip("'\"")
        while True:
            if index >= len(command):
                raise Unclear("an unclosed heredoc")
            stop = _line_end(command, index)
            line = command[index:stop]
            index = stop + 1
            if (line.lstrip("\t") if heredoc["dash"] else line) == end:
                break
            if not quoted and re.search(r"[$`\\]", line):
                raise Unclear("a heredoc that expands")
    heredocs.clear()
    return index


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    return len(text) if end < 0 else end
