"""Files to a pull request in one go; and what a run is offered of all this."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.knowledge.names import fold
from tests.github.server import GitHubServer
from tools.github import ALWAYS_ASK, GITHUB_TOOLS, FileChange, GitHubError, PullRequest, open_pull_request
from tools.github.pulls import merge_pull_request
from tools.tool import ToolContext, ToolError

pytestmark = pytest.mark.needs("node", "npm")

FILES = (FileChange("Dockerfile", b"FROM scratch\n"), FileChange("deploy.sh", b"#!/bin/sh\n", executable=True))


async def publish(ctx: ToolContext, repo: str, *files: FileChange, branch: str = "expert-devops/deploy") -> PullRequest:
    made = await open_pull_request(ctx, f"octocat/{repo}", branch, files or FILES, "Add deployment", "Why")
    assert made is not None
    return made


async def test_publishing_again_changes_nothing(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    first = await publish(ctx, repo)
    written = github.writes()
    assert [write.split(repo)[1] for write in written] == ["/git/trees", "/git/commits", "/git/refs", "/pulls"]
    again = await publish(ctx, repo)
    assert first.created
    assert first.commit
    assert again == PullRequest(first.url, first.number, None, created=False)
    assert github.writes() == written


async def test_a_changed_file_is_one_more_commit_in_the_same_pull_request(
    github: GitHubServer, ctx: ToolContext, repo: str
) -> None:
    first = await publish(ctx, repo)
    again = await publish(ctx, repo, FileChange("Dockerfile", b"FROM alpine\n"), FILES[1])
    assert (again.number, again.created) == (first.number, False)
    assert again.commit
    head = github.api("GET", f"/repos/octocat/{repo}/git/ref/heads/expert-devops/deploy")
    assert head["object"]["sha"] == again.commit


async def test_nothing_to_propose(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    same = FileChange("README.md", f"# {repo}\n".encode())
    content = github.api("GET", f"/repos/octocat/{repo}/contents/README.md")
    assert await open_pull_request(ctx, f"octocat/{repo}", "deploy", [same], "x", "y") is None
    assert content["sha"]
    assert github.writes() == []


@pytest.mark.slow
async def test_after_a_merge_the_branch_is_begun_afresh(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    first = await publish(ctx, repo)
    await merge_pull_request(ctx, "octocat", repo, first.number)
    assert await open_pull_request(ctx, f"octocat/{repo}", "expert-devops/deploy", FILES, "x", "y") is None
    second = await publish(ctx, repo, FileChange("compose.yaml", b"services: {}\n"))
    assert second.created
    assert second.number != first.number
    main = github.api("GET", f"/repos/octocat/{repo}/git/ref/heads/main")["object"]["sha"]
    parents = github.api("GET", f"/repos/octocat/{repo}/git/commits/{second.commit}")["parents"]
    assert [parent["sha"] for parent in parents] == [main]


async def test_what_broke_half_way_is_completed_by_the_next_try(
    github: GitHubServer, ctx: ToolContext, repo: str
) -> None:
    github.fail("POST", "pulls", status=500, body={})
    with pytest.raises(GitHubError):
        await publish(ctx, repo)
    made = await publish(ctx, repo)
    assert (made.created, made.commit) == (True, None)


async def test_places_that_cannot_be_published_to(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    with pytest.raises(ToolError, match="branch of its own"):
        await publish(ctx, repo, branch="main")
    with pytest.raises(ToolError, match="write owner/name"):
        await open_pull_request(ctx, "https://github.com/octocat/x", "deploy", FILES, "x", "y")
    with pytest.raises(ToolError, match="not one of this run's repositories"):
        await open_pull_request(ctx, "stranger/public", "deploy", FILES, "x", "y")
    with pytest.raises(ToolError, match="no branch nowhere"):
        await open_pull_request(ctx, f"octocat/{repo}", "deploy", FILES, "x", "y", base="nowhere")
    assert github.writes() == []


def test_a_change_is_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "out").symlink_to("/etc/passwd")
    assert FileChange.read(tmp_path, "run.sh") == FileChange("run.sh", b"#!/bin/sh\n", executable=True)
    assert FileChange.read(tmp_path, "gone.txt") == FileChange("gone.txt", None)
    for path in ("out", "../x", "/etc/passwd", ""):
        with pytest.raises(ToolError):
            FileChange.read(tmp_path, path)


# --- what a run is offered -------------------------------------------------------------------------------------


def test_every_tool_says_what_it_needs() -> None:
    for tool in GITHUB_TOOLS:
        assert tool.name.startswith("mcp__github__")
        assert "Token:" in tool.description
        assert tool.effects in (frozenset({"network"}), frozenset({"network", "writes"}))
        assert tool.input_schema["type"] == "object"
    assert len({fold(tool.name) for tool in GITHUB_TOOLS}) == len(GITHUB_TOOLS)
    names = {fold(tool.name) for tool in GITHUB_TOOLS}
    assert {fold("mcp__github__create-or-update-file"), fold("mcp__github__push-files")} <= names


def test_what_a_person_must_approve() -> None:
    writing = {tool.name for tool in GITHUB_TOOLS if "writes" in tool.effects}
    assert writing > ALWAYS_ASK
    for name in (
        "merge_pull_request",
        "push_files",
        "create_or_update_file",
        "delete_file",
        "set_secret",
        "create_release",
    ):
        assert f"mcp__github__{name}" in ALWAYS_ASK


def test_importing_the_tools_stays_light() -> None:
    code = "import sys, tools.github; print(sorted({'github', 'requests', 'nacl', 'httpx2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
