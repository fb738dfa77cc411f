"""GitHub tools on issues and their comments. Their texts come from anybody: they are shown as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from tools.github.hub import hub_of
from tools.github.inputs import Number, Owner, Page, PerPage, Repo
from tools.github.show import Json, named, pick, shown, shown_page, written
from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_ISSUE = "title state state_reason html_url comments"


def _issue(item: Json) -> Json:
    labels, assignees = named(item.get("labels") or ()), named(item.get("assignees") or (), "login")
    return {**written(item, fields=_ISSUE), "labels": labels, "assignees": assignees}


@tool("mcp__github__list_issues", effects={"network"})
async def list_issues(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    state: Literal["OPEN", "CLOSED"] | None = None,
    labels: Annotated[Sequence[str], Field(description="Only with all of these labels.")] = (),
    since: Annotated[str | None, Field(description="Only changed since this ISO 8601 time.")] = None,
    orderBy: Literal["CREATED_AT", "UPDATED_AT", "COMMENTS"] = "CREATED_AT",  # noqa: N803 - the server's name
    direction: Literal["ASC", "DESC"] = "DESC",
    page: Page = 1,
    perPage: PerPage = 30,  # noqa: N803 - the server's name
) -> ToolResult:
    """List issues, without pull requests. Token: Issues, read."""
    hub = hub_of(ctx)
    root = await hub.readable(owner, repo)
    query: dict[str, Any] = {
        "state": state.lower() if state else "all",
        "labels": ",".join(labels) or None,
        "since": since,
        "sort": orderBy.lower().removesuffix("_at"),
        "direction": direction.lower(),
        "page": page,
        "per_page": perPage,
    }
    answer = await hub.request("GET", f"{root}/issues", query=query)
    answer.data[:] = [item for item in answer.data if "pull_request" not in item]
    return shown_page(hub, f"{owner}/{repo}/issues", answer, _issue, page)


@tool("mcp__github__issue_read", effects={"network"})
async def issue_read(
    ctx: ToolContext,
    method: Literal["get", "get_comments", "get_labels"],
    owner: Owner,
    repo: Repo,
    issue_number: Number,
    page: Page = 1,
    perPage: PerPage = 50,  # noqa: N803 - the server's name
) -> ToolResult:
    """Read one issue, its comments or its labels.

    Who wrote a text, and whether as a collaborator, stands beside it. Token: Issues, read.
    """
    hub = hub_of(ctx)
    root = await hub.readable(owner, repo)
    path, place = f"{root}/issues/{issue_number}", f"{owner}/{repo}/issues/{issue_number}"
    if method == "get":
        return shown(hub, place, _issue(await hub.get(path)))
    query = {"page": page, "per_page": perPage}
    if method == "get_labels":
        answer = await hub.request("GET", f"{path}/labels", query=query)
        return shown_page(hub, place, answer, pick("name description"), page)
    answer = await hub.request("GET", f"{path}/comments", query=query)
    return shown_page(hub, place, answer, lambda item: written(item, hub.began, "html_url"), page)


@tool("mcp__github__issue_write", effects={"network", "writes"})
async def issue_write(
    ctx: ToolContext,
    method: Literal["create", "update"],
    owner: Owner,
    repo: Repo,
    issue_number: Annotated[int | None, Field(ge=1, description="Needed to update.")] = None,
    title: Annotated[str | None, Field(min_length=1, max_length=256, description="Needed to create.")] = None,
    body: str | None = None,
    labels: list[str] | None = None,
    assignees: list[str] | None = None,
    state: Literal["open", "closed"] | None = None,
    state_reason: Literal["completed", "not_planned", "duplicate"] | None = None,
) -> ToolResult:
    """Create an issue, or change one; what is left out stays. Token: Issues, write (classic: repo)."""
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    wanted = {"title": title, "body": body, "labels": labels, "assignees": assignees}
    if method == "create":
        if title is None or issue_number is not None or state is not None:
            raise ToolError("To create an issue give a title, and neither issue_number nor state.")
        done = await hub.send("POST", f"{root}/issues", {k: v for k, v in wanted.items() if v is not None})
        return _told(done, "was created")
    if issue_number is None:
        raise ToolError("To change an issue give its issue_number.")
    wanted |= {"state": state, "state_reason": state_reason}
    changes = {name: value for name, value in wanted.items() if value is not None}
    if not changes:
        raise ToolError("There is nothing to change; give a title, body, labels, assignees or state.")
    done = await hub.send("PATCH", f"{root}/issues/{issue_number}", changes)
    return _told(done, f"was changed ({', '.join(changes)})")


@tool("mcp__github__add_issue_comment", effects={"network", "writes"})
async def add_issue_comment(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    issue_number: Annotated[int, Field(ge=1, description="Number of the issue or pull request.")],
    body: Annotated[str, Field(min_length=1, description="The comment, in Markdown.")],
) -> ToolResult:
    """Comment on an issue or pull request. Token: Issues, write; on pull requests: Pull requests, write."""
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    done = await hub.send("POST", f"{root}/issues/{issue_number}/comments", {"body": body})
    url = clean(str(done.get("html_url")))
    return ToolResult(f"The comment was added: {url}", data={"id": done.get("id"), "url": url})


def _told(issue: Json, what: str) -> ToolResult:
    url = clean(str(issue.get("html_url")))
    return ToolResult(f"Issue #{issue['number']} {what}: {url}", data={"number": issue["number"], "url": url})
