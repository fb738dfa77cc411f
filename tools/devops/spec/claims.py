"""Claims about deployment fields, and how many claims become one `DeploymentField`.

Sources are ranked (metadata, SPEC body, companions, linked SPECs and architecture notes, `tech.md`). The first rank
that says anything decides; within it a labelled line (`Database: ...`) outweighs prose. Equal claims that disagree
leave the value empty and stand side by side in `conflicts`; a lower rank that disagrees is listed there, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.devops.spec.markdown import Document, Statement
from tools.devops.spec.stance import Kind, Stance, judge
from tools.devops.spec.vocabulary import Mention
from tools.devops.types import DeploymentField, Evidence

METADATA, BODY, COMPANION, LINKED, PROJECT = range(5)
LABELLED, PROSE, WEAK = 3, 2, 1
MAX_EVIDENCE = 8
MAX_TEXT = 300

CHOICES = frozenset(
    {
        "application_type",
        "platform",
        "frontend_platform",
        "regions",
        "database",
        "database_hosting",
        "budget",
        "compliance",
        "sla",
        "rpo",
        "rto",
        "replicas",
    }
)
"""Fields with many possible values: excluding one value does not answer the question."""
COMPARED = frozenset({"platform", "frontend_platform", "database", "database_hosting", "budget", "rpo", "rto"})
"""Choices over which a lower source that says otherwise is reported."""
COLLECTED = frozenset({"regions", "compliance", "cron"})
"""Fields whose values add up."""
OPTIONAL_COUNTS = frozenset(
    {"cron", "cdn", "cache", "queue", "autoscaling", "load_balancing", "database_replication", "database_backup"}
)
"""Capabilities for which "where possible" is a (planned) wish; elsewhere it decides nothing."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a finder reports: a field, a value, where in the statement it stands, and how strongly."""

    field: str
    value: Any
    start: int
    stance: Stance
    strength: int = PROSE
    generic: int = 0
    whole: bool = False
    """True when the subject itself (not one value of it) was spoken of: "no database", "platform undecided"."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A hit with its evidence and the rank of its source."""

    field: str
    value: Any
    kind: Kind
    planned: bool
    strength: int
    rank: int
    generic: int
    whole: bool
    evidence: Evidence


_CODE = re.compile(r"^[a-z]{3}\d?$|^[a-z]+-[a-z]+-?\d", re.ASCII)
Finder = Callable[[Statement], Iterator[Hit]]


