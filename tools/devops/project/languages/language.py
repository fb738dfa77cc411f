"""What a language module offers: which files mark a folder as its own, and what unit such a folder is.

To add a language: write a module with one `detect(folder) -> Found | None`, and add a `Language` to `LANGUAGES` in
the package's `__init__`. Everything that is the same for all languages (Procfile, platform files, environment names,
services, readiness) is added afterwards by `tools.devops.project.scan`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from tools.devops.project.tree import Folder, dig, text
from tools.devops.types import DeployUnit


class Sign(IntEnum):
    """How strongly a folder speaks for a language. The strongest wins; among equals, the order of `LANGUAGES`."""

    TOOLING = 1  # a manifest, nothing that runs in production
    RUNS = 2  # something starts or is served
    APP = 3  # an application framework


@dataclass(frozen=True, slots=True)
class Found:
    """A unit as its language sees it. `packages` are the names of its production dependencies."""

    unit: DeployUnit
    sign: Sign
    packages: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Language:
    """`manifests` are file names or `*.ending` patterns that mark a folder anywhere; `hints` (patterns of file
    names, or paths) are weaker: they are looked at in the root and in folders that have a manifest of some language."""

    name: str
    detect: Callable[[Folder], Found | None]
    manifests: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


def present(folder: Folder, *names: str) -> tuple[str, ...]:
    """Those of `names` that exist, in the order given."""
    return tuple(name for name in names if folder.first(name))


def script(*commands: str | None) -> str | None:
    """Commands joined so that each needs the one before; None when there are none."""
    return " && ".join(command for command in commands if command) or None


# --- versions --------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?")


def version_file(folder: Folder, names: tuple[str, ...], tools: tuple[str, ...]) -> tuple[str, str] | None:
    """A pinned version and the file that pins it, from the folder or the nearest one above.

    `names` are files that hold nothing but the version; `tools` are the language's names in `.tool-versions` and
    `mise.toml`.
    """
    for place in folder.above():
        for name in names:
            if (line := _first_line(place.read(name))) and _NUMBER.search(line):
                return line, place.prefix + name
        for line in place.read(".tool-versions").splitlines():
            words = line.split()
            if len(words) > 1 and words[0] in tools and _NUMBER.match(words[1]):
                return words[1], f"{place.prefix}.tool-versions"
        for name in ("mise.toml", ".mise.toml"):
            for tool in tools:
                value = dig(place.toml(name), "tools", tool)
                pinned = text(value[0] if isinstance(value, list) and value else value) or text(dig(value, "version"))
                if _NUMBER.match(pinned):
                    return pinned, place.prefix + name
    return None


def _first_line(content: str) -> str:
    lines = (line.strip() for line in content.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")[:40]


def number(pin: str, parts: int = 3) -> str | None:
    """The first version number in `pin`, cut to `parts` parts: ("python-3.12.4", 2) -> "3.12"."""
    found = _NUMBER.search(pin)
    return ".".join(part for part in found.groups()[:parts] if part is not None) if found else None


def from_range(constraint: str, oldest: tuple[int, ...], parts: int) -> str | None:
    """The version a constraint stands for: a pin, a caret or tilde range, or the lowest version it allows.

    An open range (`>=3.8`) whose lowest version is no longer supported (`oldest`) stands for nothing: None, so that
    the caller's default applies.
    """
    lowest = number(constraint, parts)
    if lowest is None or constraint.lstrip().startswith(("<", "!")):
        return None
    is_open = constraint.lstrip().startswith(">") and "<" not in constraint
    too_old = tuple(int(part) for part in lowest.split("."))[: len(oldest)] < oldest
    return None if is_open and too_old else lowest
