"""A git checkout, looked at without running anything that its configuration names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.text import clean
from tools.tool import ToolError, child_environment

_SECONDS = 60
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--literal-pathspecs", "--no-optional-locks")


async def git(top: Path, *arguments: str) -> str:
    """What a git command prints. Raises `ToolError`."""
    try:
        process = await asyncio.create_subprocess_exec(
            *("git", *_SAFE, *arguments),
            cwd=top,
            env=child_environment({"GIT_TERMINAL_PROMPT": "0"}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(process.communicate(), _SECONDS)
    except (OSError, TimeoutError) as error:
        raise ToolError(f"git {arguments[0]} could not be run in {top}: {type(error).__name__}.") from error
    if process.returncode:
        said = clean(errors.decode("utf-8", "replace")).strip().split("\n")[0]
        raise ToolError(f"git {arguments[0]} failed in {top}: {said}")
    return output.decode("utf-8", "surrogateescape")


async def committed(top: Path, paths: Iterable[str]) -> dict[str, str]:
    """The blobs of these paths in the last commit; absent ones are left out, all of them before a first commit."""
    try:
        output = await git(top, "ls-tree", "-z", "HEAD", "--", *paths)
    except ToolError as error:
        if "object name HEAD" in str(error):
            return {}
        raise
    entries = (line.partition("\t") for line in output.split("\0") if line)
    return {path: facts.split()[2] for facts, _, path in entries}


@dataclass(frozen=True, slots=True)
class Checkout:
    """The checkout at `top` as it was when looked at first. `untracked` files of then are nobody's changes."""

    top: Path
    branch: str
    head: str
    untracked: frozenset[str]
    dirty: tuple[str, ...]

    @classmethod
    async def of(cls, top: Path) -> Checkout:
        """Raises `ToolError` where there is no commit yet."""
        branch = (await git(top, "branch", "--show-current")).strip()
        head = (await git(top, "rev-parse", "HEAD")).strip()
        return cls(top, branch, head, frozenset(await _untracked(top)), tuple(await _modified(top)))

    def must_be_at(self, commit: str, branch: str) -> None:
        """Raise `ToolError` unless exactly this commit is checked out, with nothing changed."""
        if self.head != commit:
            raise ToolError(
                f"The run is about {commit[:10]} on {clean(branch)}, but {self.head[:10]} is checked out here. Check "
                f"that out first: git fetch && git switch {clean(branch)} && git pull"
            )
        if self.dirty:
            raise ToolError(
                f"{clean(', '.join(self.dirty[:3]))} holds changes that are not committed. Commit or stash them, so "
                "that only the repair is pushed."
            )

    async def changed(self) -> list[str]:
        """Files that differ from the last commit, or are new since this was made."""
        new = set(await _untracked(self.top)) - self.untracked
        return sorted({*await _modified(self.top), *new})

    async def committed_text(self, path: str) -> str:
        """The file in the last commit; empty where it is not there."""
        try:
            return await git(self.top, "show", "--no-textconv", f"HEAD:{path}")
        except ToolError:
            return ""


async def differing(top: Path) -> list[str]:
    """Files that differ from the last commit or are not in it, ignored ones aside. Raises `ToolError`."""
    entries = (await git(top, "status", "--porcelain", "--no-renames", "--untracked-files=all", "-z")).split("\0")
    return [entry[3:] for entry in entries if entry]


async def _modified(top: Path) -> list[str]:
    output = await git(top, "diff", "--name-only", "--no-ext-diff", "--no-textconv", "-z", "HEAD")
    return [path for path in output.split("\0") if path]


async def _untracked(top: Path) -> list[str]:
    return [path for path in (await git(top, "ls-files", "--others", "--exclude-standard", "-z")).split("\0") if path]
