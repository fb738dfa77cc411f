"""Requirements of a SPEC: id, EARS pattern, text and line, in English and Korean.

The five patterns are those of EARS (Mavin et al., 2009). In Korean SPECs of this family `IF ... THEN` marks a state,
`가능하면` an option and `...하지 않아야 한다` a prohibition. A pattern the author names in brackets or a heading wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.spec.markdown import Document, Statement, mask
from tools.devops.spec.vocabulary import found
from tools.devops.types import Pattern, Requirement

MAX_TEXT = 1200
_ID = (
    r"(?:[A-Z]{1,10}[A-Z0-9]{0,8}(?:-[A-Z0-9]{1,16}){0,5}-[A-Z]?\d{1,4}(?:-[A-Z0-9]{1,3})?[a-z]?(?:\.\d{1,3}){0,3}"
    r"|R\d{1,3}(?:\.\d{1,3}){1,3})"
)
_START = re.compile(
    rf"^[\s\[(#]*({_ID})[\])]?(?![\w/])\s*(?:\(([^)\n]{{1,40}})\)|\[([^\]\n]{{1,40}})\])?\s*[::.—–-]?\s*"
)
_NOT_REQUIREMENTS = re.compile(
    r"^(?:SPEC|AC|ACC|TC|ASM|TASK|RISK|ADR|TEST|SC|UC|BUG|PR|CVE|ISO|UTF|SHA|RFC|HTTP|OR|D|T|P|M|V|Q|TAG|OQ)-", re.ASCII
)
_TAGS: tuple[tuple[str, Pattern], ...] = (
    ("ubiquitous|항상|상시|보편", "ubiquitous"),
    ("complex|복합", "complex"),
    ("event|이벤트", "event"),
    ("state|상태", "state"),
    ("option|선택", "optional"),
    ("unwanted|constraint|금지|비정상|원치|바람직하지", "unwanted"),
)
_OPTION = re.compile(r"^\W{0,4}where\b|\bWHERE\b|가능하면|가능한 경우|\bif possible\b|\bwhere possible\b", re.ASCII)
_STATE = re.compile(r"\bwhile\b|\bWHILE\b|\bWhile\b", re.ASCII)
_EVENT = re.compile(r"\bwhen(?:ever)?\b|\bWHEN\b|\bWhen\b", re.ASCII)
_IF = re.compile(r"\bIF\b|\bIf\b", re.ASCII)
_HANGUL = re.compile(r"[가-힣]")


def read_requirements(document: Document) -> tuple[Requirement, ...]:
    """The requirements in reading order; an id counts once, where it is defined."""
    seen: set[str] = set()
    made: list[Requirement] = []
    statements = document.statements
    for n, statement in enumerate(statements):
        if _elsewhere(statement):
            continue
        for requirement in _requirement(document, statements, n):
            if requirement.id not in seen:
                seen.add(requirement.id)
                made.append(requirement)
    return tuple(made)


def _elsewhere(statement: Statement) -> bool:
    return any(found("rules.other_sections", heading) for heading in statement.headings)


def _requirement(document: Document, statements: list[Statement], n: int) -> Iterator[Requirement]:
    statement = statements[n]
    start = _START.match(statement.text)
    if start is not None and not _NOT_REQUIREMENTS.match(start[1]):
        text = _tidy(statement.text[start.end() :])
        if statement.kind == "cell":
            text = _longest_cell(statements, n)
        elif statement.kind in ("heading", "title") or not text:
            text = " ".join(part for part in (text, _following(statements, n)) if part)
        if text and (statement.kind != "cell" or _IS_SENTENCE.search(text)):
            yield _made(document, statement, start[1], text, start[2] or start[3] or "")
        return
    text = _tidy(statement.text)
    if statement.kind not in ("prose", "item") or not text or (text.endswith((":", "：")) and len(text) < 40):
        return
    in_section = any(found("sections.requirements", heading) for heading in statement.headings)
    modal = found("rules.strict_modal", text) or (in_section and found("rules.loose_modal", text))
    if modal and not _belongs_to_id(statements, n):
        yield _made(document, statement, f"L{statement.lines[0]}", text, "")


_IS_SENTENCE = re.compile(r"\s\S+\s|[가-힣]{2,} [가-힣]{2,}")


def _belongs_to_id(statements: list[Statement], n: int) -> bool:
    """Whether the statement is the text of the id on the line or heading right above it."""
    if n == 0:
        return False
    above = statements[n - 1]
    start = _START.match(above.text)
    if start is None or _NOT_REQUIREMENTS.match(start[1]):
        return False
    return statements[n].kind == "prose" and (above.kind == "heading" or not _tidy(above.text[start.end() :]))


def _following(statements: list[Statement], n: int) -> str:
    """The first paragraph below an id that stands alone or in a heading."""
    if (
        n + 1 < len(statements)
        and statements[n + 1].kind in ("prose", "item")
        and not _START.match(statements[n + 1].text)
    ):
        return _tidy(statements[n + 1].text)
    return ""


def _longest_cell(statements: list[Statement], n: int) -> str:
    line = statements[n].lines[0]
    row = [s for s in statements[n : n + 12] if s.kind == "cell" and s.lines[0] == line][1:]
    return max((_tidy(s.text) for s in row), key=len, default="")


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:MAX_TEXT]


def _made(document: Document, statement: Statement, identity: str, text: str, tag: str) -> Requirement:
    return Requirement(identity, ears_pattern(text, tag, statement), text, document.file, statement.lines[0])


def ears_pattern(text: str, tag: str = "", statement: Statement | None = None) -> Pattern:
    """The EARS pattern by the author's own word for it, else by the key words of the text."""
    named = _named(tag)
    if named is None and statement is not None:
        near = (*statement.parents[:1], statement.label, *statement.headings[:1])
        named = next((p for key in near if key and (p := _named(key))), None)
    return named or _by_words(mask(text))


def _named(text: str) -> Pattern | None:
    if not text or len(text) > 60:
        return None
    return next((pattern for rx, pattern in _TAGS if re.search(rx, text, re.IGNORECASE)), None)


def _by_words(text: str) -> Pattern:
    conditional = _IF.search(text) is not None
    state = _STATE.search(text) is not None
    event = _EVENT.search(text) is not None
    if conditional and _HANGUL.search(text):
        state, conditional = True, False
    if event and (state or conditional):
        return "complex"
    if _OPTION.search(text):
        return "optional"
    for applies, pattern in ((event, "event"), (state, "state"), (conditional, "unwanted")):
        if applies:
            return pattern  # type: ignore[return-value]  # one of Pattern
    if found("rules.forbidden", text):
        return "unwanted"
    return (
        "ubiquitous" if found("rules.strict_modal", text) or "항상" in text or "always" in text.lower() else "unknown"
    )
