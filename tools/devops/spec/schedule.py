"""Scheduled jobs: what must run when, as cron in UTC wherever the text gives time and zone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.spec.claims import LABELLED, PROSE, Hit, hit
from tools.devops.spec.markdown import Statement
from tools.devops.spec.stance import focused, scope_of
from tools.devops.spec.vocabulary import FLAGS, Mention, found, pattern

_ZONES = {
    "utc": 0.0,
    "gmt": 0.0,
    "kst": 9.0,
    "jst": 9.0,
    "cet": 1.0,
    "ist": 5.5,
    "est": -5.0,
    "pst": -8.0,
    "sgt": 8.0,
    "한국": 9.0,
    "asia/seoul": 9.0,
    "asia/tokyo": 9.0,
}
_ZONE = re.compile(
    r"\b(UTC|GMT|KST|JST|CET|IST|EST|PST|SGT|Asia/Seoul|Asia/Tokyo)\b|(한국)\s?(?:표준)?\s?시(?:간|각)", FLAGS
)
_CLOCK = re.compile(
    r"(?<![\d:.])(?P<h>[01]?\d|2[0-4]):(?P<m>[0-5]\d)(?:\s?(?P<ap>[ap]\.?m\.?)(?![a-z]))?(?![\d:])"
    r"|(?<![\d:.])(?P<h2>1?\d)\s?(?P<ap2>[ap]\.?m\.?)(?![a-z])"
    r"|(?P<kap>오전|오후|새벽|밤|저녁|아침)?\s?(?<!\d)(?P<kh>[01]?\d|2[0-4])시(?!간)(?:\s?(?P<km>[0-5]?\d)분|\s?(?P<half>반))?"
    r"|(?P<word>\bmidnight\b|자정|\bnoon\b|정오)",
    FLAGS,
)
_FIELD = r"(?:\*|\d{1,2})(?:[/,-]\d{1,2}){0,4}"
_CRON = re.compile(rf"(?<![\w*/])({_FIELD}(?:\s{_FIELD}){{3}}\s(?:\*|[0-7])(?:[/,-][0-7]){{0,6}})(?![\w*/])")
_EVERY = re.compile(
    r"\bevery (\d{1,2}|other)?\s?-?(minutes?|mins?|hours?|hrs?)\b|(\d{1,2})\s?(분|시간)\s?(?:마다|간격|주기)"
    r"|매\s?(\d{1,2})\s?(분|시간)|(매시간|매시 정각)|\b(hourly)\b",
    FLAGS,
)
_DAY = re.compile(r"\b(?:on )?the (\d{1,2})(?:st|nd|rd|th)\b|매월 ?(\d{1,2})일", FLAGS)
_WEEKDAYS = (
    ("sun", "일요일", "days?"),
    ("mon", "월요일", "days?"),
    ("tue", "화요일", "s(?:days?)?"),
    ("wed", "수요일", "nesdays?"),
    ("thu", "목요일", "r?s?(?:days?)?"),
    ("fri", "금요일", "days?"),
    ("sat", "토요일", "urdays?"),
)


def find_cron(statement: Statement) -> Iterator[Hit]:
    """Scheduled work as `{"schedule": cron in UTC or None, "text": the sentence}`."""
    text = statement.text
    if statement.kind in ("title", "heading"):
        return
    at = _anchor(statement)
    if at is None:
        return
    scope = scope_of(text, *at)
    sentence = re.sub(r"\s+", " ", scope.whole).strip(" -|")
    if found("cron.not", scope.wide) or found("rules.person_decides", scope.whole):
        return
    value = {"schedule": schedule(scope.whole), "text": sentence[:200]}
    labelled = bool(statement.label) and found("cron.generic", statement.label)
    mention = Mention("cron", *at)
    strength = LABELLED if labelled else PROSE
    judged = hit("cron", statement, mention, value=[value], strength=strength, conditions=False)
    if judged.stance.kind != "excluded" or focused(statement, *at):
        yield judged


def _anchor(statement: Statement) -> tuple[int, int] | None:
    """Where it speaks of work by the clock: a rhythm or time of day next to a job, or a job word itself."""
    text = statement.text
    generic = pattern("cron.generic").search(text)
    if generic is not None and (statement.kind != "cell" or statement.label):
        return generic.span()
    rhythms = (_CRON, *(pattern(f"rules.{name}") for name in ("daily", "weekly", "monthly")), _EVERY, _CLOCK)
    for rhythm in rhythms:
        match = rhythm.search(text)
        if match is None:
            continue
        scope = scope_of(text, *match.span())
        rest = scope.whole.replace(match.group(), " ", 1)
        listed = any(found("cron.headings", key) for key in (statement.label, *statement.near) if key)
        if not (listed or found("cron.jobs", rest)):
            continue
        if rhythm is _CLOCK and not listed and not (_ZONE.search(scope.whole) or found("rules.it_is", scope.whole)):
            continue
        return match.span()
    return None


def schedule(text: str) -> str | None:
    """Cron in UTC for a sentence, or None when time or zone is missing. A written cron line without a zone is kept."""
    zone = _ZONE.search(text)
    offset = _ZONES[(zone[1] or zone[2]).lower()] if zone else None
    written = _CRON.search(text)
    if written is not None:
        return _shift_cron(re.sub(r"\s+", " ", written[1]), offset or 0.0)
    every = _EVERY.search(text)
    clock = _CLOCK.search(text)
    if every is not None and clock is None:
        return _every(every)
    if clock is None or offset is None:
        return None
    minute_of_day = _minutes(clock)
    if minute_of_day is None:
        return None
    return _at(text, minute_of_day, offset)


def _every(match: re.Match[str]) -> str | None:
    if match[7] or match[8]:
        return "0 * * * *"
    number, unit = next(
        ((a, b) for a, b in ((match[1], match[2]), (match[3], match[4]), (match[5], match[6])) if b), ("", "")
    )
    count = 1 if not number else 2 if number == "other" else int(number)
    if unit.lower().startswith(("m", "분")):
        return "* * * * *" if count == 1 else f"*/{count} * * * *" if 0 < count < 60 else None
    return "0 * * * *" if count == 1 else f"0 */{count} * * *" if 0 < count < 24 else None


def _minutes(match: re.Match[str]) -> int | None:
    if match["word"]:
        return 0 if match["word"].lower() in ("midnight", "자정") else 720
    hour = int(match["h"] or match["h2"] or match["kh"])
    minute = 30 if match["half"] else int(match["m"] or match["km"] or 0)
    half = (match["ap"] or match["ap2"] or "").lower()
    afternoon = half.startswith("p") or match["kap"] in ("오후", "저녁") or (match["kap"] == "밤" and hour >= 6)
    if afternoon and hour < 12:
        hour += 12
    if hour == 12 and (half.startswith("a") or match["kap"] in ("오전", "새벽", "밤")):
        hour = 0
    return (hour % 24) * 60 + minute if hour <= 24 else None


def _at(text: str, minute_of_day: int, offset: float) -> str | None:
    shifted = minute_of_day - int(offset * 60)
    day_shift, minute_of_day = shifted // 1440, shifted % 1440
    hour, minute = divmod(minute_of_day, 60)
    days = [
        n for n, names in enumerate(_WEEKDAYS) if re.search(rf"\b{names[0]}(?:{names[2]}|s|\b)|{names[1]}", text, FLAGS)
    ]
    if re.search(r"\bweekdays?\b|평일|영업일", text, FLAGS):
        days = [1, 2, 3, 4, 5]
    if days:
        return f"{minute} {hour} * * {','.join(str((d + day_shift) % 7) for d in days)}"
    if found("rules.monthly", text):
        day = _DAY.search(text)
        return f"{minute} {hour} {(day[1] or day[2]) if day else 1} * *" if day_shift == 0 else None
    return f"{minute} {hour} * * *"


def _shift_cron(line: str, offset: float) -> str:
    """A five-field line moved to UTC where its hour is a plain number and the day is unrestricted."""
    minute, hour, day, month, weekday = line.split(" ")
    if not offset or offset != int(offset) or not hour.isdigit():
        return line
    shifted = int(hour) - int(offset)
    if shifted in range(24):
        return f"{minute} {shifted} {day} {month} {weekday}"
    if (day, weekday) == ("*", "*"):
        return f"{minute} {shifted % 24} {day} {month} {weekday}"
    if day == "*" and weekday.isdigit():
        return f"{minute} {shifted % 24} {day} {month} {(int(weekday) + shifted // 24) % 7}"
    return line
