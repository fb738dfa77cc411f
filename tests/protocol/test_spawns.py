"""What an orchestrator sees that starts many of us: one result each, and nothing left behind, also after a kill."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.permissions import Rules
from agent.testing import FakeMessagesServer, ScriptedModel, call
from tools.shell import bash

SEQUENTIAL, AT_ONCE = 200, 50


def obedient(body: dict[str, Any]) -> Any:
    """Echoes the child's number with Bash, then says it is done."""
    number = re.search(r"child (\d+)", json.dumps(body["messages"]))
    assert number is not None
    if len(body["messages"]) > 1:
        return f"Done with {number[1]}."
    return [call("Bash", command=f"echo {number[1]} >> ran; mktemp; cat /dev/zero | head -c 10 | wc -c")]


def in_session(leader: int) -> list[int]:
    """The processes of a POSIX session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


async def spawn(launcher: Path, place: Path, number: int, env: dict[str, str]) -> tuple[int, list[dict[str, Any]], int]:
    """Start one child on a task: its exit code, the messages it wrote, and its POSIX session."""
    (project := place / f"project-{number}").mkdir()
    flags = ["--output-format", "stream-json", "--verbose", "--allowed-tools", "Bash", "--model", "claude-sonnet-5-5"]
    child = await asyncio.create_subprocess_exec(
        str(launcher),
        *flags,
        "-p",
        f"You are child {number}.",
        cwd=project,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    out, err = await child.communicate()
    assert child.returncode == 0, f"child {number}: {out[-500:]!r} {err[-2000:].decode()}"
    return child.returncode, [json.loads(line) for line in out.splitlines()], child.pid


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("count", "at_once"), [(SEQUENTIAL, 1), (AT_ONCE, AT_ONCE)])
async def test_many_children_end_with_one_result_and_leave_nothing(
    launcher: Path, tmp_path: Path, count: int, at_once: int
) -> None:
    (temporary := tmp_path / "tmp").mkdir()
    with FakeMessagesServer(obedient) as server:
        env = os.environ | {
            "ANTHROPIC_BASE_URL": server.base_url,
            "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite",
            "TMPDIR": str(temporary),
        }
        slots = asyncio.Semaphore(at_once)

        async def one(number: int) -> tuple[int, list[dict[str, Any]], int]:
            async with slots:
                return await spawn(launcher, tmp_path, number, env)

        open_before = descriptors()
        ended = await asyncio.gather(*(one(number) for number in range(count)))
        assert descriptors() <= open_before + 2  # the event loop's own
        assert server.violations == []
    for number, (code, messages, leader) in enumerate(ended):
        results = [message for message in messages if message["type"] == "result"]
        assert (code, [result["result"] for result in results]) == (0, [f"Done with {number}."])
        assert messages[-1] is results[0]
        assert (tmp_path / f"project-{number}" / "ran").read_text() == f"{number}\n"
        assert in_session(leader) == []
    assert len({messages[-1]["session_id"] for _, messages, _ in ended}) == count
    assert [path.name for path in temporary.iterdir() if not path.name.startswith("tmp.")] == []


async def test_runs_in_one_process_leave_no_task_thread_or_descriptor(tmp_path: Path) -> None:
    async def one() -> None:
        model = ScriptedModel([[call("Bash", command="echo hi")], "Done."])
        rules = Rules.parse(allow=["Bash"])
        agent = Agent(cwd=tmp_path, model=model, tools=[bash], rules=rules, env={}, sandbox=False)
        assert (await agent.run("go")).status == "completed"

    await one()  # what is loaded or opened once, is now
    before = descriptors(), threading.active_count(), len(asyncio.all_tasks())
    for _ in range(5):
        await one()
    await asyncio.gather(*(one() for _ in range(5)))
    assert (descriptors(), len(asyncio.all_tasks())) == (before[0], before[2])
    assert threading.active_count() <= before[1] + 8  # the loop's pool for files


async def killed_in_its_call(sdk: Any, options: Any, marker: Path, killed: dict[str, Any]) -> None:
    """Query, and kill the child once its call has begun. `killed` gets its session and the processes it had."""
    async for message in sdk.query(prompt="Sleep.", options=options):
        if type(message).__name__ == "SystemMessage":
            killed["session"] = message.data["session_id"]
        if type(message).__name__ == "AssistantMessage":
            while not marker.exists():  # noqa: ASYNC110, ASYNC240 - the other side of the event is a shell
                await asyncio.sleep(0.02)
            (child,) = [pid for pid in children_of(os.getpid()) if "agent-cli" in command_of(pid)]
            killed["had"] = in_tree(child)
            os.kill(child, signal.SIGKILL)


@pytest.mark.slow
async def test_a_killed_child_is_a_failure_and_its_session_resumes(
    sdk: Any, served: Any, options: Any, project: Path
) -> None:
    server = served([[call("Bash", command="touch begun; sleep 600")], "It may have begun; I looked."])
    killed: dict[str, Any] = {}
    with pytest.raises(sdk.ProcessError) as failure:
        await killed_in_its_call(sdk, options(server, allowed_tools=["Bash"]), project / "begun", killed)
    assert failure.value.exit_code == -signal.SIGKILL
    assert any("sleep 600" in command for command in killed["had"].values())
    async with asyncio.timeout(20):  # the programs of a killed agent end with it
        while any(text and command_of(pid) == text for pid, text in killed["had"].items()):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)

    resumed = options(server, resume=killed["session"])
    messages = [message async for message in sdk.query(prompt="Go on.", options=resumed)]
    assert messages[-1].result == "It may have begun; I looked."
    assert messages[-1].session_id == killed["session"]
    assert "outcome is unknown" in json.dumps(server.requests[1].body["messages"])


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def children_of(parent: int) -> list[int]:
    return [pid for pid, above in parents().items() if above == parent]


def in_tree(root: int) -> dict[int, str]:
    """The processes below one, with their command lines."""
    known, found, waiting = parents(), {}, [root]
    while waiting:
        above = waiting.pop()
        for pid in [pid for pid, parent in known.items() if parent == above]:
            found[pid] = command_of(pid)
            waiting.append(pid)
    return found


def parents() -> dict[int, int]:
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return found


def command_of(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
