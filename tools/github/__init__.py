"""GitHub, as tools for a model and as functions for programs.

    ctx.state["github"] = GitHubSettings(repositories=frozenset({"octocat/demo"}))
    pull = await open_pull_request(ctx, "octocat/demo", "deploy", [FileChange("Dockerfile", b"...")], "Deploy", "Why")

Tool names and parameters are those of the official GitHub MCP server; secrets, variables, environments and
`create_release`, which it lacks, are named alike. Writes go only to repositories the user named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.github.collection import ALWAYS_ASK, GITHUB_TOOLS
    from tools.github.commits import FileChange
    from tools.github.errors import GitHubError
    from tools.github.publish import PullRequest, open_pull_request
    from tools.github.runs import FailedJob, FailedRun, explain_failed_run
    from tools.github.settings import GitHubSettings

_HOMES = {
    "ALWAYS_ASK": "collection",
    "GITHUB_TOOLS": "collection",
    "FailedJob": "runs",
    "FailedRun": "runs",
    "FileChange": "commits",
    "GitHubError": "errors",
    "GitHubSettings": "settings",
    "PullRequest": "publish",
    "explain_failed_run": "runs",
    "open_pull_request": "publish",
}

__all__ = [
    "ALWAYS_ASK",
    "GITHUB_TOOLS",
    "FailedJob",
    "FailedRun",
    "FileChange",
    "GitHubError",
    "GitHubSettings",
    "PullRequest",
    "explain_failed_run",
    "open_pull_request",
]


def __getattr__(name: str) -> Any:
    """Names load on first use: a run sets GitHub up without loading its tools."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tools.github' has no attribute {name!r}")
    return getattr(import_module(f"tools.github.{_HOMES[name]}"), name)
