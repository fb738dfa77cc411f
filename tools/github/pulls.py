"""GitHub tools on pull requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.github.errors import GitHubError
from tools.github.hub import Hub, hub_of
from tools.github.inputs import Branch, Number, Owner, Page, PerPage, Repo
from tools.github.show import Json, pick, shown, shown_page, written
from tools.text import cap, clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_PULL = "title state draft merged mergeable_state html_url head.label head.sha base.ref changed_files"
_FILE = pick("filename previous_filename status additions deletions patch")
_COMMIT = pick("sha commit.message author.login")
_CHECK = pick("id name status conclusion html_url output.title output.summary")
_STATUS = pick("context state description target_url")
_MOST_DIFF = 60_000

Method = Literal[
    "get",
    "get_diff",
    "get_files",
    "get_commits",
    "get_status",
    "get_check_runs",
    "get_reviews",
    "get_review_comments",
    "get_comments",
]


@tool("mcp__github__list_pull_requests", effects={"network"})
async def list_pull_requests(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    state: Literal["open", "closed", "all"] = "open",
    head: Annotated[str | None, Field(description="Only from this branch: owner:branch.")] = None,
    base: Annotated[str | None, Field(description="Only into this branch.")] = None,
    sort: Literal["created", "updated", "popularity", "long-running"] = "created",
    direction: Literal["asc", "desc"] = "desc",
    page: Page = 1,
    perPage: PerPage = 30,  # noqa: N803 - the server's name
) -> ToolResult:
    """List pull requests. Token: Pull requests, read."""
    hub = hub_of(ctx)
    root = await hub.readable(owner, repo)
    query = {"state": state, "head": head, "base": base, "sort": sort, "direction": direction}
    answer = await hub.request("GET", f"{root}/pulls", query=query | {"page": page, "per_page": perPage})
    return shown_page(hub, f"{owner}/{repo}/pulls", answer, lambda item: written(item, fields=_PULL), page)


@tool("mcp__github__pull_request_read", effects={"network"})
async def pull_request_read(
    ctx: ToolContext,
    method: Method,
    owner: Owner,
    repo: Repo,
    pullNumber: Number,  # noqa: N803 - the server's name
    page: Page = 1,
    perPage: PerPage = 50,  # noqa: N803 - the server's name
) -> ToolResult:
    """Read one pull request: itself, its diff, files, commits, checks, reviews, or comments.

    Who wrote a text, and whether as a collaborator, stands beside it. Token: Pull requests and Checks, read.
    """
    hub = hub_of(ctx)
    root = await hub.readable(owner, repo)
    path, place = f"{root}/pulls/{pullNumber}", f"{owner}/{repo}/pull/{pullNumber}"
    if method == "get":
        return shown(hub, place, written(await hub.get(path), fields=f"{_PULL} mergeable commits additions deletions"))
    if method == "get_diff":
        diff = await hub.get(path, accept="application/vnd.github.diff")
        return shown(hub, place, cap(str(diff), _MOST_DIFF, note="get_files shows it file by file"))
    if method in ("get_status", "get_check_runs"):
        path = f"{root}/commits/{(await hub.get(path))['head']['sha']}"
    end, project, key = _parts(hub)[method]
    if method == "get_comments":
        path = f"{root}/issues/{pullNumber}"
    answer = await hub.request("GET", path + end, query={"page": page, "per_page": perPage})
    return shown_page(hub, place, answer, project, page, key)


def _parts(hub: Hub) -> Mapping[str, tuple[str, Callable[[Json], Json], str]]:
    """Method: the end of its path, what is shown of an item, and the key of the list."""

    def text(fields: str) -> Callable[[Json], Json]:
        return lambda item: written(item, hub.began, fields)

    return {
        "get_files": ("/files", _FILE, ""),
        "get_commits": ("/commits", _COMMIT, ""),
        "get_status": ("/status", _STATUS, "statuses"),
        "get_check_runs": ("/check-runs", _CHECK, "check_runs"),
        "get_reviews": ("/reviews", text("state commit_id html_url"), ""),
        "get_review_comments": ("/comments", text("path line side diff_hunk html_url"), ""),
        "get_comments": ("/comments", text("html_url"), ""),
    }


@tool("mcp__github__create_pull_request", effects={"network", "writes"})
async def create_pull_request(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    title: Annotated[str, Field(min_length=1, max_length=256)],
    head: Annotated[str, Field(description="Branch with the changes; user:branch from a fork.")],
    base: Branch,
    body: Annotated[str, Field(description="Description, in Markdown.")] = "",
    draft: bool = False,
    reviewers: Annotated[Sequence[str], Field(description="Logins to ask for a review.")] = (),
) -> ToolResult:
    """Open a pull request. An open one for the same head and base is returned instead of a second one.

    Token: Pull requests, write (classic: repo).
    """
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    pull, created = await open_or_find(hub, root, head, base, title, body, draft=draft)
    await _ask_for_review(hub, root, pull, reviewers)
    what = "was opened" if created else "was already open for these branches and is used"
    return _told(pull, what, created=created)


async def open_or_find(
    hub: Hub, root: str, head: str, base: str, title: str, body: str, *, draft: bool = False
) -> tuple[Json, bool]:
    """The pull request from `head` into `base`, and whether it was opened by this call."""
    found = await _open_pull(hub, root, head, base)
    if found is not None:
        return found, False
    wanted = {"title": title, "head": head, "base": base, "body": body, "draft": draft}
    try:
        return await hub.send("POST", f"{root}/pulls", wanted), True
    except GitHubError as error:
        # Opened by someone else meanwhile, or by this very request although its answer was lost.
        if not error.unsure and error.status != 422:
            raise
        found = await _open_pull(hub, root, head, base)
        if found is None:
            raise
        return found, False


async def _open_pull(hub: Hub, root: str, head: str, base: str) -> Json | None:
    owner = root.split("/")[2]
    label = head if ":" in head else f"{owner}:{head}"
    for item in await hub.get(f"{root}/pulls", state="open", head=label, base=base):
        if str(item["head"].get("label", label)).casefold() == label.casefold() and item["base"]["ref"] == base:
            return dict(item)
    return None


async def _ask_for_review(hub: Hub, root: str, pull: Json, reviewers: Sequence[str]) -> None:
    asked = {str(user.get("login")).casefold() for user in pull.get("requested_reviewers") or ()}
    new = [login for login in reviewers if login.casefold() not in asked]
    if new:
        await hub.send("POST", f"{root}/pulls/{pull['number']}/requested_reviewers", {"reviewers": new})


@tool("mcp__github__update_pull_request", effects={"network", "writes"})
async def update_pull_request(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    pullNumber: Number,  # noqa: N803 - the server's name
    title: Annotated[str | None, Field(min_length=1, max_length=256)] = None,
    body: str | None = None,
    state: Literal["open", "closed"] | None = None,
    base: Annotated[str | None, Field(description="Another branch to merge into.")] = None,
    reviewers: Annotated[Sequence[str], Field(description="Logins to ask for a review.")] = (),
) -> ToolResult:
    """Change title, description, state, base or reviewers of a pull request. What is left out stays.

    Token: Pull requests, write (classic: repo).
    """
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    path = f"{root}/pulls/{pullNumber}"
    wanted = {"title": title, "body": body, "state": state, "base": base}
    pull = await hub.get(path)
    now = {
        "title": pull.get("title"),
        "body": pull.get("body"),
        "state": pull.get("state"),
        "base": pull["base"]["ref"],
    }
    changes = {name: value for name, value in wanted.items() if value is not None and value != now[name]}
    if changes:
        pull = await hub.send("PATCH", path, changes)
    await _ask_for_review(hub, root, pull, reviewers)
    return _told(pull, f"was changed ({', '.join(changes)})" if changes else "already has these values")


@tool("mcp__github__merge_pull_request", effects={"network", "writes"})
async def merge_pull_request(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    pullNumber: Number,  # noqa: N803 - the server's name
    merge_method: Literal["merge", "squash", "rebase"] = "merge",
    commit_title: str | None = None,
    commit_message: str | None = None,
    sha: Annotated[str | None, Field(description="Head commit you reviewed; another one is not merged.")] = None,
) -> ToolResult:
    """Merge a pull request. Only what is its head now, or `sha`, is merged; one that is merged already is left alone.

    Token: Contents and Pull requests, write (classic: repo).
    """
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    path = f"{root}/pulls/{pullNumber}"
    pull = await hub.get(path)
    if pull.get("merged"):
        return _told(pull, "is merged already")
    if pull.get("state") != "open":
        raise ToolError(f"Pull request #{pullNumber} is closed. Reopen it before merging.")
    body = {
        "sha": sha or pull["head"]["sha"],
        "merge_method": merge_method,
        "commit_title": commit_title,
        "commit_message": commit_message,
    }
    done = await hub.send("PUT", f"{path}/merge", {name: value for name, value in body.items() if value is not None})
    return _told(pull, f"was merged as {done.get('sha')}")


class ReviewComment(BaseModel):
    """A remark on a line of the diff."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    path: str
    line: Annotated[int, Field(ge=1)]
    body: Annotated[str, Field(min_length=1)]
    side: Literal["LEFT", "RIGHT"] = "RIGHT"


