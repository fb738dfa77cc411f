"""What the Python templates are filled with: import blocks, and the checks behind `/health`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tools.devops.instrument.python_handles import KINDS
from tools.devops.instrument.python_imports import ordered
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Handle
from tools.devops.render import Quoted

METRICS = ("from bisect import bisect_left", "from threading import Lock", "from time import perf_counter")
LOGGING = (
    "from __future__ import annotations",
    "import json",
    "import logging",
    "import os",
    "import re",
    "from contextvars import ContextVar",
    "from time import gmtime, strftime",
    "from typing import Any",
    "from uuid import uuid4",
)
_THREADS = ("from collections.abc import Callable", "from concurrent.futures import ThreadPoolExecutor")
_AWAITED = ("import asyncio", "from collections.abc import Coroutine", "from typing import Any")


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
        sections.setdefault(_section(module), []).append(f"from {module} import {', '.join(ordered(names[module]))}")
    return Quoted("\n\n".join("\n".join(sections[number]) for number in sorted(sections)))


def _section(module: str) -> int:
    top = module.partition(".")[0]
    return 0 if top == "__future__" else 1 if top in sys.stdlib_module_names else 2


def health_values(handles: Sequence[Handle], imports: Iterable[str], unit: Unit, *, awaits: bool) -> dict[str, Any]:
    """Values of a health template. `awaits`: checks are coroutines, blocking ones moved into threads; else calls."""
    threads = bool(handles) and (not awaits or any(not KINDS[handle.kind].is_async for handle in handles))
    lines = [*imports, *(line for handle in handles for line in KINDS[handle.kind].imports)]
    if handles:
        lines.append("import logging")
        lines += _AWAITED if awaits else ("from concurrent.futures import wait",)
    if "health" in unit.subjects:
        lines += ["import os", "from time import gmtime, strftime"]
    lines += _THREADS if threads else ()
    lines += ["from functools import partial"] if not awaits and any(_parameter(handle) for handle in handles) else []
    lines += ["from typing import Any"] if any("Any]" in _parameter(handle) for handle in handles) else []
    checks = [f'"{handle.role}": {_check(handle, awaits=awaits)}' for handle in handles]
    return {
        "imports": import_block(lines),
        "kinds": [handle.kind for handle in handles],
        "environment": {handle.role: handle.name for handle in handles if handle.is_own_connection},
        "optional": Quoted(", ".join(f'"{handle.role}"' for handle in handles if handle.role in unit.optional)),
        "threads": threads,
        "signature": Quoted(", ".join(_parameter(handle) for handle in handles if _parameter(handle))),
        "calls": Quoted(", ".join(checks)),
        **{subject: subject in unit.subjects for subject in ("health", "liveness")},
    }


def _parameter(handle: Handle) -> str:
    """`database: AsyncEngine`; "" where the check needs nothing handed in."""
    return f"{handle.role}: {KINDS[handle.kind].type}" if handle.is_given else ""


def _check(handle: Handle, *, awaits: bool) -> str:
    ask = f"ask_{handle.role}"
    given = [] if not handle.is_given else [handle.role]
    if handle.kind == "flask_sqlalchemy":
        given = [f"{handle.role}.engine"]
    if not awaits:
        return f"partial({ask}, {given[0]})" if given else ask
    return f"{ask}({', '.join(given)})" if KINDS[handle.kind].is_async else f"in_thread({', '.join([ask, *given])})"
