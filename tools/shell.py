"""Bash and TaskStop: commands in a shell of their own, of which nothing is left when they end.

Each call is a new `bash` with the environment of the context. Only background tasks outlive their call, until they
end, TaskStop stops them, or `Shell.aclose` does at the end of the run.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import Field

from tools.paths import within
from tools.processes import Output, Process, start
from tools.text import cap, clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_DEFAULT_MS, _MAX_MS = 120_000, 600_000
_BACKGROUND_DEFAULT_MS, _BACKGROUND_MAX_MS = 1_800_000, 7_200_000
_SHOWN, _SHOWN_ON_FAILURE = 30_000, 10_000

# Exit code 1 of these is an answer, not a failure.
_ANSWERS = {
    "grep": "no matches",
    "egrep": "no matches",
    "fgrep": "no matches",
    "rg": "no matches",
    "diff": "the files differ",
    "cmp": "the files differ",
    "test": "the condition is false",
    "[": "the condition is false",
    "[[": "the condition is false",
    "find": "some directories could not be read",
}


@dataclass(frozen=True, slots=True)
class Launch:
    """How a shell is started."""

    argv: Sequence[str]
    env: Mapping[str, str]
    pass_fds: Sequence[int] = ()


class Launcher(Protocol):
    """Wraps the start of every shell: a sandbox puts its own program in front."""

    def wrap(self, launch: Launch, cwd: Path) -> Launch:
        """The launch to use instead. `pass_fds` must reach the shell under the same numbers."""
        ...

    async def aclose(self) -> None:
        """Clean up what the launches left."""
        ...


@dataclass(slots=True)
class Task:
    """A background command. `process.outputs[1].path` is its output file."""

    id: str
    command: str
    process: Process
    began: float
    watcher: asyncio.Task[None] | None = None
    status: str = "running"


@dataclass(slots=True)
class Shell:
    """Kept in `ctx.state["shell"]`: how shells start, and the background tasks of the run."""

    launcher: Launcher | None = None
    may_leave_sandbox: bool = False
    tasks: dict[str, Task] = field(default_factory=dict)

    async def aclose(self) -> None:
        """End all background tasks and clean up after the launcher."""
        await asyncio.gather(*(stop(task) for task in self.tasks.values()))
        if self.launcher is not None:
            await self.launcher.aclose()


def shell(ctx: ToolContext) -> Shell:
    """The run's shell."""
    found: Shell = ctx.state.setdefault("shell", Shell())
    return found


async def stop(task: Task) -> None:
    """End a background task and wait until it is gone."""
    if task.status == "running":
        task.status = "stopped"
    await task.process.end()
    if task.watcher is not None:
        await asyncio.wait({task.watcher})


@tool("Bash", effects={"runs", "network"})
async def bash(
    ctx: ToolContext,
    command: Annotated[str, Field(min_length=1, description="The command, in Bash syntax.")],
    timeout: Annotated[  # noqa: ASYNC109 - a parameter of the published schema, in milliseconds
        int | None, Field(ge=1, le=_BACKGROUND_MAX_MS, description="Milliseconds; 120000 by default, at most 600000.")
    ] = None,
    description: Annotated[str | None, Field(description="What it does, in 5 to 10 words, for the user.")] = None,
    run_in_background: Annotated[bool, Field(description="Return at once; read the output file later.")] = False,
    dangerouslyDisableSandbox: Annotated[  # noqa: N803 - the published name
        bool, Field(description="Run outside the sandbox. Needs the user's permission.")
    ] = False,
) -> ToolResult:
    """Run a command in a new Bash and return its output and exit code.

    - Calls in one turn run at the same time. Put independent commands into several calls of one turn; join commands
      that need each other with `&&` in one call.
    - The working directory carries over to the next call while it stays in the workspace; variables, functions and
      options do not. Prefer absolute paths to `cd`. Quote paths with spaces.
    - There is no input and no terminal: use flags such as `--yes`, never an editor, a pager or an interactive command.
    - At the timeout the command is killed. When a call ends, everything it started is killed, `&` and `nohup` included:
      for servers and watchers use `run_in_background`, which gives a task id and an output file for Read. TaskStop
      ends it.
    - Output over 30,000 characters is shown in part and is kept whole in a file.
    - Use Read, Edit, Write, Grep and Glob instead of cat, sed, echo, grep and find: they are safer and show more.
    """
    ctx.progress(clean(description or cap(command, 200)))
    if "\0" in command:
        raise ToolError("The command contains a NUL character. Leave it out.")
    if run_in_background:
        return await _background(ctx, command, timeout or _BACKGROUND_DEFAULT_MS, dangerouslyDisableSandbox)
    if timeout is not None and timeout > _MAX_MS:
        raise ToolError(f"A call may take {_MAX_MS} ms. For more use run_in_background.")
    return await _foreground(ctx, command, timeout or _DEFAULT_MS, dangerouslyDisableSandbox)


