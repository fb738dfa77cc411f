"""Putting imports where a sorter would: into a statement of their module, among their package's, else on their own."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence

from tools.devops.instrument.python_code import PythonFile

_LONGEST = 100  # characters of a line that grew by a merged name


def ordered(names: Iterable[str]) -> list[str]:
    """Constants, classes, functions: the order that import sorters use."""
    return sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def add_imports(file: PythonFile, modules: Mapping[str, Sequence[str]], before: ast.stmt) -> None:
    """Add `from module import names` ahead of `before`. Modules are spelled as in the file: `app.health`, `.health`."""
    section = _last_section(file, before)
    last = file.last_import(before)
    apart = []
    for module in sorted(modules, key=_key):
        if _merged(file, module, modules[module], before):
            continue
        line = f"from {module} import {', '.join(ordered(modules[module]))}"
        kin = [node for node in section if _top(_spelled(node)) == _top(module)]
        if not kin:
            apart.append(line)
        elif kin != sorted(kin, key=lambda node: _key(_spelled(node))):
            file.edits.insert_after(last, line)
        else:
            smaller = [node for node in kin if _key(_spelled(node)) < _key(module)]
            file.edits.insert_after((smaller[-1].end_lineno or 0) if smaller else kin[0].lineno - 1, line)
    if apart:
        file.edits.insert_after(last, *([""] if section else []), *apart)


def _last_section(file: PythonFile, before: ast.stmt) -> list[ast.ImportFrom | ast.Import]:
    """The imports that stand together, without a blank line, right above the place for new ones."""
    line = file.last_import(before)
    section: list[ast.ImportFrom | ast.Import] = []
    for node in reversed(file.tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom) and node.end_lineno == line:
            section.insert(0, node)
            line = node.lineno - 1
    return section


def _merged(file: PythonFile, module: str, names: Sequence[str], before: ast.stmt) -> bool:
    """Whether a one-line import of the module could take the names in."""
    for node in file.tree.body:
        if not isinstance(node, ast.ImportFrom) or node.lineno >= before.lineno or _spelled(node) != module:
            continue
        known = [alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in node.names]
        line = f"from {module} import {', '.join(ordered([*known, *names]))}"
        written = file.edits.lines[node.lineno - 1].strip()
        plain = written == f"from {module} import {', '.join(known)}"
        if plain and "*" not in known and file.stands_alone(node) and len(line) <= _LONGEST:
            file.edits.replace(node.lineno, line)
            return True
    return False


def _spelled(node: ast.ImportFrom | ast.Import) -> str:
    return "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name


def _key(module: str) -> tuple[int, str]:
    """Relative imports from far to near, then by name."""
    name = module.lstrip(".")
    return len(name) - len(module), name.lower()


def _top(module: str) -> str:
    """What decides the section: the package, or that the import is relative."""
    return "." if module.startswith(".") else module.partition(".")[0]
