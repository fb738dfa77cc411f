"""GitHub, as tools for a model and as functions for programs.

    ctx.state["github"] = GitHubSettings(repositories=frozenset({"octocat/demo"}))
    pull = await open_pull_request(ctx, "octocat/demo", "deploy", [FileChange("Dockerfile", b"...")], "Deploy", "Why")

Tool names and parameters are those of the official GitHub MCP server; secrets, variables, environments and
`create_release`, which it lacks, are named alike. Writes go only to repositories the user named.
"""

from __future__ import annotations

from tools.github.actions import actions_get, actions_list, actions_run_trigger, get_job_logs
from tools.github.commits import FileChange
from tools.github.configuration import (
    create_environment,
    list_environments,
    list_secrets,
    list_variables,
    set_secret,
    set_variable,
)
from tools.github.errors import GitHubError
from tools.github.files import (
    create_branch,
    create_or_update_file,
    delete_file,
    get_file_contents,
    list_branches,
    list_commits,
    push_files,
)
from tools.github.issues import add_issue_comment, issue_read, issue_write, list_issues
from tools.github.publish import PullRequest, open_pull_request
from tools.github.pulls import (
    create_pull_request,
    create_pull_request_review,
    list_pull_requests,
    merge_pull_request,
    pull_request_read,
    update_pull_request,
)
from tools.github.runs import FailedJob, FailedRun, explain_failed_run
from tools.github.search import (
    create_release,
    get_latest_release,
    get_me,
    list_releases,
    search_code,
    search_issues,
    search_pull_requests,
    search_repositories,
)
from tools.github.settings import GitHubSettings
from tools.tool import Tool

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

READING: tuple[Tool, ...] = (
    get_me,
    get_file_contents,
    list_branches,
    list_commits,
    list_pull_requests,
    pull_request_read,
    list_issues,
    issue_read,
    actions_list,
    actions_get,
    get_job_logs,
    list_releases,
    get_latest_release,
    list_secrets,
    list_variables,
    list_environments,
    search_code,
    search_issues,
    search_pull_requests,
    search_repositories,
)
PROPOSING: tuple[Tool, ...] = (
    create_branch,
    create_pull_request,
    update_pull_request,
    issue_write,
    add_issue_comment,
)
CHANGING: tuple[Tool, ...] = (
    create_or_update_file,
    push_files,
    delete_file,
    create_pull_request_review,
    merge_pull_request,
    create_release,
    actions_run_trigger,
    set_secret,
    set_variable,
    create_environment,
)

GITHUB_TOOLS: tuple[Tool, ...] = (*READING, *PROPOSING, *CHANGING)
"""Every GitHub tool: those that only read, those that propose, and those that change what others rely on."""

ALWAYS_ASK: frozenset[str] = frozenset(tool.name for tool in CHANGING)
"""Tools whose calls a person approves unless a rule names exactly that tool; one for the whole server does not do."""
