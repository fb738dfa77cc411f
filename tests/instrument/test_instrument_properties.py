"""Entry files of any shape: nothing crashes, nothing is lost, what was Python stays Python."""

from __future__ import annotations

import ast
import subprocess
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.devops.instrument import Instrumentation, plan_instrumentation
from tools.devops.instrument.script_code import ScriptError, ScriptFile, masked
from tools.devops.types import DeployUnit

READY = dict.fromkeys(("health", "liveness", "metrics", "json_logs", "sigterm"), False)

PYTHON = st.sampled_from(
    [
        "from fastapi import FastAPI",
        "import fastapi, os",
        "from flask import Flask as F",
        "from .settings import *",
        "from sqlalchemy import create_engine; import redis",
        "app = FastAPI()",
        "app: FastAPI = FastAPI(title='é')  # 한국어",
        "api = fastapi.FastAPI(\n    title='x',\n)",
        "app = F(__name__)",
        "engine = create_engine('sqlite://')",
        "cache = redis.Redis()",
        "def make():\n    app = FastAPI()\n\n    @app.get('/')\n    def root(): ...\n    return app",
        "class C:\n    app = FastAPI()",
        "if True:\n\tapp = FastAPI()",
        "try:\n    app = FastAPI()\nexcept Exception: pass",
        "with open('x') as f: app = FastAPI()",
        "async def main():\n    async with x:\n        app = FastAPI()\n        await app()",
        'app = FastAPI(description="""\nfrom x import y\n""")',
        "x = 1; app = FastAPI()",
        "app = FastAPI(); y = 2",
        "app = FastAPI() \\\n  ",
        '"""Docs."""',
        "from __future__ import annotations",
        "#!/usr/bin/env python",
        "# -*- coding: utf-8 -*-",
        "app.add_middleware(x)",
        "urlpatterns = []",
        "urlpatterns = [\n    path('', x),\n]",
        "MIDDLEWARE = ['a',\n  'b']",
        "MIDDLEWARE = ('a',)",
        "ROOT_URLCONF = 'main'",
        "ROOT_URLCONF = name",
        "match x:\n    case 1:\n        app = FastAPI()",
        "\x0c",
        "(",
        "'",
    ]
)
SCRIPT = st.sampled_from(
    [
        "import express from 'express';",
        'const express = require("express")',
        "import { Pool } from 'pg'",
        "const app = express();",
        "const app = express()",
        "export const api: Express = express();",
        "  const app = express() // it's one",
        "const pool = new Pool({ a: `${`}`}` })",
        "app.listen(3000);",
        "app.listen(3000, () => {\n  console.log(`up ${1 + 1}`)\n})",
        "const server = app.listen(1)\n  .on('error', x)",
        "function f() {\n  const app = express();\n  return app;\n}",
        "/* const app = express(); */",
        "const r = /[/'\"]/g, d = 4 / 2 / 1;",
        "'use strict'",
        "// it's",
        "const app = await NestFactory.create(AppModule);",
        "@Module({ controllers: [] })\nexport class AppModule {}",
        "@Module({\n  providers: [\n  ],\n})\nexport class AppModule {}",
        "export async function register() {\n}",
        "const s = '",
        "const t = `${",
        "}",
        "{",
        "\ufeff",
    ]
)
ENDING = st.sampled_from(["\n", "\r\n", "\n\n", "\r", ";\n"])


