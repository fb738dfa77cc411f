"""GitHub tools on branches, commits and files."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.github.commits import (
    Entry,
    FileChange,
    blob_sha,
    branch_head,
    check_path,
    commit_files,
    entries_at,
    refuse_conflict,
)
from tools.github.errors import GitHubError
from tools.github.hub import Hub, file_path, hub_of, segment
from tools.github.inputs import Branch, Owner, Page, PerPage, Repo, check_ref
from tools.github.show import pick, shown, shown_page
from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_FILE = pick("type name path size sha html_url")
_COMMIT = pick("sha commit.message commit.author.name commit.author.date author.login html_url")
_MOST_TEXT = 40_000


@tool("mcp__github__get_file_contents", effects={"network"})
async def get_file_contents(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    path: Annotated[str, Field(description="File or directory; empty or / for the root.")] = "/",
    ref: Annotated[str | None, Field(description="Branch, tag or refs/...; the default branch if absent.")] = None,
    sha: Annotated[str | None, Field(description="Commit to read from, instead of `ref`.")] = None,
) -> ToolResult:
    """Read a file of a repository on GitHub, with the blob `sha` that an update needs, or list a directory.

    Token: Contents, read (classic: repo; none for public repositories).
    """
    hub = hub_of(ctx)
    base = await hub.readable(owner, repo)
    if path.strip("/"):
        check_path(path.strip("/"))
    found = await hub.get(f"{base}/contents/{file_path(path)}", ref=sha or ref)
    place = f"{owner}/{repo}/{path.strip('/')}"
    if isinstance(found, list):
        return shown(hub, place, [_FILE(item) for item in found], f"A directory with {len(found)} entries.")
    return shown(hub, place, {**_FILE(found), "content": await _content(hub, base, found)})


async def _content(hub: Hub, base: str, found: dict[str, Any]) -> str:
    """The text of a file; files above 1 MB come as a blob."""
    if found.get("type") != "file":
        return f"[a {found.get('type')}]"
    encoded = found.get("content")
    if found.get("encoding") != "base64" or (not encoded and found.get("size")):
        encoded = (await hub.get(f"{base}/git/blobs/{found['sha']}"))["content"]
    content = base64.b64decode(encoded or "")
    if b"\0" in content:
        return f"[binary, {len(content)} bytes]"
    text = content.decode("utf-8", "replace")
    left_out = len(text) - _MOST_TEXT
    return text if left_out <= 0 else f"{text[:_MOST_TEXT]}\n[{left_out} more characters; clone it to read all]"


@tool("mcp__github__list_branches", effects={"network"})
async def list_branches(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    page: Page = 1,
    perPage: PerPage = 30,  # noqa: N803 - the server's name
) -> ToolResult:
    """List the branches of a repository. Token: Contents, read."""
    hub = hub_of(ctx)
    base = await hub.readable(owner, repo)
    answer = await hub.request("GET", f"{base}/branches", query={"page": page, "per_page": perPage})
    return shown_page(hub, f"{owner}/{repo}/branches", answer, pick("name commit.sha protected"), page)


@tool("mcp__github__list_commits", effects={"network"})
async def list_commits(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    sha: Annotated[str | None, Field(description="Branch, tag or commit to begin at.")] = None,
    path: Annotated[str | None, Field(description="Only commits that touch this path.")] = None,
    author: Annotated[str | None, Field(description="Only commits by this login or e-mail.")] = None,
    page: Page = 1,
    perPage: PerPage = 30,  # noqa: N803 - the server's name
) -> ToolResult:
    """List commits, newest first. Token: Contents, read."""
    hub = hub_of(ctx)
    base = await hub.readable(owner, repo)
    query = {"sha": sha, "path": path, "author": author, "page": page, "per_page": perPage}
    answer = await hub.request("GET", f"{base}/commits", query=query)
    return shown_page(hub, f"{owner}/{repo}/commits", answer, _COMMIT, page)


@tool("mcp__github__create_branch", effects={"network", "writes"})
async def create_branch(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    branch: Branch,
    from_branch: Annotated[str | None, Field(description="Branch to start from; the default branch if absent.")] = None,
) -> ToolResult:
    """Create a branch. One that already points to the same commit is left alone.

    Token: Contents, write (classic: repo).
    """
    hub = hub_of(ctx)
    base = await hub.writable(owner, repo)
    source = from_branch or str((await hub.repository(owner, repo))["default_branch"])
    start = await branch_head(hub, base, check_ref(source))
    if start is None:
        raise ToolError(f"There is no branch {clean(source)!r} to start from.")
    present = await branch_head(hub, base, check_ref(branch))
    if present is not None and present != start:
        raise ToolError(
            f"The branch {clean(branch)!r} is already there, at {present} and not {start}. It was left alone: use it "
            "as it is, or choose another name."
        )
    if present is None:
        await hub.send("POST", f"{base}/git/refs", {"ref": f"refs/heads/{branch}", "sha": start})
    what = "was already there" if present else "was created"
    return ToolResult(f"The branch {clean(branch)} {what}, at {start}.", data={"sha": start, "created": not present})


@tool("mcp__github__create_or_update_file", effects={"network", "writes"})
async def create_or_update_file(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    path: Annotated[str, Field(description="Path of the file in the repository.")],
    content: Annotated[str, Field(description="The whole new text of the file.")],
    message: Annotated[str, Field(min_length=1, description="Commit message.")],
    branch: Branch,
    sha: Annotated[
        str | None, Field(description="Blob sha of the file you read; needed to change a file that is there.")
    ] = None,
) -> ToolResult:
    """Create or change one file on a branch, as one commit. The same content again makes no commit.

    A file that changed since you read it (another sha) is refused, not overwritten. For several files use push_files.
    Token: Contents, write (classic: repo); for .github/workflows also Workflows, write (classic: workflow).
    """
    hub = hub_of(ctx)
    base = await hub.writable(owner, repo)
    change = FileChange(check_path(path), content.encode("utf-8"), sha=sha)
    hub.refuse_secrets(content, path)
    entry = await _entry(hub, base, check_ref(branch), path)
    if entry is not None and entry.sha == blob_sha(content.encode("utf-8")):
        told = f"{clean(path)} already has this content on {clean(branch)}: no commit."
        return ToolResult(told, data={"commit": None})
    refuse_conflict(change, entry)
    if entry is not None and sha is None:
        raise ToolError(
            f"{clean(path)} is already on {clean(branch)}. Read it with get_file_contents and call again with its sha."
        )
    body = {"message": message, "content": base64.b64encode(content.encode("utf-8")).decode("ascii"), "branch": branch}
    done = await hub.send("PUT", f"{base}/contents/{file_path(path)}", body | ({"sha": sha} if sha else {}))
    commit, blob = done["commit"]["sha"], done["content"]["sha"]
    what = "changed" if sha else "created"
    told = f"{clean(path)} was {what} on {clean(branch)} in commit {commit}; its sha is {blob}."
    return ToolResult(told, data={"commit": commit, "sha": blob})


async def _entry(hub: Hub, base: str, branch: str, path: str) -> Entry | None:
    """What the branch holds at `path`; None in an empty repository, whose first file only the contents API makes."""
    try:
        return (await entries_at(hub, base, segment(branch), [path])).get(path)
    except GitHubError as error:
        if error.status == 409:
            return None
        if error.status == 404:
            raise ToolError(f"There is no branch {clean(branch)!r}. Create it with create_branch.") from error
        raise


class PushedFile(BaseModel):
    """One file of push_files."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    path: str
    content: Annotated[str | None, Field(description="The whole text, or base64. Left out with `delete`.")] = None
    encoding: Literal["utf-8", "base64"] = "utf-8"
    executable: Annotated[bool | None, Field(description="True for scripts; left out keeps the mode.")] = None
    delete: bool = False
    sha: Annotated[str | None, Field(description="Blob sha you read; refused if the file changed since.")] = None

    def change(self) -> FileChange:
        """The change asked for. Raises `ToolError`."""
        if self.delete == (self.content is not None):
            raise ToolError(f"{clean(self.path)}: give either `content` or `delete: true`.")
        if self.content is None:
            return FileChange(self.path, None, sha=self.sha)
        try:
            data = base64.b64decode(self.content, validate=True) if self.encoding == "base64" else self.content.encode()
        except (binascii.Error, ValueError) as error:
            raise ToolError(f"{clean(self.path)}: the content cannot be encoded ({error}).") from error
        return FileChange(self.path, data, self.executable, self.sha)


