"""The difference of two texts as hunks: `[{oldStart, oldLines, newStart, newLines, lines}]`, as in a unified diff."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import takewhile
from typing import Any

_CONTEXT = 3
_NO_NEWLINE = "\\ No newline at end of file"
# Above this product of line counts the comparison would take seconds; the middle is then shown as replaced as a whole.
_COMPARABLE = 4_000_000

Opcode = tuple[str, int, int, int, int]


def structured_patch(old: str, new: str) -> list[dict[str, Any]]:
    """Hunks that turn `old` into `new`, each with three lines of context; lines are marked ` `, `-` or `+`."""
    if old == new:
        return []
    a, b = _split(old), _split(new)
    head = _common(a, b)
    tail = _common(a[head:][::-1], b[head:][::-1])
    # Only the changed middle with its context is compared, so that a small edit of a large file stays cheap.
    start, end = max(0, head - _CONTEXT), max(0, tail - _CONTEXT)
    middle_a, middle_b = a[start : len(a) - end], b[start : len(b) - end]
    if len(middle_a) * len(middle_b) > _COMPARABLE:
        groups = [_replaced(len(middle_a), len(middle_b), head - start, tail - end)]
    else:
        groups = list(SequenceMatcher(None, middle_a, middle_b, autojunk=False).get_grouped_opcodes(_CONTEXT))
    return [_hunk(middle_a, middle_b, group, start) for group in groups]


def _split(text: str) -> list[str]:
    """Lines with their newline, split at newlines only."""
    lines = text.split("\n")
    last = lines.pop()
    return [line + "\n" for line in lines] + ([last] if last else [])


def _common(a: list[str], b: list[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _replaced(a: int, b: int, before: int, after: int) -> list[Opcode]:
    return [
        ("equal", 0, before, 0, before),
        ("replace", before, a - after, before, b - after),
        ("equal", a - after, a, b - after, b),
    ]


def _hunk(a: list[str], b: list[str], group: list[Opcode], offset: int) -> dict[str, Any]:
    lines: list[str] = []
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            lines += _marked(" ", a[i1:i2])
        else:
            lines += _marked("-", a[i1:i2]) + _marked("+", b[j1:j2])
    old_lines, new_lines = group[-1][2] - group[0][1], group[-1][4] - group[0][3]
    return {
        "oldStart": offset + group[0][1] + (1 if old_lines else 0),
        "oldLines": old_lines,
        "newStart": offset + group[0][3] + (1 if new_lines else 0),
        "newLines": new_lines,
        "lines": lines,
    }


def _marked(sign: str, lines: list[str]) -> list[str]:
    marked = [sign + line.removesuffix("\n") for line in lines]
    if lines and not lines[-1].endswith("\n"):
        marked.append(_NO_NEWLINE)
    return marked
