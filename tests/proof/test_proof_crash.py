"""Killed in the middle: the session goes on where it was, does nothing twice, and ends with the very same files."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.proof.projects import Program, copy_example, tree

WRITERS = ("InstrumentApp", "WriteArtifact")
SEED = int(os.environ.get("PROOF_SEED", random.SystemRandom().randrange(10**6)))
"""Where the random kills happen; a failing test names it, and `PROOF_SEED` repeats it."""


def kill_at(program: Program, project: Path, event: int, delay: float, *arguments: str) -> str:
    """Start a run, SIGKILL its whole process group `delay` seconds after its `event`-th event. The session's id."""
    process = program.start(
        "run", "-C", str(project), "--model", "playbook", "--output-format", "stream-json", "--yes", *arguments
    )
    assert process.stdout
    session = ""
    for number, line in enumerate(process.stdout):
        session = session or json.loads(line)["session_id"]
        if number == event:
            time.sleep(delay)
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    return session


def journal(program: Program, session: str) -> list[dict[str, Any]]:
    """The lines of a session's journal that can be read."""
    (path,) = program.home.glob(f"sessions/*/{session}/journal.jsonl")
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue  # the line the process was writing
    return entries


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], int]:
    """The files of a run that was left alone, and how many events it has."""
    place = tmp_path_factory.mktemp("whole")
    project = copy_example("repair-api", place)
    outcome = Program(place).run(project, "--yes").expect(0)
    return tree(project), len(outcome.events)


POINTS = (0.02, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_run_is_resumed_to_the_same_files_without_a_second_effect(
    point: float, whole: tuple[dict[str, str], int], program: Program, tmp_path: Path
) -> None:
    expected, events = whole
    chance = random.Random(f"{SEED} {point}")
    at = min(events - 3, max(1, int(events * point) + chance.randrange(-4, 5)))
    project = copy_example("repair-api", tmp_path)
    session = kill_at(program, project, at, chance.uniform(0, 0.03))

    done = program.run(project, "--yes", "--resume", session).expect(0)
    where = f"killed at event {at} of {events}, PROOF_SEED={SEED}"
    assert done.result["status"] == "completed", where
    assert tree(project) == expected, where
    entries = journal(program, session)
    started = Counter(e["call_id"] for e in entries if e["type"] == "tool_started" and e["tool"] in WRITERS)
    assert not [call for call, times in started.items() if times > 1], where
    written = Counter(
        e["data"]["path"]
        for e in entries
        if e["type"] == "tool_finished" and e["tool"] == "WriteArtifact" and e["data"].get("written")
    )
    assert not [path for path, times in written.items() if times > 1], where


@pytest.mark.slow
def test_a_run_killed_again_and_again_still_completes(
    whole: tuple[dict[str, str], int], program: Program, tmp_path: Path
) -> None:
    expected, _ = whole
    project = copy_example("repair-api", tmp_path)
    session = kill_at(program, project, 30, 0.0)
    for _ in range(5):
        assert kill_at(program, project, 25, 0.01, "--resume", session) == session
    program.run(project, "--yes", "--resume", session).expect(0)
    assert tree(project) == expected, f"PROOF_SEED={SEED}"


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on_and_does(
    whole: tuple[dict[str, str], int], program: Program, tmp_path: Path
) -> None:
    expected, _ = whole
    project = copy_example("repair-api", tmp_path)
    process = program.start("run", "-C", str(project), "--model", "playbook", "--yes")
    assert process.stderr
    told = ""
    for line in process.stderr:
        told += line
        if "step 3/8" in line:
            process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in told
    session = told.split("--resume ")[1].split()[0]
    program.run(project, "--yes", "--resume", session).expect(0)
    assert tree(project) == expected
