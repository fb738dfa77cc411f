"""The database: engine, who runs it, replication, backup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.devops.spec.claims import LABELLED, PROSE, Hit, hit
from tools.devops.spec.markdown import Statement
from tools.devops.spec.stance import Stance, alternatives, context_kind, focused, scope_of
from tools.devops.spec.vocabulary import FLAGS, Mention, found, mentions, pattern

_SIDES = ("backend", "frontend")
_UNIT = r"(days?|d\b|weeks?|months?|years?|일|주|개월|년)"
_KEEP = r"(?:retention|retain\w*|kept|keep|stored? for|보관|보존|유지|남)"
_NUMBERS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "ten": 10,
    "twelve": 12, "thirty": 30,
}  # fmt: skip
_COUNT = rf"\d{{1,4}}|\b(?:{'|'.join(_NUMBERS)})\b"
_VERSION = re.compile(
    r"\s?[v:(]?\s?(20[12]\d|\d{1,2}(?:\.\d{1,2}){0,2}c?)"
    r"(?![\d%]|-(?!alpine|slim|bookworm|bullseye)|\s?(?:회|번|가지|종|건|단계|중|GB|MB|ms|vCPU|개|대|nodes?|replicas?|테이블|tables?|일|days?|시간|초|분))\+?",
    FLAGS,
)
_VERSION_NAMED = re.compile(r"[^.;|\d]{0,64}?(?:\bversion|\bv|버전)\s?(\d{1,2}(?:\.\d{1,2}){0,2}c?)", FLAGS)
_RETENTION = re.compile(
    rf"({_COUNT})[\s-]?{_UNIT}(?:\s?(?:간|치|분))?[^.;|\d]{{0,20}}?{_KEEP}"
    rf"|(?:{_KEEP}|back-?ups?\s?[,(:]|백업\s?[,(:])[^.;|\d]{{0,44}}?({_COUNT})[\s-]?{_UNIT}"
    rf"(?!\s?(?:\d|one|한)\s?(?:회|번|time))",
    FLAGS,
)
_FREQUENCIES = {
    "hourly": ("hourly", "매시간", "매 시간", "시간마다", "each hour", "every hour"),
    "weekly": ("weekly", "every week", "each week", "주간", "매주", "주 1회", "주1회"),
    "monthly": ("monthly", "each month", "월간", "매월"),
    "continuous": ("continuous", "continuously"),
}
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365, "일": 1, "주": 7, "개": 30, "년": 365}
_SUBJECT = re.compile(r"\s?(?:은|는|are|is|shall be|run|every|each|taken|daily|nightly|hourly)(?=\s)", FLAGS)
_EVERY_HOURS = re.compile(r"every (\w{1,6}) hours|(\d{1,2})시간")
_COUNT_BEFORE = re.compile(r"(?<![\w.-])(\d{1,2}|one|two|three|four|five)\s?(?:x |개(?:의)? ?)?$", FLAGS)
_COUNT_AFTER = re.compile(r"\s?(?:\(?x?|:)\s?(\d{1,2})\s?(?:개|대|\)|$|x)", FLAGS)
_PRODUCTION = re.compile(r"(?:prod(?:uction)?|운영|프로덕션)\s?(?:은|는|에서는)?\s?[:=]?\s?$", FLAGS)
_ITSELF = re.compile(
    r"read|리더|replica|primary|master|always on|high|\bha\b|읽기|multi-az|다중|standby|database"
    r"|db|데이터|디비|streaming|스트리밍"
)
_COUNTED = re.compile(r"리더|replica(?!t)|복제본|레플리카|리플리카|standby|reader|node", FLAGS)
_KINDS = (
    ("read-replica", r"read|리더|읽기|복제본|primary|master"),
    ("multi-az", r"multi-az|다중|zone|영역"),
    ("streaming", r"streaming|스트리밍"),
    ("replica-set", r"replica sets?|레플리카 ?셋"),
    ("standby", r"standby|always on"),
)


def find_database(statement: Statement) -> Iterator[Hit]:
    """All hits of this module in one statement."""
    yield from _database(statement)
    yield from _replication(statement)
    yield from _backup(statement)


def version_at(text: str, end: int) -> str | None:
    match = _VERSION.match(text, end) or _VERSION_NAMED.match(text, end)
    return match.group(1) if match and not match.group(1).startswith("0") else None


def _database(statement: Statement) -> Iterator[Hit]:
    text = statement.text
    family = mentions("databases", text)
    labelled = any(found("sections.database", key) for key in statement.keys)
    choice = alternatives(text, family)
    in_production = [m for m in family if _PRODUCTION.search(text, max(0, m.start - 16), m.start)]
    for mention in in_production or family:
        if (
            mention.weak
            and not labelled
            and not re.match(r"\s?(?:(?:for|as)\s)?(?:postgres|db\b|database)", text[mention.end :], FLAGS)
        ):
            continue
        inside = labelled and mention.start >= statement.body
        if not inside and not used(statement, mention):
            continue
        version = version_at(text, mention.end) if not mention.weak else None
        value = {"engine": mention.value} | ({"version": version} if version else {})
        judged = hit("database", statement, mention, family, value=value, strength=LABELLED if inside else PROSE)
        if mention.start in choice and judged.stance.kind == "stated":
            judged = Hit("database", value, mention.start, Stance("open"), judged.strength)
        yield judged
        if judged.stance.kind == "stated":
            yield from _hosting(statement, judged)
    yield from _no_database(statement, labelled)


def used(statement: Statement, mention: Mention) -> bool:
    """In prose an engine counts when it is versioned, used, or excluded."""
    if context_kind(statement) == "excluded":
        return True
    scope = scope_of(statement.text, mention.start, mention.end)
    near = statement.text[max(scope.sentence[0], mention.start - 50) : min(scope.sentence[1], mention.end + 40)]
    alone = not statement.text[: mention.start].strip(" -*") and len(statement.text.strip()) <= 60
    valued = bool(statement.label) and not statement.text[statement.body : mention.start].strip(" *`")
    if valued and len(statement.text[mention.end :].strip()) <= 24:
        return True
    beside = scope.around is not None and any(found(f"frameworks.{side}", scope.bracketed) for side in _SIDES)
    listed = statement.kind == "item" and (alone or any(found("rules.stack", key) for key in statement.near))
    return (
        statement.kind == "cell"
        or listed
        or beside
        or version_at(statement.text, mention.end) is not None
        or found("use", near)
    )


def _hosting(statement: Statement, judged: Hit) -> Iterator[Hit]:
    """Managed or self-hosted, said in the statement that names the database."""
    for value, path in (("self-hosted", "labels.self_hosted"), ("managed", "labels.managed")):
        for match in pattern(path).finditer(statement.text):
            mention = Mention(value, match.start(), match.end())
            if _about_cache(statement.text, mention):
                continue
            yield hit("database_hosting", statement, mention, strength=judged.strength)
            return


def _about_cache(text: str, mention: Mention) -> bool:
    tail = text[mention.end : mention.end + 16]
    return bool(mentions("caches", tail)) or found("labels.queue", tail)


def _no_database(statement: Statement, labelled: bool) -> Iterator[Hit]:
    if labelled and statement.label and pattern("rules.none").match(statement.text[statement.body :]):
        yield Hit("database", None, statement.body, Stance("excluded"), LABELLED, whole=True)
    if (
        labelled
        and found("stance.undecided", statement.text[statement.body :])
        and not mentions("databases", statement.text)
    ):
        yield Hit("database", None, statement.body, Stance("undecided"), LABELLED, whole=True)
    context = context_kind(statement)
    match = pattern("rules.no_database").search(statement.text)
    if match is None and context == "excluded":
        match = pattern("rules.database_alone").match(statement.text)
    if match is not None and context in ("stated", "excluded"):
        yield Hit("database", None, match.start(), Stance("excluded"), PROSE, whole=True)


def _replication(statement: Statement) -> Iterator[Hit]:
    text = statement.text
    about_db = any(found("sections.database", key) for key in statement.near)
    for match in pattern("labels.replication").finditer(text):
        around = text[max(0, match.start() - 24) : match.end() + 6]
        itself = _ITSELF.search(match.group().lower()) is not None
        if match.group() == "복제" and not about_db:
            continue
        if found("labels.replication_not", around) or not (
            itself or about_db or found("labels.database_words", around)
        ):
            continue
        mention = Mention("replication", match.start(), match.end())
        yield hit("database_replication", statement, mention, value=_replication_value(text, match))


def _replication_value(text: str, match: re.Match[str]) -> Any:
    word = match.group().lower()
    value: dict[str, Any] = {}
    kind = next((name for name, rx in _KINDS if re.search(rx, word)), None)
    if kind:
        value["kind"] = kind
    if re.search(r"primary", word) and (own := re.search(r"(\d|one|two|three)\s(?:read )?replicas?$", word)):
        value["replicas"] = _NUMBERS.get(own[1]) or int(own[1])
    before = _COUNT_BEFORE.search(text, max(0, match.start() - 8), match.start())
    after = _COUNT_AFTER.match(text, match.end())
    count = before or after
    if count is not None and _COUNTED.search(word):
        value["replicas"] = _NUMBERS.get(count[1].lower()) or int(count[1])
    return value or True


def _backup(statement: Statement) -> Iterator[Hit]:
    """A backup of the database that runs by itself: with a rhythm, a retention, or called automatic."""
    text = statement.text
    if found("labels.backup_not", text):
        return
    about_db = found("labels.database_words", text) or any(
        found("sections.database", key) or found("sections.backup", key)
        for key in (*statement.near, *statement.headings)
    )
    labelled = any(found("labels.backup", key) for key in statement.keys)
    spans = [match.span() for match in pattern("labels.backup").finditer(text)]
    if labelled and not spans:
        spans = [(statement.body, statement.body + 1)]
    for start, end in spans:
        scope = scope_of(text, start, end)
        told = (
            f"{statement.label}: {text.strip()}" if statement.kind == "cell" else text if ";" in text else scope.whole
        )
        value = backup_value(told)
        automatic = found("rules.automatic", scope.whole)
        judged = hit("database_backup", statement, Mention("backup", start, end), value=value or True)
        labelled = labelled or (_SUBJECT.match(text, end) is not None and not text[:start].strip(" -*"))
        known = about_db or labelled or focused(statement, start, end)
        sure = len(value) == 2 or (automatic and bool(value))
        if (judged.stance.kind == "excluded" and known) or ((value or automatic) and (about_db or labelled or sure)):
            yield judged
            return


def backup_value(text: str) -> dict[str, Any]:
    """`{frequency, retention_days}` as far as `text` tells."""
    value: dict[str, Any] = {}
    rhythm = pattern("rules.backup_rhythm").search(text)
    if rhythm is not None:
        word = re.sub(r"\s+", " ", rhythm.group().lower())
        every = _EVERY_HOURS.search(word)
        hours = int(_NUMBERS.get(every[1] or "", every[1] or every[2])) if every else 0
        named = next((name for name, known in _FREQUENCIES.items() if word in known), "daily")
        value["frequency"] = f"every {hours} hours" if hours > 1 else "hourly" if hours else named
    kept = _RETENTION.search(text)
    if kept is not None:
        number, unit = [group for group in kept.groups() if group]
        value["retention_days"] = (_NUMBERS.get(number.lower()) or int(number)) * _DAYS[unit[0].lower()]
    return value
