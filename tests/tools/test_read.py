"""Read: text, encodings, pages of large files, images, notebooks, PDF files."""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.files import read
from tools.files.encoding import decode
from tools.files.media import image_size, image_type, page_range
from tools.tool import ToolContext, ToolError, ToolResult


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    return ToolContext(root=tmp_path, cwd=tmp_path, scratch=tmp_path / "scratch")


def text_of(result: ToolResult) -> str:
    assert isinstance(result.content, str)
    return result.content


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    )


async def test_lines_are_numbered(ctx: ToolContext) -> None:
    (ctx.root / "a.txt").write_text("one\ntwo\n\n넷")
    result = await read.invoke(ctx, {"file_path": str(ctx.root / "a.txt")})
    assert result.content == "     1\tone\n     2\ttwo\n     3\t\n     4\t넷"
    assert result.data["type"] == "text"
    assert result.data["file"] == {
        "filePath": str(ctx.root / "a.txt"),
        "content": "one\ntwo\n\n넷",
        "numLines": 4,
        "startLine": 1,
        "totalLines": 4,
    }


async def test_a_range_is_shown_with_its_own_numbers(ctx: ToolContext) -> None:
    (ctx.root / "a").write_text("".join(f"l{n}\n" for n in range(1, 11)))
    result = await read(ctx, "a", offset=3, limit=2)
    assert text_of(result).startswith("     3\tl3\n     4\tl4\n[Lines 3-4 of 10")
    assert text_of(await read(ctx, "a", offset=10)) == "    10\tl10"


async def test_empty_and_past_the_end_are_notices(ctx: ToolContext) -> None:
    (ctx.root / "empty").touch()
    (ctx.root / "short").write_text("x\n")
    assert "empty" in text_of(await read(ctx, "empty"))
    assert "it has 1 lines; line 9 is past its end" in text_of(await read(ctx, "short", offset=9))


async def test_a_long_file_gives_a_first_page_and_says_how_to_go_on(ctx: ToolContext) -> None:
    (ctx.root / "long").write_text("".join(f"{n}\n" for n in range(1, 5001)))
    result = await read(ctx, "long")
    assert "[PARTIAL: only lines 1-2000 of 5000 are shown. Go on with offset=2001.]" in text_of(result)
    assert result.data["file"]["numLines"] == 2000


async def test_wide_text_is_paged_by_size_and_an_explicit_range_is_an_error(ctx: ToolContext) -> None:
    (ctx.root / "wide").write_text(("x" * 1500 + "\n") * 200)
    result = await read(ctx, "wide")
    assert result.data["file"]["truncatedByTokenCap"] is True
    assert len(text_of(result)) < 110_000
    with pytest.raises(ToolError, match="Ask for fewer"):
        await read(ctx, "wide", limit=200)
    large = await read(ctx, "wide", limit=200, allow_large=True)
    assert large.data["file"]["numLines"] == 200


async def test_long_lines_are_cut_visibly(ctx: ToolContext) -> None:
    (ctx.root / "min.js").write_text("y" * 5000 + "\n")
    assert "[3000 more characters]" in text_of(await read(ctx, "min.js"))


@pytest.mark.parametrize(
    ("raw", "shown", "notice"),
    [
        ("\ufeff한글\n".encode(), "한글", "utf-8 with a byte-order mark"),
        ("\ufeffab한\n".encode("utf-16-le"), "ab한", "utf-16-le"),
        ("\ufeffab\n".encode("utf-16-be"), "ab", "utf-16-be"),
        ("\ufeffab\n".encode("utf-32-le"), "ab", "utf-32-le"),
        (b"caf\xe9\n", "café", "Latin-1"),
        (b"a\r\nb\r\n", "a\n     2\tb", "CRLF"),
        (b"\x1b[31mred \xe2\x80\x8b\n", "red \\u200b", "Invisible"),
    ],
)
async def test_encodings_are_read_and_reported(ctx: ToolContext, raw: bytes, shown: str, notice: str) -> None:
    (ctx.root / "f").write_bytes(raw)
    text = text_of(await read(ctx, "f"))
    assert f"\t{shown}" in text
    assert notice in text


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")),
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_decoding_and_encoding_give_the_same_bytes(text: str, encoding: str) -> None:
    raw = text.encode(encoding)
    decoded = decode(raw)
    assert decoded.encode(decoded.text) == raw


@given(st.binary())
def test_whatever_is_text_comes_back_as_the_same_bytes(raw: bytes) -> None:
    try:
        decoded = decode(raw)
    except ToolError:
        return
    assert decoded.encode(decoded.text) == raw


@pytest.mark.parametrize("kind", ["directory", "fifo", "missing", "binary", "device", "outside"])
async def test_what_is_no_file_is_refused_with_a_reason(ctx: ToolContext, kind: str) -> None:
    target = ctx.root / "x"
    match kind:
        case "directory":
            target.mkdir()
        case "fifo":
            os.mkfifo(target)
        case "binary":
            target.write_bytes(b"\x7fELF\0\0\1")
        case "device":
            target.symlink_to("/dev/zero")
        case "outside":
            target.symlink_to("/etc/hostname")
    with pytest.raises(ToolError, match=r"directory|FIFO|does not exist|binary|kernel|outside"):
        await read(ctx, "x")


async def test_a_misspelled_name_gets_a_suggestion(ctx: ToolContext) -> None:
    (ctx.root / "Dockerfile").touch()
    with pytest.raises(ToolError, match="Similar names there: Dockerfile"):
        await read(ctx, "Dockerfil")


async def test_bad_input_names_the_field(ctx: ToolContext) -> None:
    for raw in ({}, {"file_path": 3}, {"file_path": "x", "offset": 0}, {"file_path": "x", "nonsense": 1}):
        with pytest.raises(ToolError, match="Read was called with wrong input"):
            await read.invoke(ctx, raw)