async def _started(
    ctx: ToolContext, command: str, outputs: Mapping[int, Output], unsandboxed: bool, pass_fds: Sequence[int] = ()
) -> Process:
    state = shell(ctx)
    launch = Launch(["bash", "--noprofile", "--norc", "-c", command], ctx.env, pass_fds)
    if state.launcher is not None:
        if unsandboxed and not state.may_leave_sandbox:
            raise ToolError("The sandbox cannot be switched off in this run. Run the command inside it.")
        if not unsandboxed:
            launch = state.launcher.wrap(launch, ctx.cwd)
    if not ctx.cwd.is_dir():
        ctx.cwd = ctx.root
    try:
        return await start(launch.argv, cwd=ctx.cwd, env=launch.env, outputs=outputs, pass_fds=launch.pass_fds)
    except OSError as error:
        long = " It is too long: write it to a script file and run that." if len(command) > 100_000 else ""
        raise ToolError(f"The shell cannot be started: {os.strerror(error.errno or 0)}.{long}") from error


async def _foreground(ctx: ToolContext, command: str, milliseconds: int, unsandboxed: bool) -> ToolResult:
    name = f"bash-{secrets.token_hex(6)}"
    outputs = {1: Output(ctx.scratch / f"{name}.out", _SHOWN), 2: Output(ctx.scratch / f"{name}.err", _SHOWN)}
    where, report = os.pipe()
    try:
        try:
            # The shell tells where it ended through a descriptor of its own: output can be anything.
            reporting = f"trap '{{ builtin pwd -P; }} 2>/dev/null >&{report}' EXIT; {command}"
            cwd = ctx.cwd
            process = await _started(ctx, reporting, outputs, unsandboxed, (report,))
        finally:
            os.close(report)
        try:
            ended = await process.wait(milliseconds / 1000)
        finally:
            await asyncio.shield(asyncio.create_task(process.end()))
        note = _move(ctx, cwd, where) if ended == "exited" else ""
        return _result(command, process, ended, milliseconds, note)
    finally:
        os.close(where)
        for output in outputs.values():
            output.close()


def _move(ctx: ToolContext, before: Path, where: int) -> str:
    """Take over the shell's directory, unless it left the workspace; then say so."""
    os.set_blocking(where, False)
    try:
        told = os.fsdecode(os.read(where, 8192)).removesuffix("\n")
    except BlockingIOError:
        return ""
    if not told or told == os.path.realpath(before):
        return ""
    after = Path(os.path.realpath(told))
    if within(after, Path(os.path.realpath(ctx.root))) and after.is_dir():
        ctx.cwd = after
        return ""
    ctx.cwd = ctx.root
    return f"[The working directory is {clean(str(ctx.root))} again: {clean(told)} is outside the workspace.]"


