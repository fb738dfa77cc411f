"""Killed with SIGKILL while a conversation is summarised, or right after: the session goes on."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from agent.testing import FakeMessagesServer, Turn

FULL = {"input_tokens": 10, "cache_read_input_tokens": 180_000, "output_tokens": 100}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["summary", "after"])
def test_killed_around_a_compaction(start: Any, moment: str) -> None:
    running: list[Any] = []
    killed: list[str] = []

    def answer(body: Any) -> Any:
        said = json.dumps(body["messages"])
        step = "summary" if "Call no tool" in said else "after" if "SUMMARY-1" in said else "before"
        if step == moment and not killed:
            killed.append(step)
            os.kill(running[-1].process.pid, signal.SIGKILL)
        return {"summary": "SUMMARY-1: the region is Seoul.", "after": "Seoul it is."}.get(
            step, Turn(["Noted."], usage=FULL)
        )

    with FakeMessagesServer(answer) as server:
        running.append(start(server, "--model=claude-haiku-4-5"))
        running[-1].user("The region is Seoul.")
        session = running[-1].until("result")["session_id"]
        running[-1].user("Which region?")
        assert running[-1].process.wait(20) == -signal.SIGKILL
        running.append(start(server, "--model=claude-haiku-4-5", f"--resume={session}"))
        running[-1].user("Which region was it?")
        result = running[-1].until("result")
        assert (result["result"], result["session_id"]) == ("Seoul it is.", session)
        boundaries = [frame for frame in running[-1].seen if frame.get("subtype") == "compact_boundary"]
        assert len(boundaries) == (1 if moment == "summary" else 0)
        assert running[-1].finish() == 0
    assert killed
    assert not server.violations
