"""The list of built-in tools is what the tools say, and loads them only when they are called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.catalogue import FILE, builtin_tools, describe_tools
from tools.tool import ToolContext


def test_the_catalogue_is_what_the_tools_say() -> None:
    assert FILE.read_text(encoding="utf-8") == describe_tools(), "run `make catalogue`"


async def test_a_listed_tool_works(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello\n")
    result = await builtin_tools()["Read"].invoke(ToolContext.at(tmp_path), {"file_path": "a.txt"})
    assert "hello" in str(result.content)


def test_every_entry_leads_to_its_tool() -> None:
    for name, listed in builtin_tools().items():
        loaded = listed.inner  # type: ignore[attr-defined]  # the listed kind has it
        assert loaded.name == name
        assert loaded.effects == listed.effects


def test_listing_the_tools_loads_neither_them_nor_pydantic() -> None:
    program = "import sys; from tools.catalogue import builtin_tools; builtin_tools(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "tools.files", "tools.devops", "tools.github"} & set(loaded)
