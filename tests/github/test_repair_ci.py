"""`repair-ci`: failed runs are explained, files are changed by a model, pushed, and the next run is waited for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.repair.run import Patience, Repair, repair_ci
from agent.surfaces.cli import main
from agent.surfaces.repair_ci import OwnWorkflows
from agent.testing import ScriptedModel, call
from agent.workflow.proposal import destination
from tests.github.server import GitHubServer
from tools.ports import PermissionRequest
from tools.tool import ToolError

pytestmark = pytest.mark.needs("node", "npm", "git")

CI = """name: ci
on:
  push:
permissions:
  contents: read
jobs:
  test:
    runs-on: ubuntu-24.04
    timeout-minutes: 10
    steps:
      - run: pytset
"""
NOT_FOUND = """Run pytset
/home/runner/work/_temp/1.sh: line 1: pytset: command not found
##[error]Process completed with exit code 127.
"""


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=o", "-c", "user.email=o@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass
class Ci:
    """The repository's CI, as far as it is scripted: runs appear when somebody looks for those of a new commit."""

    github: GitHubServer
    repo: str
    root: Path
    branch: str = "feature"

    def fails(self, run: int, log: str, head: str | None = None, *, branch: str = "") -> None:
        self._run(run, "failure", head or git(self.root, "rev-parse", "HEAD"), branch or self.branch)
        self.github.jobs[run] = [{"id": run * 10, "name": "test", "conclusion": "failure", "steps": []}]
        self.github.logs[run * 10] = log

    def then(self, run: int, conclusion: str, log: str = "", branch: str = "") -> None:
        """When the next run is looked for, there is one, for the head of the branch."""

        def appear() -> None:
            place = branch or self.branch
            head = self.github.api("GET", f"/repos/octocat/{self.repo}/git/ref/heads/{place}")["object"]["sha"]
            if conclusion == "success":
                self._run(run, conclusion, head, place)
            else:
                self.fails(run, log, head, branch=place)

        self.github.before("GET", r"/actions/runs$", appear)

    def _run(self, run: int, conclusion: str, head: str, branch: str) -> None:
        self.github.runs[run] = {
            "id": run,
            "name": "ci",
            "path": ".github/workflows/ci.yml",
            "status": "completed",
            "conclusion": conclusion,
            "head_branch": branch,
            "head_sha": head,
            "run_attempt": 1,
            "html_url": f"{self.github.url}/octocat/{self.repo}/actions/runs/{run}",
        }

    def file(self, path: str, branch: str = "") -> str:
        import base64

        url = f"/repos/octocat/{self.repo}/contents/{path}?ref={branch or self.branch}"
        return base64.b64decode(self.github.api("GET", url)["content"]).decode()


@pytest.fixture
def ci(github: GitHubServer, repo: str, tmp_path: Path, in_environment: None) -> Ci:
    """A project with a workflow, the same on GitHub and in the checkout, on the branch `feature`."""
    root = tmp_path / "shop"
    (root / ".github" / "workflows").mkdir(parents=True)
    (root / ".github" / "workflows" / "ci.yml").write_text(CI)
    (root / "app.py").write_text("print('hello')\n")
    git(root, "init", "-q")
    git(root, "remote", "add", "origin", f"{github.url}/octocat/{repo}.git")
    git(root, "checkout", "-q", "-b", "feature")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Begin")
    head = github.api("GET", f"/repos/octocat/{repo}/git/ref/heads/main")["object"]["sha"]
    tree = github.api("GET", f"/repos/octocat/{repo}/git/commits/{head}")["tree"]["sha"]
    files = [(".github/workflows/ci.yml", CI), ("app.py", "print('hello')\n")]
    entries = [{"path": path, "mode": "100644", "type": "blob", "content": text} for path, text in files]
    made = github.api("POST", f"/repos/octocat/{repo}/git/trees", {"base_tree": tree, "tree": entries})
    body = {"message": "Begin", "tree": made["sha"], "parents": [head]}
    commit = github.api("POST", f"/repos/octocat/{repo}/git/commits", body)["sha"]
    github.api("POST", f"/repos/octocat/{repo}/git/refs", {"ref": "refs/heads/feature", "sha": commit})
    return Ci(github, repo, root)


async def repaired(ci: Ci, turns: Any, run: int | None = 1, *, attempts: int = 3) -> tuple[Repair, ScriptedModel]:
    model = ScriptedModel(turns)

    def agent() -> Agent:
        asker = OwnWorkflows(ci.root / ".github" / "workflows")
        return Agent(cwd=ci.root, model=model, mode="acceptEdits", asker=asker, sandbox=False)

    import os

    to = destination(ci.root, os.environ)
    done = await repair_ci(agent, to, run, Patience(attempts=attempts, wait=0, pause=0), lambda _event: None)
    return done, model


