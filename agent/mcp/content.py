"""What a server sends back, as a model may read it: cleaned, marked as data, capped, the rest in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from tools.text import as_data, clean
from tools.tool import ToolResult

Json = dict[str, Any]

_MOST_BLOCKS = 50
_MOST_IMAGE = 5 * 1024 * 1024 * 4 // 3
"""Base64 characters: the Messages API takes images of 5 MB."""
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_SHOWN = 2_000


def tool_result(result: Mapping[str, Any], source: str, scratch: Path, limit: int) -> ToolResult:
    """The JSON result of `tools/call`. Texts of more than `limit` characters are spilled into `scratch`.

    `data` holds `content` and `structuredContent` as they came.
    """
    content = result.get("content")
    items = [item for item in content if isinstance(item, Mapping)] if isinstance(content, list) else []
    structured = result.get("structuredContent")
    if not items and structured is not None:
        items = [{"type": "text", "text": json.dumps(structured, ensure_ascii=False)}]
    blocks = to_blocks(items, source, scratch, limit)
    data: Json = {"content": items}
    if structured is not None:
        data["structuredContent"] = structured
    return ToolResult(blocks or "(no output)", is_error=bool(result.get("isError")), data=data)


def to_blocks(items: list[Mapping[str, Any]], source: str, scratch: Path, limit: int) -> list[Json]:
    """Content items as Messages-API blocks: all text in one marked block, then the images."""
    texts = [_text(item) for item in items[:_MOST_BLOCKS] if not _is_image(item)]
    if len(items) > _MOST_BLOCKS:
        texts.append(f"[{len(items) - _MOST_BLOCKS} more items left out]")
    images = [_image(item) for item in items[:_MOST_BLOCKS] if _is_image(item)]
    text = "\n".join(filter(None, texts))
    shown = [{"type": "text", "text": marked(text, source, scratch, limit)}] if text else []
    return [*shown, *images]


def marked(text: str, source: str, scratch: Path, limit: int) -> str:
    """`text` as data of `source`; of a longer one the beginning, and where the whole lies."""
    text = clean(text)
    if len(text) <= limit:
        return as_data(text, source)
    path = scratch / f"mcp-{uuid4().hex[:12]}.txt"
    path.write_text(text, encoding="utf-8")
    return f"{as_data(text[:_SHOWN], source)}\n[{len(text):,} characters in all; Read {path} for the rest.]"


def _is_image(item: Mapping[str, Any]) -> bool:
    data = item.get("data")
    return (
        item.get("type") == "image"
        and item.get("mimeType") in _IMAGES
        and isinstance(data, str)
        and len(data) <= _MOST_IMAGE
    )


def _image(item: Mapping[str, Any]) -> Json:
    return {"type": "image", "source": {"type": "base64", "media_type": item["mimeType"], "data": item["data"]}}


def _text(item: Mapping[str, Any]) -> str:
    match item.get("type"):
        case "text":
            return str(item.get("text") or "")
        case "resource" if isinstance(resource := item.get("resource"), Mapping):
            return resource_text(resource)
        case "resource_link":
            return f"[resource {item.get('uri')}: {item.get('name') or ''}]"
        case kind:
            return f"[{kind} content of type {item.get('mimeType')} left out]"


def resource_text(resource: Mapping[str, Any]) -> str:
    """The text of a resource's contents; of a binary one, what it is."""
    if isinstance(text := resource.get("text"), str):
        return text
    size = len(str(resource.get("blob") or "")) * 3 // 4
    return f"[resource {resource.get('uri')}: {size:,} bytes of {resource.get('mimeType') or 'unknown type'}]"
