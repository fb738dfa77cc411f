"""What kind of application a SPEC describes: said outright, or shown by the parts its environment lists."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.spec.claims import LABELLED, WEAK, Claim, Hit, claim, evidence_at, hit
from tools.devops.spec.markdown import Document, Statement
from tools.devops.spec.stance import Stance, context_kind, judge
from tools.devops.spec.vocabulary import FLAGS, Mention, found, pattern, words

_SECOND = {
    "frontend": re.compile(r"[,;/|]\s*(?:front-?end|프론트엔드)\s*[:：]", FLAGS),
    "backend": re.compile(r"[,;/|]\s*(?:back-?end|백엔드)\s*[:：]", FLAGS),
}
_TITLES = ("cli", "library", "static", "api-backend")


def find_application_type(statement: Statement) -> Iterator[Hit]:
    """An application type in so many words: a labelled value, or a microservices architecture in prose."""
    text = statement.text
    if statement.label and any(found("application_labels", key) for key in (statement.label,)):
        for value in words()["application_types"]:
            match = pattern(f"application_types.{value}").search(text[statement.body :].strip().lower())
            if match is not None:
                yield hit("application_type", statement, Mention(value, statement.body, len(text)), strength=LABELLED)
                return
    match = pattern("rules.microservices").search(text)
    if match is not None and statement.kind != "cell":
        yield hit("application_type", statement, Mention("microservices", *match.span()))


def derive_application_type(document: Document, rank: int) -> list[Claim]:
    """The type that follows from the listed parts: a back end, a front end kept here, or both."""
    parts: dict[str, tuple[Statement, int]] = {}
    for statement in document.statements:
        for side in ("backend", "frontend"):
            at = _part(statement, side)
            if at is not None and side not in parts:
                parts[side] = (statement, at)
    if not parts:
        return _from_title(document, rank)
    value = "full-stack" if len(parts) == 2 else "api-backend" if "backend" in parts else "frontend"
    made = []
    for statement, at in parts.values():
        derived = Hit("application_type", value, at, Stance("stated"), WEAK)
        made.append(claim(derived, evidence_at(document, statement.line_at(at)), rank))
    return made


def _part(statement: Statement, side: str) -> int | None:
    """Where a statement lists a part of the application on `side`, or None."""
    begin = _where(statement, side)
    if begin is None:
        return None
    if any(found("sections.requirements", heading) for heading in statement.headings):
        return None
    value = statement.text[begin:]
    match = pattern(f"frameworks.{side}").search(value)
    if match is None or found("separate", value) or found("rules.mobile", value) or context_kind(statement) != "stated":
        return None
    at = begin + match.start()
    return at if judge(statement, at, begin + match.end()).kind == "stated" else None


def _where(statement: Statement, side: str) -> int | None:
    """Where the text on a part begins: after its label, or at once under a heading or item that names the part."""
    label = statement.label
    if found(f"rules.part_{side}", label):
        return statement.body
    if "(" in label and found(f"rules.part_{side}", label.split("(")[0].strip()):
        return 0
    above = (*statement.parents, *statement.headings)[:1]
    if not label and statement.kind in ("item", "prose") and any(found(f"rules.part_{side}", key) for key in above):
        return 0
    return _inline(statement, side)


def _inline(statement: Statement, side: str) -> int | None:
    """Where a second part begins on one line: `Backend: Rails 7, frontend: React 18`."""
    match = _SECOND[side].search(statement.text, statement.body) if statement.label else None
    return match.end() if match is not None else None


def _from_title(document: Document, rank: int) -> list[Claim]:
    """`SPEC-X-001: ... CLI tool` names the type of a program that lists no parts."""
    title = next((s for s in document.statements if s.kind == "title"), None)
    if title is None:
        return []
    for value in _TITLES:
        match = pattern(f"rules.title_{value}").search(title.text)
        if match is not None:
            derived = Hit("application_type", value, match.start(), judge(title, *match.span()), WEAK)
            return [claim(derived, evidence_at(document, title.lines[0]), rank)]
    return []
