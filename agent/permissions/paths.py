"""Paths: where a spelling leads, which rule patterns it fits, whether it is protected. No text is compared as a prefix.

Every path is a pair: as spelled (made absolute, `..` taken away) and as the system resolves it (links followed, missing
tails included). Allow and containment need both, deny and ask either.
"""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from agent.permissions.decision import load_data
from agent.permissions.rules import Rule


class BadPath(ValueError):  # noqa: N818 - the path is bad, not the program
    """The path cannot be resolved to one place for certain."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path as `spelled` and as `resolved`, both absolute."""

    spelled: str
    resolved: str

    @property
    def both(self) -> tuple[str, ...]:
        return (self.spelled,) if self.spelled == self.resolved else (self.spelled, self.resolved)

    def shown(self) -> str:
        """For a person: the resolved target is named where it differs."""
        return self.spelled if self.spelled == self.resolved else f"{self.spelled} -> {self.resolved}"


def locate(path: str, cwd: str | Path, home: str | Path) -> Place:
    """Where `path` leads from `cwd`. `~` and `~/` are expanded. Raises `BadPath`."""
    if "\0" in path:
        raise BadPath("NUL character")
    if path == "~" or path.startswith("~/"):
        path = str(home) + path[1:]
    joined = os.path.join(cwd, path)  # noqa: PTH118 - Path() would drop what the system sees
    spelled = os.path.normpath(joined)
    if spelled.startswith("//"):
        spelled = spelled[1:]
    return Place(spelled, _resolve(joined))


@lru_cache(maxsize=1024)
def _resolve(path: str) -> str:
    try:
        return os.path.realpath(path, strict=True)
    except FileNotFoundError:
        return os.path.realpath(path)  # the missing tail is kept, links before it are followed
    except NotADirectoryError as error:
        raise BadPath("a file is used as a directory") from error
    except OSError as error:
        raise BadPath("a loop of links" if error.errno == errno.ELOOP else error.strerror or "unreadable") from error
    except ValueError as error:
        raise BadPath(str(error)) from error


