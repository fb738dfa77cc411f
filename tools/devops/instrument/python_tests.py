"""Tests of what was added, beside the tests a Python project has, in its own framework (pytest or Django's)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tools.devops.instrument.python_handles import KINDS
from tools.devops.instrument.python_imports import ordered
from tools.devops.instrument.python_modules import Modules
from tools.devops.instrument.python_templates import import_block
from tools.devops.instrument.source import Unit, render_app
from tools.devops.instrument.types import Draft, Handle
from tools.devops.render import Quoted

_TEST_FILE = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test|tests)\.py$")
_STEMS = ("test_probes", "test_operations", "test_probes_and_metrics")


@dataclass(frozen=True, slots=True)
class Client:
    """How tests of a framework reach an application.

    `wiring` has, by the stem of a new module, the names to import from it and the lines that put them to use.
    """

    imports: tuple[str, ...]
    framework: str
    client: str
    json: str
    wiring: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    made_with: str = ""
    needs: tuple[str, ...] = ()


FASTAPI = Client(
    ("from fastapi.testclient import TestClient",),
    "FastAPI",
    "TestClient({app})",
    "json()",
    {
        "health": (("health_router",), ("app.include_router(health_router({given}))",)),
        "metrics": (
            ("MetricsMiddleware", "metrics_router"),
            ("app.add_middleware(MetricsMiddleware)", "app.include_router(metrics_router)"),
        ),
        "json_logging": (("RequestIdMiddleware",), ("app.add_middleware(RequestIdMiddleware)",)),
    },
    needs=("httpx", "httpx2"),
)
FLASK = Client(
    (),
    "Flask",
    "{app}.test_client()",
    "get_json()",
    {
        "health": (("health_blueprint",), ("app.register_blueprint(health_blueprint({given}))",)),
        "metrics": (
            ("metrics_blueprint", "observe_requests"),
            ("observe_requests(app)", "app.register_blueprint(metrics_blueprint)"),
        ),
        "json_logging": (("tag_requests",), ("tag_requests(app)",)),
    },
    made_with="__name__",
)


@dataclass(slots=True)
class Added:
    """What a framework's plan put into the unit: paths of new modules by the subject's stem, and what they ask.

    `app` is the application's file and name at module level, None where it is made in a function or where something
    stands before the probes that a test would have to pass.
    """

    modules: dict[str, str] = field(default_factory=dict)
    handles: Sequence[Handle] = ()
    app: tuple[str, str] | None = None


class Tests:
    """The unit's own tests: where they lie and how they import the code."""

    __test__ = False

    def __init__(self, unit: Unit, modules: Modules) -> None:
        self.unit = unit
        self.modules = modules

    @cached_property
    def files(self) -> list[str]:
        """Paths of test files, those nearest to the root first."""
        prefix = self.unit.folder.prefix
        nested = tuple(f"{path}/" for path in self.unit.folder.nested if path != self.unit.folder.path)
        found = [
            path.removeprefix(prefix)
            for path in self.unit.folder.tree.files
            if path.startswith(prefix) and not path.startswith(nested) and _TEST_FILE.search(path)
        ]
        return sorted(found, key=lambda name: (name.count("/"), name))

    @cached_property
    def text(self) -> str:
        return "\n".join(self.unit.folder.source(name) for name in self.files[:40])

    def dotted(self, file: str) -> str | None:
        """The module in `file` as the tests import its package; None when they import nothing of it."""
        name = self.modules.dotted(file)
        package = name.partition(".")[0] if "." in name else ""
        for lead in (self.modules.base.replace("/", "."), ""):
            top = f"{lead}{package}".rstrip(".")
            own = [one for one in ([top] if top else self._top_modules()) if self._imports(one)]
            if own:
                return f"{lead}{name}"
        return None

    def _top_modules(self) -> list[str]:
        return [self.modules.dotted(name).partition(".")[0] for name in self.modules.files]

    def _imports(self, module: str) -> bool:
        return re.search(rf"(?m)^[ \t]*(?:from|import)[ \t]+{re.escape(module)}\b", self.text) is not None

    def application(self, added: Added) -> tuple[str, str] | None:
        """The import line and the expression by which tests reach the application at module level already."""
        module = self.dotted(added.app[0]) if added.app else None
        if added.app is None or module is None:
            return None
        name, (parent, _, leaf) = added.app[1], module.rpartition(".")
        if re.search(rf"(?m)^from {re.escape(module)} import [^\n]*\b{name}\b", self.text):
            return f"from {module} import {name}", name
        if parent and re.search(rf"(?m)^from {re.escape(parent)} import [^\n]*\b{leaf}\b", self.text):
            return f"from {parent} import {leaf}", f"{leaf}.{name}"
        return None

    def new(self) -> str | None:
        """The path of the new file: in the folder of the first test, under a name no test of the unit has."""
        folder = self.files[0].rpartition("/")[0]
        taken = {name.rpartition("/")[2] for name in self.files}
        lead = f"{folder}/" if folder else ""
        return next((f"{lead}{stem}.py" for stem in _STEMS if f"{stem}.py" not in taken), None)