def text_of(lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Known lines in any order with any line endings, and sometimes noise."""
    piece = st.one_of(lines, st.text(max_size=6))
    return st.lists(st.tuples(piece, ENDING), max_size=9).map(lambda rows: "".join(a + b for a, b in rows))


def around(needed: list[str], others: list[str]) -> st.SearchStrategy[str]:
    """What makes an application, with harmless lines between."""
    newline = st.sampled_from(["\n", "\r\n"])
    extra = st.lists(st.lists(st.sampled_from(others), max_size=3), min_size=len(needed) + 1, max_size=len(needed) + 1)

    def join(drawn: tuple[list[list[str]], str]) -> str:
        between, ending = drawn
        rows = [*between[0], *(row for line, more in zip(needed, between[1:], strict=True) for row in (line, *more))]
        return "\n".join([*rows, ""]).replace("\n", ending)

    return st.tuples(extra, newline).map(join)


HARMLESS = [
    "import os",
    "x = 1  # é",
    "y = 'a'; z = 2",
    "def f():\n    import re\n    return re",
    "@decorated\nclass C:\n    pass",
    'text = """\nimport app\n"""',
    "if x:\n\tpass\nelse:\n\tpass",
    "engine = create_engine('sqlite://')",
    "app.add_middleware(x)",
    "\x0c",
]
HARMLESS_SCRIPT = [
    "const a = `it's ${x ? `}` : '{'}`;",
    "// it's } here",
    "/* ( */",
    "function f(a) {\n  return /[/)]/.test(a) ? 4 / 2 : {};\n}",
    "const pool = new Pool({ max: 1 });",
    "app.get('/', (q, s) => s.send('x'));",
    "import { Pool } from 'pg';",
    "export default f;",
]
MADE = {
    "fastapi": ["from fastapi import FastAPI", "app = FastAPI(\n    title='x',\n)"],
    "flask": ["import flask", "def make():\n    app = flask.Flask(__name__)\n    return app"],
    "django": ["MIDDLEWARE = [\n    'a',\n]", "ROOT_URLCONF = 'main'", "urlpatterns = []"],
}
MADE_SCRIPT = {
    "express": ["import express from 'express';", "const app = express();", "app.listen(1, () => {\n});"],
    "nestjs": [
        "@Module({ imports: [] })\nexport class AppModule {}",
        "async function start() {\n  const app = await NestFactory.create(AppModule);\n}",
    ],
    "next": ["export async function register() {", "}"],
}


def plan(files: Mapping[str, str], framework: str, entry: str) -> Instrumentation:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
        unit = DeployUnit(".", "shop", "backend", "x", frameworks=(framework,), entry=entry, ready=READY)
        return plan_instrumentation(Path(folder), unit)


def kept(before: str, after: str) -> bool:
    """Whether every line of `before` is in `after`, in order; a line may have been added to."""
    rows = iter(after.splitlines())
    return all(any(line.strip(" ,;[]()")[:12] in row for row in rows) for line in before.splitlines() if line.strip())


def parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text.removeprefix("\ufeff"))
        except (SyntaxError, ValueError):
            return False
    return True


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(text_of(PYTHON), st.sampled_from(["fastapi", "flask", "django"]))
def test_python_stays_python(main: str, framework: str) -> None:
    planned = plan({"main.py": main, "requirements.txt": "fastapi\nflask\ndjango\n"}, framework, "main:app")
    for change in planned.changes:
        assert parses(change.after), change.after
        assert change.before is None or (parses(change.before) and kept(change.before, change.after))
    assert planned.added or planned.unsupported
    assert not set(planned.added) - set(READY)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(MADE)))
def test_python_applications_are_found_and_kept(data: st.DataObject, framework: str) -> None:
    main = data.draw(around(MADE[framework], HARMLESS))
    planned = plan({"main.py": main, "requirements.txt": "sqlalchemy\n"}, framework, "main:app")
    assert {"health", "liveness", "metrics", "json_logs"} <= set(planned.added)
    edited = next(change for change in planned.changes if change.before is not None)
    assert parses(edited.after)
    assert kept(main, edited.after)
    assert "\r\n" not in edited.after or edited.after.count("\n") == edited.after.count("\r\n")


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(MADE_SCRIPT)))
def test_script_applications_are_found_and_kept(data: st.DataObject, framework: str) -> None:
    main = data.draw(around(MADE_SCRIPT[framework], HARMLESS_SCRIPT))
    files = {"main.ts": main, "app.module.ts": main, "instrumentation.ts": main, "app/page.tsx": "", "package.json": ""}
    planned = plan(files, framework, "main.ts")
    assert {"health", "liveness", "metrics", "json_logs"} <= set(planned.added)
    edited = [change for change in planned.changes if change.before is not None]
    assert edited
    for change in edited:
        ScriptFile(change.after)
        assert kept(main, change.after)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(text_of(SCRIPT), st.sampled_from(["express", "nestjs", "next"]))
def test_scripts_stay_whole(main: str, framework: str) -> None:
    files = {"main.ts": main, "app.module.ts": main, "instrumentation.ts": main, "app/page.tsx": "", "package.json": ""}
    planned = plan(files, framework, "main.ts")
    for change in planned.changes:
        ScriptFile(change.after)
        assert change.before is None or kept(change.before, change.after), change.diff
    assert planned.added or planned.unsupported


VALID = [
    "const express = require('express')",
    "const app = express()",
    "const text = `a ${'}'} b`",
    "app.get('/', (q, s) => s.send(/[`'\"]/.source))",
    "app.listen(\n  process.env.PORT,\n  () => {},\n)",
    "function other() { return 4 / 2 }",
]


@pytest.mark.slow
@pytest.mark.needs("node")
@settings(max_examples=25, deadline=None)
@given(st.permutations(VALID), st.sampled_from(["\n", "\r\n", ";\n", "\n\n"]))
def test_node_accepts_what_was_edited(lines: list[str], ending: str) -> None:
    planned = plan({"main.js": ending.join([*lines, ""]), "package.json": "{}"}, "express", "main.js")
    assert set(planned.added) == set(READY)
    for change in planned.changes:
        if change.before is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "main.js")
                path.write_bytes(change.after.encode())
                done = subprocess.run(["node", "--check", path], capture_output=True, text=True, check=False)
                assert done.returncode == 0, change.after + done.stderr


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab'\"`${}/*\\\n\r([])=; ", max_size=60))
def test_masking_keeps_the_shape(text: str) -> None:
    try:
        shape = masked(text)
    except ScriptError:
        return
    assert len(shape) == len(text)
    assert [c for c in shape if c in "\r\n"] == [c for c in text if c in "\r\n"]
    assert all(a == b or a == " " for a, b in zip(shape, text, strict=True))


EXPRESS = "const express = require('express')\n"


@pytest.mark.slow
@pytest.mark.timeout(20)
def test_long_hostile_files_take_linear_time() -> None:
    pieces = ("const app = express(", "`${", "/", "import {", "const a = require(", "export {a", "'", "app.listen(")
    for piece in (*pieces, *(f"{piece}\n" for piece in pieces)):
        plan({"main.js": EXPRESS + piece * 8000, "package.json": "{}"}, "express", "main.js")
    for piece in (
        "const a = require(1)\n",
        "import a from 'a';\n",
        "const app = express()\n",
        "const app = express(\n",
    ):
        ends = ")" * 8000 if piece.endswith("(\n") else ""
        plan({"main.js": piece * 8000 + ends, "package.json": "{}"}, "express", "main.js")
    for piece in ("app = FastAPI(\n", "import a\n", "def f():\n", "(", "x = 1\n", "x = 'FastAPI('\n"):
        plan({"main.py": "from fastapi import FastAPI\n" + piece * 8000}, "fastapi", "main:app")
