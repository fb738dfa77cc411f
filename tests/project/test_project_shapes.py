"""Projects of many public starters, field by field: how much of what an engineer reads off them the scan finds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.devops.project import scan_project
from tools.devops.types import DeployUnit

SHAPES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("shapes.yaml").read_text(encoding="utf-8"))
COMMANDS = frozenset({"install", "build", "start", "migrate", "test", "lint"})


def _agrees(unit: DeployUnit, field: str, wanted: Any) -> bool:
    if field in ("workers", "beat"):
        programs = [json.dumps(dict(program)) for program in (*unit.workers, *unit.cron)]
        return any(re.search(wanted, program) for program in programs)
    value = getattr(unit, field)
    if field in COMMANDS:
        return re.search(wanted, value or "") is not None
    return set(wanted) <= set(value) if field in ("env", "services") else bool(value == wanted)


def _write(root: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return root


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape["name"]))
def test_shape(shape: dict[str, Any], tmp_path: Path) -> None:
    units = {unit.path: unit for unit in scan_project(_write(tmp_path / "shop", shape["files"])).units}
    assert set(shape["units"]) <= set(units), units
    wrong = [
        f"{path}: {field}: expected {wanted!r}, got {getattr(units[path], field, units[path].workers)!r}"
        for path, fields in shape["units"].items()
        for field, wanted in fields.items()
        if not _agrees(units[path], field, wanted)
    ]
    assert not wrong
    assert all(units[path].kind == "library" for path in shape.get("absent", ()) if path in units)
