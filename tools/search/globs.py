"""Glob patterns as linear-time matchers.

`*` and `?` stay within a path segment, `**` spans segments, `[a-z]` and `[!a-z]` are classes, `{a,b}` alternatives,
and a backslash takes the next character literally. Patterns go to RE2, so none can hang.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

from tools.text import clean
from tools.tool import ToolError

PathTest = Callable[[str], bool]


def matcher(pattern: str) -> PathTest:
    """A test for whole relative paths. Raises `ToolError` for a malformed pattern."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        compiled = re2.compile(_regex(pattern), options)
    except re2.error as error:
        raise ToolError(f"The glob {clean(pattern)!r} is malformed. Check brackets and braces.") from error
    return lambda path: compiled.fullmatch(os.fsencode(path)) is not None


def file_filter(globs: list[str]) -> PathTest:
    """A test for `glob` of Grep: one without a slash is for names at any depth, `!` in front excludes."""
    wanted = [_anywhere(glob) for glob in globs if not glob.startswith("!")]
    excluded = [_anywhere(glob[1:]) for glob in globs if glob.startswith("!")]
    return lambda path: (not wanted or any(t(path) for t in wanted)) and not any(t(path) for t in excluded)


@lru_cache(maxsize=64)
def _anywhere(glob: str) -> PathTest:
    glob = glob.removeprefix("./")
    return matcher(glob.removeprefix("/") if "/" in glob else f"**/{glob}")


def split_globs(text: str) -> list[str]:
    """`"*.ts *.tsx"` or `"*.ts,*.tsx"` as a list; commas within braces do not separate."""
    globs, current, depth = [], "", 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if character.isspace() or (character == "," and depth <= 0):
            globs.append(current)
            current = ""
        else:
            current += character
    return [glob for glob in [*globs, current] if glob]


def _regex(pattern: str) -> str:
    out, position, depth = "", 0, 0
    while position < len(pattern):
        character = pattern[position]
        rest = pattern[position:]
        if rest.startswith("**") and (position == 0 or pattern[position - 1] in "/{,"):
            stars = len(rest) - len(rest.lstrip("*"))
            position += stars
            if pattern.startswith("/", position):
                out, position = out + "(?:[^/]+/)*", position + 1
            else:
                out += ".*"
        elif character == "[":
            text, position = _class(pattern, position)
            out += text
        elif character == "\\" and position + 1 < len(pattern):
            out, position = out + _literal(pattern[position + 1]), position + 2
        else:
            depth += (character == "{") - (character == "}" and depth > 0)
            out += _simple(character, inside=depth > 0 or character == "}")
            position += 1
    return out


def _simple(character: str, *, inside: bool) -> str:
    special = {"*": "[^/]*", "?": "[^/]"}
    if inside:
        special |= {"{": "(?:", ",": "|", "}": ")"}
    return special.get(character) or _literal(character)


def _class(pattern: str, start: int) -> tuple[str, int]:
    """The class that begins at `start`, and the position after it."""
    negated = pattern[start + 1 : start + 2] in ("!", "^")
    body = start + 1 + negated
    end = pattern.find("]", body + 1)
    if end < 0:
        return _literal("["), start + 1
    inner = "".join(c if c == "-" else _literal(c) for c in pattern[body:end])
    return f"[{'^/' if negated else ''}{inner}]", end + 1


def _literal(character: str) -> str:
    return character if character.isalnum() or character in "_/ " or ord(character) > 127 else f"\\{character}"