def evidence_at(document: Document, line: int, hint: str = "") -> Evidence:
    """The line as written; a very long one is cut around `hint`."""
    text = document.lines[line - 1].strip()
    if len(text) > MAX_TEXT:
        at = max(0, text.find(hint.strip()) - MAX_TEXT // 3) if hint.strip() else 0
        text = text[at : at + MAX_TEXT].strip()
    return Evidence(document.file, line, text)


def claims_of(document: Document, finders: Sequence[Finder], rank: int) -> list[Claim]:
    """Run every finder over every statement."""
    return [
        claim(
            hit, evidence_at(document, statement.line_at(hit.start), statement.text[hit.start : hit.start + 40]), rank
        )
        for statement in document.statements
        for finder in finders
        for hit in finder(statement)
    ]


def claim(hit: Hit, evidence: Evidence, rank: int) -> Claim:
    """A hit as a claim. An optional capability is a planned one; an optional platform is no decision."""
    kind, planned = hit.stance.kind, hit.stance.planned
    if kind == "stated" and hit.stance.optional:
        kind, planned = ("stated", True) if hit.field in OPTIONAL_COUNTS else ("open", False)
    return Claim(hit.field, hit.value, kind, planned, hit.strength, rank, hit.generic, hit.whole, evidence)


def hit(
    field: str,
    statement: Statement,
    mention: Mention,
    family: Sequence[Mention] = (),
    *,
    value: Any = None,
    strength: int = PROSE,
    whole: bool = False,
    conditions: bool = True,
) -> Hit:
    """A hit on `mention`, judged where it stands."""
    stance = judge(statement, mention.start, mention.end, family, conditions=conditions)
    shown = mention.value if value is None else value
    return Hit(field, shown, mention.start, stance, strength, mention.generic, whole)


def resolve(field: str, claims: Sequence[Claim]) -> DeploymentField:
    """One field from all claims about it."""
    for rank in range(PROJECT + 1):
        ranked = [c for c in claims if c.rank == rank]
        stated = [c for c in ranked if c.kind == "stated"]
        excluded = [c for c in ranked if c.kind == "excluded" and (c.whole or field not in CHOICES)]
        firmest = max((c.strength for c in excluded), default=0)
        if stated and max(c.strength for c in stated) < firmest:
            return DeploymentField("excluded", None, _evidence(excluded))
        if stated:
            return _stated(field, _strongest(stated), [c for c in ranked if c.kind == "excluded"], claims)
        if excluded and rank <= COMPANION:
            return DeploymentField("excluded", None, _evidence(excluded))
        if any(c.kind == "undecided" for c in ranked):
            break
    return DeploymentField("not_stated", None, _evidence(_speaking(claims)), False, _ruled_out(claims))


def _strongest(claims: Sequence[Claim]) -> list[Claim]:
    """The claims of the highest strength, exact ones before generic ones, with the weaker that agree or add detail."""
    least = min(c.generic for c in claims)
    exact = [c for c in claims if c.generic == least]
    top = max(c.strength for c in exact)
    return [c for c in exact if c.strength == top] + [c for c in exact if c.strength < top]


def _stated(field: str, stated: list[Claim], excluded: list[Claim], claims: Sequence[Claim]) -> DeploymentField:
    top = stated[0].strength
    leading = [c for c in stated if c.strength == top]
    planned = all(c.planned for c in leading)
    if field in COLLECTED:
        stated = [c for c in stated if not c.planned] or stated
        values = _without_repeats(_union(stated)) if field == "regions" else _union(stated)
        return DeploymentField("stated", values, _evidence(stated), planned, _ruled_out(claims))
    merged, against = leading[0].value, list[Claim]()
    for other in stated[1:]:
        joined = merge(merged, other.value)
        if joined is not None:
            merged = joined
        elif other.strength == top:
            against.append(other)
    excluded = [c for c in excluded if c.strength >= top and _same(c.value, merged)]
    outvoted = not against and len(leading) > 2 * len(excluded)
    if against or (excluded and not outvoted):
        sides = _distinct([leading[0], *against, *excluded])
        return DeploymentField("stated", None, _evidence([*leading, *excluded]), planned, sides)
    agreeing = [c for c in stated if merge(merged, c.value) is not None]
    sides = (*_ruled_out(claims), *_said_elsewhere(field, merged, leading[0], claims))
    return DeploymentField("stated", merged, _evidence(agreeing), planned, sides)


def _said_elsewhere(field: str, value: Any, leading: Claim, claims: Sequence[Claim]) -> tuple[Mapping[str, Any], ...]:
    """What sources of lower rank say instead, as firmly: the value stands, and the reader learns of the contradiction.

    A SPEC contradicts its own metadata in prose too; other files must label the value. Linked SPECs speak of their own.
    """
    if field not in COMPARED or leading.generic:
        return ()
    lower = [c for c in claims if c.kind == "stated" and c.rank > leading.rank and c.rank != LINKED]
    agreeing = {c.rank for c in lower if merge(value, c.value) is not None}
    told = (c for c in lower if not c.generic and c.rank not in agreeing)
    firm = (c for c in told if c.strength == LABELLED or (leading.rank == METADATA and c.rank == BODY))
    return _distinct([c for c in firm if c.value is not True and merge(value, c.value) is None])


def _same(a: Any, b: Any) -> bool:
    return a is True or b is True or merge(a, b) is not None


def merge(a: Any, b: Any) -> Any:
    """What two claims say together, or None when they contradict. `True` says least; mappings add up."""
    if a == b or b is True:
        return a
    if a is True:
        return b
    if isinstance(a, list) and isinstance(b, list):
        return [*a, *(item for item in b if item not in a)]
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        both = {key: _join(key, a[key], b[key]) for key in a if key in b}
        return None if None in both.values() else {**a, **b, **both}
    return None


def _join(key: str, a: Any, b: Any) -> Any:
    """One key of two mappings. `16` and `16.2` are the same version, told with less and with more care."""
    if key == "version" and isinstance(a, str) and isinstance(b, str):
        return max(a, b, key=len) if f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.") else None
    if key == "kind":
        return a if b in a.split("+") else f"{a}+{b}"
    return merge(a, b)


def _union(claims: Sequence[Claim]) -> list[Any]:
    values: list[Any] = []
    for one in claims:
        for value in one.value if isinstance(one.value, list) else [one.value]:
            if value not in values:
                values.append(value)
    return values


def _without_repeats(regions: list[Any]) -> list[Any]:
    """Regions told twice once: a code beats its place (`icn`, `Seoul`), a stated one what the data implies."""
    coded = {region["country"] for region in regions if _CODE.match(region["name"])}
    plain = {region["country"] for region in regions if not region.get("implied")}
    if len(plain | coded) > 1:
        regions = [r for r in regions if r["country"] != "EU"]
    kept = [r for r in regions if _CODE.match(r["name"]) or r["country"] not in coded]
    return [r for r in kept if not r.get("implied") or r["country"] not in plain]


def _distinct(claims: Sequence[Claim]) -> tuple[Mapping[str, Any], ...]:
    sides: list[Mapping[str, Any]] = []
    for one in claims:
        side = _side(one)
        if all(side["value"] != s["value"] or side.get("status") != s.get("status") for s in sides):
            sides.append(side)
    return tuple(sides)


def _side(one: Claim) -> Mapping[str, Any]:
    side: dict[str, Any] = {"value": one.value, "evidence": one.evidence}
    return side | {"status": "excluded"} if one.kind == "excluded" else side


def _ruled_out(claims: Sequence[Claim]) -> tuple[Mapping[str, Any], ...]:
    """Single values the SPEC excludes, kept so that nobody chooses them: `{"value", "status": "excluded", ...}`."""
    stated = [c.value for c in claims if c.kind == "stated"]
    named = (c for c in claims if c.kind == "excluded" and c.rank <= COMPANION and not c.whole and c.value is not True)
    return _distinct([c for c in named if c.value is not None and all(merge(c.value, v) is None for v in stated)])


def _speaking(claims: Sequence[Claim]) -> list[Claim]:
    """Claims worth showing though nothing is stated, explicit "undecided" first."""
    order: Mapping[str, int] = {"undecided": 0, "excluded": 1, "open": 2, "past": 3}
    return sorted((c for c in claims if c.kind in order), key=lambda c: (c.rank, order[c.kind]))


def _evidence(claims: Sequence[Claim]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(c.evidence for c in claims))[:MAX_EVIDENCE]
