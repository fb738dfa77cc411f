"""Where a unit's Python modules lie and what they are called, and who imports whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache, cached_property

from tools.devops.instrument.python_code import PythonFile, is_module_path, parse
from tools.devops.instrument.source import Unit

_SIDE = frozenset(["migrations", "alembic", "scripts", "versions", "tests", "docs"])


class Modules:
    """The importable modules of a unit. `base` is the folder on the import path ("" or such as `src/`)."""

    def __init__(self, unit: Unit, base: str) -> None:
        self.unit = unit
        self.base = base

    @cached_property
    def files(self) -> list[str]:
        """Paths of modules that an application may import, scripts and migrations left out."""
        return [
            name
            for name in self.unit.folder.own_files
            if name.startswith(self.base)
            and is_module_path(name.removeprefix(self.base))
            and not _SIDE & set(name.split("/"))
        ]

    def dotted(self, file: str) -> str:
        return file.removeprefix(self.base).removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def package(self, file: str) -> list[str]:
        """The package a file belongs to, as parts."""
        return file.removeprefix(self.base).split("/")[:-1]

    def spelled(self, target: str, source: str, *, relative: bool) -> str:
        """How `source` imports the module in file `target`."""
        name = self.dotted(target)
        here, parts = self.package(source), name.split(".")
        shared = 0
        while shared < min(len(here), len(parts)) and here[shared] == parts[shared]:
            shared += 1
        if not relative or not shared:
            return name
        return "." * (len(here) - shared + 1) + ".".join(parts[shared:])

    def absolute(self, name: str, source: str) -> str:
        """An imported name with leading dots resolved against the file it stands in."""
        level = len(name) - len(name.lstrip("."))
        if not level:
            return name
        here = self.package(source)
        return ".".join([*here[: len(here) - level + 1], name[level:]])

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {self.dotted(file): file for file in self.files}

    @cached_property
    def _imports(self) -> dict[str, set[str]]:
        """For each module the modules of the unit that it imports when it is loaded."""
        return {file: set(self._imported_by(file)) for file in self.files}

    def _imported_by(self, file: str) -> Iterator[str]:
        tree = parsed(self.unit.folder.source(file))
        for node in tree.body if tree else ():
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                lead = self.absolute("." * node.level + (node.module or ""), file)
                names = [lead, *(f"{lead}.{alias.name}" for alias in node.names)]
            else:
                continue
            for name in names:
                parts = name.strip(".").split(".")
                for length in range(1, len(parts) + 1):
                    if known := self._by_name.get(".".join(parts[:length])):
                        yield known

    def reaches(self, start: str, goal: str) -> bool:
        """Whether loading `start` loads `goal`."""
        pending, seen = [start], {start}
        while pending:
            for file in self._imports.get(pending.pop(), ()):
                if file == goal:
                    return True
                if file not in seen:
                    seen.add(file)
                    pending.append(file)
        return False


@cache
def parsed(text: str) -> ast.Module | None:
    try:
        return parse(text.removeprefix("\ufeff"))
    except SyntaxError:
        return None


def modules_of(unit: Unit, file: str) -> Modules:
    """The modules as seen from the application in `file`: the entry's spelling decides what the import path is."""
    dotted = (unit.facts.entry or "").partition(":")[0]
    for tail in (f"{dotted.replace('.', '/')}.py", f"{dotted.replace('.', '/')}/__init__.py"):
        if dotted and "/" not in dotted and (file == tail or file.endswith("/" + tail)):
            return Modules(unit, file.removesuffix(tail))
    folder = file.rpartition("/")[0]
    while folder and unit.folder.first(f"{folder}/__init__.py"):
        folder = folder.rpartition("/")[0]
    return Modules(unit, f"{folder}/" if folder else "")


def entry_files(unit: Unit) -> list[str]:
    """Python files to look for the application in: the entry first, then the rest of the unit, shallow ones first."""
    dotted = (unit.facts.entry or "").partition(":")[0]
    stem = dotted.removesuffix(".py") if "/" in dotted or dotted.endswith(".py") else dotted.replace(".", "/")
    named = [f"{lead}{stem}{tail}" for lead in ("", "src/") for tail in (".py", "/__init__.py")]
    own = [name for name in unit.folder.own_files if name.endswith(".py") and not _SIDE & set(name.split("/"))]
    first = [name for name in named if stem and name in own]
    return [*first, *(name for name in sorted(own, key=lambda name: (name.count("/"), name)) if name not in first)]


def open_python(unit: Unit, file: str) -> PythonFile | None:
    """The file ready for edits, None when it is no readable Python."""
    text = unit.exact(file)
    try:
        return None if text is None else PythonFile(text)
    except SyntaxError:
        return None
