"""Project sources: exact reads for files that are edited, line edits that keep the file's style, templates."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.devops.project.tree import MAX_SOURCE_BYTES, Folder
from tools.devops.types import DeployUnit

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_TEMPLATES = "do-workflow-project/templates/app"


@dataclass(frozen=True)
class Unit:
    """A deploy unit with its folder: what framework modules read from. `subjects` are what is to be added.

    `optional` holds the roles (`database`, `cache`) the service goes on without, and where that is said.
    """

    facts: DeployUnit
    folder: Folder
    subjects: tuple[str, ...]
    optional: Mapping[str, str] = field(default_factory=dict)

    def exact(self, name: str) -> str | None:
        """The text of a file as it is, line endings included; None when absent, a link, too large or not UTF-8."""
        return read_exact(self.folder.tree.root, self.folder.prefix + name)

    def exists(self, name: str) -> bool:
        return os.path.lexists(self.folder.tree.root / (self.folder.prefix + name))

    def free(self, *names: str) -> str | None:
        """The first of `names` that is no file yet."""
        return next((name for name in names if not self.exists(name)), None)

    @cached_property
    def manifest(self) -> str:
        """The texts of the dependency lists, in lower case: enough to tell whether a driver is among them."""
        names = ("package.json", "pyproject.toml", "Pipfile", *self.folder.matching("requirements*.txt"))
        return "\n".join(self.folder.read(name) for name in names).lower()

    def depends_on(self, package: str) -> bool:
        return re.search(rf"(?<![\w/@.-]){re.escape(package)}(?![\w/.-]*[\w/-])", self.manifest) is not None


def read_exact(root: Path, path: str) -> str | None:
    """A file's text without any translation, None when it cannot be edited safely. Links are not followed."""
    try:
        descriptor = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            raw = stream.read(MAX_SOURCE_BYTES + 1)
        return raw.decode() if len(raw) <= MAX_SOURCE_BYTES else None
    except (OSError, ValueError):
        return None


def newline_of(text: str) -> str:
    """The line ending a file uses most."""
    crlf = text.count("\r\n")
    return "\r\n" if crlf * 2 > text.count("\n") else "\n"


class Lines:
    """A text as lines that can be added to. Positions are the line numbers of the original, from 1."""

    def __init__(self, text: str) -> None:
        self.newline = newline_of(text)
        self.lines: list[str] = _LINE.findall(text)
        self._inserted: dict[int, list[str]] = {}
        self._replaced: dict[int, str] = {}

    def insert_after(self, line: int, *added: str) -> None:
        """Add lines after line `line` (0: at the top), after what was added there before."""
        self._inserted.setdefault(line, []).extend(added)

    def replace(self, line: int, text: str) -> None:
        """Put `text` (without line ending) in the place of a line."""
        self._replaced[line] = text

    def result(self) -> str:
        whole: list[str] = []
        for number in range(len(self.lines) + 1):
            if number:
                line = self.lines[number - 1]
                ending = line[len(line.rstrip("\r\n")) :]
                whole.append(self._replaced[number] + ending if number in self._replaced else line)
            added = self._inserted.get(number)
            if added:
                if whole and not whole[-1].endswith(("\n", "\r")):
                    whole[-1] += self.newline
                whole.extend(line + self.newline for line in added)
        return "".join(whole)


def unified_diff(path: str, before: str | None, after: str) -> str:
    """A unified diff that `git apply` reads; a new file stands against /dev/null."""
    old = _LINE.findall(before or "")
    new = _LINE.findall(after)
    source = "/dev/null" if before is None else f"a/{path}"
    rows = difflib.unified_diff(old, new, source, f"b/{path}")
    return "".join(row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n" for row in rows)


def render_app(template: str, values: Mapping[str, Any], newline: str) -> str:
    """A code template of this pack, with the line endings of the project."""
    from tools.devops.render import environment

    text = environment().get_template(f"{_TEMPLATES}/{template}").render(values)
    text = re.sub(r"\n{4,}", "\n\n\n", text.strip("\n")) + "\n"
    return text.replace("\n", newline)