def parts_of(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def fold(text: str) -> str:
    """`text` as a file system that knows neither case nor Unicode form, nor characters without a width, compares it."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf").casefold()


def inside(path: str, directory: str | Path) -> bool:
    """Whether `path` is `directory` or below it, by components."""
    wanted = parts_of(str(directory))
    return parts_of(path)[: len(wanted)] == wanted


def contained(place: Place, directories: Iterable[Place]) -> bool:
    """Whether both forms of `place` lie in the working directories (each known by both of its forms)."""
    roots = [form for directory in directories for form in directory.both]
    return all(any(inside(form, root) for root in roots) for form in place.both)


# --- rule patterns --------------------------------------------------------------------------------------------


def rule_matches(rule: Rule, place: Place, cwd: str | Path, home: str | Path) -> bool:
    """Whether a path rule fits: for allow both forms, for ask and deny one of them, case and Unicode form aside."""
    if rule.specifier is None:
        return True
    base, pattern = _anchored(rule.specifier, rule.kind == "allow", str(rule.anchor), str(cwd), str(home))
    bases = {base, _real(base)}
    folded = rule.kind != "allow"
    fits = (any(_fits(form, root, pattern, folded=folded) for root in bases) for form in place.both)
    return any(fits) if folded else all(fits)


@lru_cache(maxsize=1024)
def _real(path: str) -> str:
    return os.path.realpath(path)


def forget_links() -> None:
    """Drop what was resolved before: links may have changed since the last decision."""
    _real.cache_clear()
    _resolve.cache_clear()
    expand_glob.cache_clear()


@lru_cache(maxsize=4096)
def _anchored(spec: str, allow: bool, anchor: str, cwd: str, home: str) -> tuple[str, tuple[str, ...]]:
    """The directory a pattern starts from and its segments; a leading `**` means any depth."""
    if spec.startswith("//"):
        base, rest = "/", spec[2:]
    elif spec == "~" or spec.startswith("~/"):
        base, rest = home, spec[2:]
    elif spec.startswith("/"):
        base, rest = anchor, spec[1:]
    else:
        base, rest = cwd, spec
    segments = tuple(part for part in rest.split("/") if part not in ("", "."))
    while segments[:1] == ("..",):
        base, segments = os.path.dirname(base), segments[1:]  # noqa: PTH120 - plain text here
    bare = base == cwd and not spec.startswith(("./", "/", "~"))
    one = len(segments) == 1 or (not allow and len(segments) == 2 and segments[1] == "**")
    if bare and one and segments[:1] != ("**",):
        segments = ("**", *segments)  # a bare name at any depth; `dir/**` too where that is the stricter reading
    return base, segments


def _fits(path: str, base: str, pattern: tuple[str, ...], *, folded: bool) -> bool:
    """Whether `pattern` fits `path` or a directory above it (a rule for a directory covers what is below)."""
    if folded:
        path, base, pattern = fold(path), fold(base), _folded(pattern)
    start = parts_of(base)
    parts = parts_of(path)
    if parts[: len(start)] != start:
        return False
    states = _closure({0}, pattern)
    if not pattern:
        return True
    for part in parts[len(start) :]:
        moved = set()
        for state in states:
            if pattern[state] == "**":
                moved.add(state)
                if state == len(pattern) - 1:
                    return True
            elif segment_fits(pattern[state], part):
                moved.add(state + 1)
        if len(pattern) in moved:
            return True
        states = _closure(moved, pattern)
    return False


@lru_cache(maxsize=1024)
def _folded(pattern: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(fold(part) for part in pattern)


def _closure(states: set[int], pattern: Sequence[str]) -> set[int]:
    """States reachable without consuming a component: `**` may stand for none, except at the end."""
    reached = set(states)
    for state in range(len(pattern) - 1):
        if state in reached and pattern[state] == "**":
            reached.add(state + 1)
    return reached


def segment_fits(pattern: str, name: str) -> bool:
    """`*`, `?`, `[...]` and backslash within one path component. Time is at most the product of the lengths."""
    tokens = _tokens(pattern)
    token = index = 0
    star = mark = -1
    while index < len(name):
        if token < len(tokens) and tokens[token] is None:
            star, mark = token, index
            token += 1
        elif token < len(tokens) and name[index] in cast("Any", tokens[token]):
            token, index = token + 1, index + 1
        elif star >= 0:
            mark += 1
            token, index = star + 1, mark
        else:
            return False
    return all(rest is None for rest in tokens[token:])


class _Any:
    def __contains__(self, char: str) -> bool:
        return True


class _Not(frozenset[str]):
    def __contains__(self, char: object) -> bool:
        return not super().__contains__(char)


@lru_cache(maxsize=4096)
def _tokens(pattern: str) -> list[Any]:
    """One container of characters per position; None for `*`."""
    tokens: list[Any] = []
    index = 0
    while index < len(pattern):
        char = pattern[index]
        index += 1
        if char == "*":
            tokens.append(None)
        elif char == "?":
            tokens.append(_Any())
        elif char == "[" and (end := pattern.find("]", index + 1)) > 0:
            tokens.append(_char_class(pattern[index:end]))
            index = end + 1
        elif char == "\\" and index < len(pattern):
            tokens.append(pattern[index])
            index += 1
        else:
            tokens.append(char)
    return tokens


def _char_class(body: str) -> frozenset[str]:
    negated = body[:1] in ("!", "^")
    body = body[1:] if negated else body
    chars: set[str] = set()
    index = 0
    while index < len(body):
        if body[index + 1 : index + 2] == "-" and index + 2 < len(body):
            chars.update(chr(code) for code in range(ord(body[index]), min(ord(body[index + 2]), 0xFFFF) + 1))
            index += 3
        else:
            chars.add(body[index])
            index += 1
    return _Not(chars) if negated else frozenset(chars)


# --- what a path is -------------------------------------------------------------------------------------------


@cache
def _names() -> dict[str, Any]:
    return cast("dict[str, Any]", load_data("paths.yaml"))


def protected(place: Place, home: str | Path) -> str | None:
    """The protected name that `place` touches, or None."""
    data = _names()["protected"]
    for form in place.both:
        parts = parts_of(fold(form))
        for exempt in data["except"]:
            found = _find(parts, exempt)
            if found >= 0:
                parts = parts[:found] + parts[found + len(exempt) :]
        if named := next((part for part in parts if part in _protected_names()), None):
            return named
        if sequence := next((seq for seq in data["sequences"] if _find(parts, seq) >= 0), None):
            return "/".join(sequence)
        if parts and parts[-1].endswith(tuple(data["suffixes"])):
            return parts[-1]
        if below := _below_home(form, home, data["home"]):
            return f"~/{below}"
    return None


@cache
def _protected_names() -> frozenset[str]:
    return frozenset(fold(name) for name in _names()["protected"]["names"])


def credentials(place: Place, home: str | Path) -> bool:
    """Whether `place` is a known store of credentials."""
    data = _names()["credentials"]
    for form in place.both:
        name = fold(form.rsplit("/", 1)[-1])
        secret = name in data["names"] or name.startswith(tuple(data["prefixes"])) or name.endswith(_key_suffixes())
        if secret and not name.endswith(tuple(data["except_suffixes"])):
            return True
        if _below_home(form, home, data["home"]):
            return True
        if any(f"{form}/".startswith(f"{store}/") for store in data["absolute"]):
            return True
    return False


@cache
def _key_suffixes() -> tuple[str, ...]:
    return tuple(_names()["credentials"]["suffixes"])


def special(place: Place) -> bool:
    """Devices, process files and kernel files."""
    return any(parts_of(form)[:1] in (("proc",), ("sys",), ("dev",)) for form in place.both)


def secret_process_file(place: Place) -> bool:
    """`/proc/*/root`, `cwd`, `fd`, `environ`, `mem`: other files, or other programs' secrets, by another name."""
    bad = {"root", "cwd", "fd", "environ", "mem", "task", "maps", "map_files", "exe"}
    return any(parts_of(form)[:1] == ("proc",) and bad & set(parts_of(form)[2:]) for form in place.both)


def critical(place: Place, directories: Sequence[str | Path], home: str | Path) -> bool:
    """Whether removing `place` is a catastrophe: `/`, its children, HOME, a working directory, or a parent of these."""
    for form in place.both:
        parts = parts_of(form)
        if len(parts) <= 1:
            return True
        keep = [parts_of(str(directory)) for directory in (home, *directories)]
        keep += [parts_of(_real(str(directory))) for directory in (home, *directories)]
        if any(directory[: len(parts)] == parts for directory in keep):
            return True
    return False


def _below_home(path: str, home: str | Path, names: Sequence[str]) -> str | None:
    parts = parts_of(fold(path))
    for root in {str(home), _real(str(home))}:
        start = parts_of(fold(root))
        if parts[: len(start)] == start:
            rest = parts[len(start) :]
            for name in names:
                wanted = parts_of(fold(name))
                if rest[: len(wanted)] == wanted:
                    return name
    return None


def _find(parts: Sequence[str], wanted: Sequence[str]) -> int:
    """Where the components `wanted` stand in a row, or -1."""
    for start in range(len(parts) - len(wanted) + 1):
        if list(parts[start : start + len(wanted)]) == list(wanted):
            return start
    return -1


def escape(path: str) -> str:
    """`path` as a pattern that fits only itself."""
    return "".join(f"\\{char}" if char in "*?[\\" else char for char in path)


@lru_cache(maxsize=256)
def expand_glob(pattern: str, cwd: str, most_names: int = 2000, most_directories: int = 100) -> tuple[str, ...] | None:
    """File names an unquoted glob stands for in `cwd`, as the shell gives them; None where there are too many."""
    found = ["/" if pattern.startswith("/") else ""]
    names_seen = directories_seen = 0
    for segment in parts_of(pattern):
        if not any(char in segment for char in "*?["):
            found = [os.path.join(start, segment) for start in found]  # noqa: PTH118 - as the shell spells it
            continue
        grown: list[str] = []
        for start in found:
            try:
                names = os.listdir(os.path.join(cwd, start))  # noqa: PTH118, PTH208
            except OSError:
                continue
            names_seen += len(names)
            directories_seen += 1
            if names_seen > most_names or directories_seen > most_directories:
                return None
            shown = (name for name in sorted(names) if segment.startswith(".") or not name.startswith("."))
            wanted = "*" if segment == "**" else segment
            grown += [os.path.join(start, name) for name in shown if segment_fits(wanted, name)]  # noqa: PTH118
        found = grown
    return tuple(found)
