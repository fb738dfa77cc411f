"""Tests written beside what is added to Express applications, run by Node itself."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.instrument.apps import EXPRESS_COMMONJS, EXPRESS_TYPESCRIPT
from tools.devops.instrument import Instrumentation, apply, plan_instrumentation
from tools.devops.project import scan_project

Make = Callable[[Mapping[str, str]], Path]


def with_tests(files: Mapping[str, str], command: str, path: str, text: str) -> dict[str, str]:
    manifest = files["package.json"].replace('"scripts": {', f'"scripts": {{"test": "{command}", ')
    return {**files, "package.json": manifest, path: text}


COMMONJS = with_tests(
    EXPRESS_COMMONJS.files,
    "node --test test/*.test.js",
    "test/shop.test.js",
    "const { test } = require('node:test')\n\ntest('it', () => {})\n",
)
MODULES = {
    "package.json": '{"name": "shop", "type": "module", "scripts": {"start": "node app.mjs", '
    '"test": "node --test test/*.test.mjs"}, "dependencies": {"express": "5"}}',
    "app.mjs": 'import express from "express";\n\nexport const app = express();\napp.listen(process.env.PORT);\n',
    "test/shop.test.mjs": 'import { test } from "node:test";\n\ntest("it", () => {});\n',
}
VITEST = with_tests(
    EXPRESS_TYPESCRIPT.files,
    "vitest run",
    "src/shop.test.ts",
    'import { test } from "vitest";\nimport { urls } from "./users.js";\n\ntest("it", () => void urls);\n',
)
JEST = with_tests(EXPRESS_COMMONJS.files, "jest", "src/shop.spec.js", "test('it', () => {})\n")


def planned(root: Path) -> Instrumentation:
    return plan_instrumentation(root, scan_project(root).units[0])


def new_tests(plan: Instrumentation) -> dict[str, str]:
    return {c.path: c.after for c in plan.changes if re.search(r"\.(?:test|spec)\.", c.path)}


@pytest.mark.parametrize(
    ("files", "path", "lines"),
    [
        (COMMONJS, "test/probes.test.js", ("const { test } = require('node:test')", "require('../src/health')")),
        (MODULES, "test/probes.test.mjs", ('import { test } from "node:test";', 'from "../health.mjs";')),
        (VITEST, "src/probes.test.ts", ('import { expect, test } from "vitest";', 'from "./health.js";')),
        (JEST, "src/probes.spec.js", ("@jest-environment node", "require('./health')")),
    ],
)
def test_new_tests_are_written_like_the_present_ones(
    files: Mapping[str, str], path: str, lines: tuple[str, ...], make: Make
) -> None:
    root = make(files)
    plan = planned(root)
    ((written, text),) = new_tests(plan).items()
    assert written == path
    assert all(line in text for line in lines), text
    assert "module.exports" not in text
    apply(root, plan)
    assert planned(root).changes == ()


@pytest.mark.needs("node")
@pytest.mark.parametrize("files", [COMMONJS, MODULES], ids=["commonjs", "modules"])
def test_node_runs_them_and_broken_code_fails_them(files: Mapping[str, str], make: Make) -> None:
    root = make(files)
    plan = planned(root)
    (path,) = new_tests(plan)
    apply(root, plan)

    def passes() -> bool:
        done = subprocess.run(["node", "--test", path], cwd=root, capture_output=True, text=True, check=False)
        return done.returncode == 0

    assert passes()
    (health,) = [c for c in plan.changes if "answerHealth" in c.after and c.before is None and c.path != path]
    (root / health.path).write_text(health.after.replace("503", "200"))
    assert not passes()


@pytest.mark.parametrize(
    "files",
    [
        EXPRESS_COMMONJS.files,
        with_tests(EXPRESS_COMMONJS.files, "mocha", "test/a.test.js", "it('x', () => {})\n"),
        {name: text for name, text in COMMONJS.items() if "test" not in name},
    ],
)
def test_without_a_known_set_up_none_are_added(files: Mapping[str, str], make: Make) -> None:
    assert new_tests(planned(make(files))) == {}


def test_javascript_tests_cannot_load_typescript(make: Make) -> None:
    files = with_tests(EXPRESS_TYPESCRIPT.files, "node --test", "test/a.test.mjs", "import 'node:test';\n")
    plan = planned(make(files))
    assert new_tests(plan) == {}
    assert any("cannot load the new modules" in note for note in plan.notes)
