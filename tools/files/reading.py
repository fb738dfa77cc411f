"""Read: a file as a model can take it in."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from pydantic import Field

from tools.files import notebook
from tools.files.encoding import Text, decode, lines_of
from tools.files.ledger import note_part, note_whole
from tools.files.media import image_result, image_type, pdf_result
from tools.paths import Place, failure, locate, read_bytes
from tools.text import clean, cut_line, unseen
from tools.tool import ToolContext, ToolError, ToolResult, tool

MAX_FILE_BYTES = 64_000_000
_MAX_PDF_BYTES = 32_000_000
_PAGE_LINES = 2000
_PAGE_CHARACTERS = 100_000
_LARGE_CHARACTERS = 400_000
_LINE_CHARACTERS = 2000


def open_file(place: Place) -> bytes:
    """The file's bytes, with operating-system errors as `ToolError`."""
    try:
        return read_bytes(place, MAX_FILE_BYTES)[0]
    except FileNotFoundError as error:
        raise ToolError(f"{place.shown} does not exist.{_neighbours(place)}") from error
    except OSError as error:
        raise failure(error, "read", place) from error


def _neighbours(place: Place) -> str:
    """Names close to the one asked for: most misses are misspelled."""
    from difflib import get_close_matches

    try:
        names = [entry.name for entry in place.real.parent.iterdir()]
    except OSError:
        return f" Its directory does not exist either; look around with Glob from {clean(str(place.anchor))}."
    close = get_close_matches(place.real.name, names, n=3)
    return f" Similar names there: {', '.join(map(clean, close))}." if close else " Find files with Glob."


@tool("Read", effects={"reads"})
async def read(
    ctx: ToolContext,
    file_path: Annotated[str, Field(description="Absolute path of the file.")],
    offset: Annotated[int | None, Field(ge=1, description="First line, counted from 1. For large files.")] = None,
    limit: Annotated[int | None, Field(ge=1, description="Number of lines. For large files.")] = None,
    pages: Annotated[str | None, Field(description='PDF only: pages such as "3" or "1-5", at most 20 a call.')] = None,
    allow_large: Annotated[bool, Field(description="Show up to four times as much text in one call.")] = False,
) -> ToolResult:
    """Read a file: text, image, PDF or Jupyter notebook.

    - Text comes as numbered lines (number, tab, line). The number and the tab are not part of the file: leave them out
      of what you give to Edit.
    - Without `offset` and `limit` the file is read from the start, at most 2,000 lines; a notice says if it is longer
      and how to go on. Lines over 2,000 characters are cut, visibly.
    - PNG, JPEG, GIF and WebP are shown as images. A PDF gives the text of its pages; over 10 pages `pages` is needed.
      A notebook gives all cells with their outputs.
    - A directory is refused: use Glob, or `ls` in Bash. To find text in many files use Grep.
    - Edit and Write need a file to have been read here first, so read what you are going to change. Do not read a file
      again only to check an edit: a failed edit is an error.
    - Several files are read fastest with several calls in one turn.
    """
    place = locate(ctx, file_path)
    content = await asyncio.to_thread(open_file, place)
    media_type = image_type(content)
    if media_type:
        return image_result(place, content, media_type)
    if content.startswith(b"%PDF-"):
        if len(content) > _MAX_PDF_BYTES:
            raise ToolError(f"{place.shown} is larger than {_MAX_PDF_BYTES // 1_000_000} MB. Split it first.")
        return await pdf_result(place, content, pages)
    if pages is not None:
        raise ToolError(f"`pages` is for PDF files; {place.shown} is not one. Use `offset` and `limit`.")
    text = decode(content)
    if place.real.suffix == ".ipynb":
        return _notebook(ctx, place, content, text)
    return _text(ctx, place, content, text, offset, limit, _LARGE_CHARACTERS if allow_large else _PAGE_CHARACTERS)


def _notebook(ctx: ToolContext, place: Place, content: bytes, text: Text) -> ToolResult:
    parsed = notebook.parse(text.text)
    note_whole(ctx, place, content)
    data = {"type": "notebook", "file": {"filePath": str(place.path), "cells": parsed["cells"]}}
    return ToolResult(notebook.rendered(parsed), data=data)


def _text(
    ctx: ToolContext, place: Place, content: bytes, text: Text, offset: int | None, limit: int | None, characters: int
) -> ToolResult:
    lines = lines_of(text.text)
    first, total = offset or 1, len(lines)
    data: dict[str, Any] = {"filePath": str(place.path), "startLine": first, "totalLines": total}
    if first > max(total, 1) or not lines:
        if not lines:
            note_whole(ctx, place, content)
        notice = f"it has {total} lines; line {first} is past its end" if lines else "it is empty"
        return ToolResult(
            f"[{place.shown} exists, but {notice}.]",
            data={"type": "text", "file": {**data, "content": "", "numLines": 0}},
        )
    wanted = lines[first - 1 : first - 1 + (limit or _PAGE_LINES)]
    shown = _fitting([cut_line(line, _LINE_CHARACTERS) for line in wanted], characters)
    if limit is not None and len(shown) < len(wanted):
        raise ToolError(
            f"Lines {first} to {first + len(wanted) - 1} of {place.shown} are over {characters} characters. "
            f"Ask for fewer: {len(shown)} lines from {first} fit. Or search with Grep."
        )
    whole_lines = [first + i for i, line in enumerate(shown) if line == lines[first - 1 + i]]
    part = "\n".join(shown) + ("\n" if first - 1 + len(shown) < total or text.text.endswith("\n") else "")
    note_part(ctx, place, content, part, whole_lines, total)
    numbered = "\n".join(
        f"{n:>6}\t{clean(line.replace(chr(13), chr(92) + 'r'))}" for n, line in enumerate(shown, first)
    )
    file = data | {"content": "\n".join(shown), "numLines": len(shown)}
    if len(shown) < len(wanted):
        file["truncatedByTokenCap"] = True
    notices = _notices(text, "\n".join(shown), first, len(shown), total, whole=limit is None)
    return ToolResult("\n".join([numbered, *notices]), data={"type": "text", "file": file})


def _fitting(lines: list[str], characters: int) -> list[str]:
    """The first lines that have room, at least one."""
    used = 0
    for index, line in enumerate(lines):
        used += len(line) + 8
        if used > characters and index:
            return lines[:index]
    return lines


def _notices(text: Text, shown: str, first: int, count: int, total: int, *, whole: bool) -> list[str]:
    notices = []
    after = first + count
    if after <= total:
        partial = "PARTIAL: only lines" if whole else "Lines"
        notices.append(f"[{partial} {first}-{after - 1} of {total} are shown. Go on with offset={after}.]")
    if text.described():
        notices.append(f"[The file has {text.described()}; Edit and Write keep that.]")
    hidden = unseen(shown)
    if hidden:
        notices.append(f"[Invisible characters are shown as escapes or left out: {', '.join(hidden[:10])}.]")
    return notices
