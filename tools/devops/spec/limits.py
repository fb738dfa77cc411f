"""Limits and duties: budget, compliance, availability and latency, recovery objectives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.devops.spec.claims import LABELLED, PROSE, WEAK, Hit, hit
from tools.devops.spec.markdown import Statement
from tools.devops.spec.stance import Stance, context_kind, scope_of
from tools.devops.spec.vocabulary import FLAGS, Mention, found, mentions, pattern

_NUMBER = r"\d{1,3}(?:[ ,.'’]\d{3})+(?!\d)(?:\.\d+)?|\d{1,9}(?:\.\d{1,2})?"
_MONEY = re.compile(
    rf"(?P<sign>US\$|R\$|S\$|A\$|C\$|HK\$|[$€£₩￦¥]|\b(?:USD|EUR|KRW|GBP|JPY|CHF|SEK|NOK|DKK|PLN|CAD|AUD|SGD|INR|BRL)\b)\s?(?P<a>{_NUMBER})(?:\s?[-–~]\s?[$€£₩]?\s?(?P<a2>{_NUMBER}))?\s?(?P<ka>k\b|만|천)?"
    rf"|(?<![\d.,])(?P<b>{_NUMBER})(?:\s?[-–~]\s?(?P<b2>{_NUMBER}))?\s?"
    r"(?P<unit>만\s?원|천\s?원|백만\s?원|억\s?원|원|USD|KRW|EUR|GBP|JPY|CHF|SEK|NOK|DKK|PLN|CAD|AUD|SGD|INR|BRL|€|달러|유로|엔|dollars?|euros?|won)(?![a-z])",
    FLAGS,
)
_CODES = ("chf", "sek", "nok", "dkk", "pln", "cad", "aud", "sgd", "inr", "brl")
_SIGNS = {
    "us$": "USD",
    "r$": "BRL",
    "s$": "SGD",
    "a$": "AUD",
    "c$": "CAD",
    "hk$": "HKD",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "₩": "KRW",
    "￦": "KRW",
    "¥": "JPY",
}
_UNITS = {
    "원": "KRW",
    "won": "KRW",
    "krw": "KRW",
    "usd": "USD",
    "달러": "USD",
    "doll": "USD",
    "eur": "EUR",
    "유로": "EUR",
    "euro": "EUR",
    "gbp": "GBP",
    "jpy": "JPY",
    "€": "EUR",
    **{code: code.upper() for code in _CODES},
    "엔": "JPY",
}
_SCALE = {"만": 10_000, "천": 1_000, "백만": 1_000_000, "억": 100_000_000, "k": 1_000}
_PERCENT = re.compile(r"(?<![\d.])(9\d(?:\.\d{1,5})?)\s?(?:%|퍼센트|percent)", FLAGS)
_LATENCY = re.compile(
    r"\b(p(?:50|90|95|99)(?:\.9)?)\b[^.;|\n]{0,40}?"
    r"(?:<=?|≤|under|below|less than|within|미만|이하|:)?\s?"
    r"(\d{1,5}(?:\.\d+)?)\s?(ms|s|sec|seconds?|밀리초|초)(?![a-z])",
    FLAGS,
)
_COUNTS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10,
    "twelve": 12, "fifteen": 15, "thirty": 30, "한": 1, "두": 2, "세": 3, "네": 4, "하루": 1,
}  # fmt: skip
_DURATION = re.compile(
    rf"(?<![\d.\w])(\d{{1,4}}(?:\.\d{{1,2}})?|(?:{'|'.join(_COUNTS)})(?=\s|시))\s?-?\s?(?:working |business )?"
    r"(seconds?|secs?|s|minutes?|mins?|min|m|hours?|hrs?|hr|h|horas?|days?|d|초|분|시간|일)(?![a-z])",
    FLAGS,
)
_ZERO = re.compile(r"\s?(?:은|는|of|is|:|=|≤)?\s?(?:0|zero|없음)(?!\d|[.,]\d|\s?[a-z가-힣])", FLAGS)
_NAMED_AFTER = re.compile(r"\s?[^.;\d()]{0,24}\(\s?$", FLAGS)
"""A duration before its name: `back in 10 minutes (RTO)`, `15분 안에 복구하고(RTO)`."""
_MINUTES = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0, "초": 1 / 60, "분": 1.0, "시": 60.0, "일": 1440.0}


def find_limits(statement: Statement) -> Iterator[Hit]:
    """All hits of this module in one statement."""
    yield from _budget(statement)
    yield from _compliance(statement)
    yield from _availability(statement)
    yield from _recovery(statement)


def _keys(statement: Statement) -> tuple[str, ...]:
    return (*statement.keys, *statement.parents[:1])


def money(text: str, match: re.Match[str]) -> dict[str, Any]:
    """`{amount, currency, period}`; of a range the upper end. `period` is `month`, `year` or None."""
    number = match["a2"] or match["a"] or match["b2"] or match["b"]
    unit = re.sub(r"\s", "", (match["unit"] or "")).lower()
    scale_word = match["ka"] or next((s for s in ("백만", "만", "천", "억") if unit.startswith(s)), "")
    amount = float(re.sub(r"[ ,'’]|\.(?=\d{3}(?!\d))", "", number)) * _SCALE.get(scale_word.lower(), 1)
    sign = (match["sign"] or "").lower()
    currency = _SIGNS.get(sign) or sign.upper() or next(c for u, c in _UNITS.items() if u in unit)
    around = text[max(0, match.start() - 40) : match.end() + 24]
    period = "month" if found("rules.month", around) else "year" if found("rules.year", around) else None
    return {"amount": int(amount) if amount == int(amount) else amount, "currency": currency, "period": period}


def _budget(statement: Statement) -> Iterator[Hit]:
    """A cap on hosting cost. Prices, estimates and the budgets of the product's users are none."""
    text = statement.text
    labelled = any(found("budget.labels", key) for key in _keys(statement))
    for match in _MONEY.finditer(text):
        scope = scope_of(text, match.start(), match.end())
        around = " ".join((*_keys(statement), scope.part))
        if found("budget.not", around) or found("budget.not", statement.label):
            continue
        chain = (*statement.headings, *statement.parents)
        at_home = any(found("sections.constraints", key) for key in chain)
        hosting = found("budget.hosting", scope.whole) or any(found("budget.hosting", key) for key in _keys(statement))
        if labelled:
            strong = any(found("budget.strong", key) for key in _keys(statement))
            capped = strong or found("budget.limit", scope.part)
            ok = capped and (hosting or at_home or not _product_text(statement))
        else:
            meant = found("budget.labels", scope.whole) or (at_home and found("rules.month", scope.whole))
            monthly = found("rules.month", scope.whole) and not _product_text(statement)
            ok = meant and found("budget.limit", scope.part) and (hosting or at_home or monthly)
        if ok:
            value = money(" ".join((*_keys(statement), text)), _MONEY.search(text, match.start()) or match)
            if value["period"] is None and found("rules.month", " ".join((*_keys(statement), scope.whole))):
                value["period"] = "month"
            mention = Mention("budget", match.start(), match.end())
            yield hit("budget", statement, mention, value=value, strength=LABELLED if labelled else PROSE)
            return


