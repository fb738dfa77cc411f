"""Several files in one commit, through GitHub's git data API: nothing forced, nothing of others overwritten.

Blobs, tree, commit, then the branch is moved with `force: false`. When somebody else moved it meanwhile, everything is
read again and rebuilt once, unless they changed one of the same files: that is told, not overwritten.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools.github.errors import GitHubError
from tools.github.hub import Hub
from tools.text import clean
from tools.tool import ToolError

_MOST_FILES = 300
_MOST_BYTES = 20_000_000
_INLINE_BYTES = 500_000
_LINK = "120000"


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a commit. `content` None deletes it; `executable` None keeps the mode it has.

    `sha` is the blob the author has read: if another one is there, the commit is refused.
    """

    path: str
    content: bytes | None
    executable: bool | None = None
    sha: str | None = None

    @classmethod
    def read(cls, root: Path, path: str) -> FileChange:
        """The file `path` of the directory `root` as it is on disk; deleted if it is absent. Raises `ToolError`."""
        place = root / check_path(path)
        if not place.resolve().is_relative_to(root.resolve()):
            raise ToolError(f"{clean(path)} leads out of {clean(str(root))} and is not published.")
        if not place.exists():
            return cls(path, None)
        if not place.is_file():
            raise ToolError(f"{clean(path)} is not a file.")
        return cls(path, place.read_bytes(), executable=bool(place.stat().st_mode & 0o100))


@dataclass(frozen=True, slots=True)
class Entry:
    """What a tree holds at a path: `mode` (`100644`, `100755`, `120000`, `040000`, `160000`) and the object's `sha`."""

    mode: str
    sha: str


def blob_sha(content: bytes) -> str:
    """The id git gives this content."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


def check_path(path: str) -> str:
    """`path` if it is a plain relative path that a commit may hold. Raises `ToolError`."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower().rstrip(". ") == ".git" for part in parts) or len(path) > 4000:
        raise ToolError(f"{clean(path)[:200]!r} is not a path inside the repository. Write it like docs/guide.md.")
    if "\\" in path or not path.isprintable():
        raise ToolError(f"{clean(path)[:200]!r} holds a backslash or a character that cannot be seen.")
    return path


async def branch_head(hub: Hub, base: str, branch: str) -> str | None:
    """The commit a branch points to; None where there is no such branch."""
    try:
        found = await hub.find(f"{base}/git/ref/heads/{ref_path(branch)}")
    except GitHubError as error:
        if error.status == 409:
            raise ToolError(
                "The repository is empty, so it has no branch yet. Create a first file with create_or_update_file."
            ) from error
        raise
    # A prefix of several branch names is answered with a list by some servers.
    return str(found["object"]["sha"]) if isinstance(found, Mapping) else None


async def entries_at(hub: Hub, base: str, tree: str, paths: Iterable[str]) -> dict[str, Entry]:
    """What the tree holds at each of `paths`; absent ones are left out. Reads only the directories on the way."""
    trees: dict[str, dict[str, Entry]] = {}
    found: dict[str, Entry] = {}
    for path in paths:
        here = tree
        *folders, name = path.split("/")
        for folder in folders:
            entry = (await _tree(hub, base, here, trees)).get(folder)
            if entry is None or entry.mode != "040000":
                break
            here = entry.sha
        else:
            if (entry := (await _tree(hub, base, here, trees)).get(name)) is not None:
                found[path] = entry
    return found


async def _tree(hub: Hub, base: str, sha: str, known: dict[str, dict[str, Entry]]) -> dict[str, Entry]:
    if sha not in known:
        items = (await hub.get(f"{base}/git/trees/{sha}"))["tree"]
        known[sha] = {item["path"]: Entry(str(item["mode"]).zfill(6), item["sha"]) for item in items}
    return known[sha]


async def commit_files(
    hub: Hub, base: str, branch: str, changes: Sequence[FileChange], message: str, *, start: str | None = None
) -> str | None:
    """Commit `changes` on `branch` and return the commit; None when the branch already holds exactly that.

    `base` is `/repos/owner/name`. `start` is the commit to build on where the branch is absent (it is created) or adds
    nothing to it. Raises `ToolError` when somebody else changed one of the files.
    """
    _check_changes(hub, changes, message)
    seen: dict[str, Entry] | None = None
    while True:
        head = await branch_head(hub, base, branch)
        parent = start or head
        if parent is None:
            raise ToolError(f"There is no branch {clean(branch)!r}. Create it with create_branch, or check its name.")
        tree = str((await hub.get(f"{base}/git/commits/{parent}"))["tree"]["sha"])
        there = await entries_at(hub, base, tree, [change.path for change in changes])
        _refuse_conflicts(changes, there, seen)
        elements = [
            await _element(hub, base, change, there.get(change.path))
            for change in changes
            if not _is_there(change, there.get(change.path))
        ]
        if not elements:
            return None
        new_tree = await hub.send("POST", f"{base}/git/trees", {"base_tree": tree, "tree": elements})
        body = {"message": message, "tree": new_tree["sha"], "parents": [parent]}
        commit = str((await hub.send("POST", f"{base}/git/commits", body))["sha"])
        if await _move(hub, base, branch, head, commit, may_rebuild=seen is None):
            return commit
        seen, start = there, None


