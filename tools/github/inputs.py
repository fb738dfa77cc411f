"""Parameters that many tools share, spelled as the official GitHub MCP server spells them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.tool import ToolError

Owner = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", description="Repository owner.")]
Repo = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][\w.-]{0,99}$|^\.\w[\w.-]{0,98}$", description="Repository name.")]
Branch = Annotated[str, Field(min_length=1, max_length=244, description="Branch name, without refs/heads/.")]
Page = Annotated[int, Field(ge=1, le=1000, description="Page of the list, from 1.")]
PerPage = Annotated[int, Field(ge=1, le=100, description="Items a page.")]
Number = Annotated[int, Field(ge=1, description="The number, as in its URL.")]


def check_ref(name: str) -> str:
    """`name` if git allows it as a branch name (git-check-ref-format). Raises `ToolError`."""
    wrong = (
        any(part.startswith(".") or part.endswith(".lock") or not part for part in name.split("/"))
        or any(ord(char) < 33 or char in "~^:?*[\\\x7f" for char in name)
        or ".." in name
        or "@{" in name
        or name == "@"
        or name.endswith(".")
        or name.startswith("-")
    )
    if wrong:
        raise ToolError(f"{name!r} is not a valid branch name.")
    return name
