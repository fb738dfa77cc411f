"""What Grep looks for, and what it finds: the shapes both engines share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One search. `most` is how many matching lines of one file are of interest."""

    pattern: str
    ignore_case: bool = False
    multiline: bool = False
    before: int = 0
    after: int = 0
    only_matching: bool = False
    most: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """A line found: its number, its text, where the match begins in it, and whether it is context only."""

    number: int
    text: str
    column: int = 0
    context: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A file with matches. `path` is relative to where the search began; `lines` are in order."""

    path: str
    lines: tuple[Line, ...]


def lines_from(query: Query, number: int, block: bytes, spans: list[tuple[int, int]]) -> list[Line]:
    """Matched lines as `Line`s: `block` begins at line `number`, `spans` are the matches in it as byte offsets."""
    if query.only_matching:
        return [
            Line(number + block.count(b"\n", 0, start), _text(block[start:end].removesuffix(b"\n")))
            for start, end in spans
            if start < end
        ]
    lines, offset = [], 0
    for index, line in enumerate(block.removesuffix(b"\n").split(b"\n")):
        inside = next(
            (max(0, start - offset) for start, end in spans if start < offset + len(line) and end >= offset), 0
        )
        lines.append(Line(number + index, _text(line.removesuffix(b"\r")), len(_text(line[:inside]))))
        offset += len(line) + 1
    return lines


def context_line(number: int, line: bytes) -> Line:
    """A line around a match."""
    return Line(number, _text(line.removesuffix(b"\n").removesuffix(b"\r")), context=True)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
