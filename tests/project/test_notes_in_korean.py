"""Every note of the SPEC reader and the scanner reads in Korean, too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tools.devops
from tools.devops.describe import project_text
from tools.devops.project import scan_project
from tools.plain import to_json

HERE = Path(tools.devops.__file__).parent


def _written(node: ast.AST) -> Iterator[str]:
    """The sentences written out in a piece of code, each hole filled with a word."""
    if isinstance(node, ast.JoinedStr):
        parts = (str(p.value) if isinstance(p, ast.Constant) else "word" for p in node.values)
        yield "".join(parts)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _written(child)


def _makes_note(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "note" or (
            node.func.attr == "append" and ast.unparse(node.func.value).endswith("notes")
        )
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id in ("notes", "note") for target in targets)


def _notes() -> list[str]:
    files = [path for folder in ("spec", "project") for path in (HERE / folder).rglob("*.py")]
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return sorted({text for node in nodes if _makes_note(node) for text in _written(node)})


def _shown(note: str, language: str) -> str:
    empty = {"units": [], "platforms": [], "existing": [], "missing": [], "notes": [note]}
    return project_text(empty, language).splitlines()[-1].strip()


@pytest.mark.parametrize("note", _notes())
def test_every_note_has_its_korean(note: str) -> None:
    assert _shown(note, "en") == note
    assert re.search("[가-힣]", _shown(note, "ko")), note


def test_the_search_finds_the_notes() -> None:
    assert len(_notes()) >= 25


def test_a_scanned_project_in_korean(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("flask\n", encoding="utf-8")
    (tmp_path / "runtime.txt").write_text("python-3.12.4", encoding="utf-8")
    (tmp_path / "app.py").write_text("from flask import Flask\napp = Flask('x')\n", encoding="utf-8")
    (tmp_path / "package.json").write_text("{broken", encoding="utf-8")
    shown = project_text(to_json(scan_project(tmp_path)), "ko")
    assert "package.json:1: 구문을 해석할 수 없습니다" in shown
    assert ".: Python 3.12, 근거: runtime.txt" in shown
    assert "이(가) 의존성에 없어 설치 명령이 추가합니다" in shown


def test_a_note_without_translation_stays_as_it_is() -> None:
    assert _shown("Something quite new.", "ko") == "Something quite new."
