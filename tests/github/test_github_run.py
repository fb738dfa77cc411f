"""GitHub tools in a run: an `Agent` with a scripted model, its permissions and journal, and a real repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.api import Agent
from agent.permissions import Rules
from agent.result import Completed
from agent.testing import ScriptedModel, call
from tests.github.server import TOKEN, GitHubServer
from tools.catalogue import builtin_tools
from tools.github import ALWAYS_ASK, GITHUB_TOOLS

pytestmark = pytest.mark.needs("node", "npm")

_FILES = [{"path": "Dockerfile", "content": "FROM scratch\n"}]


@pytest.fixture
def project(github: GitHubServer, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose origin is the test's repository, in an environment with a token."""
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {github.url}/octocat/{repo}.git\n')
    return root


def push(repo: str, name: str = "mcp__github__push-files") -> Any:
    return [call(name, owner="octocat", repo=repo, branch="main", files=_FILES, message="Add")]


def last_result(model: ScriptedModel) -> str:
    return str(model.requests[-1].messages[-1]["content"][0]["content"])


@pytest.mark.slow
async def test_a_run_pushes_what_a_rule_allows(github: GitHubServer, project: Path, repo: str) -> None:
    model = ScriptedModel([push(repo), "Done."])
    rules = Rules.parse(allow=["mcp__github__push_files"])
    result = await Agent(cwd=project, model=model, tools=GITHUB_TOOLS, rules=rules).run("go")
    assert isinstance(result, Completed)
    assert "1 files are on main in commit" in last_result(model)
    tree = github.api("GET", f"/repos/octocat/{repo}/git/trees/main")["tree"]
    assert "Dockerfile" in {item["path"] for item in tree}


async def test_a_run_pushes_nothing_unasked(github: GitHubServer, project: Path, repo: str) -> None:
    model = ScriptedModel([push(repo), "Done."])
    result = await Agent(cwd=project, model=model, tools=GITHUB_TOOLS).run("go")
    assert [denial.tool for denial in result.denials] == ["mcp__github__push_files"]
    assert github.seen == []


@pytest.mark.slow
async def test_no_token_in_anything_a_run_leaves(project: Path, repo: str, tmp_path: Path) -> None:
    model = ScriptedModel([push(repo), [call("mcp__github__get_me")], "Done."])
    rules = Rules.parse(allow=["mcp__github__push_files", "mcp__github__get_me"])
    result = await Agent(cwd=project, model=model, tools=GITHUB_TOOLS, rules=rules).run("go")
    assert isinstance(result, Completed)
    assert TOKEN not in str(model.requests)
    written = [path.read_bytes() for path in Path.home().rglob("*") if path.is_file()]
    assert written
    assert not any(TOKEN.encode() in content for content in written)


async def test_a_rule_for_the_whole_server_does_not_cover_what_a_person_must_approve(
    github: GitHubServer, project: Path, repo: str
) -> None:
    read = [call("mcp__github__list_branches", owner="octocat", repo=repo)]
    model = ScriptedModel([read, push(repo), "Done."])
    rules = Rules.parse(allow=["mcp__github", "mcp__github__*"])
    result = await Agent(cwd=project, model=model, tools=GITHUB_TOOLS, rules=rules).run("go")
    assert [denial.tool for denial in result.denials] == ["mcp__github__push_files"]
    assert "mcp__github__push_files" in ALWAYS_ASK
    assert github.writes() == []


def test_the_tools_are_built_in() -> None:
    assert {tool.name for tool in GITHUB_TOOLS} <= set(builtin_tools())