def _product_text(statement: Statement) -> bool:
    return any(found("sections.requirements", heading) for heading in statement.headings)


def _compliance(statement: Statement) -> Iterator[Hit]:
    text = statement.text
    if found("compliance_not", text):
        return
    family = mentions("compliance", text)
    keys = (*_keys(statement), *statement.headings)
    labelled = any(found("compliance_labels", key) for key in keys)
    for mention in family:
        scope = scope_of(text, mention.start, mention.end)
        rest = scope.whole.replace(text[mention.start : mention.end], " ")
        if (
            labelled
            or mention.start < statement.body
            or found("compliance_context", rest)
            or context_kind(statement) == "excluded"
            or scope.bracketed.strip(" -") == text[mention.start : mention.end]
        ):
            yield hit("compliance", statement, mention, family)
    none = pattern("rules.no_compliance").search(text)
    if none is not None:
        yield Hit("compliance", None, none.start(), Stance("excluded"), PROSE, whole=True)


def _availability(statement: Statement) -> Iterator[Hit]:
    """Availability in percent, with latency percentiles when the same statement gives them."""
    text = statement.text
    keys = _keys(statement)
    for match in _PERCENT.finditer(text):
        scope = scope_of(text, match.start(), match.end())
        near = text[max(scope.sentence[0], match.start() - 60) : min(scope.sentence[1], match.end() + 32)]
        labelled = any(found("availability", key) for key in (statement.label, statement.column) if key)
        titled = any(pattern("availability_titles").fullmatch(heading) for heading in statement.headings[:1])
        if not (labelled or titled or found("availability", near)) or found("availability_not", scope.whole):
            continue
        value: dict[str, Any] = {"availability": float(match.group(1))} | _latency(text)
        strength = WEAK if found("rules.component", f"{statement.label} {near}") else LABELLED if labelled else PROSE
        yield hit("sla", statement, Mention("sla", match.start(), match.end()), value=value, strength=strength)
        return
    if any(re.search(r"\bs(?:la|lo)s?\b|서비스 ?수준", key) for key in (*keys, *statement.headings[:1])):
        latency = _latency(text)
        at = _LATENCY.search(text)
        if at is not None and latency:
            yield hit("sla", statement, Mention("sla", at.start(), at.end()), value=latency)


