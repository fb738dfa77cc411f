"""Grep and Glob: find text and files in the workspace, in a fixed order, never outside it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tools.paths import Place, failure, locate, within
from tools.search import ripgrep
from tools.search.globs import PathTest, file_filter, matcher, split_globs
from tools.search.query import Found, Query
from tools.search.results import Entries, OutputMode
from tools.search.scan import scan
from tools.search.types import globs_of
from tools.search.walk import Walk
from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool

_SECONDS = 30.0
_BATCHES = (100, 400)  # 400 paths of the longest kind still fit an argument list
_MOST_LINES = 100_000
_MOST_PATHS = 100


def _chosen(ctx: ToolContext, start: Place, *, names: bool, wanted: PathTest) -> Iterator[str]:
    """Files below `start` that pass, in order; `""` for a start that is a file itself."""
    allowed: Callable[[Path], bool] = ctx.state.get("search", lambda _path: True)
    if not start.real.is_dir():
        if start.real.is_file() and allowed(start.real):
            yield ""
        return
    for path in Walk(start, names).files():
        if wanted(path) and allowed(start.real / path):
            yield path


def _start(ctx: ToolContext, path: str | None) -> Place:
    start = locate(ctx, path or str(ctx.cwd))
    try:
        start.real.stat()
    except FileNotFoundError as error:
        raise ToolError(f"{start.shown} does not exist. Give a path that does, or leave `path` out.") from error
    except OSError as error:
        raise failure(error, "read", start) from error
    return start


def _shown(ctx: ToolContext, start: Place, path: str) -> str:
    """How a result is named: relative to the current directory where it lies below it."""
    full = start.path / path if path else start.path
    return clean(str(full.relative_to(ctx.cwd) if within(full, ctx.cwd) else full))


@tool("Grep", effects={"reads"})
async def grep(
    ctx: ToolContext,
    pattern: Annotated[str, Field(description="Regular expression, ripgrep syntax.")],
    path: Annotated[str | None, Field(description="File or directory; the current directory by default.")] = None,
    glob: Annotated[str | None, Field(description='Only these files: "*.yml", "src/**/*.{ts,js}", "!*.lock".')] = None,
    type: Annotated[str | None, Field(description="Only this type: py, yaml, docker.")] = None,  # noqa: A002
    output_mode: Annotated[
        OutputMode, Field(description="Names of files, matching lines, or numbers of matching lines per file.")
    ] = "files_with_matches",
    after: Annotated[int | None, Field(alias="-A", ge=0, description="Lines after each match (content).")] = None,
    before: Annotated[int | None, Field(alias="-B", ge=0, description="Lines before each match (content).")] = None,
    around: Annotated[int | None, Field(alias="-C", ge=0, description="Lines around each match (content).")] = None,
    context: Annotated[int | None, Field(ge=0, description="The same as -C.")] = None,
    numbers: Annotated[bool, Field(alias="-n", description="Line numbers (content).")] = True,
    ignore_case: Annotated[bool, Field(alias="-i", description="Ignore case.")] = False,
    only_matching: Annotated[bool, Field(alias="-o", description="Only the matched text (content).")] = False,
    head_limit: Annotated[int, Field(ge=0, description="At most so many lines or files; 0 for all.")] = 250,
    offset: Annotated[int, Field(ge=0, description="Leave out so many first.")] = 0,
    multiline: Annotated[bool, Field(description="Let matches span lines; `.` then matches newlines.")] = False,
) -> ToolResult:
    """Search the contents of files with a regular expression. Use this, not `grep` or `rg` in Bash.

    - Linear-time expressions as in ripgrep: no look-around, no back-references. Braces are written `\\{`.
    - What `.gitignore` names is left out, as are `.git` and binary files; other hidden files (`.github`, `.env.dist`)
      are searched. A `path` that is itself ignored (`node_modules/x`) is searched.
    - `files_with_matches` (the default) to find where, then `content` with `-C` to see it. Results are sorted by path.
    - Lines over 500 characters are cut, visibly. Independent searches go into one turn, as several calls.
    """
    context = context if around is None else around
    content = output_mode == "content"
    stop_after = offset + head_limit if head_limit else _MOST_LINES
    query = Query(
        pattern,
        ignore_case=ignore_case,
        multiline=multiline,
        before=((before if before is not None else context) or 0) if content else 0,
        after=((after if after is not None else context) or 0) if content else 0,
        only_matching=only_matching and content,
        most={"content": stop_after, "count": _MOST_LINES}.get(output_mode, 1),
    )
    start = _start(ctx, path)
    by_type = file_filter(globs_of(type)) if type else lambda _path: True
    by_glob = file_filter(split_globs(glob)) if glob else lambda _path: True
    paths = _chosen(ctx, start, names=False, wanted=lambda p: by_type(p) and by_glob(p))
    entries = Entries(output_mode, numbers=numbers, separators=bool(query.before or query.after))
    async with aclosing(_search(ctx, query, start, paths)) as batches:
        async for batch in batches:
            for found in batch:
                entries.add(_shown(ctx, start, found.path), found.lines)
            if len(entries.shown) > stop_after:
                break
    return entries.result(head_limit, offset)


async def _search(
    ctx: ToolContext, query: Query, start: Place, paths: Iterator[str]
) -> AsyncGenerator[list[Found], None]:
    """Search batch by batch, a small one first, so that a search which has enough stops early."""
    program = shutil.which("rg", path=ctx.env.get("PATH"))
    deadline = time.monotonic() + _SECONDS
    for size in chain(_BATCHES, repeat(_BATCHES[-1])):
        batch = await asyncio.to_thread(list, islice(paths, size))
        if not batch:
            return
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                if program is not None:
                    found = await ripgrep.search(program, ctx.env, query, start, batch)
                else:
                    found = await asyncio.to_thread(list, scan(query, start, batch))
        except TimeoutError:
            raise ToolError(f"The search took over {_SECONDS:g} s. Narrow `path`, `glob` or `type`.") from None
        yield found


@tool("Glob", effects={"reads"})
async def glob(
    ctx: ToolContext,
    pattern: Annotated[str, Field(description='Glob over paths: "**/*.tf", "src/**/*.{ts,tsx}", "Dockerfile*".')],
    path: Annotated[str | None, Field(description="Directory; the current directory by default.")] = None,
) -> ToolResult:
    """Find files by name. Use this, not `find` or `ls` in Bash.

    - `*` stays within a path segment, `**` spans any number of them: `*.md` finds files of the directory itself,
      `**/*.md` at any depth.
    - At most 100 paths, sorted; a notice says if there are more. Hidden files and ignored files (`.env`) are found;
      ignored directories (`node_modules`) and `.git` are not entered unless `path` names them.
    - To find what files contain use Grep.
    """
    began = time.monotonic()
    if pattern.startswith("/") and path is None:
        path, pattern = _split_absolute(pattern)
    start = _start(ctx, path)
    if not start.real.is_dir():
        raise ToolError(f"{start.shown} is not a directory. Give a directory as `path`.")
    test = matcher(pattern.removeprefix("./"))
    paths = _chosen(ctx, start, names=True, wanted=test)
    try:
        async with asyncio.timeout(_SECONDS):
            found = await asyncio.to_thread(list, islice(paths, _MOST_PATHS + 1))
    except TimeoutError:
        raise ToolError(f"The search took over {_SECONDS:g} s. Narrow `path`.") from None
    names = [_shown(ctx, start, name) for name in found[:_MOST_PATHS]]
    truncated = len(found) > _MOST_PATHS
    data = {
        "durationMs": round((time.monotonic() - began) * 1000),
        "numFiles": len(names),
        "filenames": names,
        "truncated": truncated,
    }
    more = f"\n[Only the first {_MOST_PATHS} are shown. Narrow the pattern or `path`.]" if truncated else ""
    return ToolResult(("\n".join(names) or "No files found.") + more, data=data)


def _split_absolute(pattern: str) -> tuple[str, str]:
    """An absolute pattern as the directory before its first wildcard and the rest."""
    parts = pattern.split("/")
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[{\\")), len(parts) - 1)
    return "/".join(parts[:fixed]) or "/", "/".join(parts[fixed:])
