"""`make bench`: start-up and turn cost beside a bare loop, parallel calls, and many runs at once. Prints a table.

Everything runs against a local fake Messages API, ours and the bare loop in turn, so that the machine's mood hits both.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from server import CannedServer

from agent import Agent
from agent.permissions import Rules
from agent.testing import FakeMessagesServer, Fault, ScriptedModel, Turn, call

HERE = Path(__file__).parent
ROUNDS = 7
TURNS = 200


def child(script: str, base_url: str) -> None:
    subprocess.run([sys.executable, str(HERE / script), base_url], check=True, env=_env())


def _env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}


def start_to_first_request(script: str) -> float:
    """Seconds from process start to the first request's arrival."""
    with CannedServer(0) as server:
        started = time.perf_counter()
        child(script, server.base_url)
    return server.arrived[0] - started


def gaps(script: str) -> list[float]:
    """Seconds from one request's arrival to the next's, over `TURNS` turns with one tool call each.

    The server answers with canned bytes, so this is the client's own time: reading the answer, running the call,
    sending the next request.
    """
    with CannedServer(TURNS) as server:
        child(script, server.base_url)
    return [later - earlier for earlier, later in pairwise(server.arrived)]


async def parallel_shell_calls() -> list[float]:
    """Seconds of turn time of 20 Bash calls that each take 0.3 s, for a run's first turn and the next.

    The answer is streamed over half a second, many times faster than a model writes 20 calls.
    """
    slowly = Fault(chunk=500, delay=0.02)
    turns = [
        Turn([call("Bash", command=f"sleep {how_long}") for _ in range(20)], fault=slowly)
        for how_long in ("0.3", ".30")
    ]
    seconds, answered = [], 0.0
    with FakeMessagesServer([*turns, "Done."]) as server:
        env = {"ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": server.base_url}
        agent = Agent(cwd=tempfile.mkdtemp(), model="claude-sonnet-5-5", rules=Rules.parse(allow=["Bash"]), env=env)
        async for event in agent.start("go"):
            if event.type == "model_answered":
                answered = time.perf_counter()
            elif event.type == "turn_started" and answered:
                seconds.append(time.perf_counter() - answered)
    return seconds


async def many_runs(count: int) -> tuple[float, float]:
    """Seconds and KiB a run for `count` runs at once, each with two tool turns."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cwd = tempfile.mkdtemp()

    async def one() -> None:
        model = ScriptedModel([[call("Glob", pattern="*.txt")], [call("Glob", pattern="*.md")], "Done."])
        result = await Agent(cwd=cwd, model=model, env={}).run("go")
        assert result.status == "completed", result

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return time.perf_counter() - started, grown / count


def main() -> None:
    os.environ["EXPERT_DEVOPS_HOME"] = tempfile.mkdtemp()
    pairs = [(start_to_first_request("our_loop.py"), start_to_first_request("bare_loop.py")) for _ in range(ROUNDS)]
    ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"start to first request   ours {ours * 1e3:6.0f} ms   bare {bare * 1e3:6.0f} ms   ratio {ratio:.2f}")

    our_gaps, bare_gaps = gaps("our_loop.py"), gaps("bare_loop.py")
    ours, bare = statistics.median(our_gaps), statistics.median(bare_gaps)
    early, late = statistics.median(our_gaps[:40]), statistics.median(our_gaps[-40:])
    print(f"between two model calls  ours {ours * 1e3:6.2f} ms   bare {bare * 1e3:6.2f} ms   ratio {ours / bare:.2f}")
    print(f"  turns 1-40 {early * 1e3:.2f} ms, turns {TURNS - 39}-{TURNS} {late * 1e3:.2f} ms")

    first, next_one = asyncio.run(parallel_shell_calls())
    print(f"20 Bash calls of 0.3 s   {first:6.2f} s of turn time in a run's first turn, {next_one:.2f} s in the next")
    seconds, kib = asyncio.run(many_runs(1000))
    print(f"1,000 runs at once       {seconds:6.1f} s, {kib:.0f} KiB a run")


if __name__ == "__main__":
    main()
