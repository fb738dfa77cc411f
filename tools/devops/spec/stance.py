"""What the text around a mention makes of it: stated, excluded, undecided, or something that is no statement at all.

Precision first: a mention counts as stated only when nothing in its section, row, sentence or clause says otherwise.
English negation reaches forward from its word, Korean negation back from its ending; both stop at clause borders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from tools.devops.spec.markdown import Statement
from tools.devops.spec.vocabulary import Mention, found, last, pattern

Kind = Literal["stated", "excluded", "undecided", "open", "past", "development", "aside"]
"""`undecided` is an explicit TBD; `open` any other non-statement (alternative, example, question, future, risk)."""

_SENTENCE_END = re.compile(r"[.!?。;](?=\s|$)")
_ABBREVIATION = re.compile(r"(?:\be\.g|\bi\.e|\betc|\bvs|\bapprox|\bno|\bincl)\.$", re.IGNORECASE | re.ASCII)
_ARROW = re.compile(r"->|→|=>|⇒|➜")
_CONSEQUENCE = re.compile(r"\b(?:then|shall|must|should|will)\b|,", re.IGNORECASE | re.ASCII)
_CONDITION_END = re.compile(r"\b(?:then|shall|must)\b|,|면(?:\s|,|$)|경우", re.IGNORECASE | re.ASCII)
_SUBJECTS = tuple(
    f"labels.{name}"
    for name in ("autoscaling", "load_balancing", "replication", "cdn", "queue_generic", "cache", "backup")
)
_MOVES_ON = re.compile(
    r",|\b(?:to|with|we|it|use|uses|using|is|are|shall|will|chose|choose|deploy)\b", re.IGNORECASE | re.ASCII
)
_JUST_NOT = re.compile(r"\bnot(?: be| being| yet)?\s*$", re.IGNORECASE)
_COMMON = re.compile(r"[,;:]")
_SHARED = re.compile(r"\b(?:of|for)\b|의 ")
_OTHER_SPEC = re.compile(r"\s*\[?SPEC-[A-Z0-9]")
_DELEGATED = re.compile(r"\bSPEC-[A-Z]+(?:-[A-Z0-9]+)*-\d|(?:→|->)\s*$")
_DETAIL = re.compile(
    r"\([^()]{0,40}(?:\b(?:versions?|replicas?|sizes?|regions?|tiers?|plans?|instances?)\b|버전|여부|구성|크기|사양|대수)[^()]{0,60}\)",
    re.IGNORECASE,
)
"""A remark in brackets on a detail of what stands before: `MongoDB 7 (replica set to be decided)`."""
_LISTED = re.compile(r"\s(?:and|or|및|또는)\s|[,/·&、:]|(?<=[가-힣])[와과]\s", re.IGNORECASE)
_CLAUSE_BREAK = re.compile(
    r"\s(?:but|whereas|however|while|although)\s|지만\s|므로\s|(?:이|기|서)\s때문에\s|\s[—–]\s|하나,\s",
    re.IGNORECASE | re.ASCII,
)
_PREPOSITION = re.compile(
    r"\b(?:on|to|in|with|for|by|from|via|of|through|at|is|are|shall|will|must|that|which|using|when|if|during)\b",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Stance:
    """The verdict on one mention."""

    kind: Kind
    planned: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a mention stands: its sentence and its clause as spans of the statement's text."""

    text: str
    sentence: tuple[int, int]
    clause: tuple[int, int]
    around: tuple[int, int] | None = None
    bracket: tuple[int, int] | None = None

    @property
    def whole(self) -> str:
        return self.text[slice(*self.sentence)]

    @property
    def part(self) -> str:
        return self.text[slice(*self.clause)]

    @property
    def bracketed(self) -> str:
        """The inside of the brackets the mention stands in, or ""."""
        return self.text[slice(*self.bracket)] if self.bracket else ""

    @property
    def wide(self) -> str:
        """The clause, or for a mention in brackets the clause around the brackets."""
        return self.text[slice(*(self.around or self.clause))]


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """Spans of the sentences of `text`. A dot inside a word, a number or an abbreviation ends nothing."""
    spans, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        if match.group() == "." and _ABBREVIATION.search(text, max(0, match.end() - 8), match.end()):
            continue
        spans.append((start, match.end()))
        start = match.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    return tuple(spans)


