"""GitHub tools that look beyond one place: who I am, searches, and releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from tools.github.hub import Hub, hub_of, segment
from tools.github.inputs import Owner, Page, PerPage, Repo
from tools.github.show import Json, pick, shown, shown_page, written
from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_RELEASE = pick("id tag_name name draft prerelease author.login html_url created_at published_at body")
_REPOSITORY = pick("full_name description html_url default_branch language stargazers_count archived updated_at")
_CODE = pick("name path sha repository.full_name html_url")

Query = Annotated[
    str, Field(min_length=1, max_length=256, description="GitHub search syntax; repo:owner/name narrows.")
]
Order = Literal["asc", "desc"]


@tool("mcp__github__get_me", effects={"network"})
async def get_me(ctx: ToolContext) -> ToolResult:
    """Tell whose token this is, and which repositories this run may write to. Token: any."""
    hub = hub_of(ctx)
    me = pick("login id name type html_url")(await hub.get("/user"))
    return shown(hub, "user", {**me, "repositories_of_this_run": sorted(hub.repositories)})


@tool("mcp__github__search_code", effects={"network"})
async def search_code(ctx: ToolContext, query: Query, page: Page = 1, perPage: PerPage = 30) -> ToolResult:  # noqa: N803 - the server's name
    """Search code on default branches. Token: any, Contents read for private repositories."""
    return await _search(ctx, "code", query, page, perPage)


@tool("mcp__github__search_repositories", effects={"network"})
async def search_repositories(
    ctx: ToolContext,
    query: Query,
    sort: Literal["stars", "forks", "help-wanted-issues", "updated"] | None = None,
    order: Order = "desc",
    page: Page = 1,
    perPage: PerPage = 30,  # noqa: N803 - the server's name
) -> ToolResult:
    """Search repositories. Token: any."""
    return await _search(ctx, "repositories", query, page, perPage, sort=sort, order=order)


@tool("mcp__github__search_issues", effects={"network"})
async def search_issues(
    ctx: ToolContext,
    query: Query,
    sort: Literal["comments", "reactions", "created", "updated"] | None = None,
    order: Order = "desc",
    page: Page = 1,
    perPage: PerPage = 30,  # noqa: N803 - the server's name
) -> ToolResult:
    """Search issues. Token: Issues, read."""
    return await _search(ctx, "issues", f"is:issue {query}", page, perPage, sort=sort, order=order)


@tool("mcp__github__search_pull_requests", effects={"network"})
async def search_pull_requests(
    ctx: ToolContext,
    query: Query,
    sort: Literal["comments", "reactions", "created", "updated"] | None = None,
    order: Order = "desc",
    page: Page = 1,
    perPage: PerPage = 30,  # noqa: N803 - the server's name
) -> ToolResult:
    """Search pull requests. Token: Pull requests, read."""
    return await _search(ctx, "issues", f"is:pr {query}", page, perPage, sort=sort, order=order)


async def _search(
    ctx: ToolContext,
    kind: Literal["code", "issues", "repositories"],
    query: str,
    page: int,
    per_page: int,
    **options: str | None,
) -> ToolResult:
    """Results from public repositories and those of this run; a token may see more than the run should."""
    hub = hub_of(ctx)
    asked = {"q": query, "page": page, "per_page": per_page, **options}
    answer = await hub.request("GET", f"/search/{kind}", query=asked)
    found = answer.data["items"]
    answer.data["items"] = [item for item in found if await _may_show(hub, item, kind)]
    withheld = len(found) - len(answer.data["items"])
    result = shown_page(hub, f"search/{kind}", answer, _PROJECTIONS[kind], page, "items")
    if withheld and isinstance(result.content, str):
        result.content += f"\n{withheld} results from other private repositories are not shown."
    return result


def _found_issue(item: Json) -> Json:
    return written(item, fields="title state html_url comments")


_PROJECTIONS: Mapping[str, Callable[[Json], Json]] = {
    "code": _CODE,
    "issues": _found_issue,
    "repositories": _REPOSITORY,
}


async def _may_show(hub: Hub, item: Json, kind: str) -> bool:
    if kind == "issues":
        owner, repo = str(item["repository_url"]).rsplit("/", 2)[-2:]
        record: Json = {"full_name": f"{owner}/{repo}"}
        if not hub.is_bound(record["full_name"]):
            record = await hub.repository(owner, repo)
    else:
        record = item["repository"] if kind == "code" else item
    return record.get("private") is False or hub.is_bound(str(record.get("full_name")))


@tool("mcp__github__list_releases", effects={"network"})
async def list_releases(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    page: Page = 1,
    perPage: PerPage = 30,  # noqa: N803 - the server's name
) -> ToolResult:
    """List releases, newest first. Token: Contents, read."""
    hub = hub_of(ctx)
    root = await hub.readable(owner, repo)
    answer = await hub.request("GET", f"{root}/releases", query={"page": page, "per_page": perPage})
    return shown_page(hub, f"{owner}/{repo}/releases", answer, _RELEASE, page)


@tool("mcp__github__get_latest_release", effects={"network"})
async def get_latest_release(ctx: ToolContext, owner: Owner, repo: Repo) -> ToolResult:
    """Read the latest release. Token: Contents, read."""
    hub = hub_of(ctx)
    root = await hub.readable(owner, repo)
    found = await hub.find(f"{root}/releases/latest")
    if found is None:
        return ToolResult(f"{owner}/{repo} has no published release.")
    return shown(hub, f"{owner}/{repo}/releases/latest", _RELEASE(found))


@tool("mcp__github__create_release", effects={"network", "writes"})
async def create_release(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    tag_name: Annotated[str, Field(min_length=1, max_length=200, description="Tag; made if it is absent.")],
    name: str | None = None,
    body: Annotated[str, Field(description="Notes, in Markdown.")] = "",
    target_commitish: Annotated[str | None, Field(description="Branch or commit for a new tag.")] = None,
    draft: bool = False,
    prerelease: bool = False,
) -> ToolResult:
    """Publish a release. One that has the tag already is returned instead of a second one.

    Token: Contents, write (classic: repo).
    """
    hub = hub_of(ctx)
    root = await hub.writable(owner, repo)
    release = await hub.find(f"{root}/releases/tags/{segment(tag_name)}")
    created = release is None
    if release is None:
        wanted = {
            "tag_name": tag_name,
            "name": name or tag_name,
            "body": body,
            "draft": draft,
            "prerelease": prerelease,
        }
        target = {"target_commitish": target_commitish} if target_commitish else {}
        release = await hub.send("POST", f"{root}/releases", wanted | target)
    if not isinstance(release, dict):
        raise ToolError("GitHub's answer holds no release.")
    url = clean(str(release.get("html_url")))
    what = "was created" if created else "was already there and left alone"
    return ToolResult(f"The release {clean(tag_name)} {what}: {url}", data={"url": url, "created": created})
