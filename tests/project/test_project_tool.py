"""The DetectProject tool."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.devops.project import scan_project
from tools.devops.tools import detect_project
from tools.plain import to_json
from tools.tool import ToolContext, ToolError

Make = Callable[[Mapping[str, Any]], Path]


async def test_content_and_data_are_the_project(make: Make) -> None:
    root = make({"requirements.txt": "fastapi\nuvicorn", "main.py": "from fastapi import FastAPI\napp = FastAPI()"})
    result = await detect_project.invoke(ToolContext.at(root), {})
    assert isinstance(result.content, str)
    assert json.loads(result.content) == result.data == to_json(scan_project(root))
    assert not result.is_error


async def test_a_folder_of_the_workspace(make: Make) -> None:
    root = make({"api/requirements.txt": "", "api/main.py": "", "web/index.html": ""})
    result = await detect_project.invoke(ToolContext.at(root), {"path": "api"})
    assert [unit["path"] for unit in result.data["units"]] == ["."]


@pytest.mark.parametrize("path", ["..", "/etc", "absent", "main.py", "link"])
async def test_refused(make: Make, tmp_path: Path, path: str) -> None:
    root = make({"main.py": ""})
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(ToolError, match=r"outside the workspace|is not a directory"):
        await detect_project.invoke(ToolContext.at(root), {"path": path})


def test_declaration() -> None:
    assert (detect_project.name, detect_project.effects) == ("DetectProject", frozenset({"reads"}))
    assert set(detect_project.input_schema["properties"]) == {"path"}