@lru_cache(maxsize=4096)
def scope_of(text: str, start: int, end: int) -> Scope:
    """The sentence and the clause around `text[start:end]`; for a mention in brackets also the clause around those."""
    sentence = next(((a, b) for a, b in sentences(text) if a <= start < b), (0, len(text)))
    bracket = _bracket(text, sentence, start)
    if bracket is None:
        return Scope(text, sentence, _clause(text, *sentence, start, end))
    return Scope(
        text, sentence, _clause(text, *bracket, start, end), _clause(text, *sentence, bracket[0], bracket[1]), bracket
    )


def _bracket(text: str, sentence: tuple[int, int], start: int) -> tuple[int, int] | None:
    """The inside of the innermost bracket that holds `start`."""
    opened = text.rfind("(", sentence[0], start)
    closed = text.find(")", opened) if opened >= 0 else -1
    return (opened + 1, closed) if opened >= 0 and start < closed <= sentence[1] else None


def _clause(text: str, a: int, b: int, start: int, end: int) -> tuple[int, int]:
    """The part between commas, dashes and contrasting words; commas inside brackets do not count."""
    borders = [a]
    depth = 0
    for offset in range(a, b):
        char = text[offset]
        depth = max(0, depth + (char == "(") - (char == ")"))
        if depth == 0 and char in ",、，;" and not _thousands(text, offset):
            borders.append(offset + 1)
    borders += [match.end() for match in _CLAUSE_BREAK.finditer(text, a, b)]
    left = max((border for border in borders if border <= start), default=a)
    right = min((border for border in borders if border > start and border >= end), default=b)
    return left, right


def _thousands(text: str, offset: int) -> bool:
    return text[offset - 1 : offset].isdigit() and text[offset + 1 : offset + 4].isdigit()


@lru_cache(maxsize=4096)
def _section_kind(text: str) -> Kind | None:
    """What a heading, label or column name makes of what stands under it."""
    if found("sections.in_scope", text):
        return None
    if found("sections.excluded", text):
        return "excluded"
    if found("sections.history", text) or found("sections.aside", text):
        return "aside"
    if found("sections.open", text):
        return "open"
    if found("sections.past", text):
        return "past"
    if found("sections.development", text) and not found("stance.production", text):
        return "development"
    return None


def context_kind(statement: Statement) -> Kind:
    """The stance a statement takes from its column, label, row, parents and headings."""
    if statement.kind in ("heading", "title"):
        chain: Sequence[str] = (*statement.headings, re.sub(r"\s+", " ", statement.text).strip(" #").lower())
    else:
        chain = (statement.column, statement.label, *statement.parents, *statement.headings)
    kinds = [kind for text in chain if text and (kind := _section_kind(text))]
    for wanted in ("aside", "excluded", "open", "past", "development"):
        if wanted in kinds:
            return "aside" if wanted == "excluded" and _excluded_tail(statement) else wanted
    if statement.kind in ("item", "cell", "prose") and _about_another_spec(statement):
        return "aside"
    columns = (statement.column, *(column for column, _ in statement.others))
    over_time = any(_section_kind(c) in ("past", "development") or found("stance.production", c) for c in columns if c)
    row = () if over_time else statement.row
    for mark in ("excluded", "open"):
        if any(found(f"row_marks.{mark}", cell) for cell in row):
            return "excluded" if mark == "excluded" else "undecided"
    return "stated"


def _about_another_spec(statement: Statement) -> bool:
    """Whether a line describes a SPEC it names first: `SPEC-DB-001: PostgreSQL schema`."""
    named = statement.label.startswith("spec-") or any(cell.startswith("spec-") for cell in statement.row[:1])
    return named or _OTHER_SPEC.match(statement.text) is not None


def _excluded_tail(statement: Statement) -> bool:
    """In a table of exclusions only the first cell names what is excluded; the rest gives reasons."""
    return statement.kind == "cell" and statement.label != ""


def judge(
    statement: Statement, start: int, end: int, family: Sequence[Mention] = (), *, conditions: bool = True
) -> Stance:
    """The stance on `statement.text[start:end]`. `family` are the mentions of like things in the same statement.

    With `conditions` false, a WHEN or IF clause does not weaken the mention: it is part of what is asked for.
    """
    context = context_kind(statement)
    scope = scope_of(statement.text, start, end)
    if context == "aside":
        return Stance("aside")
    if context == "excluded":
        return Stance(_in_exclusions(statement, start, end))
    kind = _sentence_kind(scope, start, end, family, conditions=conditions)
    if kind == "stated" or (kind == "excluded" and context != "stated"):
        kind = context
    if kind in ("stated", "excluded") and found("stance.testing", statement.text):
        kind = "development"
    before = scope.text[scope.sentence[0] : start]
    optional = found("stance.optional", scope.wide) or found("stance.optional", before[:60])
    planned = found("stance.planned", scope.wide)
    return Stance(kind, planned, optional)