def edit(old: str, new: str, path: str = ".github/workflows/ci.yml") -> list[Any]:
    """The turns of a model that reads the file, changes it, and is done."""
    return [
        [call("Read", file_path=path)],
        [call("Edit", file_path=path, old_string=old, new_string=new)],
        "The command was misspelt.",
    ]


async def test_a_wrong_command_is_mended_pushed_and_seen_to_succeed(ci: Ci) -> None:
    ci.fails(1, NOT_FOUND)
    ci.then(2, "success")
    done, model = await repaired(ci, edit("pytset", "pytest"))
    assert (done.status, done.reason, done.branch) == ("repaired", "", "feature")
    (attempt,) = done.attempts
    assert [cause["id"] for cause in attempt.causes] == ["wrong_command"]
    assert attempt.files == [".github/workflows/ci.yml"]
    assert attempt.next_run is not None
    assert attempt.next_run["id"] == 2
    assert "run: pytest" in ci.file(".github/workflows/ci.yml")
    asked = str(model.requests[0].messages[0]["content"])
    assert "wrong_command (A command or file" in asked
    assert "pytset: command not found" in asked.split("<untrusted-data")[1]


@pytest.mark.slow
async def test_a_second_try_follows_a_first_that_did_not_help(ci: Ci) -> None:
    ci.fails(1, NOT_FOUND)
    ci.then(
        2, "failure", "FAILED tests/test_a.py::test_b - assert 1 == 2\n##[error]Process completed with exit code 1."
    )
    turns = [*edit("pytset", "pytest"), *edit("hello", "hi", "app.py")]

    def second(request: Any) -> Any:
        if len(model_requests) == 3:
            ci.then(3, "success")
        model_requests.append(request)
        return turns[len(model_requests) - 1]

    model_requests: list[Any] = []
    done, _ = await repaired(ci, second)
    assert done.status == "repaired"
    assert [[c["id"] for c in attempt.causes] for attempt in done.attempts] == [["wrong_command"], ["test"]]
    assert ci.file("app.py") == "print('hi')\n"


@pytest.mark.slow
async def test_the_limit_is_kept_and_the_last_failure_is_told(ci: Ci) -> None:
    ci.fails(1, NOT_FOUND)
    ci.then(2, "failure", NOT_FOUND)
    done, _ = await repaired(ci, edit("pytset", "pytests"), attempts=1)
    assert done.status == "not_repaired"
    assert "1 attempts were made, the limit. The last run failed as well." in done.reason


async def test_a_missing_secret_is_for_a_person_and_no_model_is_asked(ci: Ci) -> None:
    ci.fails(1, "##[error]Input required and not supplied: token\n")
    done, model = await repaired(ci, [])
    assert done.status == "not_repaired"
    assert "gh secret set NAME" in done.reason
    assert "Input required and not supplied: token" in done.reason
    assert model.requests == []
    assert ci.github.writes() == []


async def test_what_only_the_network_broke_is_run_once_more(ci: Ci) -> None:
    ci.fails(1, "npm error network request failed, reason: getaddrinfo EAI_AGAIN registry.example.com\n")

    def succeed() -> None:
        ci.github.runs[1] = {**ci.github.runs[1], "run_attempt": 2, "conclusion": "success"}

    ci.github.before("POST", "rerun-failed-jobs", succeed)
    done, _ = await repaired(ci, [])
    assert done.status == "repaired"
    assert ci.github.writes() == [f"POST /repos/octocat/{ci.repo}/actions/runs/1/rerun-failed-jobs"]


@pytest.mark.slow
async def test_a_change_that_breaks_a_check_is_not_pushed_and_the_model_is_told(ci: Ci) -> None:
    ci.fails(1, NOT_FOUND)
    ci.then(2, "success")
    good, bad = "permissions:\n  contents: read\n", "permissions: write-all\n"
    workflow = ".github/workflows/ci.yml"
    turns = [
        *edit(good, bad),
        [call("Read", file_path=workflow)],
        [call("Edit", file_path=workflow, old_string=bad, new_string=good)],
        [call("Edit", file_path=workflow, old_string="pytset", new_string="pytest")],
        "Done.",
    ]
    done, model = await repaired(ci, turns)
    assert done.status == "repaired", done.reason
    first, second = done.attempts
    assert first.commit is None
    assert "break checks that passed before" in first.problem
    assert "Your last try was not pushed" in str(model.requests[3].messages[0]["content"])
    assert second.commit
    assert len([write for write in ci.github.writes() if write.endswith("/git/commits")]) == 1


