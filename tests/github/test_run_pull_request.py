"""`run --pr` as a user types it: a real run by the playbook, and a pull request on the emulator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.surfaces.cli import main
from agent.testing import FakeMessagesServer, call
from agent.testing.script import TurnLike
from agent.workflow.checkout import committed
from agent.workflow.proposal import as_body
from tests.github.server import READ_ONLY, TOKEN, GitHubServer
from tools.github.commits import blob_sha
from tools.tool import ToolError

pytestmark = pytest.mark.needs("node", "npm", "git")

Cli = Callable[..., tuple[int, str, str]]


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=o", "-c", "user.email=o@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(github: GitHubServer, repo: str, tmp_path: Path, in_environment: None) -> Path:
    """A small web service, committed, whose origin is the test's repository; a token in the environment."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "README.md").write_text(f"# {repo}\n")
    (root / "requirements.txt").write_text("fastapi==0.115.0\nuvicorn==0.30.0\n")
    (root / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    git(root, "init", "-q")
    git(root, "remote", "add", "origin", f"{github.url}/octocat/{repo}.git")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "Begin")
    return root


@pytest.fixture
def cli(project: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """`expert-devops run` in the project, step 6 alone unless told: exit code, output, errors."""

    def run(*arguments: str, at: Path = project) -> tuple[int, str, str]:
        given = ["--steps", "6"] if "--resume" not in arguments else []
        code = main(["run", "-C", str(at), "--yes", "--model", "playbook", "--pr", *given, *arguments])
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


def files_on(github: GitHubServer, repo: str, branch: str) -> set[str]:
    head = github.api("GET", f"/repos/octocat/{repo}/git/ref/heads/{branch}")["object"]["sha"]
    tree = github.api("GET", f"/repos/octocat/{repo}/git/trees/{head}?recursive=1")["tree"]
    return {item["path"] for item in tree if item["type"] == "blob"}


def proposed(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)["pull_request"]
    return found


def test_a_verified_run_is_proposed_in_one_commit(github: GitHubServer, repo: str, project: Path, cli: Cli) -> None:
    (project / "private-notes.txt").write_text("mine")
    code, out, err = cli("--output-format", "json")
    assert code == 0, err
    made = proposed(out)
    assert made["created"]
    assert made["branch"] == "expert-devops/deployment"
    assert ".env.example" in made["files"]
    assert files_on(github, repo, "expert-devops/deployment") == {*made["files"], "README.md"}
    pull = github.api("GET", f"/repos/octocat/{repo}/pulls/{made['number']}")
    assert pull["base"]["ref"] == "main"
    assert "## " in pull["body"]
    commit = github.api("GET", f"/repos/octocat/{repo}/git/commits/{made['commit']}")
    main_head = github.api("GET", f"/repos/octocat/{repo}/git/ref/heads/main")["object"]["sha"]
    assert [parent["sha"] for parent in commit["parents"]] == [main_head]
    assert str(made["url"]) in err


@pytest.mark.slow
def test_running_again_renews_the_same_pull_request(github: GitHubServer, repo: str, project: Path, cli: Cli) -> None:
    first = proposed(cli("--output-format", "json")[1])
    written = github.writes()
    again = proposed(cli("--output-format", "json")[1])
    assert (again["number"], again["created"], again["commit"]) == (first["number"], False, None)
    assert github.writes() == written
    (project / "main.py").write_text((project / "main.py").read_text() + 'import os\nKEY = os.environ["API_KEY"]\n')
    _, out, err = cli("--output-format", "json")
    third = proposed(out)
    assert third["number"] == first["number"]
    assert third["commit"]
    assert "(renewed)" in err


def test_a_dry_run_tells_what_it_would_propose_and_sends_nothing(
    github: GitHubServer, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    code, _, err = cli("--dry-run")
    assert code == 0
    assert ".env.example" in err.splitlines()[-1]
    assert "Nothing was sent" in err
    assert github.seen == []


def test_a_run_that_is_not_verified_is_not_proposed(
    github: GitHubServer, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["run", "-C", str(project), "--model", "playbook", "--pr", "--max-turns", "1"])
    assert code == 5
    assert "the run is not verified (out_of_budget)" in capsys.readouterr().err
    assert github.writes() == []


def test_without_a_token_nothing_starts(
    project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    code, out, err = cli()
    assert (code, out) == (2, "")
    assert "No GitHub token is set" in err
    assert not (project / ".env.example").exists()


def test_without_a_remote_nothing_starts(project: Path, cli: Cli) -> None:
    git(project, "remote", "remove", "origin")
    code, _, err = cli()
    assert code == 2
    assert "has no remote `origin`" in err
    assert not (project / ".env.example").exists()


@pytest.mark.slow
def test_without_the_permission_the_files_stay_and_the_error_says_how_to_go_on(
    github: GitHubServer, repo: str, project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", READ_ONLY)
    code, _, err = cli()
    assert code == 1
    assert "the token lacks a permission. Accepted: repo" in err
    assert (project / ".env.example").exists()
    session = err.rsplit("--resume ", 1)[1].split()[0]
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    code, out, err = cli("--resume", session, "--output-format", "json")
    assert code == 0, err
    assert ".env.example" in proposed(out)["files"]


async def test_what_the_last_commit_holds(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a b.txt").write_text("x")
    assert await committed(tmp_path, ["a b.txt"]) == {}
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x")
    assert await committed(tmp_path, ["a b.txt", "*", "none"]) == {"a b.txt": blob_sha(b"x")}
    with pytest.raises(ToolError, match="git ls-tree failed"):
        await committed(tmp_path.parent, ["a b.txt"])


def test_what_others_changed_is_told_and_not_overwritten(
    github: GitHubServer, repo: str, project: Path, cli: Cli
) -> None:
    theirs = {"message": "Theirs", "content": "VEhFSVJTPTEK", "branch": "main"}
    github.api("PUT", f"/repos/octocat/{repo}/contents/.env.example", theirs)
    code, _, err = cli()
    assert code == 1
    assert ".env.example differs between main on GitHub and the last commit of this checkout" in err
    assert github.writes() == []


@pytest.mark.slow
def test_a_reviewers_commit_on_the_branch_is_not_overwritten(
    github: GitHubServer, repo: str, project: Path, cli: Cli
) -> None:
    cli()
    url = f"/repos/octocat/{repo}/contents/.env.example"
    sha = github.api("GET", f"{url}?ref=expert-devops/deployment")["sha"]
    review = {"message": "Better", "content": "QkVUVEVSPTEK", "branch": "expert-devops/deployment", "sha": sha}
    github.api("PUT", url, review)
    code, _, err = cli()
    assert code == 1
    assert "Somebody else changed .env.example on expert-devops/deployment" in err
    assert github.api("GET", f"{url}?ref=expert-devops/deployment")["content"].strip() == "QkVUVEVSPTEK"


@pytest.mark.slow
def test_a_project_in_a_folder_of_its_repository_has_paths_and_a_branch_of_its_own(
    github: GitHubServer, repo: str, project: Path, cli: Cli
) -> None:
    inner = project / "services" / "api"
    inner.mkdir(parents=True)
    (inner / "requirements.txt").write_text("fastapi==0.115.0\nuvicorn==0.30.0\n")
    (inner / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    code, out, err = cli("--output-format", "json", at=inner)
    assert code == 0, err
    made = proposed(out)
    assert made["branch"] == "expert-devops/services-api"
    assert "services/api/.env.example" in files_on(github, repo, made["branch"])


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("ask @octocat, fixes #12", "ask @\u2060octocat, fixes #\u206012"),
        ("`@nestjs/core` and `a#b`", "`@nestjs/core` and `a#b`"),
        ("# Title", "# Title"),
    ],
)
def test_a_report_notifies_nobody_and_closes_nothing(text: str, body: str) -> None:
    assert as_body(text) == body


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "ko"])
def test_what_commands_wrote_is_proposed_where_it_was_planned_and_told_where_not(
    github: GitHubServer, repo: str, project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    (project / ".do" / "config").mkdir(parents=True)
    (project / ".do" / "config" / "config.yaml").write_text(f"language:\n  conversation_language: {language}\n")
    (project / "mine.txt").write_text("not committed, and not the run's")
    turns: list[TurnLike] = [
        [call("PlanDeployment"), call("WriteArtifact", path=".env.example", kind="env_example")],
        [call("Bash", command="cp requirements.txt Dockerfile && cp README.md notes.txt", description="Copy")],
        [call("CompleteStep", step=6, summary="Secrets are documented.")],
        "Done.",
    ]
    with FakeMessagesServer(turns) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-key-of-the-suite")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        code, out, err = cli("--output-format", "json", "--model", "claude-sonnet-5-5")
    assert code == 0, out + err
    made = proposed(out)
    assert "Dockerfile" in made["files"]
    assert made["left_out"] == ["notes.txt"]
    said = {
        "en": "Changed during the run by a command, and not proposed: notes.txt",
        "ko": "제안에 넣지 않았습니다: notes.txt",
    }
    assert said[language] in err
    assert "Dockerfile" in files_on(github, repo, made["branch"])
    states = {a["path"]: a["state"] for a in json.loads(out)["report"]["artifacts"]}
    assert states["Dockerfile"] == "written"
