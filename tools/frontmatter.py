"""Markdown files with a YAML header, and YAML in general, read as untrusted text.

Agent files, skills and step files are a header between two `---` lines and a body. Headers in the wild are often not
quite YAML (`description: Use this: now`, `author: @lumen`, `paths: **/*.ts`), so a header that does not parse is tried
once more with such values quoted. What cannot be read raises `FrontmatterError`, and nothing else.

Scalars follow YAML 1.2's core schema: `2026-03-02` and `on` stay text. Anchors, aliases, duplicate keys and deep
nesting are refused; values are built from parser events because PyYAML's C loader overflows the stack on deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MAX_HEADER_CHARS = 64_000
MAX_DEPTH = 40

_FENCE = re.compile(r"---[ \t]*")
_CLOSING = re.compile(r"(---|\.\.\.)[ \t]*")
_PAIR = re.compile(r"([ \t]*(?:- )?)([\w.-]+):[ \t]+(\S.*)")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class FrontmatterError(ValueError):
    """The text cannot be read. `line` counts from 1 in the whole text; `reason` is one sentence without the place."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(f"line {line}: {reason}")
        self.reason = reason
        self.line = line


def parse(text: str) -> tuple[dict[str, Any], str]:
    """Header and body of `text`. Without a header the mapping is empty and the body is the whole text.

    A byte order mark and CRLF line ends are accepted. The body loses its outer blank lines.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not _FENCE.fullmatch(lines[0]):
        return {}, "\n".join(lines).strip("\n")
    end = next((i for i, line in enumerate(lines[1:], start=1) if _CLOSING.fullmatch(line)), None)
    if end is None:
        raise FrontmatterError("the header opened on line 1 is never closed with '---'", 1)
    header = lines[1:end]
    return _read_header(header), "\n".join(lines[end + 1 :]).strip("\n")


def _read_header(lines: list[str]) -> dict[str, Any]:
    try:
        value = load_yaml("\n".join(lines), first_line=2)
    except FrontmatterError as error:
        quoted = _with_quotes(lines)
        if quoted == lines:
            raise
        try:
            value = load_yaml("\n".join(quoted), first_line=2)
        except FrontmatterError:
            raise error from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FrontmatterError("the header must be 'key: value' lines", 2)
    return value


def _with_quotes(lines: list[str]) -> list[str]:
    """`lines` with each value in quotes that does not parse by itself, together with its indented further lines."""
    result: list[str] = []
    start = 0
    while start < len(lines):
        match = _PAIR.fullmatch(lines[start])
        end = start + 1
        while match and end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > len(match[1])):
            end += 1
        entry = lines[start:end]
        result.extend(_quoted(entry, match) if match else entry)
        start = end
    return result


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _quoted(entry: list[str], match: re.Match[str]) -> list[str]:
    value = "\n".join([match[3], *entry[1:]]).rstrip()
    if value[0] in "|>#&" or not _could_end_here(value):
        return entry
    try:
        load_yaml("\n".join(entry))
    except FrontmatterError:
        return f"{match[1]}{match[2]}: '{value.replace(chr(39), chr(39) * 2)}'".split("\n")
    return entry


def _could_end_here(value: str) -> bool:
    """False for a bracket or quote that is closed only on a later line."""
    if value[0] in "[{":
        return value.count(value[0]) == value.count({"[": "]", "{": "}"}[value[0]])
    return value[0] not in "'\"" or value.count(value[0]) % 2 == 0


def load_yaml(text: str, *, first_line: int = 1) -> Any:
    """One YAML document as dicts, lists, strings, numbers, booleans and None. `first_line` shifts error lines.

    Raises `FrontmatterError` on anything that is not plain data of reasonable size.
    """
    import yaml

    if len(text) > MAX_HEADER_CHARS:
        raise FrontmatterError(f"more than {MAX_HEADER_CHARS} characters of YAML", first_line)
    try:
        events = yaml.parse(text, Loader=yaml.CSafeLoader)
        return _Builder(events, first_line).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "not valid YAML"
        if "nesting depth" in problem:  # since 6.0.4 the parser has a limit too, and may look ahead into it before us
            problem = f"nested deeper than {MAX_DEPTH} levels"
        raise FrontmatterError(problem, first_line + (mark.line if mark else 0)) from error
    except yaml.reader.ReaderError as error:
        line = first_line + text.count("\n", 0, max(error.position, 0))
        raise FrontmatterError("a character that YAML does not allow", line) from error
    except UnicodeEncodeError as error:
        line = first_line + text.count("\n", 0, error.start)
        raise FrontmatterError("a character that is not valid Unicode text", line) from error


class _Builder:
    """Turns parser events into values."""

    def __init__(self, events: Iterator[Any], first_line: int) -> None:
        self.events = events
        self.first_line = first_line

    def document(self) -> Any:
        import yaml

        starts = (event for event in self.events if isinstance(event, yaml.DocumentStartEvent))
        if next(starts, None) is None:
            return None
        value = self.value(next(self.events), 0)
        if (second := next(starts, None)) is not None:
            raise self.error("more than one YAML document", second)
        return value

    def value(self, event: Any, depth: int) -> Any:
        import yaml

        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self.error("anchors and aliases are not accepted", event)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] else event.value
        if depth >= MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels", event)
        if isinstance(event, yaml.SequenceStartEvent):
            return [self.value(item, depth + 1) for item in self.until(yaml.SequenceEndEvent)]
        return self.mapping(depth)

    def mapping(self, depth: int) -> dict[str, Any]:
        import yaml

        result: dict[str, Any] = {}
        for key in self.until(yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise self.error("a key must be plain text", key)
            if key.value in result:
                raise self.error(f"the key {key.value[:60]!r} appears twice", key)
            result[key.value] = self.value(next(self.events), depth + 1)
        return result

    def until(self, end: type) -> Iterator[Any]:
        for event in self.events:
            if isinstance(event, end):
                return
            yield event

    def error(self, reason: str, event: Any) -> FrontmatterError:
        return FrontmatterError(reason, self.first_line + event.start_mark.line)


def _scalar(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
