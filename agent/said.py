"""What a person says to an agent: a text, or content blocks of the Messages API where images or documents belong to it.

A block that the API would refuse must not get into a history: every later request would be refused with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

Said = str | Sequence[Mapping[str, Any]]
"""A text, or blocks of the types `text`, `image` and `document`."""


class PromptError(ValueError):
    """The prompt cannot be sent; the message says which block and why."""


def checked(said: object) -> str | list[Json]:
    """The prompt as it may enter a history. Blocks that are all text become one text. Raises `PromptError`."""
    if isinstance(said, str):
        return said
    if not isinstance(said, Sequence) or not all(isinstance(block, Mapping) for block in said):
        raise PromptError("A prompt is a text or a list of content blocks.")
    blocks = [_block(at, dict(block)) for at, block in enumerate(said, 1)]
    if all(block["type"] == "text" for block in blocks):
        return text_of(blocks)
    return [block for block in blocks if block["type"] != "text" or block["text"].strip()]


def text_of(said: Said) -> str:
    """What is said in words; images and documents are left out."""
    if isinstance(said, str):
        return said
    return "\n\n".join(str(block.get("text") or "") for block in said if block.get("type") == "text")


def blocks_of(said: Said) -> list[Json]:
    """The same as blocks; none for an empty text."""
    if isinstance(said, str):
        return [{"type": "text", "text": said}] if said else []
    return [dict(block) for block in said]


def joined(*parts: Said) -> str | list[Json]:
    """One after the other, as one prompt."""
    filled = [part for part in parts if part]
    texts = [part for part in filled if isinstance(part, str)]
    if len(texts) == len(filled):
        return "\n\n".join(texts)
    return [block for part in filled for block in blocks_of(part)]


def _block(at: int, block: Mapping[str, Any]) -> Json:
    match block.get("type"):
        case "text" if isinstance(block.get("text"), str):
            return {"type": "text", "text": block["text"]}
        case "text":
            raise PromptError(f"Block {at} of the prompt: `text` must be a text.")
        case "image":
            return {"type": "image", "source": _image(at, _source(at, block))}
        case "document":
            named = {key: block[key] for key in ("title", "context") if isinstance(block.get(key), str)}
            return {"type": "document", "source": _document(at, _source(at, block)), **named}
        case kind:
            raise PromptError(f"Block {at} of the prompt is {kind!r}; there can be text, image and document blocks.")


def _source(at: int, block: Mapping[str, Any]) -> Mapping[str, Any]:
    source = block.get("source")
    if not isinstance(source, Mapping):
        raise PromptError(f"Block {at} of the prompt: an {block['type']} needs a `source`.")
    return source


def _image(at: int, source: Mapping[str, Any]) -> Json:
    from tools.files.media import image_problem, image_type

    if source.get("type") == "url":
        return _url(at, source)
    content = _decoded(at, source)
    media_type = image_type(content)  # names lie, and the API refuses a wrong one
    if media_type is None:
        raise PromptError(f"Block {at} of the prompt is no PNG, JPEG, GIF or WebP image.")
    if (problem := image_problem(content, media_type)) is not None:
        raise PromptError(f"Block {at} of the prompt: the image {problem}")
    return {"type": "base64", "media_type": media_type, "data": source["data"]}


def _document(at: int, source: Mapping[str, Any]) -> Json:
    match source.get("type"):
        case "url":
            return _url(at, source)
        case "text" if isinstance(source.get("data"), str) and source["data"].strip():
            return {"type": "text", "media_type": "text/plain", "data": source["data"]}
        case "base64" if _decoded(at, source).startswith(b"%PDF-"):
            return {"type": "base64", "media_type": "application/pdf", "data": source["data"]}
    raise PromptError(f"Block {at} of the prompt: a document is a PDF in base64, a text, or a url.")


def _url(at: int, source: Mapping[str, Any]) -> Json:
    url = source.get("url")
    if not isinstance(url, str) or not url.startswith("https://"):
        raise PromptError(f"Block {at} of the prompt: `url` must begin with https://.")
    return {"type": "url", "url": url}


def _decoded(at: int, source: Mapping[str, Any]) -> bytes:
    import base64

    try:
        if source.get("type") == "base64":
            return base64.b64decode(source["data"], validate=True)
    except (KeyError, TypeError, ValueError):
        pass
    raise PromptError(f"Block {at} of the prompt: its source must be base64 with valid `data`, or a url.")