async def test_a_secret_that_was_not_used_before_is_not_pushed(ci: Ci) -> None:
    ci.fails(1, NOT_FOUND)
    done, _ = await repaired(ci, edit("pytset", "echo ${{ secrets.DEPLOY_KEY }}"), attempts=1)
    assert done.status == "not_repaired"
    assert "secrets that it did not use before: DEPLOY_KEY" in done.reason
    assert ci.github.writes() == []


async def test_a_model_that_changes_nothing_is_not_called_a_repair(ci: Ci) -> None:
    ci.fails(1, "something nobody knows\n##[error]Process completed with exit code 1.\n")
    done, _ = await repaired(ci, ["A person must look at the runner."])
    assert done.status == "not_repaired"
    assert done.reason == "nothing was changed: A person must look at the runner."


@pytest.mark.slow
async def test_a_run_that_does_not_come_is_said_to_be_unknown(ci: Ci) -> None:
    ci.fails(1, NOT_FOUND)
    done, _ = await repaired(ci, edit("pytset", "pytest"))
    assert done.status == "not_repaired"
    assert "its outcome is not known" in done.reason


@pytest.mark.slow
async def test_a_file_that_somebody_else_changed_on_the_branch_is_not_overwritten(ci: Ci) -> None:
    ci.fails(1, NOT_FOUND)
    url = f"/repos/octocat/{ci.repo}/contents/.github/workflows/ci.yml"
    sha = ci.github.api("GET", f"{url}?ref=feature")["sha"]
    theirs = {"message": "x", "content": "bmFtZTogdGhlaXJzCg==", "branch": "feature", "sha": sha}
    ci.github.api("PUT", url, theirs)
    done, _ = await repaired(ci, edit("pytset", "pytest"))
    assert done.status == "not_repaired"
    assert "not the" in done.reason
    assert ci.file(".github/workflows/ci.yml") == "name: theirs\n"


@pytest.mark.slow
async def test_the_default_branch_is_repaired_by_a_pull_request(ci: Ci) -> None:
    git(ci.root, "branch", "-m", "main")
    head = ci.github.api("GET", f"/repos/octocat/{ci.repo}/git/ref/heads/feature")["object"]["sha"]
    ci.github.api("PATCH", f"/repos/octocat/{ci.repo}/git/refs/heads/main", {"sha": head})
    ci.fails(1, NOT_FOUND, branch="main")
    branch = f"expert-devops/repair-{git(ci.root, 'rev-parse', 'HEAD')[:10]}"
    ci.then(2, "success", branch=branch)
    done, _ = await repaired(ci, edit("pytset", "pytest"))
    assert (done.status, done.branch) == ("repaired", branch), done.reason
    assert "/pull/" in done.pull_request
    assert "pytset" in ci.file(".github/workflows/ci.yml", "main")
    assert "pytest" in ci.file(".github/workflows/ci.yml", branch)


async def test_runs_that_cannot_be_repaired_from_here(ci: Ci) -> None:
    ci.fails(1, NOT_FOUND, head="0" * 40)
    with pytest.raises(ToolError, match="is checked out here"):
        await repaired(ci, [])
    ci.fails(2, NOT_FOUND)
    ci.github.runs[2]["head_repository"] = {"full_name": "stranger/fork"}
    with pytest.raises(ToolError, match="belongs to a fork"):
        await repaired(ci, [], run=2)
    ci.github.runs[3] = {**ci.github.runs[2], "id": 3, "conclusion": "success"}
    with pytest.raises(ToolError, match="Run 3 has not failed"):
        await repaired(ci, [], run=3)
    ci.fails(4, NOT_FOUND)
    (ci.root / "app.py").write_text("mine")
    with pytest.raises(ToolError, match=r"app\.py holds changes that are not committed"):
        await repaired(ci, [], run=4)


@pytest.mark.parametrize(
    ("tool", "path", "allowed"),
    [
        ("Edit", ".github/workflows/ci.yml", "allow"),
        ("Write", ".github/workflows/new.yaml", "allow"),
        ("Edit", ".github/workflows/../../.git/config", "deny"),
        ("Edit", ".github/workflows/run.sh", "deny"),
        ("Edit", ".git/hooks/pre-commit", "deny"),
        ("Bash", "", "deny"),
    ],
)
async def test_only_workflow_files_are_approved(tmp_path: Path, tool: str, path: str, allowed: str) -> None:
    asker = OwnWorkflows(tmp_path / ".github" / "workflows")
    request = PermissionRequest(tool, {"file_path": path}, "protected")
    assert (await asker.permission(request)).behavior == allowed


