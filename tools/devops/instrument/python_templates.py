"""What the Python templates are filled with."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any

from tools.devops.instrument.python_handles import KINDS
from tools.devops.instrument.types import Handle
from tools.devops.render import Quoted


def import_block(lines: Iterable[str]) -> Quoted:
    """Import lines in the usual order: `__future__`, standard library, packages; one line for a module."""
    plain: set[str] = set()
    names: dict[str, set[str]] = {}
    for line in lines:
        if found := re.fullmatch(r"from (\S+) import (.+)", line):
            names.setdefault(found[1], set()).update(found[2].split(", "))
        else:
            plain.add(line.removeprefix("import "))
    sections: dict[int, list[str]] = {}
    for module in sorted(plain):
        sections.setdefault(_section(module), []).append(f"import {module}")
    for module in sorted(names):
        sections.setdefault(_section(module), []).append(f"from {module} import {', '.join(_ordered(names[module]))}")
    return Quoted("\n\n".join("\n".join(sections[number]) for number in sorted(sections)))


def _section(module: str) -> int:
    top = module.split(".", maxsplit=1)[0]
    return 0 if top == "__future__" else 1 if top in sys.stdlib_module_names else 2


def _ordered(names: set[str]) -> list[str]:
    """Constants, classes, functions: the order that import sorters use."""
    return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def values_for(handles: list[Handle], imports: Iterable[str]) -> dict[str, Any]:
    """Values of a health template: the checks, their imports and the parameters that bring the handles in."""
    lines = [*imports, *(line for handle in handles for line in KINDS[handle.kind].imports)]
    if any(not handle.file for handle in handles):
        lines.append("import os")
    parameters = [f"{handle.role}: {_type(handle)}" for handle in handles if handle.file]
    return {
        "imports": import_block(lines),
        "kinds": [handle.kind for handle in handles],
        "environment": {handle.role: handle.name for handle in handles if not handle.file},
        "signature": Quoted(", ".join(parameters)),
        "calls": Quoted(", ".join(f'"{handle.role}": {_call(handle)}' for handle in handles)),
    }


def _type(handle: Handle) -> str:
    name = KINDS[handle.kind].imports[0].rpartition(" import ")[2].split(", ")[0]
    if handle.kind in ("async_engine", "flask_sqlalchemy"):
        name = {"async_engine": "AsyncEngine", "flask_sqlalchemy": "SQLAlchemy"}[handle.kind]
    return f"{name}[dict[str, Any]]" if "mongo" in handle.kind else name


def _call(handle: Handle) -> str:
    given = [handle.role] if handle.file else []
    ask = f"ask_{handle.role}"
    return f"{ask}({', '.join(given)})" if KINDS[handle.kind].is_async else f"in_thread({', '.join([ask, *given])})"