@tool("mcp__github__push_files", effects={"network", "writes"})
async def push_files(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    branch: Branch,
    files: Annotated[list[PushedFile], Field(min_length=1, max_length=300)],
    message: Annotated[str, Field(min_length=1, description="Commit message.")],
) -> ToolResult:
    """Create, change and delete several files on a branch, as one commit. The same content again makes no commit.

    Never forces: when the branch moves meanwhile the commit is rebuilt on it once, and a file that others changed is
    told, not overwritten. Token: Contents, write (classic: repo); for .github/workflows also Workflows, write.
    """
    hub = hub_of(ctx)
    base = await hub.writable(owner, repo)
    commit = await commit_files(hub, base, check_ref(branch), [file.change() for file in files], message)
    if commit is None:
        return ToolResult(f"{clean(branch)} already holds exactly these files: no commit.", data={"commit": None})
    return ToolResult(f"{len(files)} files are on {clean(branch)} in commit {commit}.", data={"commit": commit})


@tool("mcp__github__delete_file", effects={"network", "writes"})
async def delete_file(
    ctx: ToolContext,
    owner: Owner,
    repo: Repo,
    path: Annotated[str, Field(description="Path of the file in the repository.")],
    message: Annotated[str, Field(min_length=1, description="Commit message.")],
    branch: Branch,
) -> ToolResult:
    """Delete one file on a branch, as one commit. Token: Contents, write (classic: repo)."""
    hub = hub_of(ctx)
    base = await hub.writable(owner, repo)
    commit = await commit_files(hub, base, check_ref(branch), [FileChange(path, None)], message)
    if commit is None:
        return ToolResult(f"There is no {clean(path)} on {clean(branch)}: no commit.", data={"commit": None})
    return ToolResult(f"{clean(path)} was deleted on {clean(branch)} in commit {commit}.", data={"commit": commit})