def _in_exclusions(statement: Statement, start: int, end: int) -> Kind:
    """In an out-of-scope section the head of an item is excluded if it speaks of the subject and little else."""
    lead = len(statement.text) - len(statement.text.lstrip())
    head = pattern("rules.reason").search(statement.text, lead + 2)
    if head is not None and start >= head.start():
        return "aside"
    elsewhere = _DELEGATED.search(statement.text) is not None
    return "excluded" if focused(statement, start, end) and not elsewhere else "aside"


def focused(statement: Statement, start: int, end: int) -> bool:
    """Whether the words around a mention only speak of having it: `global CDN setup`, not `CDN cache headers`."""
    head = pattern("rules.reason").search(statement.text, end)
    right = head.start() if head is not None else len(statement.text)
    text = statement.text[:start] + " " * (end - start) + statement.text[end:right]
    for subject in _SUBJECTS:
        text = pattern(subject).sub(lambda m: " " * len(m.group()), text)
    joint = _COMMON if _SHARED.search(text) else _LISTED
    borders = [m.span() for m in joint.finditer(text)]
    left = max((b for _, b in borders if b <= start), default=0)
    right = min((a for a, _ in borders if a >= end), default=len(text))
    rest = [word.strip("().:;,'\"!-") for word in text[left:right].split()]
    return len(rest) <= 6 and all(found("rules.setup", word) for word in rest if word)


def _sentence_kind(scope: Scope, start: int, end: int, family: Sequence[Mention], *, conditions: bool) -> Kind:
    if found("stance.question", scope.whole):
        return "open"
    if found(
        "stance.undecided", _DETAIL.sub(" ", scope.wide) if scope.bracket is None else scope.wide
    ) or _remark_undecided(scope):
        return "undecided"
    if _negated_before(scope, start) or _negated_after(scope, end, family):
        return "excluded"
    if _rejected(scope, start, end, family):
        return "past"
    if _denied_something(scope, start, end):
        return "open"
    before = scope.text[scope.clause[0] : start]
    if found("stance.past_before", before) and not found("stance.past_exempt", scope.whole):
        return "past"
    possible = found("stance.possible", scope.text[scope.sentence[0] : end + 4])
    hedged = found("stance.example_before", before) or possible
    if hedged or found("stance.future", scope.wide):
        return "open"
    if conditions and (found("stance.conditional", scope.whole) or _in_condition(scope, start, end)):
        return "open"
    if found("stance.development", scope.wide) and not found("stance.production", scope.wide):
        return "development"
    return "stated"


def _remark_undecided(scope: Scope) -> bool:
    """Whether a remark behind a dash leaves it open: `Hazelcast or Redis – to be evaluated`."""
    remark = scope.text[scope.clause[1] : scope.sentence[1]]
    dashed = scope.text[: scope.clause[1]].rstrip().endswith(("–", "—", " -"))
    return dashed and len(remark) <= 48 and found("stance.undecided", remark)


def _negated_before(scope: Scope, start: int) -> bool:
    before = scope.text[scope.sentence[0] : start]
    if _JUST_NOT.search(before):
        return True
    near = last("stance.negation_near", before)
    if near is not None and _noun_gap(before[near.end() :]):
        return True
    verb = last("stance.negation_before", before)
    if verb is None:
        return False
    gap = before[verb.end() :]
    return len(gap) <= 70 and not found("stance.negation_ends", gap)


def _denied_something(scope: Scope, start: int, end: int) -> bool:
    """Whether the clause forbids something about the mention (`shall not log Redis keys`): no positive statement."""
    before = scope.text[scope.clause[0] : start]
    verb = last("stance.denied", before)
    if verb is not None and not found("stance.negation_ends", before[verb.end() :]):
        return True
    return found("stance.denied_after", scope.text[end : scope.clause[1]])


def _noun_gap(gap: str) -> bool:
    """Whether only a short noun phrase or an enumeration lies between `no` and the mention."""
    limit = 8 if re.search(r",|/|\b(?:and|or|nor)\b", gap) else 3
    return len(gap.split()) <= limit and _PREPOSITION.search(gap) is None and not re.search(r"[.;:()]", gap)


