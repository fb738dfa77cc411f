"""The project's files: one walk, capped reads, and parsers that survive broken input.

Everything here is untrusted: links are never followed, nothing is executed, a file that cannot be read or parsed
becomes a note that names it and its line.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any


def words(text: str) -> list[str]:
    """A table written as one text."""
    return text.split()


MAX_FILES = 200_000
MAX_SOURCES = 4_000
MAX_SOURCE_BYTES = 256 * 1024
MAX_MANIFEST_BYTES = 1024 * 1024
MAX_YAML_BYTES = 128 * 1024  # the YAML parser is pure Python; known files are far smaller
MAX_TOTAL_BYTES = 64 * 1024 * 1024

SKIPPED_FOLDERS = frozenset(
    words(
        "node_modules bower_components jspm_packages vendor venv virtualenv site-packages __pycache__ "
        "__pypackages__ dist build out target obj Pods DerivedData coverage htmlcov _build _site elm-stuff "
        "zig-out zig-cache storybook-static tmp temp logs"
    )
)
READ_HIDDEN_FOLDERS = frozenset(
    words(".github .railway .vercel .netlify .circleci .do .mvn .cargo .config .platform .ebextensions .aws .azure")
)


class ProjectError(Exception):
    """The project cannot be scanned: not a directory, or unreadable."""


class Tree:
    """The files under `root`, by path relative to it, in a fixed order. `notes` tells what was left out and why."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, int] = {}
        self.folders: dict[str, list[str]] = {}
        self.children: dict[str, list[str]] = {}
        self._notes: dict[str, None] = {}
        self._texts: dict[str, str | None] = {}
        self._parsed: dict[str, dict[str, Any]] = {}
        self._bytes = 0
        self._sources = 0
        self._walk()

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def note(self, text: str) -> None:
        self._notes.setdefault(text)

    def _walk(self) -> None:
        """Breadth first, so that a cap costs the deepest files and not the ones that matter."""
        pending = deque([""])
        while pending:
            folder = pending.popleft()
            names: list[str] = []
            for entry in self._entries(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if _is_walked(entry.name):
                        pending.append(path)
                        self.children.setdefault(folder, []).append(path)
                elif entry.is_file(follow_symlinks=False):
                    if len(self.files) >= MAX_FILES:
                        self.note(f"Only the first {MAX_FILES} files were looked at; the rest of the tree is unknown.")
                        return
                    names.append(entry.name)
                    self.files[path] = entry.stat(follow_symlinks=False).st_size
            self.folders[folder] = names

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise ProjectError(f"{self.root} cannot be read: {error.strerror}.") from error
            self.note(f"{folder}: not read ({error.strerror})")
            return []
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            return []
        odd = [entry for entry in entries if not entry.name.isprintable()]
        if odd:
            self.note(f"{folder or '.'}: {len(odd)} entries with unprintable names were left out")
        return [entry for entry in entries if entry.name.isprintable()]

    def read(self, path: str, limit: int = MAX_MANIFEST_BYTES) -> str:
        """The text of a file, "" when it is absent, too large, unreadable or over the budget (the last three noted)."""
        if path not in self._texts:
            self._texts[path] = self._load(path, limit)
        return self._texts[path] or ""

    def source(self, path: str) -> str:
        """As `read`, for source code: smaller files, and only so many of them."""
        if path not in self._texts:
            if self._sources >= MAX_SOURCES:
                self.note(f"Only the first {MAX_SOURCES} source files were read; facts from the others are missing.")
                return ""
            self._sources += 1
        return self.read(path, MAX_SOURCE_BYTES)

    def _load(self, path: str, limit: int) -> str | None:
        size = self.files.get(path)
        if size is None:
            return None
        if size > limit:
            self.note(f"{path}: not read, {size} bytes is over the limit of {limit}")
            return None
        if self._bytes + size > MAX_TOTAL_BYTES:
            self.note(f"Reading stopped after {MAX_TOTAL_BYTES // 2**20} MiB; facts from further files are missing.")
            return None
        self._bytes += size
        try:
            raw = self._bytes_of(path, limit)
        except OSError as error:
            self.note(f"{path}: not read ({error.strerror})")
            return None
        return self._decode(path, raw)

    def _bytes_of(self, path: str, limit: int) -> bytes:
        descriptor = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(limit)

    def _decode(self, path: str, raw: bytes) -> str:
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            self.note(f"{path}:{line}: not valid {encoding.removesuffix('-sig').upper()}, read with replacements")
            return raw.decode(encoding, errors="replace")

    def json(self, path: str) -> dict[str, Any]:
        """A JSON object (comments and trailing commas allowed), `{}` when absent or broken."""
        return self._parse(path, lambda text: json.loads(_plain_json(text)), MAX_MANIFEST_BYTES)

    def toml(self, path: str) -> dict[str, Any]:
        """A TOML document, `{}` when absent or broken."""
        return self._parse(path, tomllib.loads, MAX_MANIFEST_BYTES)

    def yaml(self, path: str) -> dict[str, Any]:
        """A YAML mapping (first document), `{}` when absent or broken."""
        return self._parse(path, _load_yaml, MAX_YAML_BYTES)

    def _parse(self, path: str, parser: Callable[[str], Any], limit: int) -> dict[str, Any]:
        if path in self._parsed:
            return self._parsed[path]
        text = self.read(path, limit)
        value: Any = {}
        if text.strip():
            try:
                value = parser(text)
            except (ValueError, RecursionError, _yaml_error()) as error:
                self.note(f"{path}:{_line_of(error)}: cannot be parsed ({_first_line(error)})")
        self._parsed[path] = mapping(value)
        return self._parsed[path]


def _is_walked(name: str) -> bool:
    return name in READ_HIDDEN_FOLDERS if name.startswith(".") else name not in SKIPPED_FOLDERS


_JSON_NOISE = re.compile(r'("(?:\\.|[^"\\])*(?:"|\Z))|//[^\n]*|/\*.*?(?:\*/|\Z)|,(?=\s{0,200}[}\]])', re.DOTALL)


def _plain_json(text: str) -> str:
    """JSON without comments and trailing commas; strings and line numbers stay."""
    return _JSON_NOISE.sub(lambda m: m[1] or "\n" * m[0].count("\n"), text)


def _load_yaml(text: str) -> Any:
    import yaml

    return next(iter(yaml.safe_load_all(text)), None)


def _yaml_error() -> type[Exception]:
    import yaml

    return yaml.YAMLError


def _line_of(error: Exception) -> int:
    if isinstance(error, json.JSONDecodeError):
        return error.lineno
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    found = re.search(r"at line (\d+)", str(error))
    return int(found[1]) if found else 1


def _first_line(error: Exception) -> str:
    """What kind of error it was, without quoting the file: it may hold a secret."""
    text = str(getattr(error, "problem", None) or getattr(error, "msg", None) or str(error) or type(error).__name__)
    return re.sub(r"['\"`].*", "", text.splitlines()[0]).split(" (at ")[0].strip(" :,")[:80] or type(error).__name__


@dataclass(frozen=True)
class Folder:
    """One folder of the tree. `nested` names the folders below it that are things of their own."""

    tree: Tree
    path: str
    nested: frozenset[str] = frozenset()

    @property
    def prefix(self) -> str:
        return "" if self.path == "." else f"{self.path}/"

    @property
    def name(self) -> str:
        """The folder's own name; the root is named after the directory scanned."""
        return self.tree.root.name if self.path == "." else self.path.rsplit("/", 1)[-1]

    @property
    def names(self) -> list[str]:
        """Names of the files directly in it."""
        return self.tree.folders.get("" if self.path == "." else self.path, [])

    def first(self, *names: str) -> str | None:
        """The first of `names` (relative paths) that is a file."""
        return next((name for name in names if self.prefix + name in self.tree.files), None)

    def has_folder(self, name: str) -> bool:
        return self.prefix + name in self.tree.folders

    def matching(self, pattern: str) -> list[str]:
        """Files directly in it whose names match a glob pattern."""
        return [name for name in self.names if fnmatch(name, pattern)]

    def read(self, name: str) -> str:
        return self.tree.read(self.prefix + name)

    def json(self, name: str) -> dict[str, Any]:
        return self.tree.json(self.prefix + name)

    def toml(self, name: str) -> dict[str, Any]:
        return self.tree.toml(self.prefix + name)

    def yaml(self, name: str) -> dict[str, Any]:
        return self.tree.yaml(self.prefix + name)

    def source(self, name: str) -> str:
        return self.tree.source(self.prefix + name)

    def above(self) -> Iterator[Folder]:
        """This folder and the ones above it, up to the root."""
        path = self.path
        while True:
            yield Folder(self.tree, path)
            if path == ".":
                return
            path = path.rsplit("/", 1)[0] if "/" in path else "."

    @cached_property
    def own_files(self) -> list[str]:
        """Paths (relative to it) of its files, without those of nested units and of tests, examples and docs."""
        top = "" if self.path == "." else self.path
        result: list[str] = []
        pending = deque([top])
        while pending:
            folder = pending.popleft()
            result.extend(
                f"{folder}/{name}"[len(self.prefix) :] if folder else name for name in self.tree.folders.get(folder, ())
            )
            for child in self.tree.children.get(folder, ()):
                is_other = child in self.nested and child != self.path
                if not is_other and child.rsplit("/", 1)[-1].lower() not in SIDE_FOLDERS:
                    pending.append(child)
        return result

    def sources(self, *suffixes: str) -> Iterator[tuple[str, str]]:
        """Its source files with these endings: relative path and text."""
        for name in self.own_files:
            if name.endswith(suffixes):
                text = self.source(name)
                if text:
                    yield name, text


SIDE_FOLDERS = frozenset(
    words(
        "test tests __tests__ spec specs e2e testdata fixtures __fixtures__ __mocks__ mocks cypress "
        "playwright examples example samples sample demo demos docs doc documentation benchmarks benchmark "
        "bench integration-tests"
    )
)
"""Folders that hold no deploy unit of their own, and whose code says nothing about production."""


_COMMENT_LINE = re.compile(r"^[ \t]*(?:#(?![\[!])|//).*$", re.MULTILINE)


def without_comments(source: str) -> str:
    """Source without whole-line `#` and `//` comments; line numbers stay."""
    return _COMMENT_LINE.sub("", source)


# --- reading untrusted data ------------------------------------------------------------------------------------


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is a mapping, with text keys; else `{}`."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def dig(value: Any, *keys: str) -> Any:
    """The value under nested mapping keys, None when the path breaks off."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(value: Any) -> str:
    """`value` when it is text on one line without control characters, a number as text; else ""."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    line = value.strip().replace("\t", " ") if isinstance(value, str) else ""
    return line if line.isprintable() else ""


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The text entries of a list."""
    return [text(item) for item in items(value) if text(item)]
