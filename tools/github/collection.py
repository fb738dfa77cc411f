"""The GitHub tools by what they do to others: look, propose, change."""

from __future__ import annotations

from tools.github.actions import actions_get, actions_list, actions_run_trigger, get_job_logs
from tools.github.configuration import (
    create_environment,
    list_environments,
    list_secrets,
    list_variables,
    set_secret,
    set_variable,
)
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
from tools.github.pulls import (
    create_pull_request,
    create_pull_request_review,
    list_pull_requests,
    merge_pull_request,
    pull_request_read,
    update_pull_request,
)
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
from tools.tool import Tool

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