def _latency(text: str) -> dict[str, Any]:
    items = [
        {"percentile": m[1].lower(), "ms": float(m[2]) * (1 if m[3].lower() in ("ms", "밀리초") else 1000)}
        for m in _LATENCY.finditer(text)
    ]
    return {"latency": items} if items else {}


def _recovery(statement: Statement) -> Iterator[Hit]:
    """RPO and RTO in minutes, from `RPO: 15 min`, `RTO of 4 hours` or a table column headed RTO."""
    text = statement.text
    for field in ("rpo", "rto"):
        path = f"recovery.{field}"
        if any(found(path, key) for key in (statement.label, statement.column) if key):
            durations = list(_DURATION.finditer(text, statement.body))
            both = re.search(r"\brto\b.{0,4}\brpo\b|(\brpo\b.{0,4}\brto\b)", statement.label, FLAGS)
            second = both is not None and (field == "rpo") == (both[1] is None) and len(durations) > 1
            duration = durations[1 if second else 0] if durations else None
            if duration is not None:
                yield _duration_hit(field, statement, duration, LABELLED)
                continue
        for match in pattern(path).finditer(text):
            zero = _ZERO.match(text, match.end())
            if zero is not None:
                yield hit(field, statement, Mention(field, *match.span()), value=0)
                break
            duration = _named_after(text, match.start()) or _DURATION.search(
                text, match.end(), min(len(text), match.end() + 44)
            )
            precise = duration and re.compile(r"\s?\(").match(text, duration.end())
            duration = (precise and _DURATION.match(text, precise.end())) or duration
            other = "rto" if field == "rpo" else "rpo"
            if duration is None or found(f"recovery.{other}", text[match.end() : max(match.end(), duration.start())]):
                continue
            yield _duration_hit(field, statement, duration, PROSE)
            break


def _named_after(text: str, at: int) -> re.Match[str] | None:
    durations = [m for m in _DURATION.finditer(text, max(0, at - 48), at) if _NAMED_AFTER.fullmatch(text[m.end() : at])]
    durations += [
        m for m in _DURATION.finditer(text, max(0, at - 20), at) if text.startswith("of ", at) and m.end() == at - 1
    ]
    return durations[-1] if durations else None


def _duration_hit(field: str, statement: Statement, match: re.Match[str], strength: int) -> Hit:
    minutes = float(_COUNTS.get(match[1].lower(), match[1])) * _MINUTES[match[2][0].lower()]
    value = int(minutes) if minutes == int(minutes) else round(minutes, 2)
    return hit(field, statement, Mention(field, match.start(), match.end()), value=value, strength=strength)
