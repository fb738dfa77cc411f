"""Write, Edit, NotebookEdit: nothing unread is lost, everything about a file but the change is kept."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.files import edit, notebook_edit, read, write
from tools.files.patch import structured_patch
from tools.tool import ToolContext, ToolError


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    return ToolContext(root=tmp_path, cwd=tmp_path, scratch=tmp_path / "scratch")


def apply(patch: list[dict[str, Any]], old: str) -> str:
    """What a reader of the hunks makes of `old`."""
    lines, out, position = old.split("\n"), [], 0
    lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    for hunk in patch:
        start = hunk["oldStart"] - 1 if hunk["oldLines"] else hunk["oldStart"]
        out += lines[position:start]
        position = start + hunk["oldLines"]
        for index, line in enumerate(hunk["lines"]):
            bare = index + 1 < len(hunk["lines"]) and hunk["lines"][index + 1].startswith("\\")
            if line[0] in " +":
                out.append(line[1:] + ("" if bare else "\n"))
    return "".join(out + lines[position:])


_small_text = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=30).map("\n".join)


@given(_small_text, _small_text)
def test_a_patch_turns_the_old_text_into_the_new(old: str, new: str) -> None:
    patch = structured_patch(old, new)
    assert apply(patch, old) == new
    for hunk in patch:
        marks = [line[0] for line in hunk["lines"]]
        assert marks.count(" ") + marks.count("-") == hunk["oldLines"]
        assert marks.count(" ") + marks.count("+") == hunk["newLines"]


def test_a_patch_of_huge_different_texts_is_quick() -> None:
    old, new = "\n".join("a" * 9 for _ in range(30_000)), "\n".join("b" * 9 for _ in range(30_000))
    patch = structured_patch(old, new)
    assert len(patch) == 1
    assert patch[0]["oldLines"] == 30_000


async def test_a_new_file_is_created_with_its_directories(ctx: ToolContext) -> None:
    result = await write.invoke(ctx, {"file_path": str(ctx.root / "a" / "b" / "c.txt"), "content": "x\n"})
    assert (ctx.root / "a" / "b" / "c.txt").read_text() == "x\n"
    assert result.data["type"] == "create"
    assert result.data["originalFile"] is None
    assert [p.name for p in (ctx.root / "a" / "b").iterdir()] == ["c.txt"]


async def test_an_existing_file_must_have_been_read(ctx: ToolContext) -> None:
    (ctx.root / "f").write_text("old\n")
    with pytest.raises(ToolError, match="has not been read"):
        await write(ctx, "f", "new\n")
    with pytest.raises(ToolError, match="has not been read"):
        await edit(ctx, "f", "old", "new")
    await read(ctx, "f")
    result = await write(ctx, "f", "new\n")
    assert result.data["type"] == "update"
    assert result.data["structuredPatch"] == [
        {"oldStart": 1, "oldLines": 1, "newStart": 1, "newLines": 1, "lines": ["-old", "+new"]}
    ]
    await edit(ctx, "f", "new", "newer")  # what was written is known
    assert (ctx.root / "f").read_text() == "newer\n"


async def test_a_file_that_changed_since_it_was_read_is_left_alone(ctx: ToolContext) -> None:
    file = ctx.root / "f"
    file.write_text("one\n")
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    await read(ctx, "f")
    file.write_text("two\n")
    os.utime(file, ns=times)  # same size, same time: only the content tells
    for call in (write(ctx, "f", "x"), edit(ctx, "f", "two", "x")):
        with pytest.raises(ToolError, match="changed since"):
            await call
    assert file.read_text() == "two\n"


async def test_reading_is_per_context(ctx: ToolContext) -> None:
    (ctx.root / "f").write_text("x")
    await read(ctx, "f")
    other = ToolContext(root=ctx.root, cwd=ctx.root, scratch=ctx.scratch)
    with pytest.raises(ToolError, match="has not been read"):
        await edit(other, "f", "x", "y")


async def test_only_what_was_shown_can_be_edited(ctx: ToolContext) -> None:
    (ctx.root / "f").write_text("".join(f"line {n};\n" for n in range(1, 101)))
    await read(ctx, "f", offset=10, limit=5)
    await edit(ctx, "f", "line 12;", "changed;")
    await edit(ctx, "f", "changed;\nline 13;", "again;")
    with pytest.raises(ToolError, match="has not been read"):
        await edit(ctx, "f", "line 50;", "x")
    with pytest.raises(ToolError, match="Only a part"):
        await write(ctx, "f", "x")
    with pytest.raises(ToolError, match="Only a part"):
        await edit(ctx, "f", "line", "x", replace_all=True)


async def test_parts_that_make_a_whole_count_as_a_whole(ctx: ToolContext) -> None:
    (ctx.root / "f").write_text("".join(f"{n}\n" for n in range(3000)))
    await read(ctx, "f")
    with pytest.raises(ToolError, match="Only a part"):
        await write(ctx, "f", "x")
    await read(ctx, "f", offset=2001)
    await write(ctx, "f", "x")
    assert (ctx.root / "f").read_text() == "x"


async def test_lines_that_were_cut_are_unread(ctx: ToolContext) -> None:
    (ctx.root / "f").write_text("x" * 5000 + "\nend\n")
    await read(ctx, "f")
    with pytest.raises(ToolError, match="Only a part"):
        await write(ctx, "f", "gone")
    await edit(ctx, "f", "end\n", "END\n")


async def test_a_match_must_be_exact_and_single(ctx: ToolContext) -> None:
    (ctx.root / "f").write_text("  alpha\nbeta\nbeta\naaa\n")
    await read(ctx, "f")
    with pytest.raises(ToolError, match="Line 1 is like its first line: compare whitespace"):
        await edit(ctx, "f", "\talpha", "x")
    with pytest.raises(ToolError, match=r"2 times .*lines 2, 3"):
        await edit(ctx, "f", "beta", "x")
    with pytest.raises(ToolError, match="2 times"):
        await edit(ctx, "f", "aa", "x")  # overlapping
    with pytest.raises(ToolError, match="same"):
        await edit(ctx, "f", "beta", "beta")
    with pytest.raises(ToolError, match="wrong input"):
        await edit.invoke(ctx, {"file_path": "f", "old_string": "", "new_string": "x"})
    result = await edit(ctx, "f", "beta", "B", replace_all=True)
    assert (ctx.root / "f").read_text() == "  alpha\nB\nB\naaa\n"
    assert result.data["replaceAll"] is True
    assert result.data["originalFile"] == "  alpha\nbeta\nbeta\naaa\n"


async def test_invisible_characters_are_named_when_a_match_fails(ctx: ToolContext) -> None:
    (ctx.root / "f").write_text("na\u200bme\n")
    await read(ctx, "f")
    with pytest.raises(ToolError, match="u200b"):
        await edit(ctx, "f", "name", "x")


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\r\nb\r\nc\r\n", "a\nb", "x\ny", b"x\r\ny\r\nc\r\n"),
        (b"a\r\nb\nc\r\n", "a\nb", "x\ny", b"x\r\ny\nc\r\n"),
        ("\ufeff가\n".encode(), "가", "나", "\ufeff나\n".encode()),
        ("\ufeff가\n".encode("utf-16-le"), "가", "나", "\ufeff나\n".encode("utf-16-le")),
        (b"caf\xe9\n", "café", "thé", b"th\xe9\n"),
        (b"no newline", "newline", "end", b"no end"),
    ],
)
async def test_encoding_mark_and_line_endings_stay(
    ctx: ToolContext, before: bytes, old: str, new: str, after: bytes
) -> None:
    (ctx.root / "f").write_bytes(before)
    await read(ctx, "f")
    await edit(ctx, "f", old, new)
    assert (ctx.root / "f").read_bytes() == after


async def test_write_keeps_line_endings_and_mode(ctx: ToolContext) -> None:
    file = ctx.root / "run.sh"
    file.write_bytes(b"a\r\nb\r\n")
    file.chmod(0o750)
    await read(ctx, "run.sh")
    await write(ctx, "run.sh", "c\nd\n")
    assert file.read_bytes() == b"c\r\nd\r\n"
    assert file.stat().st_mode & 0o777 == 0o750


async def test_a_character_the_encoding_lacks_is_an_error_before_anything_is_written(ctx: ToolContext) -> None:
    (ctx.root / "f").write_bytes(b"caf\xe9\n")
    await read(ctx, "f")
    with pytest.raises(ToolError, match="latin-1, has no character U\\+D55C"):
        await edit(ctx, "f", "café", "한")
    with pytest.raises(ToolError, match="U\\+D800"):
        await write(ctx, "new", "\ud800")
    assert (ctx.root / "f").read_bytes() == b"caf\xe9\n"
    assert not (ctx.root / "new").exists()


async def test_links_in_the_workspace_are_written_through_links_out_of_it_are_not(ctx: ToolContext) -> None:
    (ctx.root / "ws").mkdir()
    inner = ToolContext(root=ctx.root / "ws", cwd=ctx.root / "ws", scratch=ctx.scratch)
    (ctx.root / "outside").write_text("secret")
    (inner.root / "out").symlink_to(ctx.root / "outside")
    (inner.root / "real").write_text("x")
    (inner.root / "alias").symlink_to("real")
    with pytest.raises(ToolError, match="outside"):
        await write(inner, "out", "x")
    await read(inner, "real")
    await write(inner, "alias", "y")
    assert (inner.root / "alias").is_symlink()
    assert (inner.root / "real").read_text() == "y"
    assert (ctx.root / "outside").read_text() == "secret"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
async def test_a_write_that_fails_leaves_the_old_file_and_no_rest(
    ctx: ToolContext, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (ctx.root / "f").write_text("old\n")
    await read(ctx, "f")

    def fail(_fd: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ToolError, match=f"Cannot write .*{os.strerror(code)}.*Nothing was changed"):
        await write(ctx, "f", "new\n")
    assert (ctx.root / "f").read_text() == "old\n"
    assert [p.name for p in ctx.root.iterdir()] == ["f"]


async def test_edits_of_one_file_in_one_turn_all_arrive(ctx: ToolContext) -> None:
    (ctx.root / "f").write_text("".join(f"<{n}>\n" for n in range(20)))
    await read(ctx, "f")
    await asyncio.gather(*(edit(ctx, "f", f"<{n}>", f"[{n}]") for n in range(20)))
    assert (ctx.root / "f").read_text() == "".join(f"[{n}]\n" for n in range(20))


@given(st.text(alphabet="ab\n\r", min_size=1, max_size=30), st.text(alphabet="abc\n", max_size=5))
def test_an_edit_changes_the_bytes_it_names_and_no_others(text: str, new: str) -> None:
    import tempfile

    async def run(root: Path) -> bytes:
        ctx = ToolContext(root=root, cwd=root, scratch=root)
        (root / "f").write_bytes(b"<" + text.encode() + b">MARK<" + text.encode() + b">")
        await read(ctx, "f")
        await edit(ctx, "f", "MARK", new + "!")
        return (root / "f").read_bytes()

    with tempfile.TemporaryDirectory() as name:
        after = asyncio.run(run(Path(name).resolve()))
    head, tail = b"<" + text.encode() + b">", b"<" + text.encode() + b">"
    assert after.startswith(head)
    assert after.endswith(tail)
    assert after[len(head) : -len(tail)].replace(b"\r\n", b"\n") == (new + "!").encode()


CELLS = [
    {"id": "one", "cell_type": "code", "metadata": {}, "execution_count": 3, "source": ["a"], "outputs": [{"x": 1}]},
    {"id": "two", "cell_type": "markdown", "metadata": {}, "source": ["# t"]},
]


async def _notebook(ctx: ToolContext, minor: int = 5) -> Path:
    file = ctx.root / "n.ipynb"
    file.write_text(json.dumps({"nbformat": 4, "nbformat_minor": minor, "metadata": {}, "cells": CELLS}))
    await read(ctx, "n.ipynb")
    return file


async def test_a_cell_is_replaced_and_its_outputs_go(ctx: ToolContext) -> None:
    file = await _notebook(ctx)
    result = await notebook_edit.invoke(ctx, {"notebook_path": str(file), "new_source": "b = 1\nb", "cell_id": "one"})
    cell = json.loads(file.read_text())["cells"][0]
    assert (cell["source"], cell["outputs"], cell["execution_count"]) == (["b = 1\n", "b"], [], None)
    assert result.data["cell_id"] == "one"
    await notebook_edit(ctx, "n.ipynb", "words", "cell-0", "markdown")
    assert "outputs" not in json.loads(file.read_text())["cells"][0]


async def test_cells_are_inserted_and_deleted(ctx: ToolContext) -> None:
    file = await _notebook(ctx)
    await notebook_edit(ctx, "n.ipynb", "after", "one", "code", "insert")
    await notebook_edit(ctx, "n.ipynb", "first", None, "markdown", "insert")
    await notebook_edit(ctx, "n.ipynb", "", "two", None, "delete")
    cells = json.loads(file.read_text())["cells"]
    assert ["".join(c["source"]) for c in cells] == ["first", "a", "after"]
    assert all(cell["id"] for cell in cells)


async def test_old_notebooks_get_no_ids(ctx: ToolContext) -> None:
    file = await _notebook(ctx, minor=4)
    await notebook_edit(ctx, "n.ipynb", "x", None, "code", "insert")
    assert "id" not in json.loads(file.read_text())["cells"][0]


async def test_wrong_notebook_edits_are_refused(ctx: ToolContext) -> None:
    file = await _notebook(ctx)
    before = file.read_bytes()
    (ctx.root / "t.txt").write_text("x")
    for path, cell, kind, mode, message in [
        ("n.ipynb", "nope", None, "replace", "The cells are: one, two"),
        ("n.ipynb", None, None, "replace", "name it"),
        ("n.ipynb", "one", None, "insert", "needs `cell_type`"),
        ("t.txt", "one", None, "delete", "not a notebook"),
    ]:
        with pytest.raises(ToolError, match=message):
            await notebook_edit.invoke(
                ctx,
                {"notebook_path": path, "new_source": "x", "cell_id": cell, "cell_type": kind, "edit_mode": mode},
            )
    assert file.read_bytes() == before
