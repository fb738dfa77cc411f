"""Commands in the sandbox do what they should, and what surrounds it cleans up after them."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.calls.runner import CallRunner
from agent.permissions import PermissionEngine, Rules
from agent.sandbox import BubblewrapLauncher, SandboxReport, confine, launcher, probe
from agent.sandbox import filter as system_calls
from agent.sandbox.protect import find_nested
from agent.session.journal import state_home
from agent.testing import ScriptedModel, call, text
from tools.secrets import Redactor
from tools.shell import Launch, bash, shell, task_stop
from tools.tool import ToolContext, ToolError, ToolResult, child_environment

pytestmark = pytest.mark.needs("bwrap")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.fixture
async def ctx(tmp_path: Path, project: Path) -> AsyncIterator[ToolContext]:
    context = ToolContext(root=project, cwd=project, scratch=tmp_path / "scratch", env=child_environment())
    context.scratch.mkdir()
    sandbox = BubblewrapLauncher([project], context.scratch / "tmp")
    shell(context).launcher = sandbox
    yield context
    await shell(context).aclose()
    await sandbox.aclose()


async def run(ctx: ToolContext, command: str, **options: Any) -> ToolResult:
    return await bash.invoke(ctx, {"command": command, **options})


async def settled(ctx: ToolContext) -> None:
    """Wait until all sandboxes are cleaned up after: that happens just after a call, not before it returns."""
    sandbox = shell(ctx).launcher
    assert isinstance(sandbox, BubblewrapLauncher)
    await sandbox.aclose()


async def said(ctx: ToolContext, command: str) -> str:
    return str((await run(ctx, command)).content)


def git_init(project: Path, *options: str) -> None:
    subprocess.run(["git", "init", "-q", *options, str(project)], check=True)


def remove(directory: Path) -> None:
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def written(path: Path, text: str) -> str:
    """The content of a file that is being written, once it holds `text`."""
    async with asyncio.timeout(10):
        while True:
            content = await asyncio.to_thread(path.read_text)
            if text in content:
                return content
            await asyncio.sleep(0.02)


def die_with_a_sandbox_prepared(sandbox: BubblewrapLauncher, project: Path) -> None:
    child = os.fork()
    if child == 0:
        sandbox.prepare(Launch(["true"], {}), project)
        os._exit(0)
    os.waitpid(child, 0)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --- what works -----------------------------------------------------------------------------------------------------


async def test_the_project_is_writable_and_results_come_back(ctx: ToolContext, project: Path) -> None:
    result = await run(ctx, "mkdir a && cd a && echo text > file && cat file; echo err >&2; exit 3")
    assert (result.data["stdout"], result.data["stderr"], result.data["exitCode"]) == ("text\n", "err\n", 3)
    assert (project / "a" / "file").read_text() == "text\n"
    await run(ctx, "cd a")
    assert ctx.cwd == project / "a"
    assert await said(ctx, "pwd; ls") == f"{project}/a\nfile"


async def test_what_a_command_leaves_in_tmpdir_is_there_for_the_next_and_for_file_tools(ctx: ToolContext) -> None:
    await run(ctx, 'echo kept > "$TMPDIR/note"')
    assert await said(ctx, 'cat "$TMPDIR/note"') == "kept"
    assert (ctx.scratch / "tmp" / "note").read_text() == "kept\n"


async def test_tmp_outlives_the_call_where_nothing_is_mounted_in_it(ctx: ToolContext) -> None:
    home = Path("/opt") if os.access("/opt", os.W_OK) else None
    if home is None:
        pytest.skip("no place outside /tmp can be written")
    base = home / f"sandbox-test-{os.urandom(6).hex()}"
    try:
        (base / "project").mkdir(parents=True)
        ctx.root = ctx.cwd = base / "project"
        shell(ctx).launcher = BubblewrapLauncher([ctx.root], base / "scratch")
        await run(ctx, "echo kept > /tmp/note")
        assert await said(ctx, "cat /tmp/note") == "kept"
        assert (base / "scratch" / "note").read_text() == "kept\n"
    finally:
        remove(base)


async def test_ordinary_programs_work(ctx: ToolContext) -> None:
    command = f"""
        echo out > /dev/stderr; echo | cat /dev/stdin; head -c 4 /dev/urandom | wc -c; echo x > /dev/null
        {sys.executable} -c 'import socket, tempfile, multiprocessing as m, subprocess
