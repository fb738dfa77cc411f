"""Write, Edit, NotebookEdit: changes that lose nothing nobody has seen."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

from pydantic import Field

from tools.files import notebook
from tools.files.encoding import Text, decode, lines_of
from tools.files.ledger import ledger, note_edit, note_whole, require_read, require_whole
from tools.files.notebook import CellType, EditMode
from tools.files.patch import structured_patch
from tools.files.reading import MAX_FILE_BYTES, open_file
from tools.paths import Place, failure, locate, read_bytes, replace_bytes
from tools.text import cap, clean, unseen
from tools.tool import ToolContext, ToolError, ToolResult, tool

_FilePath = Annotated[str, Field(description="Absolute path of the file.")]


def _current(place: Place) -> tuple[bytes, os.stat_result] | None:
    """Content and status of the file that is there, None without one."""
    try:
        return read_bytes(place, MAX_FILE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(error, "read", place) from error


def _existing(place: Place) -> tuple[bytes, os.stat_result]:
    found = _current(place)
    if found is None:
        open_file(place)  # raises, with names that are close
        raise ToolError(f"{place.shown} appeared during this call. Repeat it.")
    return found


def _replace(place: Place, content: bytes, before: os.stat_result | None) -> None:
    try:
        replace_bytes(place, content, before)
    except OSError as error:
        raise failure(error, "write", place) from error


@tool("Write", effects={"reads", "writes"})
async def write(
    ctx: ToolContext,
    file_path: _FilePath,
    content: Annotated[str, Field(description="The whole content of the file.")],
) -> ToolResult:
    """Write a whole file, creating it and its directories, or replacing what is there.

    - An existing file must have been read completely in this conversation and be unchanged since.
    - To change a part of a file use Edit: it is shorter and shows what changes.
    - Encoding, byte-order mark, CRLF line endings and mode of an existing file are kept. The file is replaced in one
      step: a failed call leaves the old file as it was.
    - Do not create documentation (README, *.md) nobody asked for, and no files that only hold notes to yourself.
    """
    return await asyncio.to_thread(_write, ctx, locate(ctx, file_path), content)


def _write(ctx: ToolContext, place: Place, content: str) -> ToolResult:
    with ledger(ctx).lock:
        found = _current(place)
        if found is None:
            old, kind = None, Text("")
            encoded = kind.encode(content)
            _replace(place, encoded, None)
        else:
            if found[0]:
                require_whole(ctx, place, found[0])
            kind = decode(found[0])
            old, encoded = kind.text, kind.encode(content)
            _replace(place, encoded, found[1])
        note_whole(ctx, place, encoded)
    data = {
        "type": "create" if old is None else "update",
        "filePath": str(place.path),
        "content": content,
        "structuredPatch": structured_patch(old, content) if old is not None else [],
        "originalFile": old,
    }
    done = "Created" if old is None else "Replaced"
    return ToolResult(f"{done} {place.shown} ({len(lines_of(content))} lines).", data=data)


@tool("Edit", effects={"reads", "writes"})
async def edit(
    ctx: ToolContext,
    file_path: _FilePath,
    old_string: Annotated[str, Field(min_length=1, description="The text to replace, exactly as in the file.")],
    new_string: Annotated[str, Field(description="The text to put there; different from old_string.")],
    replace_all: Annotated[bool, Field(description="Replace every match, for renaming.")] = False,
) -> ToolResult:
    """Replace text in a file, exactly.

    - The file must have been read in this conversation and be unchanged since; what is replaced must have been shown.
    - `old_string` must match exactly, with its indentation, and only once. Take it from Read's output without the line
      number and the tab. If it matches more than once, take in more lines around it, or set `replace_all` (for which
      the whole file must have been read).
    - Line endings, encoding, byte-order mark and mode are kept. A failed call changes nothing.
    - Several edits of one file in one turn work: each sees the one before it.
    """
    return await asyncio.to_thread(_edit, ctx, locate(ctx, file_path), old_string, new_string, replace_all)


def _edit(ctx: ToolContext, place: Place, old: str, new: str, replace_all: bool) -> ToolResult:
    with ledger(ctx).lock:
        content, status = _existing(place)
        kind = decode(content)
        seen = require_read(ctx, place, content)
        if replace_all:
            require_whole(ctx, place, content)
        old_here, new_here = _as_spelled(kind, old, new)
        if old_here == new_here:
            raise ToolError("old_string and new_string are the same. Nothing to change.")
        count = _count(place, kind.text, old_here, replace_all)
        if not seen.whole and not any(old_here in part for part in seen.parts):
            raise ToolError(f"That text is in {place.shown}, but in a part that has not been read. Read it first.")
        updated = kind.text.replace(old_here, new_here)
        encoded = kind.encode(updated)
        _replace(place, encoded, status)
        note_edit(ctx, place, encoded, old_here, new_here)
    line = kind.text[: kind.text.index(old_here)].count("\n") + 1
    data = {
        "filePath": str(place.path),
        "oldString": old,
        "newString": new,
        "originalFile": kind.text,
        "structuredPatch": structured_patch(kind.text, updated),
        "userModified": False,
        "replaceAll": replace_all,
    }
    where = f"{count} places, the first in line {line}" if count > 1 else f"line {line}"
    return ToolResult(f"Edited {place.shown} ({where}).", data=data)


def _as_spelled(kind: Text, old: str, new: str) -> tuple[str, str]:
    """Both strings with the line endings that the text has at that place: files may mix them."""
    if kind.crlf:
        return old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    if old not in kind.text and "\n" in old and "\r\n" not in old:
        windows = old.replace("\n", "\r\n")
        if windows in kind.text:
            return windows, new.replace("\r\n", "\n").replace("\n", "\r\n")
    return old, new


def _count(place: Place, text: str, old: str, replace_all: bool) -> int:
    """How often `old` occurs. Raises `ToolError`, with help, unless that allows the edit."""
    count = text.count(old)
    if count == 1 and text.find(old, text.index(old) + 1) >= 0:
        count = 2  # the matches overlap
    if count == 0:
        raise ToolError(f"old_string is not in {place.shown}. Nothing was changed.{_hint(text, old)}")
    if count > 1 and not replace_all:
        start = old.split("\n", 1)[0]
        lines = [str(n) for n, line in enumerate(text.split("\n"), 1) if start in line][:10]
        raise ToolError(
            f"old_string is {count} times in {place.shown} (lines {', '.join(lines)}). Nothing was changed. Take in "
            "more of the text around the one you mean, or set replace_all."
        )
    return count


def _hint(text: str, old: str) -> str:
    """Why an exact match may have failed: whitespace, or characters that cannot be seen."""
    core = next((line.strip() for line in old.split("\n") if line.strip()), "")
    similar = [str(n) for n, line in enumerate(text.split("\n"), 1) if core and line.strip() == core][:5]
    if similar:
        return f" Line {', '.join(similar)} is like its first line: compare whitespace and the lines that follow."
    hidden = unseen(text)
    if hidden:
        return f" The file has characters that Read shows as escapes ({', '.join(hidden[:5])})."
    return " Read the file again and copy the text exactly."


@tool("NotebookEdit", effects={"reads", "writes"})
async def notebook_edit(
    ctx: ToolContext,
    notebook_path: Annotated[str, Field(description="Absolute path of the .ipynb file.")],
    new_source: Annotated[str, Field(description="The cell's new source; anything for delete.")],
    cell_id: Annotated[str | None, Field(description="The cell, as Read names it. For insert: the one before.")] = None,
    cell_type: Annotated[CellType | None, Field(description="Needed for insert.")] = None,
    edit_mode: Annotated[EditMode, Field(description="What to do with the cell.")] = "replace",
) -> ToolResult:
    """Replace, insert or delete one cell of a Jupyter notebook that has been read in this conversation.

    An inserted cell goes after `cell_id`, or to the start without one. Outputs of replaced code are cleared.
    """
    place = locate(ctx, notebook_path)
    if place.real.suffix != ".ipynb":
        raise ToolError(f"{place.shown} is not a notebook (.ipynb). Use Edit.")
    return await asyncio.to_thread(_notebook_edit, ctx, place, new_source, cell_id, cell_type, edit_mode)


def _notebook_edit(
    ctx: ToolContext, place: Place, source: str, cell_id: str | None, cell_type: CellType | None, mode: EditMode
) -> ToolResult:
    with ledger(ctx).lock:
        content, status = _existing(place)
        require_whole(ctx, place, content)
        kind = decode(content)
        before = notebook.parse(kind.text)
        after, touched = notebook.changed(before, source, cell_id, cell_type, mode)
        encoded = notebook.dump(after, kind)
        _replace(place, encoded, status)
        note_whole(ctx, place, encoded)
    data: dict[str, Any] = {
        "new_source": source,
        "cell_id": touched,
        "cell_type": cell_type or "code",
        "language": notebook.language_of(before),
        "edit_mode": mode,
        "notebook_path": str(place.path),
        "original_file": kind.text,
        "updated_file": decode(encoded).text,
    }
    done = {"replace": "Replaced", "insert": "Inserted", "delete": "Deleted"}[mode]
    return ToolResult(f"{done} cell {clean(cap(touched, 100))} of {place.shown}.", data=data)
