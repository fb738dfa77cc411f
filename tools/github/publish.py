"""Files to a pull request in one go, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.github.commits import FileChange, branch_head, commit_files, ref_path
from tools.github.hub import Hub, hub_of
from tools.github.inputs import check_ref
from tools.github.pulls import open_or_find
from tools.github.settings import split_repository
from tools.tool import ToolContext, ToolError


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What came of it. `commit` None: the branch already held the files. `created` False: it was open before."""

    url: str
    number: int
    commit: str | None
    created: bool


async def open_pull_request(
    ctx: ToolContext,
    repository: str,
    branch: str,
    files: Sequence[FileChange],
    title: str,
    body: str,
    *,
    base: str | None = None,
    message: str | None = None,
) -> PullRequest | None:
    """Commit `files` on `branch` of `repository` (`owner/name`) and open a pull request into `base`.

    `base` is the default branch unless given, the commit's message the title. Running it again changes nothing: same
    files make no commit, and the open pull request is returned. None: `base` already holds all of it and there is
    nothing to propose. A branch whose pull request was merged is begun afresh from `base`. Raises `ToolError`.
    """
    hub = hub_of(ctx)
    owner, name = split_repository(repository)
    root = await hub.writable(owner, name)
    target = check_ref(base or str((await hub.repository(owner, name))["default_branch"]))
    if check_ref(branch) == target:
        raise ToolError(f"A pull request needs a branch of its own, not {branch}.")
    start = await branch_head(hub, root, target)
    if start is None:
        raise ToolError(f"{repository} has no branch {target} to propose the changes for.")
    fresh = await _adds_nothing(hub, root, target, branch)
    commit = await commit_files(hub, root, branch, files, message or title, start=start if fresh else None)
    if commit is None and fresh:
        return None
    pull, created = await open_or_find(hub, root, branch, target, title, body)
    return PullRequest(str(pull["html_url"]), int(pull["number"]), commit, created)


async def _adds_nothing(hub: Hub, root: str, target: str, branch: str) -> bool:
    """Whether the branch is absent, or all its commits are in `target` already."""
    if await branch_head(hub, root, branch) is None:
        return True
    compared = await hub.get(f"{root}/compare/{ref_path(target)}...{ref_path(branch)}")
    return int(compared["ahead_by"]) == 0
