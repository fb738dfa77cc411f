"""Bytes of a text file and back, keeping encoding, byte-order mark and line endings."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from tools.tool import ToolError

# Longest first: the UTF-32 mark begins with the UTF-16 one.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SNIFFED = 8192


@dataclass(frozen=True, slots=True)
class Text:
    """Decoded text. With `crlf` every line ended in CRLF and `text` has plain newlines instead."""

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""
    crlf: bool = False

    def encode(self, text: str) -> bytes:
        """`text` as bytes of the same kind of file. Raises `ToolError` for a character the encoding lacks."""
        if self.crlf:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        try:
            return self.mark + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            character = f"U+{ord(error.object[error.start]):04X}"
            raise ToolError(
                f"The file's encoding, {self.encoding}, has no character {character}. Nothing was changed. Leave that "
                "character out, or convert the file to UTF-8 first."
            ) from error

    def described(self) -> str:
        """What is unusual about the file, for a notice; empty for UTF-8 with plain newlines."""
        parts = []
        if self.encoding == "latin-1":
            parts.append("not valid UTF-8, read as Latin-1")
        elif self.encoding != "utf-8" or self.mark:
            parts.append(f"{self.encoding} with a byte-order mark")
        if self.crlf:
            parts.append("CRLF line endings")
        return ", ".join(parts)


def is_binary(content: bytes) -> bool:
    """Whether `content` is not text: a NUL near its start and no byte-order mark that explains it."""
    return b"\0" in content[:_SNIFFED] and not content.startswith(tuple(mark for mark, _ in _MARKS))


def decode(content: bytes) -> Text:
    """Decode by byte-order mark, else as UTF-8, else as Latin-1. Raises `ToolError` for binary content."""
    if is_binary(content):
        raise ToolError("This is a binary file, not text. Examine it with Bash (`file`, `xxd`, `strings`).")
    mark, encoding = next(((m, e) for m, e in _MARKS if content.startswith(m)), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        mark, encoding, text = b"", "latin-1", content.decode("latin-1")
    # A second carriage return before the newline would not survive the way back.
    crlf = "\r\n" in text and text.count("\r\n") == text.count("\n") and "\r\r\n" not in text
    return Text(text.replace("\r\n", "\n") if crlf else text, encoding, mark, crlf)


def lines_of(text: str) -> list[str]:
    """The lines of `text` without their newlines; a final newline ends a line and does not begin another."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines
