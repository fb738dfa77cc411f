"""Bash and TaskStop: results, limits, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tools.files import read
from tools.shell import Launch, Shell, bash, shell, task_stop
from tools.tool import ToolContext, ToolError, ToolResult


@pytest.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[ToolContext]:
    root, scratch = tmp_path / "project", tmp_path / "scratch"
    root.mkdir()
    scratch.mkdir()
    context = ToolContext(root=root, cwd=root, scratch=scratch)
    yield context
    await shell(context).aclose()


async def run(ctx: ToolContext, command: str, **options: Any) -> ToolResult:
    return await bash.invoke(ctx, {"command": command, **options})


def alive(marker: str) -> list[str]:
    """Command lines of living processes that contain `marker`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marker in line and state != "Z":
            found.append(line)
    return found


def zombies() -> list[str]:
    """Ended children of this process that nobody has waited for."""
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    states = {pid: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in own}
    return [pid for pid, state in states.items() if state == "Z"]


def spilled(result: ToolResult) -> Path:
    return Path(result.data["persistedOutputPath"])


def content_of(path: Path) -> str:
    return path.read_text()


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def seconds_to_sleep() -> str:
    """A duration nobody else sleeps, to find one's own processes by."""
    return f"7{int.from_bytes(os.urandom(3), 'big') + 10_000_000}"


async def test_output_and_streams(ctx: ToolContext) -> None:
    result = await run(ctx, "echo out; echo err >&2", description="Say two things")
    assert result.content == "out\nerr"
    assert (result.data["stdout"], result.data["stderr"]) == ("out\n", "err\n")
    assert (result.data["interrupted"], result.is_error) == (False, False)
    assert (await run(ctx, "true")).content == "(no output)"


async def test_a_failure_is_an_error_with_its_code(ctx: ToolContext) -> None:
    result = await run(ctx, "echo why >&2; exit 3")
    assert result.is_error
    assert result.content == "Exit code 3\nwhy"
    assert "SIGSEGV" in str((await run(ctx, "kill -SEGV $$")).content)


@pytest.mark.parametrize(
    ("command", "meaning"),
    [
        ("grep zzz /etc/hostname", "no matches"),
        ("cat /etc/hostname | grep -c 'a|zzz'", "no matches"),
        ("echo a > a; echo b > b; diff a b", "the files differ"),
        ("test -e nope", "the condition is false"),
        ("[ -e nope ]", "the condition is false"),
        ("false", None),
        ("grep zzz /etc/hostname; false", None),
        ("grep zzz /etc/hostname && true; python3 -c 'exit(1)'", None),
    ],
)
async def test_exit_code_one_is_an_answer_for_some_programs(
    ctx: ToolContext, command: str, meaning: str | None
) -> None:
    result = await run(ctx, command)
    assert result.data["exitCode"] == 1
    assert result.data.get("returnCodeInterpretation") == meaning
    assert result.is_error is (meaning is None)


async def test_grep_that_really_fails_is_an_error(ctx: ToolContext) -> None:
    assert (await run(ctx, "grep x /does/not/exist")).is_error


async def test_the_directory_carries_over_and_stays_in_the_workspace(ctx: ToolContext) -> None:
    await run(ctx, "mkdir -p 'a b/c' && cd 'a b/c'")
    assert ctx.cwd == ctx.root / "a b" / "c"
    assert (await run(ctx, "pwd")).content == str(ctx.cwd)
    left = await run(ctx, "cd /; echo done; exit 0")
    assert "outside the workspace" in str(left.content)
    assert ctx.cwd == ctx.root
    (ctx.root / "out").symlink_to("/tmp")
    await run(ctx, "cd out")
    assert ctx.cwd == ctx.root


async def test_output_cannot_move_the_directory(ctx: ToolContext) -> None:
    (ctx.root / "d").mkdir()
    await run(ctx, f"echo {ctx.root}/d; trap - EXIT")
    assert ctx.cwd == ctx.root


async def test_a_directory_that_was_removed_is_left(ctx: ToolContext) -> None:
    await run(ctx, "mkdir gone && cd gone")
    (ctx.root / "gone").rmdir()
    assert (await run(ctx, "pwd")).content == str(ctx.root)


async def test_variables_do_not_carry_over(ctx: ToolContext) -> None:
    await run(ctx, "export WORD=kept; f() { echo f; }")
    assert (await run(ctx, "echo [$WORD]; type f 2>/dev/null; true")).content == "[]"


async def test_the_environment_is_the_contexts(ctx: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "very-secret")
    ctx.env = {"PATH": os.environ["PATH"], "OWN": "yes"}
    names = {line.split("=")[0] for line in str((await run(ctx, "env")).content).splitlines()}
    assert names == {"PATH", "OWN", "PWD", "SHLVL", "_", "EXPERT_DEVOPS_CALL"}


async def test_startup_files_are_not_read(ctx: ToolContext) -> None:
    (ctx.root / "rc").write_text("echo from-rc\n")
    ctx.env = {**ctx.env, "HOME": str(ctx.root)}
    (ctx.root / ".bashrc").write_text("echo from-bashrc\n")
    assert (await run(ctx, "echo only")).content == "only"


async def test_input_is_empty(ctx: ToolContext) -> None:
    assert (await run(ctx, 'read -r line; echo "[$line]"; cat', timeout=5000)).content == "[]"


async def test_there_is_no_terminal(ctx: ToolContext) -> None:
    assert (await run(ctx, "(echo x > /dev/tty) 2>/dev/null || echo none")).content == "none"


async def test_only_the_standard_descriptors_and_the_report_are_open(ctx: ToolContext) -> None:
    with (ctx.root / "open").open("w"):
        count = int(str((await run(ctx, "ls /proc/self/fd | wc -l")).content))
    assert count == 5  # 0, 1, 2, the report, and the directory that ls itself reads


async def test_the_time_limit_kills_everything(ctx: ToolContext) -> None:
    length = seconds_to_sleep()
    began = time.monotonic()
    result = await run(ctx, f"echo before; sleep {length} & sleep {length}", timeout=300)
    assert time.monotonic() - began < 5
    assert result.is_error
    assert result.data["timedOutAfterMs"] == 300
    assert "Killed after 300 ms" in str(result.content)
    assert "before" in str(result.content)
    assert alive(length) == []


@pytest.mark.slow
async def test_a_process_that_ignores_the_polite_signal_is_killed(ctx: ToolContext) -> None:
    length = seconds_to_sleep()
    await run(ctx, f"trap '' TERM; sleep {length}; sleep {length}", timeout=200)
    assert alive(length) == []


@pytest.mark.parametrize(
    "command",
    [
        "sleep {n} & echo done",
        "nohup sleep {n} >/dev/null 2>&1 & echo done",
        "setsid sleep {n} >/dev/null 2>&1 & sleep 0.1; echo done",
        "(setsid sh -c 'sleep {n} & sleep {n}' </dev/null >/dev/null 2>&1 &); sleep 0.1; echo done",
        "setsid --fork sleep {n}; echo done",  # holds the output pipe open
        "env -i sleep {n} & echo done",
    ],
)
async def test_daemons_do_not_outlive_the_call(ctx: ToolContext, command: str) -> None:
    length = seconds_to_sleep()
    began = time.monotonic()
    result = await run(ctx, command.format(n=length))
    assert time.monotonic() - began < 5
    assert result.content == "done"
    assert alive(length) == []


async def test_what_a_pipeline_still_writes_is_not_lost(ctx: ToolContext) -> None:
    assert (await run(ctx, "echo late > >(sleep 0.05; cat)")).content == "late"


async def test_no_zombies_are_left(ctx: ToolContext) -> None:
    await asyncio.gather(*(run(ctx, "sleep 0.01 & true") for _ in range(5)))
    assert zombies() == []


async def test_cancelling_kills(ctx: ToolContext) -> None:
    length = seconds_to_sleep()
    os.mkfifo(ctx.root / "started")
    call = asyncio.create_task(run(ctx, f"echo > started; sleep {length} & sleep {length}"))
    await asyncio.to_thread(content_of, ctx.root / "started")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert alive(length) == []


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
async def test_cancelling_while_it_starts_kills_as_well(ctx: ToolContext, turns: int) -> None:
    length = seconds_to_sleep()
    call = asyncio.create_task(run(ctx, f"sleep {length} & sleep {length}"))
    for _ in range(turns):
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert alive(length) == []


async def test_calls_run_at_the_same_time(ctx: ToolContext) -> None:
    began = time.monotonic()
    await asyncio.gather(*(run(ctx, "sleep 0.3") for _ in range(20)))
    assert time.monotonic() - began < 2  # one after the other it would be six seconds


async def test_long_output_is_shown_in_part_and_kept_whole(ctx: ToolContext) -> None:
    result = await run(ctx, "seq 1 20000")
    content = str(result.content)
    assert content.startswith("1\n2\n")
    assert content.endswith("20000")
    assert len(content) < 31_000
    path = spilled(result)
    assert content_of(path) == "".join(f"{n}\n" for n in range(1, 20_001))
    assert mode_of(path) == 0o600
    assert str(path) in content
    assert "\t9000" in str((await read(ctx, str(path), offset=9000, limit=1)).content)


