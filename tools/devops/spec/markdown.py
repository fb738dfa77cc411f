"""A SPEC file as statements: each bit of prose, list item or table cell with the labels and headings it stands under.

Markup is masked with spaces of the same length, so an offset in a statement always leads back to its line. Code
fences, comments and front matter are no statements; fences are kept apart for those who want them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tools.devops.spec.vocabulary import found

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"^(\s*)(?:[-*+•○●◦▪■□◆▶※∙·]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_FENCE = re.compile(r"^\s{0,8}(?:>\s?)?(```+|~~~+)\s*([\w+-]*)")
_RULE = re.compile(r"^\s*(?:-{3,}|\*{3,}|_{3,}|={3,})\s*$")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-*:?\s*)*\|?\s*$")
_LABEL = re.compile(
    r"^\s*(?:\[?[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-?\d+[a-z]?(?:\.\d+)*\]?\s*(?:\([^)]{0,30}\))?\s*[::.—-]?\s+)?([^::\n]{1,60}?)\s*[::](?=\s|$)"
)
_ENTRY = re.compile(r"^\s{0,3}(?:\*\*|__)?[^\s::|.?!>][^::|.?!\n]{0,40}(?:[::](?:\*\*|__)?\s|\s(?:→|->|=>)\s)")
"""A line of prose that gives one thing its value: `Status: draft`, `Database → RDS`."""
_ARROW_LABEL = re.compile(r"^\s*([^→\n]{2,40}?)\s(?:→|->|=>)\s(?=[^→\n]{2,}$)")
_TAGGED = re.compile(r"^\s*[(\[【<]([^)\]】>\n]{1,24})[)\]】>]\s*[::]?(?=\s)")
"""A label in brackets before its value: `(DB) MySQL 8.0`, `[Hosting] Fly.io`."""
_BOLD_LEAD = re.compile(r"^\s*(?:[-*+]\s+)?(\*\*|__)([^*_\n]{1,40}?)\.\1(?=\s)")
"""A label set in bold before its value: `**Messaging.** Azure Event Hubs.`"""
_QUESTION = re.compile(r"^\s*(?:\*\*)?(?:Q|질문|문)\s?\d{0,3}\s?[::.)]\s?(?:\*\*)?\s*(.{2,200})$", re.DOTALL)
_ANSWER = re.compile(r"^\s*(?:[-*]\s)?(?:\*\*)?(?:A|Answer|답변?)\s?\d{0,3}\s?[::.)]\s?(?:\*\*)?(?=\s)")
_BOLD_LINE = re.compile(r"^\s*(?:>\s*)?(\*\*|__)([^*_]{1,80})\1\s*[::]?\s*$")
_NUMBERING = re.compile(
    r"^\s*(?:[\d.]+\)?|[ivxIVX]+\.|[Ⅰ-Ⅻ①-⑳][.)]?|[가나다라마바사아자차카타파하][.)]|[A-Z]\.|§\s?[\d.]+|제?\d+[장절.])\s+"
)
_MARKUP = re.compile(r"\*{1,3}|(?<![A-Za-z0-9])_{1,3}|_{1,3}(?![A-Za-z0-9])|^\s*>+|^\s*#{1,6}\s")
_CODE = re.compile(r"`([^`\n]{0,200})`")
_CODE_KEPT = re.compile(
    r"[A-Za-z][A-Za-z ]{0,24}|[A-Za-z]+[: ] ?v?\d+(?:\.\d+)*|[a-z]+(?:-[a-z]+)+-?\d|[a-z]{3}\d?"
    r"|[\d*/,\- ]{9,}|[A-Za-z][\w-]{0,20}:\d[\w.-]{0,12}"
)

_STRUCK = re.compile(r"~~[^~\n]{1,300}~~")
_EDGES = re.compile(r"^[\s\[\](){}.,:：—–-]+|[\s\[\](){}.,:：—–-]+$")
_URL = re.compile(r"https?://[^\s)>\]|`\"']{1,400}|\]\([^)\n]{0,400}\)|<!--.{0,400}?-->")
_IDENTIFIER = re.compile(
    r"^[\s\[]*(?:[A-Z]{1,10}[A-Z0-9]*-)?[A-Z0-9-]{0,24}\d+[a-z]?(?:\.\d+)*\]?(?:\s*\([^)]*\))?\s*$"
)
_SECTION_TITLE = re.compile(
    r"(?:history|overview|environment|requirements?|scope|out of scope|metadata"
    r"|개요|환경|요구 ?사항|범위|변경 이력)\b"
)
_IDENTIFIER_CELL = re.compile(r"^(?:#?\d{0,4}|[A-Z]{1,10}[A-Z0-9]*(?:-[A-Z0-9]+)*-?\d+(?:\.\d+)*[a-z]?)$")


@dataclass(frozen=True, slots=True)
class Statement:
    """One unit of text. `label` is its own key (`Database` in `Database: PostgreSQL`), `body` where the value begins.

    `parents` are the labels or texts of enclosing list items, nearest first; `headings` the enclosing headings, nearest
    first; `column` a table cell's column heading; `others` the other cells of its row as (column, text).
    """

    text: str
    starts: tuple[int, ...]
    lines: tuple[int, ...]
    kind: str
    label: str = ""
    body: int = 0
    parents: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    column: str = ""
    others: tuple[tuple[str, str], ...] = ()

    @property
    def row(self) -> tuple[str, ...]:
        """The other short cells of a table row."""
        return tuple(text for _, text in self.others if len(text) <= 24)

    @property
    def keys(self) -> tuple[str, ...]:
        """What names the value: its label and its column."""
        return tuple(key for key in (self.label, self.column) if key)

    @property
    def near(self) -> tuple[str, ...]:
        """`keys`, the enclosing item and the nearest heading."""
        return (*self.keys, *self.parents[:1], *self.headings[:1])

    def line_at(self, offset: int) -> int:
        """The file line (from 1) that holds the character at `offset`."""
        return self.lines[max(0, bisect_right(self.starts, offset) - 1)]


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced code block: its language, first content line, text and enclosing headings."""

    language: str
    line: int
    text: str
    headings: tuple[str, ...]


