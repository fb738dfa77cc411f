"""Images and PDF files as content blocks and text for a model."""

from __future__ import annotations

import base64
import re

from tools.convert import convert
from tools.paths import Place
from tools.text import clean
from tools.tool import ToolError, ToolResult

# The Messages API takes 5 MB of base64 an image and sides of at most 8000 pixels.
MAX_IMAGE_BYTES = 5_000_000 * 3 // 4
_MAX_SIDE = 8000
_MAX_PDF_PAGES = 20
_PAGES = re.compile(r"([1-9]\d{0,5})(?:-([1-9]\d{0,5}))?")


def image_type(content: bytes) -> str | None:
    """The media type of an image by its first bytes, or None: names lie."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def image_size(content: bytes, media_type: str) -> tuple[int, int] | None:
    """Width and height from the header, or None where it does not tell."""
    if media_type == "image/png" and content[12:16] == b"IHDR" and len(content) >= 24:
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if media_type == "image/gif" and len(content) >= 10:
        return int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    if media_type == "image/jpeg":
        return _jpeg_size(content)
    return _webp_size(content)


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 < len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame, not a table
            height, width = content[position + 5 : position + 7], content[position + 7 : position + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        position += 1 if marker == 0xFF else 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return None


def _webp_size(content: bytes) -> tuple[int, int] | None:
    kind, body = content[12:16], content[20:]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def image_problem(content: bytes, media_type: str) -> str | None:
    """Why the API would refuse the image, as the rest of a sentence about it; None when it would not."""
    if len(content) > MAX_IMAGE_BYTES:
        return f"has {len(content)} bytes; images may have {MAX_IMAGE_BYTES}. Scale it down first."
    size = image_size(content, media_type)
    if size and max(size) > _MAX_SIDE:
        return f"measures {size[0]} by {size[1]} pixels; a side may have {_MAX_SIDE}."
    return None


def image_result(place: Place, content: bytes, media_type: str) -> ToolResult:
    """The image as a base64 block. Raises `ToolError` where the API would refuse it."""
    if (problem := image_problem(content, media_type)) is not None:
        raise ToolError(f"{place.shown} {problem}")
    size = image_size(content, media_type)
    data = base64.b64encode(content).decode("ascii")
    block = {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    file = {"base64": data, "type": media_type, "originalSize": len(content)}
    if size:
        file["dimensions"] = {"originalWidth": size[0], "originalHeight": size[1]}
    return ToolResult([block], data={"type": "image", "file": file})


def page_range(pages: str | None) -> tuple[int, int]:
    """`"3"` or `"1-5"` as first and last page; (0, 0) for None. Raises `ToolError` for anything else."""
    if pages is None:
        return 0, 0
    match = _PAGES.fullmatch(pages.strip())
    if match is None:
        raise ToolError(f'`pages` is "{clean(pages)}"; it must look like "3" or "1-5".')
    first = int(match[1])
    last = int(match[2] or first)
    if not first <= last < first + _MAX_PDF_PAGES:
        raise ToolError(f"`pages` may span 1 to {_MAX_PDF_PAGES} pages, lowest first.")
    return first, last


async def pdf_result(place: Place, content: bytes, pages: str | None) -> ToolResult:
    """The text of a PDF, page by page."""
    first, last = page_range(pages)
    answer = await convert("pdf", content, str(first), str(last))
    shown = [
        f"[Page {page['number']} of {answer['total']}]\n"
        + (clean(page["text"]).strip() or "[No text on this page: it may be a scanned image.]")
        for page in answer["pages"]
    ]
    file = {"filePath": str(place.path), "originalSize": len(content), "pages": answer["pages"]}
    return ToolResult("\n\n".join(shown), data={"type": "pdf", "file": file | {"totalPages": answer["total"]}})
