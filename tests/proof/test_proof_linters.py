"""The linters of the trade, asked here by themselves: no error on what a run leaves, and each catches a bad file."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.proof.projects import REPAIR_THEN_ALL, Finished


def run(*command: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A linter from the scripts folder of this interpreter."""
    program = Path(sysconfig.get_path("scripts")) / command[0]
    path = f"{program.parent}:/usr/bin:/bin"
    full = [str(program), *command[1:]]
    return subprocess.run(
        full, cwd=cwd, input=stdin, capture_output=True, text=True, check=False, env={"PATH": path, "HOME": str(cwd)}
    )


def hadolint(root: Path, files: Sequence[Path]) -> list[str]:
    done = run("hadolint", "--format", "json", *map(str, files), cwd=root)
    return [f"{found['file']}:{found['line']} {found['code']}" for found in json.loads(done.stdout)]


def actionlint(root: Path, files: Sequence[Path]) -> list[str]:
    return run("actionlint", "-oneline", *map(str, files), cwd=root).stdout.splitlines()


def zizmor(root: Path, files: Sequence[Path]) -> list[str]:
    """Findings of medium or high severity; `npx` of a pinned command line is a low one."""
    command = ("zizmor", "--offline", "--no-exit-codes", "--min-severity", "medium", "--format", "json")
    done = run(*command, *map(str, files), cwd=root)
    return [found["ident"] for found in json.loads(done.stdout)]


def schema(name: str) -> Callable[[Path, Sequence[Path]], list[str]]:
    def check(root: Path, files: Sequence[Path]) -> list[str]:
        done = run("check-jsonschema", "--output-format", "json", "--builtin-schema", name, *map(str, files), cwd=root)
        result = json.loads(done.stdout)
        return [] if result["status"] == "ok" else [error["message"] for error in result["errors"]]

    return check


def yamllint(root: Path, files: Sequence[Path]) -> list[str]:
    rules = "{extends: relaxed, rules: {line-length: disable}}"
    return run("yamllint", "--strict", "-f", "parsable", "-d", rules, *map(str, files), cwd=root).stdout.splitlines()


def railway(root: Path, files: Sequence[Path]) -> list[str]:
    """The SDK evaluates the file as the platform would."""
    code = "import runpy, sys\nfound = runpy.run_path(sys.argv[1])['railway']\nassert callable(found)\n"
    problems = []
    for file in files:
        done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
        problems += [done.stderr] if done.returncode else []
    return problems


LINTERS: dict[str, tuple[str, Callable[[Path, Sequence[Path]], list[str]], str, str]] = {
    "hadolint": ("**/*Dockerfile", hadolint, "Dockerfile", "FROM python\nRUN cd /tmp && sudo pip install x\n"),
    "actionlint": (
        ".github/workflows/*.yml",
        actionlint,
        ".github/workflows/bad.yml",
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    needs: gone\n    steps: [{run: 'true'}]\n",
    ),
    "zizmor": (
        ".github/workflows/*.yml",
        zizmor,
        ".github/workflows/bad.yml",
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n",
    ),
    "workflow schema": (
        ".github/workflows/*.yml",
        schema("vendor.github-workflows"),
        ".github/workflows/bad.yml",
        "on: push\njobs:\n  a:\n    steps: []\n",
    ),
    "timeouts": (
        ".github/workflows/*.yml",
        schema("custom.github-workflows-require-timeout"),
        ".github/workflows/bad.yml",
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: 'true'}]\n",
    ),
    "dependabot schema": (
        ".github/dependabot.yml",
        schema("vendor.dependabot"),
        ".github/dependabot.yml",
        "version: 9\n",
    ),
    "compose schema": (
        "compose.yaml",
        schema("vendor.compose-spec"),
        "compose.yaml",
        "services:\n  a:\n    imagee: x\n",
    ),
    "yamllint": ("**/*.y*ml", yamllint, "compose.yaml", "a: 1\na: 2\n"),
    "railway sdk": (".railway/railway.py", railway, ".railway/railway.py", "from railway_sdk import nothing\n"),
}
"""Linter -> the files it reads, how it is asked, and a bad file it must catch."""


@pytest.fixture(params=REPAIR_THEN_ALL)
def project(request: pytest.FixtureRequest, finished_examples: Callable[[str], Finished]) -> Path:
    finished = finished_examples(request.param)
    finished.outcome.expect(0)
    return finished.project


@pytest.mark.parametrize("name", LINTERS)
def test_the_linter_finds_nothing_in_what_a_run_leaves(name: str, project: Path) -> None:
    pattern, ask, _, _ = LINTERS[name]
    files = [path for path in project.glob(pattern) if ".do" not in path.parts and ".moai" not in path.parts]
    if not files:
        assert name in {"hadolint", "compose schema", "railway sdk", "yamllint"}, "every example has a pipeline"
        return
    assert ask(project, files) == []


@pytest.mark.parametrize("name", LINTERS)
def test_the_linter_catches_a_bad_file(name: str, tmp_path: Path) -> None:
    _, ask, path, content = LINTERS[name]
    bad = tmp_path / path
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_text(content)
    assert ask(tmp_path, [bad]) != []
