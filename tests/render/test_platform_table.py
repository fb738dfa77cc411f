"""docs/platforms.md claims nothing that no test proves."""

from __future__ import annotations

import re
from pathlib import Path

from tools.devops.platform import platforms

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs/platforms.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in TABLE.splitlines() if line.startswith("| ")]


def test_every_linked_test_exists() -> None:
    links = re.findall(r"\]\(\.\./(tests/[\w/.]+)::(\w+)\)", TABLE)
    assert len(links) > 40
    for path, name in links:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), name


def test_every_platform_with_files_has_a_row_and_every_cell_an_answer() -> None:
    names = {row[0] for row in ROWS}
    short = {"Docker + Kubernetes": "Kubernetes", "AWS EC2 / DigitalOcean": "DigitalOcean"}
    assert {short.get(p.name, p.name) for p in platforms().values() if p.artifacts} <= names
    assert all(len(row) == len(ROWS[0]) and all(row) for row in ROWS)
