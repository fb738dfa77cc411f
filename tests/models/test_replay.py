"""Recording what a model answered, and playing it back."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from agent.models.port import Model, ModelError, Request
from agent.models.replay import RecordingModel, ReplayModel
from agent.models.retry import respond
from agent.testing import Fault, ScriptedModel, Turn, broken_call, call, thinking

FIRST = Request([{"role": "user", "content": "go"}], [{"type": "text", "text": "S"}], options={"effort": "high"})
SECOND = Request(
    [*FIRST.messages, {"role": "assistant", "content": "x"}, {"role": "user", "content": "on"}], FIRST.system
)


async def answers(model: Model) -> list[Any]:
    async def sleep(_seconds: float) -> None:
        return None

    return [(await respond(model, request, sleep=sleep)).message for request in (FIRST, SECOND)]


async def recording(path: Path) -> list[Any]:
    cut = Turn(["half"], fault=Fault(error_type="overloaded_error", after_events=4))
    script = ScriptedModel(
        [cut, [thinking(), call("Read", file_path="한국")], [broken_call("Read", "{")]], model_id="m"
    )
    model = RecordingModel(script, path)
    assert model.id == "m"
    messages = await answers(model)
    script.assert_complete()
    await model.aclose()
    assert script.closed
    return messages


@pytest.mark.parametrize("exact", [True, False])
async def test_a_recording_plays_back_the_same_with_its_failures(tmp_path: Path, exact: bool) -> None:
    path = tmp_path / "run.jsonl"
    recorded = await recording(path)
    replay = ReplayModel.from_file(path, exact=exact)
    assert await answers(replay) == recorded
    assert len(replay.requests) == 3
    replay.assert_complete()


async def test_a_recording_is_private_and_one_call_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await recording(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [row["error"]["kind"] if row["error"] else None for row in rows] == ["overloaded", None, None]


async def test_an_exact_replay_refuses_another_request_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await recording(path)
    replay = ReplayModel.from_file(path, exact=True)
    changed = Request([{"role": "user", "content": "something else"}], FIRST.system, options=FIRST.options)
    with pytest.raises(ModelError, match=r"messages\.0") as caught:
        await respond(replay, changed)
    assert not caught.value.retryable
    with pytest.raises(AssertionError, match=r"differs.*2 recorded turns"):
        replay.assert_complete()


async def test_an_unplanned_call_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await recording(path)
    replay = ReplayModel.from_file(path)
    await answers(replay)
    with pytest.raises(ModelError, match="turn 4"):
        await respond(replay, SECOND)
    with pytest.raises(AssertionError, match="turn 4"):
        replay.assert_complete()


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"v": 2, "events": []}', '{"v": 1}', '{"v": 1, "events": 3}', '"x"']
)
def test_a_bad_recording_names_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(f'\n{{"v": 1, "events": []}}\n{line}\n', "utf-8")
    with pytest.raises(ModelError, match=r"bad\.jsonl:3"):
        ReplayModel.from_file(path)


def test_an_absent_or_binary_recording_is_a_clear_error(tmp_path: Path) -> None:
    binary = tmp_path / "b"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "absent", binary):
        with pytest.raises(ModelError, match="cannot be read"):
            ReplayModel.from_file(path)
