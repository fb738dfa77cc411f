"""Attempts to get out of the sandbox, as this user and as one without rights. All must fail; without it, they work."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
NOBODY = 65534
PYTHONPATH = os.pathsep.join([str(HERE.parent.parent), sysconfig.get_path("platlib")])
ATTACKS: list[dict[str, Any]] = yaml.safe_load((HERE / "attacks.yaml").read_text(encoding="utf-8"))

pytestmark = [pytest.mark.needs("bwrap", "git"), pytest.mark.timeout(300)]


class Field:
    """A project with something around it to break into, and the outcome of all attempts on it."""

    def __init__(self, base: Path, user: int, *, sandbox: bool) -> None:
        self.base, self.user, self.python = base, user, python_for(user)
        self.project, self.outside = base / "project", base / "outside"
        self.long = f"7{int.from_bytes(os.urandom(3), 'big') + 10_000_000}"
        self._build()
        with ExitStack() as stack:
            victim = stack.enter_context(subprocess.Popen(["sleep", "120"], **self._as_user()))
            stack.callback(victim.kill)
            tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            udp.bind(("127.0.0.1", 0))
            udp.setblocking(False)
            abstract = os.urandom(8).hex()
            for address in (str(self.project / "socket"), f"\0{abstract}"):
                listener = stack.enter_context(socket.socket(socket.AF_UNIX))
                listener.bind(address)
                listener.listen()
            (self.project / "socket").chmod(0o777)
            self.outcome = self._run(
                sandbox,
                {
                    "OUT": str(self.outside),
                    "VICTIM": str(victim.pid),
                    "SOCKET": str(self.project / "socket"),
                    "ABSTRACT": abstract,
                    "TCP": str(tcp.getsockname()[1]),
                    "UDP": str(udp.getsockname()[1]),
                    "PYTHON": self.python,
                    "STATE": str(base / "state"),
                    "LONG": self.long,
                },
            )
            try:
                self.datagram = udp.recv(100)
            except BlockingIOError:
                self.datagram = b""

    def _as_user(self) -> dict[str, Any]:
        return {"user": self.user, "group": self.user, "extra_groups": []} if self.user != os.getuid() else {}

    def _build(self) -> None:
        for name in (
            "project/.github",
            "project/.vscode",
            "project/tool",
            "outside",
            "scratch",
            "home/.ssh",
            "home/.aws",
        ):
            (self.base / name).mkdir(parents=True)
        (self.base / "state" / "sessions").mkdir(parents=True)
        for name in (
            "outside/canary",
            "home/.ssh/id",
            "home/.aws/credentials",
            "home/.netrc",
            "state/sessions/journal",
        ):
            (self.base / name).write_text("canary\n")
        (self.project / ".pre-commit-config.yaml").touch()
        for repository in (self.project, self.project / "part" / "deep"):
            repository.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "init", "-q", str(repository)], check=True)
        for path in [self.base, *self.base.rglob("*")]:
            os.chown(path, self.user, self.user)

    def tries(self, attack: dict[str, Any]) -> bool:
        """Whether the attempt means anything for this user."""
        return self.user != 0 or not attack.get("unprivileged")

    def _run(self, sandbox: bool, env: dict[str, str]) -> dict[str, Any]:
        plan = {
            "project": str(self.project),
            "scratch": str(self.base / "scratch"),
            "sandbox": sandbox,
            "env": env,
            "commands": {a["name"]: a["run"] for a in ATTACKS if (sandbox and self.tries(a)) or a.get("control")},
        }
        done = subprocess.run(
            [self.python, str(HERE / "driver.py")],
            input=json.dumps(plan),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            cwd=self.base,
            env={
                "PATH": f"{self.project / 'tool'}:{os.environ['PATH']}",
                "HOME": str(self.base / "home"),
                "EXPERT_DEVOPS_HOME": str(self.base / "state"),
                "PYTHONPATH": PYTHONPATH,
                "PYTHONDONTWRITEBYTECODE": "1",
                "API_KEY": "canary-secret",
            },
            **self._as_user(),
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def users() -> list[int]:
    return [os.getuid(), NOBODY] if os.getuid() == 0 else [os.getuid()]


def field(user: int, *, sandbox: bool) -> Iterator[Field]:
    # Not below pytest's own directory, which other users cannot enter.
    base = Path(os.path.realpath(tempfile.mkdtemp(prefix="sandbox-test-")))
    base.chmod(0o755)
    try:
        yield Field(base, user, sandbox=sandbox)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def python_for(user: int) -> str:
    """This Python, or the system's where the other user cannot reach this one."""
    if user == os.getuid():
        return sys.executable
    options: dict[str, Any] = {"user": user, "group": user, "extra_groups": [], "env": {"PYTHONPATH": PYTHONPATH}}
    for python in (sys.executable, "/usr/bin/python3"):
        with suppress(PermissionError):
            command = [python, "-c", "import agent.sandbox"]
            if subprocess.run(command, cwd="/", capture_output=True, check=False, **options).returncode == 0:
                return python
    pytest.skip(f"user {user} cannot run any Python that has this package")


