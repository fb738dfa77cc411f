"""Where things run: `platform`, `frontend_platform`, `regions`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from tools.devops.spec.claims import LABELLED, PROSE, WEAK, Hit, hit
from tools.devops.spec.markdown import Statement
from tools.devops.spec.stance import Scope, Stance, alternatives, context_kind, judge, scope_of
from tools.devops.spec.vocabulary import FLAGS, Mention, found, last, loose, mentions, pattern, words

_NAME_ONLY = 48
_OF_DATABASE = re.compile(r"(?:\bDB|데이터베이스)\s?[를는은]?\s?$", FLAGS)
_CHOOSES = re.compile(r"[을를]\s?(?:선택|채택|사용|이용|쓴)", FLAGS)
_SHARED_VERB = re.compile(r"에\s?,[^.;]{0,60}(?:배포|호스팅)")
_ALONE = re.compile(r"[\W_]*(?:only|에만|고정)?[\W_]*", FLAGS)
_RUNS_ON = re.compile(r"(?:\bon\s(?:an?\s|the\s)?|\()$", FLAGS)
_ON = re.compile(r"\bon\s(?:an?\s|the\s)?(?:\w{1,12}\s)?$", FLAGS)


def find_platforms(statement: Statement) -> Iterator[Hit]:
    """Hosting platforms. A name counts only in a hosting context: a label, a verb of deployment, a title."""
    family = _hosted_clusters(mentions("platforms", statement.text))
    undecided = _undecided(statement)
    if undecided is not None:
        yield undecided
    choice = alternatives(statement.text, family)
    for mention in family:
        scope = scope_of(statement.text, mention.start, mention.end)
        strength = _strength(statement, mention, scope)
        if not strength:
            continue
        side = _side(statement, mention, family)
        field = "frontend_platform" if side == "frontend" else "platform"
        judged = hit(field, statement, mention, family, strength=strength)
        if mention.start in choice and judged.stance.kind == "stated" and not (side and "/" in statement.text):
            judged = Hit(field, mention.value, mention.start, Stance("open"), strength, mention.generic)
        yield judged


def _hosted_clusters(family: Sequence[Mention]) -> list[Mention]:
    """`Kubernetes on DigitalOcean`: beside Kubernetes a provider is only where the cluster stands."""
    if all(mention.value != "kubernetes" for mention in family):
        return list(family)
    return [m if m.value == "kubernetes" else replace(m, generic=max(1, m.generic)) for m in family]


def _strength(statement: Statement, mention: Mention, scope: Scope) -> int:
    """LABELLED, PROSE or WEAK by the hosting context around a mention; 0 without one."""
    keys = statement.keys
    if any(found("hosting.not_labels", key) for key in keys) and not any(found("hosting.labels", k) for k in keys):
        return 0
    in_value = mention.start >= statement.body
    if mention.value == "supabase" and not (in_value and _first(statement, mention)):
        return PROSE if found("rules.really_deployed", scope.part) and _verb_near(statement, mention, scope) else 0
    if mention.value == "docker" and not found("rules.really_deployed", " ".join((*keys, scope.part))):
        return _negated_bare(statement, mention)
    if (
        in_value
        and any(found("hosting.labels", key) for key in keys)
        and (_first(statement, mention) or mention.generic < 2)
    ):
        return LABELLED if _leads(statement, mention) else PROSE
    if in_value and not mention.generic and statement.label and found("rules.tech", statement.label):
        return PROSE
    if _OF_DATABASE.search(scope.text, max(0, mention.start - 12), mention.start):
        return 0
    if _verb_near(statement, mention, scope):
        return PROSE
    if in_value and any(found("hosting.side_labels", key) for key in keys) and _on(statement, mention):
        exact = not mention.generic or (
            _first(statement, mention) and any(found("rules.backend_exact", k) for k in keys)
        )
        return LABELLED if exact else 0
    if _under_hosting(statement) and (_short(statement) or _CHOOSES.match(scope.text, mention.end)):
        return PROSE
    if _short(statement) and (context_kind(statement) == "excluded" or _decided(statement, mention)):
        return PROSE
    if _runs_on(statement, mention, scope):
        return PROSE
    return _negated_bare(statement, mention)


def _runs_on(statement: Statement, mention: Mention, scope: Scope) -> bool:
    """`the API runs on Railway`; in a list of what the system consists of also `Next.js (Vercel)`: code, place."""
    if (
        mention.generic < 2
        and _ON.search(scope.text, scope.sentence[0], mention.start)
        and found("rules.server", scope.whole)
    ):
        return True
    if (
        mention.generic
        or statement.kind not in ("item", "cell")
        or not found("rules.stack", " ".join(statement.headings[:1]))
    ):
        return False
    before = scope.text[max(scope.sentence[0], mention.start - 48) : mention.start]
    joint = _RUNS_ON.search(before)
    if joint is None:
        return False
    named = re.split(r"[,;]|\band\b", before[: joint.start()], flags=re.IGNORECASE)[-1]
    return bool(_sides_in(named)) or found("rules.framework", named)


def _negated_bare(statement: Statement, mention: Mention) -> int:
    """`Kubernetes is out of scope` speaks of hosting without a hosting word."""
    stance = judge(statement, mention.start, mention.end)
    return WEAK if stance.kind in ("excluded", "undecided") else 0


def _leads(statement: Statement, mention: Mention) -> bool:
    """Whether the mention opens the value of its label, give or take a few words."""
    return len(statement.text[statement.body : mention.start].strip()) <= _NAME_ONLY


def _decided(statement: Statement, mention: Mention) -> bool:
    """An item that opens with a product in a list of decisions or of the stack: `- Netlify, with deploy previews`."""
    if statement.kind != "item" or statement.label or mention.generic or not _first(statement, mention):
        return False
    return any(found("rules.decided", key) for key in (*statement.parents[:1], *statement.headings[:1]))


def _first(statement: Statement, mention: Mention) -> bool:
    return not statement.text[statement.body : mention.start].strip()


def _short(statement: Statement) -> bool:
    return statement.kind in ("item", "cell") and len(statement.text.strip()) <= 120


def _under_hosting(statement: Statement) -> bool:
    near = (*statement.parents[:1], *statement.headings[:1])
    if statement.label or not near:
        return False
    return any(found("hosting.labels", key) and not found("hosting.not_labels", key) for key in near)


def _verb_near(statement: Statement, mention: Mention, scope: Scope) -> bool:
    if statement.kind == "heading":
        return False
    before = scope.text[max(scope.sentence[0], mention.start - 70) : mention.start]
    verb = last("hosting.verbs_before", before)
    if verb is not None and mention.value == "on-premise" and not before[verb.end() :].strip():
        return True
    if verb is not None and (_links(before[verb.end() :]) or _picked(verb.group(), before[verb.end() :])):
        return True
    after = re.sub(r"^\s?\([^()]{0,40}\)", "", scope.text[mention.end : min(scope.sentence[1], mention.end + 72)])[:32]
    if _SHARED_VERB.match(scope.text, mention.end, scope.sentence[1]):
        return True
    follows = pattern("hosting.verbs_after").search(after)
    return follows is not None and follows.start() <= 14 and not re.search(r"[,;]", after[: follows.start()])


def _links(gap: str) -> bool:
    """Whether `gap` leads from a verb of deployment to its place: it ends in a preposition and a short noun."""
    if re.search(r"[;]|\b(?:using|via|through) (?:the )?github\b", gap, FLAGS):
        return False
    link = last("hosting.prepositions", gap)
    return link is not None and len(gap) - link.end() <= 24 and len(gap[link.end() :].split()) <= 3


def _picked(verb: str, gap: str) -> bool:
    """`chose Fly.io`, `selected the Railway platform`: a verb of choice needs no preposition."""
    return found("hosting.picks", verb) and len(gap.split()) <= 2


def _on(statement: Statement, mention: Mention) -> bool:
    """`Next.js 16 on Vercel`, `FastAPI (Railway)`, `Vercel` alone."""
    before = statement.text[statement.body : mention.start]
    return (
        not before.strip() or re.search(r"(?:\bon|\bonto|@|\(|,|/|→|->|\+)\s*(?:the\s+)?$", before, FLAGS) is not None
    )


def _side(statement: Statement, mention: Mention, family: Sequence[Mention]) -> str:
    """`frontend`, `backend` or "" by the word that follows at once, else the nearest before it, else the labels."""
    scope = scope_of(statement.text, mention.start, mention.end)
    others = [m for m in family if m.value != mention.value]
    left = max([scope.sentence[0], *(m.end for m in others if m.end <= mention.start)])
    right = min([scope.sentence[1], *(m.start for m in others if m.start >= mention.end)])
    behind = re.split(r"[,;]|\band\b", statement.text[mention.end : min(right, mention.end + 24)])[0]
    for text, take in ((behind[:12], 0), (statement.text[left : mention.start], -1), (behind, 0)):
        sides = _sides_in(text)
        if sides:
            return sides[take]
    if others and found("rules.frontend_framework", statement.text[left : mention.start]):
        return "frontend"
    for key in (*statement.keys, *statement.parents[:1], *statement.headings[:2]):
        sides = _sides_in(key)
        if sides:
            return sides[0] if len(set(sides)) == 1 else ""
    return ""


def _sides_in(text: str) -> list[str]:
    """The sides spoken of in `text`, in order."""
    hits = [(m.start(), side) for side in ("frontend", "backend") for m in pattern(f"sides.{side}").finditer(text)]
    return [side for _, side in sorted(hits)]


def _undecided(statement: Statement) -> Hit | None:
    """`배포 플랫폼 미정`, `Hosting: TBD`: the subject itself is undecided."""
    if not found("stance.undecided", statement.text) or context_kind(statement) in ("aside", "excluded"):
        return None
    labelled = (
        statement.label
        and pattern("rules.platform_subject").fullmatch(statement.label.split("(")[0].strip()) is not None
    )
    for match in pattern("rules.platform_subject").finditer(statement.text):
        scope = scope_of(statement.text, match.start(), match.end())
        part = statement.text[match.end() : scope.clause[1]]
        verdict = pattern("stance.undecided").search(part)
        if verdict is not None and (labelled or verdict.start() <= 24):
            sides = _sides_in(scope.whole) or _sides_in(" ".join((statement.label, *statement.parents[:1])))
            field = "frontend_platform" if set(sides) == {"frontend"} else "platform"
            return Hit(field, None, match.start(), Stance("undecided"), LABELLED, whole=True)
    return None


# --- regions ---------------------------------------------------------------------------------------------------


@cache
def _codes() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple(
        (re.compile(rf"(?<![\w-])(?:{codes})(?![\w-])", re.ASCII), country)
        for codes, country in words()["region_codes"].items()
    )


@cache
def _places() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple(
        (re.compile(rf"(?<![\w-])(?:{'|'.join(places)})(?![\w])", FLAGS), country)
        for country, places in words()["regions"].items()
    )


@cache
def _region_gate() -> Any:
    terms = [*words()["region_codes"], *(place for places in words()["regions"].values() for place in places)]
    return loose(terms)[0]


def find_regions(statement: Statement) -> Iterator[Hit]:
    """Hosting regions as `{"name", "country"}`; `implied` marks one that follows from where the data must be."""
    text = statement.text
    places = _region_mentions(text)
    if not places or found("region_not", text):
        return
    keys = statement.near if statement.kind in ("item", "cell") else statement.keys
    labelled = any(found("region_labels", key) for key in keys)
    family = [mention for mention, _ in places]
    coded = any(not mention.generic for mention in family)
    for mention, country in places:
        if country == "EU" and coded:
            continue
        name = text[mention.start : mention.end]
        value: dict[str, object] = {"name": name, "country": country}
        scope = scope_of(text, mention.start, mention.end)
        if labelled and mention.start >= statement.body:
            strength = LABELLED
        elif (
            _near_region(scope, mention)
            or _named_code(text, mention, country, places)
            or (not mention.generic and _ALONE.fullmatch(text.replace(name, "", 1)))
        ):
            strength = PROSE
        elif mention.generic and (how := _resident(scope, mention)):
            strength, value = (PROSE, value) if how == "hosted" else (WEAK, value | {"implied": True})
        else:
            continue
        judged = hit("regions", statement, mention, family, value=value, strength=strength)
        if mention.start in alternatives(text, family) and judged.stance.kind == "stated":
            judged = Hit("regions", value, mention.start, Stance("open"), strength)
        yield Hit(judged.field, judged.value, judged.start, judged.stance, judged.strength)


def _region_mentions(text: str) -> list[tuple[Mention, str]]:
    """Codes (`ap-northeast-2`) and places (generic), each with its country, in order."""
    if _region_gate().search(text) is None:
        return []
    out = [(Mention(m.group(), m.start(), m.end()), c) for rx, c in _codes() for m in rx.finditer(text)]
    taken = [(m.start, m.end) for m, _ in out]
    for rx, country in _places():
        for m in rx.finditer(text):
            if not any(a < m.end() and m.start() < b for a, b in taken):
                out.append((Mention(m.group(), m.start(), m.end(), generic=1), country))
                taken.append((m.start(), m.end()))
    return sorted(out, key=lambda pair: pair[0].start)


def _named_code(text: str, code: Mention, country: str, places: Sequence[tuple[Mention, str]]) -> bool:
    """Whether a code stands in brackets behind a place or a platform: `도쿄(nrt)`, `Fly.io (ams)`."""
    if code.generic or not text[: code.start].rstrip("` ").endswith("("):
        return False
    before = text[max(0, code.start - 40) : code.start]
    near = any(m.generic and c == country and m.end <= code.start <= m.end + 6 for m, c in places)
    return near or bool(mentions("platforms", before)) or re.search(r"\d$", code.value) is not None


def _near_region(scope: Scope, mention: Mention) -> bool:
    after = scope.text[mention.end : min(scope.sentence[1], mention.end + 22)]
    before = scope.text[max(scope.sentence[0], mention.start - 28) : mention.start]
    if found("region_near", after) or found("region_near", before):
        return True
    if not re.fullmatch(r"[a-z]+-[a-z]+-?\d|[A-Za-z]{3}\d", mention.value, re.ASCII):
        return False
    return found("hosting.labels", scope.whole) or bool(mentions("platforms", scope.whole))


def _resident(scope: Scope, mention: Mention) -> str:
    """`hosted` or `data` when the text says that systems or data are in the place, else ""."""
    before = scope.text[max(scope.sentence[0], mention.start - 90) : mention.start]
    resides = r"(?:" + "|".join(words()["residency"][:2]) + r")\s{1,3}(?:the |south |north )?$"
    if (said := re.search(resides, before, FLAGS)) is not None:
        return "hosted" if found("residency_hosted", said.group()) else "data"
    after = scope.text[mention.end : min(scope.sentence[1], mention.end + 24)]
    follows = any(pattern("residency_after").match(text) for text in (after, after.lstrip()))
    return "data" if follows and found("residency", scope.whole) else ""