def add_tests(unit: Unit, modules: Modules, draft: Draft, added: Added, client: Client | None, newline: str) -> None:
    """Put the tests into the draft, or the reason why there are none. `client` is None for Django's own tests."""
    tests = Tests(unit, modules)
    command = unit.facts.test or ""
    fits = "pytest" in command if client else "pytest" in command or "manage.py test" in command
    if not added.modules or not tests.files or not fits:
        return
    names = {stem: tests.dotted(path) for stem, path in added.modules.items()}
    path = tests.new()
    if path is None or not all(names.values()):
        draft.notes.append("No tests were added: the present ones do not import the application's package.")
    elif client and client.needs and not any(map(unit.depends_on, client.needs)):
        draft.notes.append(f"No tests were added: {client.needs[0]}, which the test client needs, is no dependency.")
    else:
        known = {stem: str(name) for stem, name in names.items()}
        template, values = _pytest(tests, client, added, known) if client else _django(unit, added, known)
        draft.new[path] = render_app(f"python/{template}.py.j2", values, newline)
        draft.notes.append(f"{path} tests what was added.")


def _common(unit: Unit, added: Added, names: Mapping[str, str]) -> dict[str, object]:
    health, has_checks = names.get("health", ""), "health" in unit.subjects
    handles = added.handles if has_checks else ()
    return {
        "asks": [(handle.role, "AsyncMock" if KINDS[handle.kind].is_async else "Mock") for handle in handles],
        "optional": [handle.role for handle in handles if handle.role in unit.optional],
        "health_module": Quoted(health.rpartition(".")[2]),
        "health": bool(health) and has_checks,
        "liveness": bool(health) and "liveness" in unit.subjects,
        "metrics": "metrics" in names,
        "json_logs": "json_logging" in names,
    }


def _pytest(tests: Tests, client: Client, added: Added, names: Mapping[str, str]) -> tuple[str, dict[str, object]]:
    values = _common(tests.unit, added, names)
    reached = tests.application(added)
    given = ", ".join("nothing" for handle in added.handles if handle.is_given)
    imports = list(client.imports)
    if values["asks"]:
        imports += ["import pytest", *(f"from unittest.mock import {mock}" for mock in _mocks(added))]
    if "json_logging" in names:
        imports += ["import json", "import logging", "import sys"]
    used = {stem: set[str]() for stem in names}
    if "json_logging" in used:
        used["json_logging"].add("JSONFormatter")
    if reached is None:
        imports.append(f"from {client.framework.lower()} import {client.framework}")
        imports += ["from unittest.mock import Mock"] if given else []
        for stem, own in used.items():
            own.update(client.wiring[stem][0])
    lines = [f"from {names[stem]} import {', '.join(ordered(own))}" for stem, own in used.items() if own]
    lines += [reached[0]] if reached else []
    lines += [_module_import(names["health"])] if values["asks"] else []
    return "pytest_probes", values | {
        "imports": import_block(imports),
        "own_imports": import_block(lines),
        "app": Quoted(client.client.format(app=reached[1])) if reached else "",
        "framework": Quoted(f"{client.framework}({client.made_with})"),
        "client": Quoted(client.client.format(app="app")),
        "wiring": [Quoted(line.format(given=given)) for stem in names for line in client.wiring[stem][1]],
        "needs_nothing": bool(given),
        "json": Quoted(client.json),
    }


def _django(unit: Unit, added: Added, names: Mapping[str, str]) -> tuple[str, dict[str, object]]:
    values = _common(unit, added, names)
    imports = ["from django.test import SimpleTestCase"]
    lines = []
    if values["asks"]:
        imports.append("from unittest import mock")
        lines.append(_module_import(names["health"]))
    if "json_logging" in names:
        imports += ["import json", "import logging", "import sys"]
        lines.append(f"from {names['json_logging']} import JSONFormatter")
    roles = ", ".join(f'"{handle.role}"' for handle in added.handles)
    return "django_tests", values | {
        "imports": import_block(imports),
        "own_imports": import_block(lines),
        "roles": Quoted(f"{roles}," if len(added.handles) == 1 else roles),
    }


def _mocks(added: Added) -> set[str]:
    return {"AsyncMock" if KINDS[handle.kind].is_async else "Mock" for handle in added.handles}


def _module_import(name: str) -> str:
    parent, _, leaf = name.rpartition(".")
    return f"from {parent} import {leaf}" if parent else f"import {leaf}"