@pytest.fixture(scope="module", params=users(), ids=lambda user: f"uid{user}")
def sandboxed(request: pytest.FixtureRequest) -> Iterator[Field]:
    yield from field(request.param, sandbox=True)


@pytest.fixture(scope="module")
def open_field() -> Iterator[Field]:
    yield from field(users()[-1], sandbox=False)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["name"])
def test_no_attempt_gets_out(sandboxed: Field, attack: dict[str, Any]) -> None:
    if not sandboxed.tries(attack):
        pytest.skip("root is exempt from the limit on processes")
    output = sandboxed.outcome["results"][attack["name"]]
    assert "TRIED" in output
    assert "ESCAPED" not in output.split()  # as a word: bash quotes the text of a command that was killed


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.get("control")], ids=lambda attack: attack["name"])
def test_without_a_sandbox_the_attempt_works(open_field: Field, attack: dict[str, Any]) -> None:
    assert "ESCAPED" in open_field.outcome["results"][attack["name"]]


def test_nothing_changed_outside(sandboxed: Field) -> None:
    assert sorted(path.name for path in sandboxed.outside.iterdir()) == ["canary"]
    assert sandboxed.datagram == b""
    assert not Path("/etc/sandbox-escape").exists()


def test_protected_files_are_as_they_were(sandboxed: Field) -> None:
    assert "evil" not in (sandboxed.project / ".git" / "config").read_text()
    assert not (sandboxed.project / ".git" / "hooks" / "post-checkout").exists()
    assert list((sandboxed.project / ".vscode").iterdir()) == []
    assert list((sandboxed.project / "tool").iterdir()) == []


def test_the_places_held_for_absent_names_are_gone(sandboxed: Field) -> None:
    absent = {".claude", ".mcp.json", ".idea", ".devcontainer", "HEAD"}
    assert absent.isdisjoint(sandboxed.outcome["left"])
    assert list((sandboxed.project / ".github").iterdir()) == []
    assert list((sandboxed.base / "state" / "sandbox").iterdir()) == []


def test_daemons_do_not_outlive_the_call(sandboxed: Field) -> None:
    assert living(sandboxed.long) == []


def living(marker: str) -> list[str]:
    """Command lines of living processes that hold `marker`; a process that is just ending gets a moment."""
    for _ in range(50):
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if marker in line:
                found.append(line)
        if not found:
            return []
        time.sleep(0.1)
    return found


def test_the_probe_agrees(sandboxed: Field) -> None:
    assert sandboxed.outcome["reason"] == ""
    as_root = sandboxed.user == 0
    assert any("runs as root" in line for line in sandboxed.outcome["missing"]) == as_root
