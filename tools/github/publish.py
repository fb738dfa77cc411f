"""Files to a pull request in one go, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tools.github.commits import FileChange, blob_sha, branch_head, commit_files, entries_at, ref_path
from tools.github.hub import Hub, hub_of
from tools.github.inputs import check_ref
from tools.github.pulls import open_or_find
from tools.github.settings import split_repository
from tools.github.show import Json
from tools.text import clean
from tools.tool import ToolContext, ToolError

_OURS = "Proposed-by: expert-devops"
"""Last line of the commits made here, by which they are known again."""


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
    known: Mapping[str, str] | None = None,
) -> PullRequest | None:
    """Commit `files` on `branch` of `repository` (`owner/name`) and open a pull request into `base`.

    `base` is the default branch unless given. Running it again changes nothing: same files make no commit, and the open
    pull request is returned; its text is renewed only with a commit. None: `base` already holds all of it and there is
    nothing to propose. A branch whose pull request was merged is begun afresh from `base`.

    `known` maps the paths of the checkout that the files were made in to their blobs. With it, a file that others
    changed in `base` since, or in a commit of theirs on `branch`, is told and not overwritten. Raises `ToolError`.
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
    ahead = await _ahead(hub, root, target, branch)
    if known is not None:
        await _refuse_stale(hub, root, files, known, target, start)
        await _refuse_foreign(hub, root, files, ahead, branch)
    message = f"{title}\n\n{_OURS}"
    commit = await commit_files(hub, root, branch, files, message, start=None if ahead else start)
    if commit is None and not ahead:
        return None
    pull, created = await open_or_find(hub, root, branch, target, title, body)
    if commit is not None and not created and pull.get("body") != body:
        await hub.send("PATCH", f"{root}/pulls/{pull['number']}", {"body": body})
    return PullRequest(str(pull["html_url"]), int(pull["number"]), commit, created)


async def _ahead(hub: Hub, root: str, target: str, branch: str) -> list[Json]:
    """The commits of `branch` that `target` does not have, oldest first; none where the branch is absent."""
    if await branch_head(hub, root, branch) is None:
        return []
    return list((await hub.get(f"{root}/compare/{ref_path(target)}...{ref_path(branch)}"))["commits"])


async def _refuse_stale(
    hub: Hub, root: str, files: Sequence[FileChange], known: Mapping[str, str], target: str, commit: str
) -> None:
    """Raise `ToolError` for a file that `target` holds in another state than the author started from."""
    there = await _blobs(hub, root, commit, files)
    stale = [file.path for file in files if there.get(file.path) not in (known.get(file.path), _blob(file))]
    if stale:
        raise ToolError(
            f"{clean(', '.join(stale))} differs between {target} on GitHub and the last commit of this checkout, so "
            "nothing was sent. Bring both to the same state (git pull, git push) and run again."
        )


async def _refuse_foreign(hub: Hub, root: str, files: Sequence[FileChange], ahead: Sequence[Json], branch: str) -> None:
    """Raise `ToolError` when somebody else's commit on the branch changed a file that would be written now."""
    own = [number for number, commit in enumerate(ahead) if str(commit["commit"]["message"]).endswith(_OURS)]
    if not ahead or own[-1:] == [len(ahead) - 1]:
        return
    before = await _blobs(hub, root, ahead[own[-1]]["sha"] if own else ahead[0]["parents"][0]["sha"], files)
    now = await _blobs(hub, root, ahead[-1]["sha"], files)
    changed = [f.path for f in files if now.get(f.path) not in (before.get(f.path), _blob(f))]
    if changed:
        raise ToolError(
            f"Somebody else changed {clean(', '.join(changed))} on {branch}, so nothing was sent. Bring their change "
            "into the checkout, or merge or delete that branch, and run again."
        )


async def _blobs(hub: Hub, root: str, commit: str, files: Sequence[FileChange]) -> dict[str, str]:
    tree = str((await hub.get(f"{root}/git/commits/{commit}"))["tree"]["sha"])
    return {path: entry.sha for path, entry in (await entries_at(hub, root, tree, [f.path for f in files])).items()}


def _blob(file: FileChange) -> str | None:
    return None if file.content is None else blob_sha(file.content)
