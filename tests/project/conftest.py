"""Projects made of a mapping of path to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.devops.project import scan_project
from tools.devops.types import Project

Files = Mapping[str, Any]
"""Path -> text; a mapping stands for JSON."""


def write(root: Path, files: Files) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return root


@pytest.fixture
def make(tmp_path: Path) -> Callable[[Files], Path]:
    """Writes the files into a folder named `shop` and returns it."""
    root = tmp_path / "shop"
    root.mkdir()
    return lambda files: write(root, files)


@pytest.fixture
def scan(make: Callable[[Files], Path]) -> Callable[[Files], Project]:
    """Writes the files and scans them."""
    return lambda files: scan_project(make(files))