# --- the command line ----------------------------------------------------------------------------------------------

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(ci: Ci, capsys: pytest.CaptureFixture[str]) -> Cli:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["repair-ci", "-C", str(ci.root), "--model", "playbook", *arguments])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def test_a_dry_run_explains_and_changes_nothing(ci: Ci, cli: Cli) -> None:
    ci.fails(1, NOT_FOUND)
    code, out, _ = cli("--dry-run")
    assert code == 0
    assert "wrong_command: A command or file that the workflow names does not exist." in out
    assert "pytset: command not found" in out
    assert ci.github.writes() == []


KOREAN = "language:\n  conversation_language: ko\n"


@pytest.mark.slow
def test_a_korean_project_is_told_everything_in_korean(ci: Ci, cli: Cli) -> None:
    """Each line of the output, and the reason in the JSON, holds Korean words where it is not the log's own."""
    (ci.root / ".do" / "config").mkdir(parents=True)
    (ci.root / ".do" / "config" / "config.yaml").write_text(KOREAN)
    ci.fails(1, NOT_FOUND)
    code, out, _ = cli("--dry-run")
    assert code == 0
    assert "원인 설명" in out
    assert "wrong_command: 워크플로가" in out
    ci.fails(1, "FAILED tests/test_a.py::test_b - assert 1 == 2\n")
    code, out, err = cli("1")
    assert code == 1
    assert "수리하지 못함. 이유: 변경한 파일이 없습니다: 이 원인에 대해 제 규칙으로" in out
    assert "실행 1 (ci): " in err
    ci.fails(1, "something new\n")
    _, out, _ = cli("1", "--dry-run")
    assert "알려진 원인이 아닙니다" in out
    ci.fails(1, "Error: Username and password required\n")
    code, out, _ = cli("1", "--output-format", "json")
    assert code == 1
    assert json.loads(out)["reason"].startswith("시크릿이 없거나")


def test_nothing_failed(ci: Ci, cli: Cli) -> None:
    ci.fails(1, NOT_FOUND)
    ci.github.runs[2] = {**ci.github.runs[1], "id": 2, "conclusion": "success"}
    code, out, _ = cli()
    assert code == 0
    assert "Nothing failed, because: The newest runs on feature have not failed." in out


def test_the_playbook_says_what_it_cannot_repair(ci: Ci, cli: Cli) -> None:
    ci.fails(1, "FAILED tests/test_a.py::test_b - assert 1 == 2\n")
    code, out, _ = cli("1", "--output-format", "json")
    assert code == 1
    done = json.loads(out)
    assert done["status"] == "not_repaired"
    assert "My rules know no change of files for this cause" in done["reason"]


@pytest.mark.slow
def test_the_playbook_works_its_own_workflow_out_anew(ci: Ci, cli: Cli) -> None:
    """The project changed its package manager after the workflow was written."""
    (ci.root / ".github" / "workflows" / "ci.yml").unlink()
    (ci.root / "requirements.txt").write_text("fastapi==0.115.0\nuvicorn==0.30.0\n")
    (ci.root / "app.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    assert main(["run", "-C", str(ci.root), "--yes", "--model", "playbook", "--steps", "5"]) == 0
    (ci.root / "requirements.txt").rename(ci.root / "deps.txt")
    (ci.root / "pyproject.toml").write_text(
        '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.12"\n'
        'dependencies = ["fastapi==0.115.0", "uvicorn==0.30.0"]\n'
    )
    git(ci.root, "add", "-A")
    git(ci.root, "commit", "-q", "-m", "Use pyproject")
    for path in (ci.root / ".github" / "workflows").iterdir():
        content = path.read_bytes()
        import base64

        body = {"message": "x", "content": base64.b64encode(content).decode(), "branch": "feature"}
        ci.github.api("PUT", f"/repos/octocat/{ci.repo}/contents/.github/workflows/{path.name}", body)
    ci.fails(1, "ERROR: Could not open requirements file: [Errno 2] No such file or directory: 'requirements.txt'\n")
    ci.then(2, "success")
    code, out, err = cli("1", "--wait", "0")
    assert code == 0, out + err
    assert "Repaired." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--max-attempts", "0"], "at least 1"), (["999"], "not found"), (["--wait", "-1"], "at least 0")],
)
def test_wrong_use_is_one_clear_line(ci: Ci, cli: Cli, arguments: list[str], said: str) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert said in err