async def _move(hub: Hub, base: str, branch: str, head: str | None, commit: str, *, may_rebuild: bool) -> bool:
    """Point the branch at `commit`. False: somebody moved it first, and it may be tried once more."""
    try:
        if head is None:
            await hub.send("POST", f"{base}/git/refs", {"ref": f"refs/heads/{branch}", "sha": commit})
        else:
            await hub.send("PATCH", f"{base}/git/refs/heads/{ref_path(branch)}", {"sha": commit, "force": False})
    except GitHubError as error:
        if not error.unsure and error.status not in (409, 422):
            raise
        now = await branch_head(hub, base, branch)
        if now == commit:
            return True
        if error.unsure or now == head or not may_rebuild:
            raise
        return False
    return True


def _check_changes(hub: Hub, changes: Sequence[FileChange], message: str) -> None:
    if not message.strip():
        raise ToolError("A commit needs a message.")
    if not changes or len(changes) > _MOST_FILES:
        raise ToolError(f"A commit takes 1 to {_MOST_FILES} files, not {len(changes)}.")
    paths = [check_path(change.path) for change in changes]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise ToolError(f"These paths are given twice: {clean(', '.join(twice))}.")
    if sum(len(change.content or b"") for change in changes) > _MOST_BYTES:
        raise ToolError(f"A commit takes at most {_MOST_BYTES // 1_000_000} MB.")
    for change in changes:
        hub.refuse_secrets((change.content or b"").decode("utf-8", "replace"), change.path)


def _refuse_conflicts(
    changes: Sequence[FileChange], there: Mapping[str, Entry], seen: Mapping[str, Entry] | None
) -> None:
    for change in changes:
        refuse_conflict(change, there.get(change.path))
    if seen is None:
        return
    changed = [change.path for change in changes if there.get(change.path) != seen.get(change.path)]
    if changed:
        raise ToolError(
            f"Somebody else changed {clean(', '.join(changed))} on this branch just now. Nothing was overwritten. Read "
            "the files again and redo your change on what is there."
        )


def refuse_conflict(change: FileChange, entry: Entry | None) -> None:
    """Raise `ToolError` when the change would replace something its author has not seen, or no regular file."""
    path = clean(change.path)
    if entry is not None and entry.mode not in ("100644", "100755"):
        kind = {"040000": "a directory", _LINK: "a symbolic link", "160000": "a submodule"}.get(entry.mode, entry.mode)
        raise ToolError(f"{path} is {kind}, which is not overwritten.")
    if change.sha is not None and (entry is None or entry.sha != change.sha):
        now = f"is now {entry.sha}" if entry else "is not there any more"
        raise ToolError(f"{path} {now}, not the {clean(change.sha)[:40]} you read. Read it again and redo your change.")


def _is_there(change: FileChange, entry: Entry | None) -> bool:
    """Whether the tree already is as the change wants it."""
    if change.content is None or entry is None:
        return change.content is None and entry is None
    return entry.sha == blob_sha(change.content) and entry.mode == _mode(change, entry)


def _mode(change: FileChange, entry: Entry | None) -> str:
    executable = change.executable
    if executable is None:
        executable = entry is not None and entry.mode == "100755"
    return "100755" if executable else "100644"


async def _element(hub: Hub, base: str, change: FileChange, entry: Entry | None) -> dict[str, Any]:
    """The tree element of one change. What is not plain text, or long, goes up as a blob of its own."""
    element: dict[str, Any] = {"path": change.path, "mode": _mode(change, entry), "type": "blob"}
    if change.content is None:
        return {**element, "sha": None}
    if entry is not None and entry.sha == blob_sha(change.content):
        return {**element, "sha": entry.sha}
    text = _text(change.content)
    if text is not None:
        return {**element, "content": text}
    body = {"content": base64.b64encode(change.content).decode("ascii"), "encoding": "base64"}
    return {**element, "sha": (await hub.send("POST", f"{base}/git/blobs", body))["sha"]}


def _text(content: bytes) -> str | None:
    if len(content) > _INLINE_BYTES or b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def ref_path(name: str) -> str:
    """A branch name inside a URL: quoted, with its slashes."""
    return quote(name, safe="/")
