"""Whatever request of a proposal breaks, before it is carried out or after: tried again, nothing is there twice."""

from __future__ import annotations

import pytest

from tests.github.server import GitHubServer
from tools.github import FileChange, GitHubError, open_pull_request
from tools.tool import ToolContext

pytestmark = [pytest.mark.needs("node", "npm"), pytest.mark.slow]

FILES = (FileChange("Dockerfile", b"FROM scratch\n"), FileChange("deploy.sh", b"#!/bin/sh\n", executable=True))


async def publish(ctx: ToolContext, repo: str, branch: str) -> None:
    await open_pull_request(ctx, f"octocat/{repo}", branch, FILES, "Add deployment", "Why")


@pytest.mark.parametrize("how", ["500", "503", "lost"])
async def test_each_write_may_break(github: GitHubServer, ctx: ToolContext, repo: str, how: str) -> None:
    await publish(ctx, repo, "expert-devops/first")
    steps = [(seen.method, seen.path) for seen in github.seen if seen.method != "GET"]
    assert len(set(steps)) == len(steps) >= 4
    for number, (method, path) in enumerate(steps):
        branch = f"expert-devops/{how}-{number}"
        fault = {"how": "lost"} if how == "lost" else {"status": int(how), "body": {"message": "down"}}
        github.fail(method, f"{path}$", **fault)
        for _attempt in range(3):
            try:
                await publish(ctx, repo, branch)
            except GitHubError:
                continue
            break
        else:
            pytest.fail(f"{method} {path}: not done after three tries")
        assert github.faults.pop().times == 0
        pulls = github.api("GET", f"/repos/octocat/{repo}/pulls?state=all&per_page=100")
        assert len([p for p in pulls if p["head"]["ref"] == branch]) == 1
        ahead = github.api("GET", f"/repos/octocat/{repo}/compare/main...{branch}")
        assert len(ahead["commits"]) == 1
