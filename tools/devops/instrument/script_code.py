"""Reading and editing JavaScript and TypeScript by cautious anchors.

There is no parser here: `masked` blanks strings, comments, templates and regular expressions, so that what is left can
be matched and its brackets counted. What does not fit a known shape is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from tools.devops.instrument.source import Lines

_TOKEN = re.compile(r"//|/\*|[/'\"`{}]")
_STRING = {quote: re.compile(rf"(?:[^{quote}\\\r\n]|\\(?:\r\n|.|\n))*{quote}", re.DOTALL) for quote in "'\""}
_TEMPLATE = re.compile(r"\\.|`|\$\{", re.DOTALL)
_REGEX = re.compile(r"(?:[^/\[\\\r\n]|\\.|\[(?:[^\]\\\r\n]|\\.)*\])+/[a-z]*")
_BEFORE_REGEX = re.compile(r"(?:^|[(,=:\[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|void|throw|else|do))\s*$")
_IMPORT = r"(?m)^import\b[^;()=]{0,2000}?['\"]\s*['\"]"
_REQUIRE = r"(?m)^(?:const|let|var)\b[^;=]{0,2000}=\s*require\("
MAX_CALLS = 50  # statements of one shape that are looked at in a file; more is no application's code
_BRACKETS = {")": "(", "]": "[", "}": "{"}


class ScriptError(Exception):
    """The text cannot be followed: an unclosed string, template, comment or bracket."""


def masked(text: str) -> str:
    """The text with the insides of strings, comments, templates and regular expressions blanked; same length."""
    out: list[str] = []
    templates: list[int] = []  # depth of braces inside each open `${`
    position = 0
    while found := _TOKEN.search(text, position):
        out.append(text[position : found.start()])
        mark, start = found[0], found.start()
        end = found.end()
        if mark == "{" or mark == "}":
            if templates:
                templates[-1] += 1 if mark == "{" else -1
                if templates[-1] < 0:
                    templates.pop()
                    end = _template_end(text, end, templates)
                    mark = ""
            out.append(mark if mark else _blank(text[start:end]))
        elif mark == "`":
            end = _template_end(text, end, templates)
            out.append(_blank(text[start:end]))
        else:
            end = _literal_end(text, start, mark, "".join(out[-3:]))
            out.append(text[start:end] if end == start + 1 else _blank(text[start:end]))
        position = end
    if templates:
        raise ScriptError("a template is not closed")
    out.append(text[position:])
    return "".join(out)


def _blank(text: str) -> str:
    """Spaces for everything but line breaks; quotes stay at the ends, so that a string remains visible."""
    inner = re.sub(r"[^\r\n]", " ", text)
    return f"{text[0]}{inner[1:-1]}{text[-1]}" if text[0] in "'\"" and len(text) > 1 else inner


def _template_end(text: str, position: int, templates: list[int]) -> int:
    """Past the closing backtick, or past the `${` that opens code."""
    while found := _TEMPLATE.search(text, position):
        if found[0] == "`":
            return found.end()
        if found[0] == "${":
            templates.append(0)
            return found.end()
        position = found.end()
    raise ScriptError("a template is not closed")


def _literal_end(text: str, start: int, mark: str, before: str) -> int:
    if mark == "//":
        found = re.compile(r"[^\r\n]*").match(text, start)
        return found.end() if found else len(text)
    if mark == "/*":
        end = text.find("*/", start + 2)
        if end < 0:
            raise ScriptError("a comment is not closed")
        return end + 2
    if mark == "/":
        matched = _REGEX.match(text, start + 1) if _BEFORE_REGEX.search(before[-200:]) else None
        return matched.end() if matched else start + 1
    closed = _STRING[mark].match(text, start + 1)
    if closed is None:
        raise ScriptError("a string is not closed")
    return closed.end()


@dataclass(frozen=True, slots=True)
class Call:
    """`name = callee(...)` as a statement on lines of its own. Positions are offsets; lines count from 1."""

    name: str
    start: int
    arguments: tuple[int, int]
    first_line: int
    last_line: int
    indent: str


class ScriptFile:
    """One file and its style. Raises `ScriptError` when it cannot be followed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.masked = masked(text)
        self._check_brackets()
        self.edits: Lines = Lines(text)

    def _check_brackets(self) -> None:
        opened: list[str] = []
        for found in re.finditer(r"[()\[\]{}]", self.masked):
            mark = found[0]
            if mark not in _BRACKETS:
                opened.append(mark)
            elif not opened or opened.pop() != _BRACKETS[mark]:
                raise ScriptError("brackets do not match")
        if opened:
            raise ScriptError("brackets do not match")

    def line_of(self, offset: int) -> int:
        """The number of the line, where a line ends as `Lines` sees it."""
        return len(re.findall(r"\r\n|\r|\n", self.text[:offset])) + 1

    def closing(self, opening: int) -> int:
        """The offset of the bracket that closes the one at `opening`."""
        depth = 0
        for found in re.compile(r"[()\[\]{}]").finditer(self.masked, opening):
            depth += -1 if found[0] in _BRACKETS else 1
            if depth == 0:
                return found.start()
        raise ScriptError("brackets do not match")

    def calls(self, pattern: str) -> list[Call]:
        """Statements that begin with `pattern` up to and including `(`, one or more groups naming what is assigned."""
        found = []
        matches = re.finditer(rf"(?m)^([ \t]*)(?:{pattern})\(", self.masked)
        for match in islice(matches, MAX_CALLS):
            end = self.closing(match.end() - 1)
            rest = re.match(r"[^\r\n]*", self.masked[end + 1 :])
            if rest and rest[0].strip() in ("", ";") and not self._goes_on(end + 1 + rest.end(), rest[0]):
                name = next((group for group in match.groups()[1:] if group), "")
                first, last = self.line_of(match.start()), self.line_of(end)
                found.append(Call(name, match.start(), (match.end(), end), first, last, match[1]))
        return found

    def _goes_on(self, offset: int, rest: str) -> bool:
        """Whether the next line continues the statement (`.use(...)`, an operator, a template)."""
        return bool(";" not in rest and re.match(r"\s*[.,(\[?:=+*/%&|^<>`-]", self.masked[offset:]))

    def has_name(self, name: str) -> bool:
        return re.search(rf"(?<![\w$.]){re.escape(name)}(?![\w$])", self.masked) is not None

    # --- style ---------------------------------------------------------------------------------------------------

    @cached_property
    def is_module(self) -> bool:
        return re.search(r"(?m)^(?:import|export)\b", self.masked) is not None

    @cached_property
    def quote(self) -> str:
        return "'" if self.masked.count("'") > self.masked.count('"') else '"'

    @cached_property
    def semicolons(self) -> bool:
        ends = re.findall(r"(?m)[;)\w'\"\]][ \t]*\r?$", self.masked)
        return len([end for end in ends if end.startswith(";")]) * 3 >= len(ends)

    @cached_property
    def extension(self) -> str:
        """What stands at the end of relative imports: "", ".js", ".mjs", ..."""
        found = re.search(r"(?:from|import|require\()\s*[\"']\.{1,2}/[^\"'\n]*?(\.[cm]?[jt]s)?[\"']", self.text)
        return (found[1] or "") if found else "?"

    def styled(self, line: str) -> str:
        """A line of ours (double quotes, semicolon) in the file's own style."""
        line = line.replace('"', self.quote)
        return line if self.semicolons else line.removesuffix(";")

    def last_import(self, before: int) -> int:
        """The line after which an import can stand: the last import or top-level `require` ahead of `before`."""
        last = 0
        for match in re.finditer(_IMPORT if self.is_module else _REQUIRE, self.masked[:before]):
            last = match.end() - 1
        if not last:
            return self._head()
        return self.line_of(last if self.is_module else self.closing(last))

    def _head(self) -> int:
        """Lines that must stay first: a shebang and "use strict"."""
        found = re.match(r"(?:#![^\n]*\n)?(?:\s*['\"]use \w+['\"];?[ \t]*\r?\n)?", self.text)
        return self.text[: found.end()].count("\n") if found else 0

    def import_line(self, names: str, module: str) -> str:
        """`names` is what stands between import and from: `{ a, b }` or a default name."""
        if self.is_module:
            return self.styled(f'import {names} from "{module}";')
        return self.styled(f'const {names.replace(" as ", ": ")} = require("{module}");')