a, b = socket.socketpair(); server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname()); tempfile.NamedTemporaryFile().close()
with m.get_context("fork").Pool(2) as pool: print(pool.map(abs, [-1, -2]), subprocess.check_output(["echo", "y"]))'
        touch ~/cache && echo home; sleep 0 & wait; cat <(echo substituted)
    """
    output = await said(ctx, command)
    for expected in ("[1, 2] b'y\\n'", "home", "substituted", "4"):
        assert expected in output


async def test_a_killed_program_is_reported_and_a_timeout_ends_everything(ctx: ToolContext) -> None:
    assert (await run(ctx, "kill -SEGV $$")).data["exitCode"] in (139, -signal.SIGSEGV)
    ended = await run(ctx, "trap '' TERM; sleep 300 & sleep 300", timeout=300)
    assert ended.data["interrupted"] is True
    assert "time limit" in str(ended.content)


async def test_a_flood_of_output_is_cut_off(ctx: ToolContext) -> None:
    result = await run(ctx, "yes flood")
    assert "wrote more than 64 MB" in str(result.content)


async def test_added_directories_are_writable_and_protected_too(ctx: ToolContext, tmp_path: Path) -> None:
    added = tmp_path / "added"
    (added / ".vscode").mkdir(parents=True)
    shell(ctx).launcher = BubblewrapLauncher([ctx.root, added], ctx.scratch / "tmp")
    command = (
        "cd ../added && echo x > file; echo x > .mcp.json; echo x > .vscode/tasks.json; mkdir .git/hooks; ls -A .vscode"
    )
    await run(ctx, command)
    await settled(ctx)
    assert names(added) == [".vscode", "file"]
    assert names(added / ".vscode") == []


async def test_background_tasks_run_and_stop_in_the_sandbox(ctx: ToolContext, project: Path) -> None:
    started = await run(ctx, "echo begun; touch /etc/x; sleep 300", run_in_background=True)
    output = Path(started.data["persistedOutputPath"])
    assert "begun" in await written(output, "Read-only")
    await task_stop.invoke(ctx, {"task_id": started.data["backgroundTaskId"]})
    await settled(ctx)
    assert names(project) == []


async def test_parallel_calls_do_not_disturb_each_other(ctx: ToolContext, project: Path) -> None:
    fast = [run(ctx, f"echo {n} > f{n}; mkdir .claude; echo x > .mcp.json; true") for n in range(6)]
    slow = run(ctx, "sleep 1; mkdir -p .claude/agents; echo x > .mcp.json && echo ESCAPED; true")
    *_, last = await asyncio.gather(*fast, slow)
    assert "ESCAPED" not in str(last.content)
    await settled(ctx)
    assert names(project) == [f"f{n}" for n in range(6)]


async def test_no_descriptor_is_left_open_here_or_handed_in(ctx: ToolContext) -> None:
    await run(ctx, "true")
    await settled(ctx)
    before = descriptors()
    for _ in range(5):
        open_inside = await said(ctx, "cd /proc/self/fd; for fd in *; do readlink $fd; done")
        assert "memfd" not in open_inside
        assert "socket" not in open_inside
    await settled(ctx)
    assert descriptors() == before


async def test_a_failed_start_leaves_nothing(ctx: ToolContext, project: Path) -> None:
    await run(ctx, "true")
    await settled(ctx)
    before = descriptors()
    with pytest.raises(ToolError):
        await run(ctx, "true " + "x" * 3_000_000)
    await settled(ctx)
    assert descriptors() == before
    assert names(project) == []


# --- protected paths ------------------------------------------------------------------------------------------------


async def test_existing_settings_can_be_read_but_not_changed(ctx: ToolContext, project: Path) -> None:
    (project / ".claude").mkdir()
    (project / ".claude" / "settings.json").write_text("{}")
    (project / ".gitlab-ci.yml").write_text("a: b")
    output = await said(ctx, "cat .claude/settings.json; echo x > .claude/settings.json; rm -f .gitlab-ci.yml")
    assert "{}" in output
    assert (project / ".claude" / "settings.json").read_text() == "{}"
    assert (project / ".gitlab-ci.yml").exists()


@pytest.mark.parametrize("name", [".claude", ".mcp.json", ".git", ".vscode", ".husky"])
async def test_a_protected_path_that_is_a_link_stops_the_command(ctx: ToolContext, project: Path, name: str) -> None:
    (project / "elsewhere").mkdir()
    (project / name).symlink_to("elsewhere")
    with pytest.raises(ToolError, match="it is a link"):
        await run(ctx, "touch ran")
    assert not (project / "ran").exists()
    (project / name).unlink()
    await run(ctx, "touch ran")
    assert (project / "ran").exists()


async def test_a_dangling_link_stops_it_too(ctx: ToolContext, project: Path) -> None:
    (project / ".github").symlink_to("nowhere")
    with pytest.raises(ToolError, match="it is a link"):
        await run(ctx, "touch ran")


async def test_a_project_without_git_cannot_be_made_a_repository(ctx: ToolContext, project: Path) -> None:
    output = await said(
        ctx, "git init . ; mkdir objects refs; echo 'ref: refs/heads/main' > HEAD; echo x > config; ls -A"
    )
    await settled(ctx)
    assert not (project / "HEAD").exists()
    assert not (project / ".git").exists()
    assert "fatal" in output


async def test_a_repository_that_git_points_to_inside_the_project_is_protected(ctx: ToolContext, project: Path) -> None:
    real = project / "store" / "repository"
    real.parent.mkdir()
    git_init(project, "--separate-git-dir", str(real))
    output = await said(ctx, "echo evil >> store/repository/config; mv store store2; rm .git; git status --short")
    assert "evil" not in (real / "config").read_text()
    assert (project / ".git").is_file()
    assert "Read-only file system" in output


async def test_git_can_be_read(ctx: ToolContext, project: Path) -> None:
    git_init(project)
    (project / "file").touch()
    assert await said(ctx, "git status --short") == "?? file"


async def test_the_virtual_environment_this_runs_in_is_protected(
    ctx: ToolContext, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(project / ".venv"))
    await run(ctx, "echo evil > .venv/bin/python; true")
    assert names(project / ".venv" / "bin") == []


def test_nested_settings_are_found_and_heavy_directories_are_not_searched(tmp_path: Path) -> None:
    for name in (".git", "a/.git", "a/b/.claude", "node_modules/x/.git", "a/b/c/d/e/f/.git"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sorted(find_nested(tmp_path)) == [tmp_path / "a/.git", tmp_path / "a/b/.claude"]


async def test_stubs_of_a_killed_process_are_removed_by_the_next(ctx: ToolContext, project: Path) -> None:
    sandbox = shell(ctx).launcher
    assert isinstance(sandbox, BubblewrapLauncher)
    die_with_a_sandbox_prepared(sandbox, project)
    assert (project / ".mcp.json").is_dir()
    await run(ctx, "true")
    await settled(ctx)
    assert names(project) == []
    assert names(state_home() / "sandbox") == []


async def test_a_stub_that_was_filled_meanwhile_stays(ctx: ToolContext, project: Path) -> None:
    started = await run(ctx, "sleep 300", run_in_background=True)
    (project / ".claude" / "agents").mkdir(parents=True)
    await task_stop.invoke(ctx, {"task_id": started.data["backgroundTaskId"]})
    await run(ctx, "true")
    assert (project / ".claude" / "agents").is_dir()


# --- where it does not work -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["/", "~", "/tmp"])
def test_directories_that_hold_what_is_protected_are_refused(tmp_path: Path, root: str) -> None:
    with pytest.raises(ToolError, match="a directory of its own"):
        BubblewrapLauncher([Path(root).expanduser()], tmp_path / "scratch")


async def test_hidden_directories_inside_the_project_stay_hidden(
    ctx: ToolContext, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = project / "people" / "me"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text("canary")
    monkeypatch.setenv("HOME", str(home))
    shell(ctx).launcher = BubblewrapLauncher([project], ctx.scratch / "tmp")
    output = await said(ctx, "cat people/me/.ssh/id; touch people/me/new; mv people gone; echo done")
    assert "canary" not in output
    assert not (home / "new").exists()


async def test_an_environment_cannot_add_arguments(ctx: ToolContext) -> None:
    ctx.env = {**ctx.env, "NAME": "value\0--bind\0/\0/"}
    with pytest.raises(ToolError, match="NUL"):
        await run(ctx, "true")


def test_the_probe_reports_what_holds() -> None:
    report = probe()
    assert report.mechanism == "bubblewrap", report.reason
    assert report.available
    assert report.enforced
    assert report.missing
    assert report.notice() == report.notice("ko") == ""


def test_without_bubblewrap_the_probe_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_PROGRAMS", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    probe.cache_clear()
    try:
        report = probe()
    finally:
        probe.cache_clear()
    assert (report.mechanism, report.available, report.enforced) == ("none", False, ())
    assert "not installed" in report.reason
    assert "needs approval" in report.notice()
    assert "승인" in report.notice("ko")


@pytest.mark.parametrize(
    ("weakness", "named"),
    [
        ("--unshare-all", "connect"),
        ("--cap-drop", "capabilities"),
        ("--remount-ro", "write_kernel"),
        ("--ro-bind", "write_outside"),
    ],
)
def test_the_probe_notices_a_sandbox_with_a_hole(monkeypatch: pytest.MonkeyPatch, weakness: str, named: str) -> None:
    from agent.sandbox import profile

    weaker = {
        "--unshare-all": ("--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        "--cap-drop": ("--unshare-all", "--unshare-user", "--cap-add", "ALL", *profile._NAMESPACES[6:]),
        "--remount-ro": profile._NAMESPACES[:-2],
        "--ro-bind": tuple("--bind" if part == "--ro-bind" else part for part in profile._NAMESPACES),
    }[weakness]
    if weakness == "--remount-ro" and os.getuid() != 0:
        pytest.skip("only root can write there")
    if weakness == "--ro-bind":
        monkeypatch.setattr(profile, "hidden_directories", lambda: ())
    monkeypatch.setattr(profile, "_NAMESPACES", weaker)
    probe.cache_clear()
    try:
        report = probe()
    finally:
        probe.cache_clear()
    assert not report.available
    assert named in report.reason


def test_a_context_is_confined_or_the_report_says_why_not(ctx: ToolContext, project: Path) -> None:
    shell(ctx).launcher = None
    assert confine(ctx).available
    assert isinstance(shell(ctx).launcher, BubblewrapLauncher)
    shell(ctx).launcher = None
    (project / ".claude").symlink_to("elsewhere")
    report = confine(ctx)
    assert not report.available
    assert "it is a link" in report.notice()
    assert shell(ctx).launcher is None


async def test_other_programs_can_be_started_with_it(ctx: ToolContext, project: Path) -> None:
    """As hooks are: with input, and without a shell."""
    sandbox = shell(ctx).launcher
    assert sandbox is not None
    launch = sandbox.wrap(Launch(["cat", "-", "/proc/self/environ"], {"PATH": os.defpath, "NAME": "a value"}), project)
    process = await asyncio.create_subprocess_exec(
        *launch.argv, env=launch.env, pass_fds=tuple(launch.pass_fds), stdin=-1, stdout=-1, stderr=-1
    )
    out, err = await process.communicate(b"input ")
    assert out.startswith(b"input ")
    assert b"NAME=a value\0" in out
    assert (err, process.returncode) == (b"", 0)


async def test_a_call_through_the_loop_runs_confined(ctx: ToolContext, project: Path) -> None:
    engine = PermissionEngine(Rules.parse(allow=["Bash"]), cwd=project)
    calls = CallRunner({"Bash": bash}, ctx, lambda: engine, Redactor(), lambda _event: None)
    block = {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "grep ^Seccomp: /proc/self/status"}}
    (result,) = await calls.run([block], {}, {})
    assert result["content"].split() == ["Seccomp:", "2"]


async def test_an_agent_runs_its_commands_confined(project: Path) -> None:
    from agent.api import Agent

    model = ScriptedModel([[call("Bash", command="grep ^Seccomp: /proc/self/status > seen")], [text("Done.")]])
    result = await Agent(cwd=project, model=model, rules=Rules.parse(allow=["Bash"])).run("Look.")
    assert result.status == "completed"
    assert (project / "seen").read_text().split() == ["Seccomp:", "2"]
    assert names(project) == ["seen"]


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(LookupError):
        system_calls.program("riscv64")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_filter_stays_inside_and_it_ends(machine: str) -> None:
    code = system_calls.program(machine)
    instructions = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    for at, (operation, if_true, if_false, _value) in enumerate(instructions):
        if operation in (0x15, 0x35):
            assert at + 1 + max(if_true, if_false) < len(instructions)
    assert instructions[-1][0] == 0x06


def test_a_report_without_a_sandbox_names_its_reason() -> None:
    assert "no kernel" in SandboxReport("none", reason="no kernel").notice()
