"""Hostile, broken and huge trees: no crash, no way out of the root, the same answer every time."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.devops.project import ProjectError, scan_project
from tools.devops.project.tree import MAX_SOURCES, Tree
from tools.devops.types import Project
from tools.plain import to_json

Make = Callable[[Mapping[str, Any]], Path]
Scan = Callable[[Mapping[str, Any]], Project]

NAMES = [
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "Pipfile",
    "setup.py",
    "setup.cfg",
    "environment.yml",
    "manage.py",
    "main.py",
    "app.py",
    "go.mod",
    "go.work",
    "main.go",
    "Cargo.toml",
    "pom.xml",
    "build.gradle",
    "settings.gradle",
    "Gemfile",
    "config.ru",
    "app.rb",
    "composer.json",
    "index.php",
    "artisan",
    "mix.exs",
    "deno.json",
    "Api.csproj",
    "index.html",
    "Procfile",
    "fly.toml",
    "render.yaml",
    "railway.json",
    "vercel.json",
    "netlify.toml",
    "compose.yaml",
    "Dockerfile",
    ".env.example",
    "turbo.json",
    "nx.json",
    "pnpm-workspace.yaml",
    "lerna.json",
    "project.json",
    "tsconfig.json",
    "angular.json",
    ".nvmrc",
    "next.config.js",
    "CMakeLists.txt",
    "mkdocs.yml",
    "template.yaml",
    "main.tf",
    "index.js",
    "src.ts",
    "application.yml",
    "alembic.ini",
    "start.sh",
]
FOLDERS = ("", "apps/web/", "backend/", "packages/x/", "src/", "examples/y/", ".github/workflows/")
PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        ":",
        ",",
        "\n",
        "\x00",
        "=",
        "\\",
        "<",
        ">",
        "&a *a",
        "---",
        "- ",
        "dependencies",
        "scripts",
        '{"dependencies": {"next": 1, "express": null}, "workspaces": ["*"]}',
        '{"scripts": []}',
        '{"workspaces": {"packages": 3}}',
        "from fastapi import FastAPI\napp = FastAPI()\n",
        "services:\n  a: 1\n",
        "[project]\n",
        "dependencies = 3\n",
        "fastapi\n",
        "[tool]\npoetry = 1\n",
        "web: x\n",
        "module x\n",
        "<project>",
        "require 'rails'",
        "{:phoenix",
        "ENV['A']",
        "[workspace]\nmembers=1",
        "projects: 1\n",
        '{"projects": {"a": 1}}',
        "\ud7ff",
        "é",
        "{% if %}",
        "ref: refs/heads/",
        "-r requirements.txt\n",
        "-r ../../x\n",
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=80), st.binary(max_size=80))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)), TEXTS, max_size=12))
def test_any_files_make_a_project(files: Mapping[tuple[str, str], str | bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for (where, name), content in files.items():
            path = Path(folder, where, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        first = scan_project(Path(folder))
        assert json.loads(json.dumps(to_json(first))) == to_json(first)
        assert scan_project(Path(folder)) == first
        assert all(_is_printable(to_json(unit)) for unit in first.units)


def _is_printable(value: Any) -> bool:
    """No text of a unit can break out of its line."""
    if isinstance(value, dict):
        return all(_is_printable(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_printable(item) for item in value)
    return not isinstance(value, str) or value.isprintable()


DEEP = 60_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "filler", ["\n", " ", "a ", "'", "${A"], ids=["lines", "blanks", "words", "quotes", "variables"]
)
def test_long_runs_are_read_in_time(scan: Scan, filler: str) -> None:
    started = time.process_time()
    scan(dict.fromkeys((name for name in NAMES if not name.endswith((".yml", ".yaml"))), filler * DEEP))
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("package.json", "[" * DEEP),
        ("package.json", '{"a":' * DEEP),
        ("package.json", '"' + '\\"' * DEEP),
        ("package.json", "/*" * DEEP),
        ("package.json", "," * DEEP),
        ("pyproject.toml", "a = " + "[" * DEEP),
        ("compose.yaml", "[" * DEEP),
        ("compose.yaml", "a: &a [1]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(200))),
        ("main.py", "x = " + "(" * DEEP),
        ("main.py", "from flask import Flask\napp = Flask(" + "-" * DEEP + "1)"),
        ("main.py", "import os\nx = os.environ" + "['a']" * DEEP),
        ("index.js", "app.get('" + "a/" * DEEP),
        ("index.js", "process.env." * DEEP),
        ("Dockerfile", "CMD [" * DEEP),
        ("Procfile", "web: x" + " " * DEEP + "y"),
        ("Dockerfile", "CMD x" + " " * DEEP + "y"),
        ("pom.xml", "<parent>" * DEEP),
        ("setup.py", "install_requires=[" * (DEEP // 10)),
        ("go.mod", "require " * DEEP),
        ("Gemfile", "gem 'x" * DEEP),
    ],
    ids=lambda value: value[:24],
)
def test_nested_or_endless_text_is_read_in_time(scan: Scan, name: str, content: str) -> None:
    started = time.process_time()
    scan({name: content, "requirements.txt": "flask"})
    assert time.process_time() - started < 5


def test_links_are_not_followed(make: Make, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "package.json").write_text('{"name": "stolen", "dependencies": {"next": "1"}}')
    root = make({"README.md": ""})
    (root / "link").symlink_to(outside)
    (root / "package.json").symlink_to(outside / "package.json")
    (root / "loop").symlink_to(root)
    assert scan_project(root).units == ()


def test_a_pipe_does_not_block(make: Make) -> None:
    root = make({"main.py": ""})
    os.mkfifo(root / "requirements.txt")
    assert scan_project(root).units[0].start == "python main.py"


def test_ignored_folders_are_skipped(scan: Scan) -> None:
    files = {
        f"{name}/package.json": {"dependencies": {"next": "1"}}
        for name in ("node_modules/a", ".venv/b", "dist", "target", "vendor/c")
    }
    assert scan({**files, "env/pyvenv.cfg": "", "env/main.py": ""}).units == ()


def test_encodings(make: Make) -> None:
    root = make({"requirements.txt": ""})
    (root / "package.json").write_bytes("\ufeff".encode() + b'{"name": "bom", "scripts": {"start": "node a.js"}}')
    assert scan_project(root).units[0].name == "bom"
    (root / "requirements.txt").write_bytes("fastapi\nuvicorn\n".encode("utf-16"))
    (root / "main.py").write_bytes(b"# \xff\xfe\n\nfrom fastapi import FastAPI\napp = FastAPI()  # caf\xe9\n")
    project = scan_project(root)
    assert project.units[0].start == "uvicorn main:app --host 0.0.0.0 --port $PORT"
    assert "main.py:1: not valid UTF-8, read with replacements" in project.notes


@pytest.mark.parametrize(
    ("files", "note"),
    [
        ({"pyproject.toml": "[project]\nname = \n", "main.py": ""}, "pyproject.toml:2"),
        ({"package.json": {"name": "x"}, "index.js": "", "compose.yaml": "a:\n  - b\n c: d\n"}, "compose.yaml:3"),
        ({"package.json": '{"a": 1,\n\n"b" 2}', "index.js": ""}, "package.json:3"),
    ],
)
def test_broken_files_are_noted_with_their_line(scan: Scan, files: Mapping[str, Any], note: str) -> None:
    project = scan(files)
    assert len(project.units) == 1
    assert any(entry.startswith(note) for entry in project.notes), project.notes


def test_large_files_are_left_out_and_noted(scan: Scan) -> None:
    project = scan({"requirements.txt": "", "main.py": "# " + "x" * 300_000})
    assert any("main.py: not read" in note for note in project.notes)


def test_odd_names_are_left_out(make: Make) -> None:
    root = make({"requirements.txt": "", "main.py": ""})
    odd = Path(os.fsdecode(os.fsencode(root) + b"/bad\n\xff"))
    odd.mkdir()
    (odd / "package.json").write_text("{}")
    project = scan_project(root)
    assert [unit.path for unit in project.units] == ["."]
    assert any("unprintable" in note for note in project.notes)


@pytest.mark.slow
def test_a_large_tree_is_scanned_quickly(tmp_path: Path) -> None:
    """10,000 files in 100 packages; the caps are said in the notes."""
    for package in range(100):
        folder = tmp_path / "packages" / f"p{package:03}"
        (folder / "src").mkdir(parents=True)
        (folder / "package.json").write_text(
            json.dumps({"name": f"p{package}", "dependencies": {"express": "5"}, "scripts": {"start": "node a.js"}})
        )
        for number in range(99):
            (folder / "src" / f"m{number}.ts").write_text(f"export const a{number} = process.env.A{number % 7};\n" * 10)
    started = time.process_time()
    project = scan_project(tmp_path)
    spent = time.process_time() - started
    assert len(project.units) == 100
    assert any(str(MAX_SOURCES) in note for note in project.notes)
    assert spent < 4, f"{spent:.1f} s of processor time"


def test_not_a_project(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "absent"):
        with pytest.raises(ProjectError, match="is not a directory"):
            scan_project(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_root(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    try:
        with pytest.raises(ProjectError, match="cannot be read"):
            Tree(tmp_path)
    finally:
        tmp_path.chmod(0o700)