def _negated_after(scope: Scope, end: int, family: Sequence[Mention]) -> bool:
    if scope.bracket and found("stance.bracket_denied", scope.text[max(0, scope.bracket[0] - 24) : scope.bracket[0]]):
        return True
    if scope.around is not None and _denied(scope.text[scope.clause[1] : min(scope.around[1], scope.clause[1] + 40)]):
        return True
    tail = scope.text[end : min(_clause_end(scope, end, family), end + 60)]
    opened = tail.find("(")  # a remark in brackets further on speaks of something else
    return _denied(tail[:opened] if opened > 2 and ")" in tail[opened:] + scope.text[end + 60 : end + 100] else tail)


def _denied(tail: str) -> bool:
    """Whether a negation follows at once in `tail`, the text behind a mention."""
    match = pattern("stance.negation_after").search(tail)
    if match is None:
        return False
    if found("stance.far_denial", match.group()):
        return True
    # "X without downtime" or "X는 다운타임 없이" denies something else that stands between.
    between = tail[: match.start()]
    return len(between.split()) <= 4 and not re.search(r"\b(?:without|no)\b|\b(?:shall|will|must) (?!not|be)", between)


def _clause_end(scope: Scope, end: int, family: Sequence[Mention]) -> int:
    """The clause's end, moved on while an enumeration of like things goes on: `A, B and C are out of scope`."""
    right = scope.clause[1]
    for mention in sorted(family, key=lambda m: m.start):
        joins = scope.text[end : mention.start]
        if mention.start >= end and re.fullmatch(r"[\s,、/·&와과및]*(?:and|or|nor)?\s*", joins, re.IGNORECASE):
            end = mention.end
            right = max(right, scope_of(scope.text, mention.start, mention.end).clause[1])
    return right


def _rejected(scope: Scope, start: int, end: int, family: Sequence[Mention]) -> bool:
    before = scope.text[scope.sentence[0] : start]
    match = last("stance.rejected_before", before)
    if match is not None and len(before) - match.end() <= 30 and not _MOVES_ON.search(before, match.end()):
        return True
    tail = scope.text[end : min(scope.sentence[1], end + 80)]
    after = pattern("stance.rejected_after").search(tail)
    if after is not None and after.start() <= 14 and "," not in tail[: after.start()]:
        return True
    following = [m for m in family if end <= m.start < scope.sentence[1] and m.start - end <= 45]
    if not following:
        return False
    between = scope.text[end : following[0].start]
    if _ARROW.search(between):
        return True
    from_ = re.search(r"\bfrom\b[^,.;]{0,16}$", before, re.IGNORECASE)
    return from_ is not None and re.search(r"\bto\b", between) is not None


def _in_condition(scope: Scope, start: int, end: int) -> bool:
    before = scope.text[scope.sentence[0] : start]
    condition = last("stance.condition", before)
    if condition is None or _CONSEQUENCE.search(before, condition.end()):
        return False
    return _CONDITION_END.search(scope.text, end, scope.sentence[1]) is not None


def alternatives(text: str, family: Sequence[Mention]) -> frozenset[int]:
    """Where mentions offered as a choice start: `Railway or Vercel`, `Vercel 또는 Netlify`, `A, B or C`."""
    chosen: set[int] = set()
    exact = [mention for mention in family if mention.generic < 2]
    for a, b in reversed(list(_pairs(exact if len(exact) > 1 else family))):
        between = text[a.end : b.start]
        goes_on = b.start in chosen and between.strip() in (",", "、")
        if a.value != b.value and (goes_on or _is_choice(between)):
            chosen |= {a.start, b.start}
    return frozenset(chosen)


def denied_at(text: str, start: int, end: int) -> bool:
    """Whether the words right beside a mention rule it out: `no cache`, `not use a cache`, `캐시는 두지 않는다`."""
    return (
        pattern("stance.directly_before").search(text[max(0, start - 64) : start]) is not None
        or pattern("stance.directly_after").match(text[end : end + 64]) is not None
    )


def _pairs(family: Sequence[Mention]) -> Iterator[tuple[Mention, Mention]]:
    ordered = sorted(family, key=lambda m: m.start)
    yield from pairwise(ordered)


def _is_choice(between: str) -> bool:
    return len(between) <= 24 and (found("stance.either", between) or between.strip() == "/")
