"""docs/platforms.md claims nothing that no test shows: each cell links to a test that exists, or makes no claim."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tools.devops.platform import platforms

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "platforms.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("|")
]
_LINK = re.compile(r"\[[^\]]+\]\(\.\./(tests/[\w/]+\.py)::(\w+)\)")
_NO_CLAIM = re.compile(
    r"no\b|step in the workflow, untested|YAML only|image, compose, tests, build|.*\bby hand|.*not verified"
)


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def claims(cell: str) -> tuple[list[tuple[str, str]], str]:
    """The tests a cell links to, and what it says without one."""
    return _LINK.findall(cell), _LINK.sub("", cell).strip(" ,;:()")


@pytest.mark.parametrize("row", ROWS[2:], ids=lambda row: row[0])
def test_every_cell_links_to_a_test_or_claims_nothing(row: list[str]) -> None:
    assert len(row) == len(ROWS[0])
    for column, cell in zip(ROWS[0][1:], row[1:], strict=True):
        links, rest = claims(cell)
        assert links or _NO_CLAIM.match(rest), f"{row[0]}, {column}: {cell!r}"
        assert not rest.startswith("yes"), f"{row[0]}, {column} claims without a test"
        missing = [f"{path}::{name}" for path, name in links if name not in names_in(path)]
        assert missing == []


def test_every_platform_has_a_row() -> None:
    named = {row[0] for row in ROWS[2:]}
    with_files = [platform.name for platform in platforms().values() if platform.artifacts]
    assert [name for name in with_files if not any(one in name for one in named)] == []