async def test_a_failure_shows_less_but_keeps_all(ctx: ToolContext) -> None:
    result = await run(ctx, "seq 1 4000; exit 2")
    assert len(str(result.content)) < 11_000
    assert content_of(spilled(result)).endswith("4000\n")


async def test_endless_output_is_stopped(ctx: ToolContext) -> None:
    result = await run(ctx, "yes")
    assert "more than 64 MB" in str(result.content)
    assert len(content_of(spilled(result))) <= 64_000_000


async def test_output_that_cannot_be_kept_is_said_and_the_rest_shown(ctx: ToolContext) -> None:
    ctx.scratch = ctx.root / "file" / "scratch"
    (ctx.root / "file").touch()
    result = await run(ctx, "seq 1 20000")
    assert not result.is_error
    assert "could not be kept: Not a directory" in str(result.content)
    assert "persistedOutputPath" not in result.data


async def test_calls_within_calls_are_found_as_well(ctx: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPERT_DEVOPS_CALL", "outer")
    assert str((await run(ctx, "echo $EXPERT_DEVOPS_CALL")).content).startswith("outer.")


async def test_output_that_is_no_text_is_tolerated(ctx: ToolContext) -> None:
    result = await run(ctx, r"printf 'a\xff\x00\x1b[31mred\r50%%\r100%%\n'")
    assert result.content == "a�\\x00red\n50%\n100%"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"command": "a\0b"}, "NUL"),
        ({"command": ""}, "wrong input"),
        ({"command": "x", "timeout": 0}, "wrong input"),
        ({"command": "x", "timeout": 600_001}, "run_in_background"),
        ({"command": ":" + " " * 200_000}, "script file"),
    ],
)
async def test_impossible_commands_are_clear_errors(ctx: ToolContext, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        await bash.invoke(ctx, raw)


async def finished(ctx: ToolContext, task_id: str) -> None:
    watcher = shell(ctx).tasks[task_id].watcher
    assert watcher is not None
    await watcher


async def test_a_background_task_writes_a_file_that_read_shows(ctx: ToolContext) -> None:
    result = await run(ctx, "echo working; echo err >&2; exit 4", run_in_background=True)
    task_id = result.data["backgroundTaskId"]
    content_of(spilled(result))  # is there at once
    await finished(ctx, task_id)
    shown = str((await read(ctx, str(spilled(result)))).content)
    assert "\tworking\n" in shown
    assert "\terr\n" in shown
    assert re.search(r"\[exited, exit code 4, after \d", shown)
    with pytest.raises(ToolError, match=r"not running any more \(exited\)"):
        await task_stop(ctx, task_id)


async def test_a_background_task_can_be_stopped(ctx: ToolContext) -> None:
    length = seconds_to_sleep()
    task_id = (await run(ctx, f"sleep {length} & sleep {length}", run_in_background=True)).data["backgroundTaskId"]
    result = await task_stop.invoke(ctx, {"shell_id": task_id})
    assert result.data["task_id"] == task_id
    assert result.data["task_type"] == "bash"
    assert alive(length) == []


async def test_a_background_task_has_a_time_limit(ctx: ToolContext) -> None:
    length = seconds_to_sleep()
    started = await run(ctx, f"sleep {length}", run_in_background=True, timeout=100)
    await finished(ctx, started.data["backgroundTaskId"])
    assert "timed out" in content_of(spilled(started))
    assert alive(length) == []


async def test_closing_ends_all_background_tasks(ctx: ToolContext) -> None:
    length = seconds_to_sleep()
    for _ in range(3):
        await run(ctx, f"sleep {length}", run_in_background=True)
    await shell(ctx).aclose()
    await shell(ctx).aclose()
    assert alive(length) == []


async def test_an_unknown_task_is_named(ctx: ToolContext) -> None:
    with pytest.raises(ToolError, match="Tasks of this run: none"):
        await task_stop(ctx, "b123")


class EchoingLauncher:
    """A launcher that shows it was there, through a variable and a program of its own in front."""

    def wrap(self, launch: Launch, cwd: Path) -> Launch:
        return Launch(["env", f"WRAPPED={cwd.name}", *launch.argv], launch.env, launch.pass_fds)

    async def aclose(self) -> None:
        pass


async def test_a_launcher_wraps_every_shell(ctx: ToolContext) -> None:
    ctx.state["shell"] = Shell(launcher=EchoingLauncher())
    assert (await run(ctx, "echo $WRAPPED; mkdir d; cd d")).content == "project"
    assert ctx.cwd == ctx.root / "d"
    with pytest.raises(ToolError, match="cannot be switched off"):
        await run(ctx, "true", dangerouslyDisableSandbox=True)
    shell(ctx).may_leave_sandbox = True
    assert (await run(ctx, "echo [$WRAPPED]", dangerouslyDisableSandbox=True)).content == "[]"
