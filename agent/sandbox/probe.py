"""Whether the sandbox works here: found out by running it once and trying to get out."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from agent.sandbox.filter import MACHINES
from agent.sandbox.launcher import BubblewrapLauncher
from tools.shell import Launch
from tools.text import cap, clean
from tools.tool import ToolError

_SECONDS = 20.0

# Each line is tried inside and must fail; what it would have changed is looked at from outside as well.
_ATTEMPTS = r"""
import ctypes, json, os, socket, sys
project, outside, port, path_socket, abstract = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)

def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False

def write(path):
    with open(path, "w") as file:
        file.write("x")

def dial(address, family=socket.AF_INET):
    with socket.socket(family) as connection:
        connection.settimeout(2)
        connection.connect(address)

def new_user_namespace():
    if libc.unshare(0x10000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")

EXPECTED = {"PATH", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}

def names_of(environ):
    return {pair.partition("=")[0] for pair in environ.split("\0") if pair}

def start_a_process():
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)

status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "inside_writable": not refused(lambda: write(project + "/inside")),
    "start_processes": not refused(start_a_process),
    "write_outside": refused(lambda: write(outside + "/written")),
    "write_system": refused(lambda: os.close(os.open("/etc", os.O_TMPFILE | os.O_WRONLY))),
    "create_protected": refused(lambda: write(project + "/.mcp.json")),
    "change_protected": refused(lambda: write(project + "/.git/config")),
    "replace_protected": refused(lambda: os.rename(project + "/.git", project + "/moved")),
    "write_kernel": refused(lambda: os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))),
    "open_memory": refused(lambda: os.close(os.open("/proc/1/mem", os.O_RDWR))),
    "connect": refused(lambda: dial(("127.0.0.1", int(port)))),
    "unix_socket": refused(lambda: dial(path_socket, socket.AF_UNIX)),
    "abstract_socket": refused(lambda: dial("\0" + abstract, socket.AF_UNIX)),
    "environment": names_of(open("/proc/1/environ").read()) | set(os.environ) <= EXPECTED,
    "capabilities": int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0,
    "no_new_privileges": status["NoNewPrivs"].strip() == "1",
    "system_calls": status["Seccomp"].strip() == "2",
    "user_namespaces": refused(new_user_namespace),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")) < 10,
}))
"""

_ENFORCED = (
    "files outside the project are read-only, credentials and other home directories are hidden",
    "git, editor, agent and CI settings in the project cannot be changed or created",
    "no network; no Unix sockets",
    "own processes only: nothing else can be seen, signalled or traced, and nothing outlives the call",
    "no capabilities, no set-id programs, no new namespaces, no kernel interfaces that lead out",
    "a clean environment",
    "files of at most 1 GiB, at most 1024 processes",
)
_MISSING = ("no limit on memory, processor time or total disk use", "files of the project itself can be read")
_MISSING_AS_ROOT = "no limit on the number of processes, since this runs as root"


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """What holds here. `mechanism` is "bubblewrap", or "none" with the `reason` why not."""

    mechanism: Literal["bubblewrap", "none"]
    enforced: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    reason: str = ""

    @property
    def available(self) -> bool:
        return self.mechanism != "none"

    def notice(self, language: Literal["en", "ko"] = "en") -> str:
        """For a person, where there is no sandbox. Empty where there is one."""
        if self.available:
            return ""
        if language == "ko":
            return f"명령을 격리할 샌드박스를 사용할 수 없습니다({self.reason}). 명령마다 승인을 요청합니다."
        return f"No sandbox confines commands here ({self.reason}). Each command needs approval."


@cache
def probe() -> SandboxReport:
    """Run the real profile once and try to get out. Takes a tenth of a second, once per process. Never raises."""
    if not sys.platform.startswith("linux"):
        return SandboxReport("none", reason="bubblewrap needs Linux")
    if os.uname().machine not in MACHINES:
        return SandboxReport("none", reason=f"there is no system-call filter for {os.uname().machine}")
    try:
        results = _twice()
    except _FAILURES as error:
        return SandboxReport("none", reason=clean(cap(str(error).strip(), 300)))
    failed = [name for name, held in results.items() if not held]
    if failed:
        return SandboxReport("none", reason=f"it did not hold in a test: {', '.join(failed)}")
    missing = (*_MISSING, _MISSING_AS_ROOT) if os.getuid() == 0 else _MISSING
    return SandboxReport("bubblewrap", _ENFORCED, missing)


_FAILURES = (ToolError, OSError, subprocess.SubprocessError, ValueError)


def _twice() -> Mapping[str, bool]:
    """A second try where the first could not run: a container's mount that goes just then breaks one try."""
    try:
        return _attempts()
    except _FAILURES:
        return _attempts()


def _attempts() -> Mapping[str, bool]:
    """What held, by name. Raises `ToolError`, `OSError` or `subprocess.SubprocessError` if nothing could be run."""
    with tempfile.TemporaryDirectory(prefix="expert-devops-probe-") as name:
        base = Path(os.path.realpath(name))
        project, outside = base / "project", base / "outside"
        (project / ".git").mkdir(parents=True)
        (project / ".git" / "config").write_text("")
        outside.mkdir()
        abstract = secrets.token_hex(16)
        with (
            socket.create_server(("127.0.0.1", 0)) as tcp,
            _listener(str(project / "s")) as by_path,
            _listener(f"\0{abstract}"),
        ):
            values = [project, outside, tcp.getsockname()[1], by_path.getsockname(), abstract]
            argv = [sys.executable, "-I", "-S", "-c", _ATTEMPTS, *map(str, values)]
            results = _run(argv, project, base / "tmp")
        results["inside_writable"] &= (project / "inside").is_file()
        results["write_outside"] &= not any(outside.iterdir())
        results["create_protected"] &= not (project / ".mcp.json").exists()
        results["change_protected"] &= (project / ".git" / "config").read_text() == ""
        return results


def _run(argv: list[str], project: Path, temporary: Path) -> dict[str, bool]:
    launcher = BubblewrapLauncher([project], temporary)
    held, lifeline, launch = launcher.prepare(Launch(argv, {"PATH": os.defpath}), project)
    try:
        done = subprocess.run(
            launch.argv,
            env=dict(launch.env),
            pass_fds=tuple(launch.pass_fds),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            cwd=project,
        )
    finally:
        lifeline.close()
        held.close()
    if done.returncode != 0:
        raise ToolError(done.stderr.decode(errors="replace") or f"bubblewrap ended with code {done.returncode}")
    results = json.loads(done.stdout)
    if not isinstance(results, dict) or not all(isinstance(held, bool) for held in results.values()):
        raise ToolError("the test gave no usable answer")
    return results


def _listener(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    return listener
