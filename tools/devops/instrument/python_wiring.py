"""Lines that wire new modules into the file that makes the application: imports on top, calls after the application."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from tools.devops.instrument.python_code import Made, PythonFile, made, uses
from tools.devops.instrument.python_handles import position_after
from tools.devops.instrument.python_imports import add_imports, ordered
from tools.devops.instrument.python_modules import Modules, entry_files, modules_of, open_python
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Handle


class Wiring:
    """What is added to the file at `path`: `first` before the application's statement, `wrappers` and `lines` after."""

    def __init__(self, unit: Unit, path: str, file: PythonFile, app: Made) -> None:
        self.unit = unit
        self.path = path
        self.file = file
        self.app = app
        self.modules: Modules = modules_of(unit, path)
        self.first: list[str] = []
        self.wrappers: list[str] = []
        self.lines: list[str] = []
        self.handles: list[Handle] = []
        self._imports: dict[str, list[str]] = {}
        self._late: dict[str, list[str]] = {}

    def new_module(self, *stems: str) -> str:
        """The path of a module to be written beside the application, under the first stem that is free."""
        folder = self.path.rpartition("/")[0]
        lead = f"{folder}/" if folder else ""
        free = self.unit.free(*(f"{lead}{stem}.py" for stem in stems))
        return free or f"{lead}{stems[0]}_for_operations.py"

    def use(self, module: str, *names: str) -> None:
        """Import names from a module that was just written."""
        self._imports.setdefault(self._spelled(module), []).extend(names)

    def name_of(self, handle: Handle) -> str:
        """The handle's name in this file, imported when it comes from another one."""
        self.handles.append(handle)
        if handle.file == self.path:
            return handle.name
        wanted = f"{self.modules.dotted(handle.file)}.{handle.name}"
        for node in self.file.tree.body:
            if isinstance(node, ast.ImportFrom) and node.lineno < self.app.top.lineno:
                lead = self.modules.absolute("." * node.level + (node.module or ""), self.path)
                for alias in node.names:
                    if f"{lead}.{alias.name}" == wanted:
                        return alias.asname or alias.name
        taken = self.file.names()
        local = handle.name if handle.name not in taken else f"health_{handle.role}"
        renamed = "" if local == handle.name else f" as {local}"
        # A module that itself imports this file can be loaded only once the application exists.
        imports = self._late if self.modules.reaches(handle.file, self.path) else self._imports
        imports.setdefault(self._spelled(handle.file), []).append(f"{handle.name}{renamed}")
        return local

    def _spelled(self, module: str) -> str:
        return self.modules.spelled(module, self.path, relative=self.file.is_relative())

    def result(self, setup: Iterable[str] = ()) -> str:
        """The wired file. `setup` names methods of the application whose calls may directly follow it."""
        app, file = self.app, self.file
        indent = file.indent(app.node)
        index = position_after(self.handles, self.path, app)
        while index + 1 < len(app.body) and _is_setup(app.body[index + 1], app.name, frozenset(setup)):
            index += 1
        end = app.body[index]
        if not file.stands_alone(app.node) or not file.stands_alone(end):
            raise SyntaxError("the application's statement shares its line")
        add_imports(file, self._imports, app.top)
        file.edits.insert_after(app.node.lineno - 1, *(indent + line for line in self.first))
        late = [f"{line}  # noqa: E402" if app.at_module_level else line for line in _import_lines(self._late)]
        file.edits.insert_after(end.end_lineno or 0, *(indent + line for line in (*late, *self.wrappers, *self.lines)))
        return file.result()


def _import_lines(modules: Mapping[str, list[str]]) -> list[str]:
    return [f"from {module} import {', '.join(ordered(names))}" for module, names in sorted(modules.items())]


def _is_setup(node: ast.stmt, name: str, methods: frozenset[str]) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in methods
        and uses(call.func.value, name)
    )


def find_app(unit: Unit, callees: Iterable[str]) -> Wiring | None:
    """The file and statement that make the application: in the entry's file, else in the shallowest other file."""
    wanted = frozenset(callees)
    calls = tuple(f"{callee.rsplit('.', 1)[-1]}(" for callee in wanted)
    for name in entry_files(unit):
        if any(call in unit.folder.source(name) for call in calls):
            file = open_python(unit, name)
            for one in made(file) if file else ():
                if file and one.callee in wanted and file.stands_alone(one.node):
                    return Wiring(unit, name, file, one)
    return None
