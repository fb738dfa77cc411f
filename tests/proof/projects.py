"""Copies of projects, runs of the command line on them, and what changed in their trees."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ("repair-api", "clinic-queue", "trail-atlas")
REPAIR_THEN_ALL = (EXAMPLES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in EXAMPLES[1:]))
"""Parameters: one example in the default suite, the others in the slow one."""
_NOT_OURS = shutil.ignore_patterns("node_modules", ".venv", "__pycache__", ".next", ".pytest_cache", ".*_cache", ".env")

Json = dict[str, Any]


def copy_example(name: str, to: Path) -> Path:
    """A fresh copy of a bundled example, as a clone would hold it."""
    return Path(shutil.copytree(ROOT / "examples" / name, to / name, ignore=_NOT_OURS))


def tree(root: Path) -> dict[str, str]:
    """Path -> digest of content and mode, for every file and link. Equal trees are equal byte for byte."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or path.is_file():
            content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
            mode = path.lstat().st_mode
            found[path.relative_to(root).as_posix()] = hashlib.sha256(f"{mode:o} ".encode() + content).hexdigest()
    return found


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Paths that were added, removed or written."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


@dataclass(frozen=True)
class Outcome:
    """One command: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @cached_property
    def events(self) -> list[Json]:
        """The events of a `stream-json` run."""
        return [json.loads(line) for line in self.out.splitlines()]

    @cached_property
    def result(self) -> Json:
        """The result of a `stream-json` or `json` run."""
        if self.out.startswith('{"type":'):
            return dict(self.events[-1]["result"])
        return dict(json.loads(self.out))

    @property
    def session(self) -> str:
        return str(self.result["session_id"])

    def calls(self, tool: str) -> list[Json]:
        """The data of every finished call of a tool, in order."""
        return [e["data"] for e in self.events if e["type"] == "tool_finished" and e["tool"] == tool]

    @property
    def written(self) -> set[str]:
        """Paths the run says it wrote."""
        tools = ("WriteArtifact", "InstrumentApp", "Write", "Edit")
        return {path for tool in tools for data in self.calls(tool) for path in _written(data)}

    def expect(self, code: int) -> Outcome:
        """Itself, when it ended with `code`; whatever it printed otherwise. No failure shows a traceback."""
        assert "Traceback" not in self.err, self.err
        assert self.code == code, f"exit code {self.code}, not {code}\n{self.out[-3000:]}\n{self.err[-3000:]}"
        return self


def _written(data: Json) -> list[str]:
    if "changes" in data:
        return [change["path"] for change in data["changes"]] if data.get("written", True) else []
    return [data["path"]] if data.get("written") else []


@dataclass(frozen=True)
class Program:
    """The installed `expert-devops`, with a home for its sessions. `env` adds to the environment of its runs."""

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()

    def __call__(self, *arguments: str, cwd: Path | None = None, timeout: float = 100) -> Outcome:
        process = self.start(*arguments, cwd=cwd)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return Outcome(process.returncode, out, err)

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Begin a command in a process group of its own."""
        scripts = Path(sysconfig.get_path("scripts"))
        own = {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "EXPERT_DEVOPS_HOME": str(self.home)}
        return subprocess.Popen(
            [*self.prefix, str(scripts / "expert-devops"), *arguments],
            cwd=cwd or self.home,
            env={**os.environ, **own, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, project: Path, *arguments: str, **options: Any) -> Outcome:
        """`expert-devops run` on a project with the playbook, as a stream of events."""
        fixed = ("--model", "playbook", "--output-format", "stream-json")
        return self("run", "-C", str(project), *fixed, *arguments, **options)


@dataclass(frozen=True)
class Finished:
    """An example after a run: its folder, its tree before and after, and what the run said."""

    project: Path
    before: dict[str, str]
    after: dict[str, str]
    outcome: Outcome
    program: Program

    @classmethod
    def of(cls, example: str, place: Path) -> Finished:
        """Run a fresh copy of `example` below `place`."""
        program = Program(place)
        project = copy_example(example, place)
        before = tree(project)
        outcome = program.run(project, "--yes")
        return cls(project, before, tree(project), outcome, program)