@tool("mcp__github__create_pull_request_review", effects={"network", "writes"})
async def create_pull_request_review(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    pullNumber: Number,  # noqa: N803 - the server's name
    event: Literal["APPROVE", "REQUEST_CHANGES", "COMMENT"],
    body: str = "",
    comments: Annotated[Sequence[ReviewComment], Field(max_length=50, description="Remarks on lines.")] = (),
    commitID: Annotated[str | None, Field(description="Commit you reviewed; its head if absent.")] = None,  # noqa: N803 - the server's name
) -> ToolResult:
    """Submit a review, with remarks on lines. Token: Pull requests, write (classic: repo)."""
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    if event != "APPROVE" and not body.strip():
        raise ToolError(f"A review with {event} needs a body.")
    wanted: dict[str, Any] = {"event": event, "body": body, "comments": [item.model_dump() for item in comments]}
    if commitID:
        wanted["commit_id"] = commitID
    review = await hub.send("POST", f"{root}/pulls/{pullNumber}/reviews", wanted)
    told = f"The review {review.get('id')} of pull request #{pullNumber} was submitted ({event})."
    return ToolResult(told, data={"id": review.get("id")})


def _told(pull: Json, what: str, **data: Any) -> ToolResult:
    url = clean(str(pull.get("html_url")))
    return ToolResult(
        f"Pull request #{pull['number']} {clean(what)}: {url}",
        data={"number": pull["number"], "url": url, "head_sha": pull.get("head", {}).get("sha"), **data},
    )
