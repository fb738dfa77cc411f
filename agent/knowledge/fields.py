"""Reading definition files: the file itself, and its header fields with their types.

A wrong type in an optional field is a visible warning and reads as absent. What decides about rights is never guessed:
it raises `DefinitionError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.knowledge.names import split_list
from tools.frontmatter import FrontmatterError, parse

MAX_FILE_BYTES = 1_000_000
EFFORTS = ("low", "medium", "high", "xhigh", "max")

_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


class DefinitionError(ValueError):
    """A definition that cannot be used. `reason` is one sentence; `path` is None for text without a file."""

    def __init__(self, reason: str, path: Path | None = None, line: int = 0) -> None:
        place = ":".join(str(part) for part in (path, line and f"line {line}") if part)
        super().__init__(f"{place}: {reason}" if place else reason)
        self.reason = reason
        self.path = path
        self.line = line


def read_text(path: Path) -> str:
    """A definition file as text. Raises `DefinitionError` when it is no ordinary, small UTF-8 file."""
    try:
        if not path.is_file():
            raise DefinitionError("not a file", path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DefinitionError(f"larger than {MAX_FILE_BYTES} bytes", path)
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DefinitionError(f"not UTF-8 text (byte {error.start})", path) from error
    except OSError as error:
        raise DefinitionError(f"cannot be read: {error.strerror or error}", path) from error


def parse_definition(text: str, path: Path | None) -> tuple[dict[str, Any], str]:
    """Header and body of `text`. Raises `DefinitionError`."""
    try:
        return parse(text)
    except FrontmatterError as error:
        raise DefinitionError(error.reason, path, error.line) from error


def truth(word: str) -> bool | None:
    """What a yes-or-no word means; None when it is no such word."""
    folded = word.strip().casefold()
    return folded in _YES if folded in _YES | _NO else None


class Fields:
    """Typed access to the header `values`. `warnings` collects what was odd, in reading order."""

    def __init__(self, values: Mapping[str, Any], path: Path | None) -> None:
        self.values = values
        self.path = path
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def ignore(self, key: str, expected: str) -> None:
        self.warn(f"{key!r} should be {expected}; it is ignored")

    def warn_unknown(self, known: frozenset[str]) -> None:
        for key in self.values:
            if key not in known:
                self.warn(f"unknown field {key[:60]!r} is ignored")

    def text(self, key: str) -> str | None:
        """Text without outer blanks; empty is absent. A number is taken as its text."""
        value = self.values.get(key)
        if isinstance(value, str):
            return value.strip() or None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if value is not None:
            self.ignore(key, "text")
        return None

    def required(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise DefinitionError(f"no {key!r} in the header", self.path)
        return value

    def choice(self, key: str, allowed: Sequence[str]) -> str | None:
        value = self.text(key)
        if value is None or value in allowed:
            return value
        self.ignore(key, f"one of {', '.join(allowed)}")
        return None

    def names(self, key: str, *, spaces: bool = False, strict: bool = False) -> tuple[str, ...]:
        """A list of names, as YAML list or as text split at commas (and at blanks with `spaces`).

        With `strict`, for lists that decide about rights, another type raises `DefinitionError`.
        """
        value = self.values.get(key)
        if value is None:
            return ()
        items = value if isinstance(value, list) else [value]
        if all(isinstance(item, str) for item in items):
            return tuple(name for item in items for name in split_list(item, spaces=spaces))
        if strict:
            raise DefinitionError(f"{key!r} must be a list of names", self.path)
        self.ignore(key, "a list of names")
        return ()

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if (meaning := truth(str(value))) is not None:
            return meaning
        self.ignore(key, "true or false")
        return default

    def positive(self, key: str) -> int | None:
        """A whole number above 0."""
        value = self.values.get(key)
        if value is None:
            return None
        if re.fullmatch(r"[0-9]{1,9}", str(value)) and int(value) > 0:
            return int(value)
        self.ignore(key, "a whole number above 0")
        return None

    def effort(self) -> str | int | None:
        value = self.values.get("effort")
        return value if isinstance(value, int) and not isinstance(value, bool) else self.choice("effort", EFFORTS)

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.values.get(key)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.ignore(key, "a mapping")
        return {}
