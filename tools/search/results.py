"""What Grep answers: names, counts or lines, paged and cut to size."""

from __future__ import annotations

from typing import Any, Literal

from tools.search.query import Line
from tools.text import clean, cut_line
from tools.tool import ToolResult

_LINE_CHARACTERS = 500
_RESULT_CHARACTERS = 30_000

OutputMode = Literal["content", "files_with_matches", "count"]


class Entries:
    """The result as it grows: lines or files in order, and which of them `head_limit` and `offset` choose."""

    def __init__(self, mode: OutputMode, *, numbers: bool, separators: bool) -> None:
        self.mode, self.numbers, self.separators = mode, numbers, separators
        self.shown: list[tuple[str, str, int]] = []
        """Text, file and number of matches of each entry."""

    def add(self, name: str, lines: tuple[Line, ...]) -> None:
        """The matches of one file; files come in order."""
        if self.mode == "files_with_matches":
            self.shown.append((name, name, 1))
        elif self.mode == "count":
            self.shown.append((f"{name}:{len(lines)}", name, len(lines)))
        else:
            self._add_lines(name, lines)

    def _add_lines(self, name: str, lines: tuple[Line, ...]) -> None:
        previous: int | None = None
        for line in lines:
            if self.separators and (previous is None or line.number > previous + 1) and self.shown:
                self.shown.append(("--", name, 0))
            previous = line.number
            mark = "-" if line.context else ":"
            number = f"{line.number}{mark}" if self.numbers else ""
            text = clean(cut_line(line.text, _LINE_CHARACTERS, line.column))
            self.shown.append((f"{name}{mark}{number}{text}", name, 0 if line.context else 1))

    def result(self, limit: int, offset: int) -> ToolResult:
        """The entries that `limit` (0 for all) and `offset` choose, as far as they fit."""
        chosen = self.shown[offset : offset + limit if limit else None]
        chosen = chosen[: self._fitting(chosen)]
        left = len(self.shown) > offset + len(chosen)
        files = list(dict.fromkeys(name for _, name, _ in chosen))
        text = "\n".join(line for line, _, _ in chosen)
        matches = sum(count for _, _, count in chosen)
        data: dict[str, Any] = {"mode": self.mode, "numFiles": len(files), "filenames": files}
        if self.mode == "content":
            data |= {"content": text, "numLines": len(chosen)}
        elif self.mode == "count":
            data |= {"content": text, "numMatches": matches}
        if left:
            data["appliedLimit"] = len(chosen)
        if offset:
            data["appliedOffset"] = offset
        if not chosen:
            beyond = f" after the first {offset}" if offset and self.shown else ""
            return ToolResult(f"No matches found{beyond}.", data=data)
        more = f"\n[There is more. Go on with offset={offset + len(chosen)}, or narrow the search.]" if left else ""
        heading = f"Found {len(files)} file{'s' * (len(files) != 1)}\n" if self.mode == "files_with_matches" else ""
        total = f"\n[{matches} matching lines in {len(files)} files]" if self.mode == "count" else ""
        return ToolResult(heading + text + total + more, data=data)

    def _fitting(self, chosen: list[tuple[str, str, int]]) -> int:
        used = 0
        for index, (text, _, _) in enumerate(chosen):
            used += len(text) + 1
            if used > _RESULT_CHARACTERS and index:
                return index
        return len(chosen)