@dataclass(slots=True)
class Document:
    """A parsed file. `lines` are the raw lines; `front` the line numbers taken by metadata blocks."""

    file: str
    lines: list[str]
    title: str = ""
    statements: list[Statement] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)


def mask(line: str) -> str:
    """`line` with markup, links and identifiers in code spans replaced by spaces; the length never changes."""
    line = _URL.sub(lambda m: " " * len(m.group()), line)
    line = _STRUCK.sub(lambda m: " " * len(m.group()), line)
    spans = [match.span() for match in _CODE.finditer(line)]
    line = _CODE.sub(_mask_code, line)
    return _MARKUP.sub(lambda m: m.group() if any(a <= m.start() < b for a, b in spans) else " " * len(m.group()), line)


def _mask_code(match: re.Match[str]) -> str:
    inner = match.group(1)
    return f" {inner} " if _CODE_KEPT.fullmatch(inner.strip()) else " " * len(match.group())


def plain(text: str) -> str:
    """A heading or label without numbering, markup and surrounding punctuation, in lower case."""
    text = _EDGES.sub("", mask(text))
    return _EDGES.sub("", re.sub(r"\s+", " ", _NUMBERING.sub("", text + " "))).lower()


def parse(file: str, text: str, skip: Container[int] = ()) -> Document:
    """Split `text` into statements. `skip` are 0-based lines that hold metadata and are no statements."""
    document = Document(file, text.split("\n"))
    _Parser(document, skip).run()
    return document


