"""What a person sees of agents at work: on a terminal's lines, and on the stream."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.models.port import Request
from agent.surfaces.cli import main
from agent.surfaces.progress import Plain
from agent.testing import call
from tests.delegation.scripts import boss_says, delegate

Build = Callable[..., Any]
Member = Callable[..., Any]


async def test_lines_of_two_children_are_told_apart(family: Build, member: Member) -> None:
    def script(who: str, request: Request) -> Any:
        if who == "boss":
            return boss_says([delegate("left"), delegate("right")], [call("Echo", word="me")], "Done.")(request)
        return [call("Echo", word=who)] if len(request.messages) == 1 else "Report."

    kin = family(script, [member("left"), member("right")])
    await kin.run()
    out = io.StringIO()
    with Plain(out) as progress:
        for event in kin.events:
            progress.show(event)
    lines = out.getvalue().splitlines()
    for name in ("left", "right"):
        own = [line for line in lines if re.match(rf"  \[{name}-[0-9a-f]{{8}}\] ", line)]
        assert [line.split("] ")[1] for line in own] == ["started with scripted", "Echo", "completed"]
    assert "  Echo" in lines  # the parent's own call bears no name


@pytest.mark.slow
def test_children_are_on_the_terminal_and_on_the_stream_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "requirements.txt").write_text("fastapi==0.115.0\nuvicorn==0.30.0\n")
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    fixed = ["run", "-C", str(tmp_path), "--yes", "--model", "playbook", "--steps", "8"]
    assert main(fixed) == 0
    err = capsys.readouterr().err
    assert re.search(r"^  \[expert-backend-\w+\] started with playbook$", err, re.MULTILINE)
    assert re.search(r"^  \[expert-backend-\w+\] completed$", err, re.MULTILINE)

    assert main([*fixed, "--output-format", "stream-json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    children = {event["agent_id"] for event in events if event.get("agent_id")}
    assert {re.sub(r"-\w+$", "", name) for name in children} >= {"expert-backend", "expert-security"}
    calls = {event["call_id"] for event in events if event["type"] == "tool_started" and event["tool"] == "Delegate"}
    assert {event["parent_call_id"] for event in events if event.get("agent_id")} <= calls
