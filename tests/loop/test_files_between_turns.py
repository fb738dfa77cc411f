"""A file read in one turn may be edited in a later one, as long as nobody changed it in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent import Agent
from agent.result import Completed
from agent.testing import ScriptedModel, call


async def turn(project: Path, script: list[Any], resume: str | None = None) -> Completed:
    agent = Agent(cwd=project, model=ScriptedModel(script), mode="acceptEdits")
    result = await agent.run("Go on.", resume=resume)
    assert isinstance(result, Completed)
    return result


@pytest.mark.parametrize(("meanwhile", "after"), [("one\n", "two\n"), ("one, changed\n", "one, changed\n")])
async def test_a_later_turn_edits_what_an_earlier_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str, after: str
) -> None:
    monkeypatch.setenv("EXPERT_DEVOPS_HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    project.mkdir()
    path = project / "a.txt"
    path.write_text("one\n")
    first = await turn(project, [[call("Read", file_path=str(path))], "Read."])
    path.write_text(meanwhile)
    edit = call("Edit", file_path=str(path), old_string="one", new_string="two")
    await turn(project, [[edit], "Done."], resume=first.session_id)
    assert path.read_text() == after


@pytest.mark.parametrize("damage", ["", "[1]", '{"cwd": 1}', '{"cwd": "/", "files": {"a": "zz"}}'])
async def test_a_damaged_list_of_files_only_asks_to_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("EXPERT_DEVOPS_HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    project.mkdir()
    path = project / "a.txt"
    path.write_text("one\n")
    first = await turn(project, [[call("Read", file_path=str(path))], "Read."])
    (kept,) = (tmp_path / "home").rglob("carried.json")
    kept.write_text(damage)
    edit = call("Edit", file_path=str(path), old_string="one", new_string="two")
    await turn(project, [[edit], "Done."], resume=first.session_id)
    assert path.read_text() == "one\n"
