"""The search engine without ripgrep: RE2 over whole files, which is linear in their size for any pattern.

It follows ripgrep: lines are bytes in UTF-8, UTF-16 with a byte-order mark is converted, `\\w`, `\\d` and `\\s` know
all scripts. Where RE2 cannot do the same (`\\b` next to other scripts, class arithmetic) the pattern is refused. Both
find the same lines; which part of a line `-o` shows may differ where something that can be empty is repeated.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from tools.files.encoding import is_binary
from tools.paths import Place, directory_of, open_regular
from tools.search.query import Found, Line, Query, context_line, lines_from
from tools.tool import ToolError

MAX_FILE_BYTES = 64_000_000

_WORD = r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200c}\x{200d}\x{24b6}-\x{24e9}"
_SPACE = r"\t-\r\x{85}\p{Z}"
_OUTSIDE = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
}
_INSIDE = {"d": r"\p{Nd}", "D": r"\P{Nd}", "w": _WORD, "s": _SPACE}
_REPETITION = re.compile(r"\{\d+(?:,\d*)?\}")
_TOKEN = re.compile(r"\\.|\[:\^?[a-z]+:\]|&&|--|~~|.", re.DOTALL)


def compiled(query: Query) -> Any:
    """The query's pattern for RE2. Raises `ToolError` for one that is wrong or that only ripgrep understands."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not query.ignore_case
    if not query.multiline and ("\n" in query.pattern or re.search(r"(?<!\\)(?:\\\\)*\\n", query.pattern)):
        raise ToolError("The pattern contains a newline. Set `multiline` to match across lines.")
    try:
        return re2.compile(f"(?m{'s' * query.multiline}){_translated(query.pattern)}", options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "malformed"
        raise ToolError(f"The pattern is not a valid regular expression: {reason}.") from error


def _translated(pattern: str) -> str:
    """`pattern` with its classes spelled out for all scripts."""
    out, position, inside, class_start = "", 0, False, 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        assert token is not None  # noqa: S101 - the last alternative matches any character
        text, end = token[0], token.end()
        if len(text) > 1 and text[0] == "\\":
            out += _escape(text, pattern, inside=inside)
        elif inside:
            if text == "]" and position > class_start:
                inside = False
            elif (text in ("&&", "--", "~~") and position > class_start) or text == "[":
                raise _only_ripgrep(f"{text} in a class")
            out += text
        elif text[0] == "[":
            inside = True
            end = position + (2 if pattern.startswith("[^", position) else 1)
            class_start = end
            out += pattern[position:end]
        elif text == "{":
            repetition = _REPETITION.match(pattern, position)
            if repetition is None:
                raise ToolError("The pattern has a { that is no repetition. Write \\{ for a brace.")
            out, end = out + repetition[0], repetition.end()
        else:
            end = position + 1
            out += text[0]
        position = end
    return out


def _escape(text: str, pattern: str, *, inside: bool) -> str:
    letter = text[1]
    if letter in "bB" and not pattern.isascii():
        raise _only_ripgrep(f"{text} beside letters other than ASCII")
    if letter in "<>QECuU" or letter.isdigit() or (inside and letter in "WSbB"):
        raise _only_ripgrep(text + (" in a class" if inside else ""))
    return (_INSIDE if inside else _OUTSIDE).get(letter, text)


def _only_ripgrep(what: str) -> ToolError:
    return ToolError(f"{what} is not supported in a pattern here. Write it differently, or install ripgrep (rg).")


def scan(query: Query, start: Place, paths: Sequence[str]) -> Iterator[Found]:
    """The files among `paths` (relative to `start`) that match, in order."""
    pattern = compiled(query)
    for path, content in texts(start, paths):
        if content and pattern.search(content):
            lines = _matching(query, pattern, content)
            if lines:
                yield Found(path, lines)


def texts(start: Place, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Each path with its content as UTF-8, without what is not searched: binary, unreadable, too large, not a file."""
    for folder, group in groupby(paths, lambda path: path.rpartition("/")[0]):
        place = Place(start.path, start.real / folder / "x" if paths != [""] else start.real, start.anchor)
        with suppress(OSError), directory_of(place) as (directory, own_name):
            for path in group:
                with suppress(OSError, ToolError):
                    with os.fdopen(open_regular(directory, path.rpartition("/")[2] or own_name), "rb") as file:
                        content = _utf8(file.read(MAX_FILE_BYTES + 1))
                    if content is not None:
                        yield path, content


def _utf8(content: bytes) -> bytes | None:
    if len(content) > MAX_FILE_BYTES or is_binary(content):
        return None
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace").encode("utf-8", "replace")
    return content.removeprefix(codecs.BOM_UTF8)


def _matching(query: Query, pattern: Any, content: bytes) -> tuple[Line, ...]:
    blocks = _blocks_across(pattern, content) if query.multiline else _blocks_by_line(pattern, content)
    matched: list[tuple[int, bytes, list[tuple[int, int]]]] = []
    for block in blocks:
        matched.append(block)
        if len(matched) == query.most:
            break
    found = [line for number, block, spans in matched for line in lines_from(query, number, block, spans)]
    if query.only_matching or not (query.before or query.after):
        return tuple(found)
    return _with_context(query, content, found)


def _blocks_by_line(pattern: Any, content: bytes) -> Iterator[tuple[int, bytes, list[tuple[int, int]]]]:
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), 1):
        spans = [match.span() for match in pattern.finditer(line)]
        if spans:
            yield number, line, spans


def _blocks_across(pattern: Any, content: bytes) -> Iterator[tuple[int, bytes, list[tuple[int, int]]]]:
    """The lines that matches touch, as one block for matches on the same or on neighbouring lines."""
    number, counted = 1, 0
    first, last = 0, -2
    spans: list[tuple[int, int]] = []
    for match in pattern.finditer(content):
        start = content.rfind(b"\n", 0, match.start()) + 1
        if start >= len(content):
            break  # an empty match behind the last newline is on no line
        end = content.find(b"\n", max(match.start(), match.end() - 1))
        end = len(content) if end < 0 else end
        if start > last + 1:
            if spans:
                yield number, content[first : last + 1], [(a - first, b - first) for a, b in spans]
            number, counted = number + content.count(b"\n", counted, start), start
            first, spans = start, []
        last = max(last, end)
        spans.append(match.span())
    if spans:
        yield number, content[first : last + 1], [(a - first, b - first) for a, b in spans]


def _with_context(query: Query, content: bytes, found: list[Line]) -> tuple[Line, ...]:
    lines = content.removesuffix(b"\n").split(b"\n")
    by_number = {line.number: line for line in reversed(found)}
    shown = {
        number
        for line in found
        for number in range(max(1, line.number - query.before), min(len(lines), line.number + query.after) + 1)
    }
    return tuple(by_number.get(n) or context_line(n, lines[n - 1]) for n in sorted(shown))