def _result(command: str, process: Process, ended: str, milliseconds: int, note: str) -> ToolResult:
    code = process.returncode
    answer = _ANSWERS.get(_last_program(command), "") if code == 1 and ended == "exited" else ""
    failed = ended != "exited" or (code != 0 and not answer)
    limit = _SHOWN_ON_FAILURE if failed else _SHOWN
    out, err = process.outputs[1], process.outputs[2]
    shown = [text.strip("\n") for text in (out.text(limit), err.text(limit)) if text.strip()]
    head = ""
    if ended == "timeout":
        head = f"Killed after {milliseconds} ms, the time limit. For longer work raise `timeout` or run in background."
    elif ended == "overfull":
        head = "Killed: it wrote more than 64 MB. Send less to standard output."
    elif failed:
        head = f"Exit code {code}" + (f" ({signal.Signals(-code).name})" if code is not None and code < 0 else "")
    tail = f"[Exit code 1: {answer}]" if answer else ""
    content = "\n".join(filter(None, [head, *shown, tail, note]))
    data: dict[str, Any] = {
        "stdout": out.text(limit),
        "stderr": err.text(limit),
        "interrupted": ended != "exited",
        "exitCode": code,
    }
    if ended == "timeout":
        data["timedOutAfterMs"] = milliseconds
    if answer:
        data["returnCodeInterpretation"] = answer
    spilled = next((output for output in (out, err) if output.file is not None), None)
    if spilled is not None:
        data |= {"persistedOutputPath": str(spilled.path), "persistedOutputSize": spilled.size}
    return ToolResult(content or "(no output)", is_error=failed, data=data)


def _last_program(command: str) -> str:
    """The program whose exit code the command has: the first word of its last part. Empty where that is unclear."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";|&\n")
    lexer.whitespace, lexer.commenters = " \t", ""
    try:
        words = list(lexer)
    except ValueError:
        return ""
    while words and not words[-1].strip(";&\n"):
        words.pop()
    start_of_last = max((i + 1 for i, word in enumerate(words) if not word.strip(";|&\n")), default=0)
    return words[start_of_last].rpartition("/")[2] if start_of_last < len(words) else ""


async def _background(ctx: ToolContext, command: str, milliseconds: int, unsandboxed: bool) -> ToolResult:
    task_id = f"b{secrets.token_hex(4)}"
    output = Output(ctx.scratch / f"{task_id}.output", _SHOWN, at_once=True)
    output.save()
    try:
        process = await _started(ctx, command, {1: output}, unsandboxed)
    except BaseException:
        output.close()
        raise
    task = Task(task_id, command, process, time.monotonic())
    shell(ctx).tasks[task_id] = task
    task.watcher = asyncio.create_task(_watch(task, milliseconds / 1000))
    data = {"stdout": "", "stderr": "", "interrupted": False, "backgroundTaskId": task_id}
    text = f"Running in background as task {task_id}. Output goes to {output.path}: Read it. TaskStop ends the task."
    return ToolResult(text, data=data | {"persistedOutputPath": str(output.path)})


async def _watch(task: Task, seconds: float) -> None:
    """See a background task to its end and write that into its output file."""
    try:
        ended = await task.process.wait(seconds)
        if task.status == "running":
            task.status = {"timeout": "timed out", "overfull": "stopped: too much output"}.get(ended, "exited")
    finally:
        await asyncio.shield(asyncio.create_task(task.process.end()))
        seconds = time.monotonic() - task.began
        task.process.outputs[1].close(
            f"\n[{task.status}, exit code {task.process.returncode}, after {seconds:.1f} s]\n"
        )


@tool("TaskStop", effects={"runs"})
async def task_stop(
    ctx: ToolContext,
    task_id: Annotated[str | None, Field(description="The task's id, as Bash gave it.")] = None,
    shell_id: Annotated[str | None, Field(description="Old name of task_id.")] = None,
) -> ToolResult:
    """End a background task of Bash and everything it started. Its output stays in the output file."""
    wanted = task_id or shell_id or ""
    tasks = shell(ctx).tasks
    task = tasks.get(wanted)
    if task is None:
        known = ", ".join(tasks) or "none"
        raise ToolError(f"There is no background task {clean(wanted)!r}. Tasks of this run: {known}.")
    if task.status != "running":
        raise ToolError(f"Task {task.id} is not running any more ({task.status}). Read its output file.")
    await stop(task)
    message = f"Stopped task {task.id}: {clean(cap(task.command, 200))}"
    data = {"message": message, "task_id": task.id, "task_type": "bash", "command": task.command}
    return ToolResult(message, data=data)
