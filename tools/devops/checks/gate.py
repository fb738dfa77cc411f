"""What a gate is: the files it looks at, its own rules, and the linters that give a second opinion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from tools.devops.checks.documents import Document, parse_json, parse_toml, parse_yaml
from tools.devops.checks.rules import Rules
from tools.devops.checks.tree import BadFileError, Tree
from tools.devops.types import Finding, Project, Spec

T = TypeVar("T")


class CouldNotRunError(Exception):
    """A check that was due could not be made. The reason is shown, and the check is "not verified", never "passed"."""


@dataclass
class Subject:
    """What is checked: the tree, the scanned project and the SPEC. Parsed files are remembered for all gates."""

    tree: Tree
    given_project: Project | None = None
    given_spec: Spec | None = None
    _parsed: dict[tuple[str, str], Any] = field(default_factory=dict)
    _chosen: dict[Callable[[Subject], tuple[str, ...]], tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def project(self) -> Project:
        """The project, scanned on first use. Raises `CouldNotRunError` when the scan fails."""
        if self.given_project is not None:
            return self.given_project
        try:
            from tools.devops.project import scan_project

            return scan_project(self.tree.root)
        except Exception as error:  # any failure of the scan, whatever it is, leaves the check without its facts
            raise CouldNotRunError(f"the project could not be scanned: {error}") from error

    @cached_property
    def spec(self) -> Spec | None:
        """The SPEC, read on first use; None when there is none."""
        if self.given_spec is not None:
            return self.given_spec
        try:
            from tools.devops.spec import read_spec

            return read_spec(self.tree.root)
        except Exception:  # noqa: BLE001 - without a readable SPEC, rules that compare with it have nothing to compare
            return None

    def files(self, select: Callable[[Subject], tuple[str, ...]]) -> tuple[str, ...]:
        """What a gate's `select` chooses of this tree: worked out once for all gates that ask."""
        if select not in self._chosen:
            self._chosen[select] = select(self)
        return self._chosen[select]

    def parsed(self, path: str, parser: Callable[[str, str], T]) -> T:
        """`path` read by `parser(path, text)`, once. Raises `BadFileError`."""
        key = (path, parser.__name__)
        if key not in self._parsed:
            try:
                self._parsed[key] = parser(path, self.tree.text(path))
            except BadFileError as error:
                self._parsed[key] = error
        value = self._parsed[key]
        if isinstance(value, BadFileError):
            raise value
        result: T = value
        return result

    def yaml(self, path: str) -> tuple[Document, ...]:
        return self.parsed(path, parse_yaml)

    def json(self, path: str) -> Document:
        return self.parsed(path, parse_json)

    def toml(self, path: str) -> Document:
        return self.parsed(path, parse_toml)


Check = Callable[[Subject, tuple[str, ...]], Iterable[Finding]]
"""Findings on the chosen files. May raise `CouldNotRunError` after yielding what it found so far."""


@dataclass(frozen=True, slots=True)
class Linter:
    """Another tool's opinion. `locate` gives its program or module file, None when it is not installed.

    An `optional` one is not due when it is not installed; the others are then reported as not verified.
    """

    tool: str
    locate: Callable[[], Path | None]
    run: Check
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate. `select` returns the files it is about; none means the gate does not apply here."""

    name: str
    rules: Rules
    select: Callable[[Subject], tuple[str, ...]]
    check: Check
    linters: tuple[Linter, ...] = ()


def each(files: Iterable[str], check: Callable[[str], Iterable[Finding]]) -> Iterator[Finding]:
    """`check` on every file; a file that cannot be used becomes the finding it carries."""
    for path in files:
        try:
            yield from check(path)
        except BadFileError as error:
            yield error.finding


def readable(files: Iterable[str], load: Callable[[str], T]) -> Iterator[tuple[str, T]]:
    """Files that load; the others are left to the gate that owns them."""
    for path in files:
        try:
            yield path, load(path)
        except BadFileError:
            continue


def lookup(value: Any, *path: str | int) -> Any:
    """The value at `path`, or None where a step is missing or of another type."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
            value = value[step]
        else:
            return None
    return value