async def test_an_image_is_a_block(ctx: ToolContext) -> None:
    (ctx.root / "p.txt").write_bytes(png(3, 5))  # the content counts, not the name
    result = await read(ctx, "p.txt")
    assert isinstance(result.content, list)
    assert result.content[0]["source"]["media_type"] == "image/png"
    assert base64.b64decode(result.content[0]["source"]["data"]) == png(3, 5)
    assert result.data["file"]["dimensions"] == {"originalWidth": 3, "originalHeight": 5}


async def test_images_the_model_would_refuse_are_refused_here(ctx: ToolContext) -> None:
    (ctx.root / "wide.png").write_bytes(png(9000, 1))
    (ctx.root / "big.png").write_bytes(png(1, 1) + b"\0" * 4_000_000)
    with pytest.raises(ToolError, match="9000 by 1"):
        await read(ctx, "wide.png")
    with pytest.raises(ToolError, match="bytes"):
        await read(ctx, "big.png")


@pytest.mark.parametrize(
    ("content", "media_type", "size"),
    [
        (b"GIF89a" + struct.pack("<HH", 7, 9), "image/gif", (7, 9)),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x02\0\x03" + b"\0" * 9, "image/jpeg", (3, 2)),
        (b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\x04\0\0\x05\0\0", "image/webp", (5, 6)),
        (b"RIFF\0\0\0\0WEBPVP8 \n\0\0\0\0\0\0\x9d\x01\x2a\x08\0\x09\0", "image/webp", (8, 9)),
        (b"RIFF\0\0\0\0WEBPVP8L\n\0\0\0\x2f" + struct.pack("<I", 3 | 4 << 14) + b"\0" * 6, "image/webp", (4, 5)),
    ],
)
def test_sizes_come_from_headers(content: bytes, media_type: str, size: tuple[int, int]) -> None:
    assert image_type(content) == media_type
    assert image_size(content, media_type) == size


@given(st.binary(max_size=60))
def test_broken_image_headers_do_not_fail(rest: bytes) -> None:
    for start in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP"):
        media_type = image_type(start + rest)
        assert media_type is not None
        image_size(start + rest, media_type)


def notebook() -> dict[str, Any]:
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "python"}},
        "cells": [
            {"id": "intro", "cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "text"]},
            {
                "id": "calc",
                "cell_type": "code",
                "metadata": {},
                "execution_count": 1,
                "source": "1 + 1",
                "outputs": [
                    {"output_type": "stream", "name": "stdout", "text": ["hello\n"]},
                    {"output_type": "execute_result", "data": {"text/plain": ["2"]}},
                    {"output_type": "display_data", "data": {"image/png": base64.b64encode(png(2, 2)).decode()}},
                    {"output_type": "display_data", "data": {"image/png": "bm90IGFuIGltYWdl"}},
                    {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mboom\x1b[0m"]},
                ],
            },
        ],
    }


async def test_a_notebook_shows_cells_outputs_and_images(ctx: ToolContext) -> None:
    (ctx.root / "n.ipynb").write_text(json.dumps(notebook()))
    result = await read(ctx, "n.ipynb")
    assert isinstance(result.content, list)
    text = result.content[0]["text"]
    for part in (
        '<cell id="intro" type="markdown">\n# Title\ntext',
        'id="calc"',
        "1 + 1",
        "hello",
        "\n2\n",
        "E: v\nboom",
    ):
        assert part in text
    assert [block["type"] for block in result.content] == ["text", "image"]  # what is no image is not sent as one


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 3}', '{"cells": [1]}', "[" * 100_000])
async def test_a_broken_notebook_is_a_clear_error(ctx: ToolContext, text: str) -> None:
    (ctx.root / "n.ipynb").write_text(text)
    with pytest.raises(ToolError, match="notebook"):
        await read(ctx, "n.ipynb")


def pdf(pages: int, *, password: str | None = None) -> bytes:
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for number in range(1, pages + 1):
        page = writer.add_blank_page(200, 200)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 100 Td (This is page {number}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): writer._add_object(font)})}
        )
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    buffer = BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


async def test_a_pdf_gives_the_text_of_its_pages(ctx: ToolContext) -> None:
    (ctx.root / "d.pdf").write_bytes(pdf(12))
    result = await read(ctx, "d.pdf", pages="2-3")
    assert text_of(result) == "[Page 2 of 12]\nThis is page 2\n\n[Page 3 of 12]\nThis is page 3"
    with pytest.raises(ToolError, match=r"12 pages. Ask for at most 20"):
        await read(ctx, "d.pdf")
    with pytest.raises(ToolError, match="page 40 does not exist"):
        await read(ctx, "d.pdf", pages="40")


async def test_encrypted_and_damaged_pdf_files_are_clear_errors(ctx: ToolContext) -> None:
    (ctx.root / "locked.pdf").write_bytes(pdf(1, password="secret"))
    (ctx.root / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing here")
    with pytest.raises(ToolError, match="password"):
        await read(ctx, "locked.pdf")
    with pytest.raises(ToolError, match=r"damaged|gave up"):
        await read(ctx, "broken.pdf")


@pytest.mark.parametrize("pages", ["", "0", "a", "3-1", "1-21", "1-2-3", "-3", "1,2"])
def test_bad_page_ranges_are_refused(pages: str) -> None:
    with pytest.raises(ToolError, match="pages"):
        page_range(pages)


async def test_pages_are_for_pdf_only(ctx: ToolContext) -> None:
    (ctx.root / "t").write_text("x")
    with pytest.raises(ToolError, match="PDF"):
        await read(ctx, "t", pages="1")