class _Parser:
    """One pass over the lines with the open headings, the open list items and the paragraph being gathered."""

    def __init__(self, document: Document, skip: Container[int]) -> None:
        self.document = document
        self.skip = skip
        self.headings: list[tuple[int, str]] = []
        self.items: list[tuple[int, str]] = []
        self.lead = ""
        self.question = ""
        self.pending: list[tuple[int, str]] = []
        self.kind = "prose"
        self.at = 0

    def run(self) -> None:
        lines = self.document.lines
        while self.at < len(lines):
            line = lines[self.at]
            if self.at in self.skip:
                self.at += 1
            elif _FENCE.match(line):
                self._fence()
            elif line.lstrip().startswith("|") or self._starts_table():
                self._table()
            else:
                self._line(line)
                self.at += 1
        self._flush()

    def _line(self, line: str) -> None:
        if not line.strip() or _RULE.match(line):
            self._flush()
            return
        heading = _HEADING.match(line)
        if heading:
            self._flush()
            self._heading(len(heading.group(1)), heading.group(2))
            return
        item = _ITEM.match(line)
        if item:
            self._flush()
            self._item(len(item.group(1).expandtabs(4)), line, item.end())
            return
        if self.pending and (self.kind == "prose" or line[:1].isspace()) and not self._begins(line):
            self.pending.append((self.at + 1, line))
            return
        self._flush()
        self._prose(line)

    def _begins(self, line: str) -> bool:
        """Whether a line starts anew within a paragraph: a bold line, a question or answer, one in a run of entries."""
        if _BOLD_LINE.match(line) or _QUESTION.match(line) or _ANSWER.match(line):
            return True
        first = self.pending[0][1]
        return self.kind == "prose" and _ENTRY.match(line) is not None and _ENTRY.match(first) is not None

    def _heading(self, level: int, text: str) -> None:
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        named = _SECTION_TITLE.match(plain(text)) is not None
        is_title = level == 1 and not self.document.title and not named
        self.items, self.lead, self.question = [], "", ""
        self.kind, self.pending = "title" if is_title else "heading", [(self.at + 1, self.document.lines[self.at])]
        self._flush()
        if is_title:
            self.document.title = mask(text).strip()
        else:
            self.headings.append((level, plain(text)))

    def _item(self, indent: int, line: str, content: int) -> None:
        while self.items and self.items[-1][0] >= indent:
            self.items.pop()
        self.kind, self.pending = "item", [(self.at + 1, " " * content + line[content:])]
        self.indent = indent

    def _prose(self, line: str) -> None:
        if not line[:1].isspace():
            self.items = []
        if _BOLD_LINE.match(line) or line.rstrip().endswith((":", "：")):
            self.lead = plain(line)
        elif not line[:1].isspace():
            self.lead = ""
        self.kind, self.pending = "prose", [(self.at + 1, line)]

    def _flush(self) -> None:
        """Emit what was gathered as one statement."""
        if not self.pending:
            return
        pending, kind = self.pending, self.kind
        self.pending, self.kind = [], "prose"
        statement = self._statement(pending, kind)
        self.document.statements.append(statement)
        if kind == "item":
            own = statement.label or re.sub(r"\s+", " ", statement.text).strip().lower()[:80]
            self.items.append((self.indent, own))
        elif kind == "prose" and statement.text.rstrip().endswith((":", "：")):
            self.lead = plain(pending[-1][1]) if len(pending) > 1 else self.lead

    def _statement(self, pending: list[tuple[int, str]], kind: str) -> Statement:
        starts, parts, offset = [], [], 0
        for _, line in pending:
            starts.append(offset)
            parts.append(mask(line))
            offset += len(parts[-1]) + 1
        text = "\n".join(parts)
        label, named = self._label(text, kind)
        lead = None if label or kind in ("heading", "title") else _BOLD_LEAD.match(pending[0][1])
        parents = [own for _, own in reversed(self.items)]
        if self.lead and not (kind == "prose" and self.lead == plain(pending[0][1])):
            parents.append(self.lead)
        return Statement(
            text=text,
            starts=tuple(starts),
            lines=tuple(number for number, _ in pending),
            kind=kind,
            label=plain(lead[2]) if lead else named,
            body=label.end() if label else lead.end() if lead else 0,
            parents=tuple(parents),
            headings=self._open_headings(),
        )

    def _label(self, text: str, kind: str) -> tuple[re.Match[str] | None, str]:
        """What names the value of a statement: its key, the side of an arrow, or for an answer the question."""
        if kind in ("heading", "title"):
            return None, ""
        asked = _QUESTION.match(text)
        if asked is not None:
            self.question = plain(asked[1])
            return None, ""
        answer = _ANSWER.match(text) if self.question else None
        if answer is not None:
            return answer, self.question
        label = _LABEL.match(text) or _TAGGED.match(text)
        if label is None:
            label = _ARROW_LABEL.match(text)
            if label is None or not found("rules.arrow_labels", plain(label[1])):
                return None, ""
        return label, "" if _IDENTIFIER.match(label[1]) else plain(label[1])

    def _open_headings(self) -> tuple[str, ...]:
        return tuple(text for _, text in reversed(self.headings))

    def _fence(self) -> None:
        self._flush()
        lines = self.document.lines
        opening = _FENCE.match(lines[self.at])
        assert opening is not None  # noqa: S101 - the caller matched
        mark, start = opening.group(1)[:3], self.at + 1
        end = next((n for n in range(start, len(lines)) if lines[n].lstrip(" >").startswith(mark)), len(lines))
        headings = ((self.lead,) if self.lead else ()) + self._open_headings()
        self.document.fences.append(Fence(opening.group(2).lower(), start + 1, "\n".join(lines[start:end]), headings))
        self.at = end + 1

    def _starts_table(self) -> bool:
        lines = self.document.lines
        return (
            "|" in lines[self.at]
            and self.at + 1 < len(lines)
            and _TABLE_RULE.match(lines[self.at + 1]) is not None
            and "|" in lines[self.at + 1]
        )

    def _table(self) -> None:
        self._flush()
        lines, header = self.document.lines, list[str]()
        if self.at + 1 < len(lines) and _TABLE_RULE.match(lines[self.at + 1]):
            header = [plain(mask(lines[self.at])[a:b]) for a, b in cells(lines[self.at])]
            self.at += 2
        while self.at < len(lines) and "|" in lines[self.at] and lines[self.at].strip():
            if self.at not in self.skip:
                self.document.statements.extend(self._row(lines[self.at], header))
            self.at += 1

    def _row(self, line: str, header: list[str]) -> Iterator[Statement]:
        masked = mask(line)
        spans = cells(line)
        texts = [masked[a:b].strip() for a, b in spans]
        keys = [n for n, text in enumerate(texts) if not _IDENTIFIER_CELL.match(text)]
        key = keys[0] if keys else -1
        for n, (a, b) in enumerate(spans):
            if not texts[n]:
                continue
            yield Statement(
                text=" " * a + masked[a:b],
                starts=(0,),
                lines=(self.at + 1,),
                kind="cell",
                label=plain(texts[key]) if 0 <= key < n else "",
                body=a,
                parents=(self.lead,) if self.lead else (),
                headings=self._open_headings(),
                column=header[n] if n < len(header) else "",
                others=tuple((header[m] if m < len(header) else "", t.lower()) for m, t in enumerate(texts) if m != n),
            )


def cells(line: str) -> list[tuple[int, int]]:
    """Spans of a table row's cells. An escaped pipe or one inside a code span does not divide."""
    bars = [m.start() for m in re.finditer(r"(?<!\\)\|", _CODE.sub(lambda m: "x" * len(m.group()), line))]
    edges = [-1, *bars, len(line)]
    spans = [(a + 1, b) for a, b in pairwise(edges)]
    if spans and not line[spans[0][0] : spans[0][1]].strip():
        spans = spans[1:]
    if spans and not line[spans[-1][0] : spans[-1][1]].strip():
        spans = spans[:-1]
    return spans
