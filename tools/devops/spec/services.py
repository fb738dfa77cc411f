"""What stands beside the application: cache, queue, CDN, load balancing, auto-scaling, replicas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tools.devops.spec.claims import LABELLED, PROSE, WEAK, Hit, hit
from tools.devops.spec.database import used, version_at
from tools.devops.spec.markdown import Statement
from tools.devops.spec.stance import Stance, alternatives, context_kind, denied_at, focused, judge, scope_of
from tools.devops.spec.vocabulary import FLAGS, Mention, found, mentions, pattern

_COUNT_WORDS = r"replicas?|pods?|instances?|tasks?|containers?|machines?|dynos?"
_COUNT_WORDS += r"|레플리카|리플리카|인스턴스|파드|포드|컨테이너|태스크|머신"
_NUMBERS = {
    "zero": 0,
    "one": 1,
    "a single": 1,
    "single": 1,
    "한": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
}
_NUMBERS |= {
    "six": 6,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "두": 2,
    "세": 3,
    "네": 4,
}
_N = rf"\d{{1,4}}|{'|'.join(_NUMBERS)}"
_RANGE = re.compile(
    rf"\bbetween\s({_N})\sand\s({_N})|"
    rf"(?:min(?:imum)?\.?|최소|at least)\s?[:=]?\s?({_N})[^;\n\d]{{0,44}}?"
    rf"(?:max(?:imum)?\.?|최대|up to|at most|to)\s?[:=]?\s?({_N})"
    rf"|(?<![\d.])({_N})\s?(?:개|대)?\s?(?:에서|부터|~|→|->)\s?(?:최대\s?)?({_N})\s?(?:개|대)"
    rf"|(?<![\d.])({_N})\s?(?:[-–~]|to|에서)\s?({_N})\s?(?:개|대)?\s?(?:의)?\s?(?:{_COUNT_WORDS})"
    rf"|(?:{_COUNT_WORDS})\s?(?:수|count)?\s?[:=(]?\s?({_N})\s?(?:개|대)?\s?(?:[-–~]|to)\s?({_N})",
    FLAGS,
)
_COUNT = re.compile(
    rf"(?<![\w.,§#/-])(\d{{1,3}}|one|(?:a )?single|two|three|four|five|six|한|두|세|네)(?:\s|개|대)\s?"
    rf"(?:의\s)?(?:\w{{1,12}}\s)?(?:{_COUNT_WORDS})(?![-\w]|\s?(?:images?|orchestr|registr))"
    r"|(?:\breplicas?|replica ?count|replicacount"
    r"|레플리카|리플리카|파드|인스턴스)\s?(?:수|개수|count)?\s?[:=]\s?(\d{1,3})(?!\d)"
    r"|(?:인스턴스|레플리카|파드|포드|pods?|컨테이너|서버|태스크|머신)\s?(?:를|은|는|수)?\s?(?:최소\s?)?(\d{1,3})\s?(?:개|대)(?!\s?(?:에서|부터|→|->))",
    FLAGS,
)
_LABELLED_COUNT = re.compile(r"\s*(\d{1,3})(?![\d.]|\s?%)", re.ASCII)
_LIBRARIES = frozenset({"celery", "bullmq", "sidekiq", "arq", "rq", "dramatiq", "horizon"})
"""Queues that run on a broker of another name, which may be told elsewhere."""
_BALANCERS = (("alb", r"application load"), ("nlb", r"network load"))
_OWN_COUNT = re.compile(_COUNT_WORDS, FLAGS)
_AT_LEAST = re.compile(r"\bmin(?:imum)?\b|최소|at least|or more|이상", FLAGS)


def find_services(statement: Statement) -> Iterator[Hit]:
    """All hits of this module in one statement."""
    yield from _engine(statement, "cache", "caches")
    yield from _engine(statement, "queue", "queues")
    yield from _queue_in_words(statement)
    for field in ("cdn", "autoscaling", "load_balancing"):
        yield from _capability(statement, field)
    yield from _scaling_columns(statement)
    yield from _replicas(statement)


def _engine(statement: Statement, field: str, path: str) -> Iterator[Hit]:
    """Cache or queue by engine. Redis answers for the cache unless the text speaks of a queue only."""
    text = statement.text
    family = mentions(path, text)
    labelled = any(found(f"labels.{field}", key) for key in statement.keys)
    if field == "queue" and labelled and not family:
        family = [m for m in mentions("caches", text) if m.value == "redis"]
    for mention in family:
        inside = labelled and mention.start >= statement.body
        if not inside and not used(statement, mention):
            continue
        value = _engine_value(statement, mention, family)
        judged = hit(field, statement, mention, family, value=value, strength=LABELLED if inside else PROSE)
        if field == "cache" and judged.stance.kind != "excluded" and _queue_only(statement, mention):
            continue
        if mention.start in alternatives(text, family) and judged.stance.kind == "stated":
            judged = Hit(field, True, mention.start, judged.stance, PROSE)
        yield judged
    yield from _by_label(statement, field)


def _engine_value(statement: Statement, mention: Mention, family: Sequence[Mention]) -> dict[str, Any]:
    """`{engine, version}`, or for a queue library `{library}` with its broker where one stands near."""
    version = version_at(statement.text, mention.end)
    if mention.value not in _LIBRARIES:
        return {"engine": mention.value} | ({"version": version} if version else {})
    near = [*family, *mentions("caches", statement.text)]
    brokers = [m.value for m in near if m.value not in _LIBRARIES and abs(m.start - mention.end) <= 24]
    return {"library": mention.value} | ({"engine": brokers[0]} if brokers else {})


def _queue_only(statement: Statement, mention: Mention) -> bool:
    """Whether Redis serves a queue and nothing else here. Beside another broker it serves something else."""
    scope = scope_of(statement.text, mention.start, mention.end)
    around = " ".join((*statement.keys, scope.whole))
    if any(m.start <= mention.start < m.end for m in mentions("queues", statement.text)):
        return True
    named = {m.value for m in mentions("queues", around)}
    if found("labels.cache", around) or named - _LIBRARIES - {"redis"}:
        return False
    return bool(named) or found("labels.queue", around)


def _by_label(statement: Statement, field: str) -> Iterator[Hit]:
    """`Cache: none`, `메시지 큐 | 불필요`, or an out-of-scope item that names the subject."""
    if context_kind(statement) not in ("stated", "excluded", "undecided"):
        return
    names_it = bool(statement.label) and found(f"labels.{field}", statement.label) and len(statement.label) <= 24
    if names_it and pattern("rules.none").match(statement.text[statement.body :]):
        yield Hit(field, None, statement.body, Stance("excluded"), LABELLED, whole=True)
        return
    if context_kind(statement) != "excluded" and not found("rules.denial", statement.text):
        return
    subject = "labels.queue_generic" if field == "queue" else "rules.cache_subject"
    for match in pattern(f"labels.{field}_bare").finditer(statement.text):
        if context_kind(statement) == "stated" and denied_at(statement.text, *match.span()):
            yield Hit(field, None, match.start(), Stance("excluded"), PROSE, whole=True)
            return
    for match in pattern(subject).finditer(statement.text):
        if found(f"labels.{field}_not", statement.text):
            return
        mention = Mention(field, match.start(), match.end())
        if focused(statement, mention.start, mention.end):
            judged = hit(field, statement, mention, strength=PROSE, whole=True)
            if judged.stance.kind == "excluded":
                yield judged


def _queue_in_words(statement: Statement) -> Iterator[Hit]:
    """A message or job queue named by kind, in a context of workers and brokers, not of chats and tickets."""
    text = statement.text
    for match in pattern("labels.queue_generic").finditer(text):
        labelled = bool(statement.label) and match.end() <= statement.body
        if found("labels.queue_not", text) or not (labelled or found("labels.queue_context", text)):
            continue
        if labelled and (pattern("rules.none").match(text[statement.body :]) or mentions("queues", text)):
            continue
        if match.group() == "큐" and not labelled:
            continue  # by itself the word also means a line of people
        mention = Mention("queue", match.start(), match.end())
        judged = hit("queue", statement, mention, value=True, strength=WEAK)
        if judged.stance.kind == "stated":
            yield judged
        return


def _capability(statement: Statement, field: str) -> Iterator[Hit]:
    """CDN, auto-scaling, load balancing: something one has or has not."""
    text = statement.text
    labelled = bool(statement.label) and found(f"labels.{field}", statement.label)
    named = [Mention(field, m.start(), m.end()) for m in pattern(f"labels.{field}").finditer(text)]
    if labelled and pattern("rules.none").match(text[statement.body :]):
        if context_kind(statement) in ("stated", "excluded"):
            yield Hit(field, None, statement.body, Stance("excluded"), LABELLED, whole=True)
        return
    makers = _makers(statement, named) if field == "cdn" else []
    everything = sorted([*named, *makers], key=lambda m: m.start)
    remark = bool(statement.column) and found("rules.remark_columns", statement.column)
    if field == "autoscaling" and found("labels.scaling", statement.label) and _bounds(text):
        everything = everything or [Mention(field, statement.body, len(text))]
    if labelled and not everything and not remark and text[statement.body :].strip():
        everything = [Mention(field, statement.body, statement.body + 1)]
    heads_row = statement.kind == "cell" and not statement.label
    for mention in everything:
        if found(f"labels.{field}_not", scope_of(text, mention.start, mention.end).whole):
            continue
        if field == "cdn" and not labelled and not heads_row and not _cdn_used(statement, mention):
            continue
        strength = LABELLED if labelled else WEAK if heads_row else PROSE
        value = _capability_value(field, statement, mention, makers)
        always = field != "autoscaling"
        yield hit(field, statement, mention, everything, value=value, strength=strength, conditions=always)


def _makers(statement: Statement, named: Sequence[Mention]) -> list[Mention]:
    """CDN products. Cloudflare and the like also sell other things, so a CDN must be the subject."""
    subject = bool(named) or found("labels.cdn", " ".join(statement.near))
    return [m for m in mentions("cdns", statement.text) if subject or m.value == "cloudfront"]


def _cdn_used(statement: Statement, mention: Mention) -> bool:
    if found("labels.cdn", " ".join((*statement.parents[:1], *statement.headings[:1]))):
        return True
    scope = scope_of(statement.text, mention.start, mention.end)
    rest = scope.whole.replace(statement.text[mention.start : mention.end], " ", 1)
    return found("labels.cdn_use", rest) or judge(statement, mention.start, mention.end).kind == "excluded"


def _capability_value(field: str, statement: Statement, mention: Mention, makers: Sequence[Mention]) -> Any:
    if field == "cdn":
        return makers[0].value if len({m.value for m in makers}) == 1 else True
    if field == "load_balancing":
        word = statement.text[mention.start : mention.end].lower()
        kind = next((k for k in ("alb", "nlb", "elb") if re.search(rf"\b{k}\b", word)), None)
        kind = kind or next((k for k, rx in _BALANCERS if re.search(rx, statement.text, FLAGS)), None)
        return {"kinds": [kind]} if kind else True
    bounds = _bounds(f"{statement.label} {statement.text.strip()}")
    return {"min": bounds[0], "max": bounds[1]} if bounds else True


def _bounds(text: str) -> tuple[int, int] | None:
    match = _RANGE.search(text)
    if match is None:
        return None
    low, high = (_NUMBERS[g.lower()] if g.lower() in _NUMBERS else int(g) for g in match.groups() if g is not None)
    return (low, high) if 0 <= low <= high else None


def _scaling_columns(statement: Statement) -> Iterator[Hit]:
    """Bounds in two columns of a table: `| Workload | Min pods | Max pods |`."""
    low, high = statement.text.strip(), dict(statement.others).get(re.sub(r"\bmin(?:imum)?\b", "max", statement.column))
    counts = _OWN_COUNT.search(statement.column)
    if counts and statement.column.startswith("min") and low.isdecimal() and high is not None and high.isdecimal():
        value = {"min": int(low), "max": int(high)}
        mention = Mention("autoscaling", statement.body, len(statement.text))
        yield hit("autoscaling", statement, mention, value=value, strength=LABELLED)


def _replicas(statement: Statement) -> Iterator[Hit]:
    """How many copies of the application run."""
    text = statement.text
    labelled = _LABELLED_COUNT.match(text, statement.body) if found("labels.replicas", statement.label) else None
    if labelled is not None:
        own = _bounds(f"{statement.label} {text.strip()}")
        count: Any = {"min": own[0], "max": own[1]} if own else int(labelled[1])
        yield hit("replicas", statement, Mention("replicas", *labelled.span(1)), value=count, strength=LABELLED)
        return
    for match in _COUNT.finditer(text):
        scope = scope_of(text, match.start(), match.end())
        around = " ".join((*statement.keys, *statement.parents[:1], scope.part, scope.wide))
        word = match.group().lower()
        if found("rules.not_replicas", around) or (
            "replica" not in word and not found("rules.server", around.replace(word, " "))
        ):
            continue
        counted = next(group for group in match.groups() if group).lower()
        number = _NUMBERS.get(counted) or int(counted)
        bounds = _bounds(scope.whole)
        value = {"min": bounds[0], "max": bounds[1]} if bounds else number
        if bounds is None and _AT_LEAST.search(text[max(0, match.start() - 14) : match.end() + 9]):
            value = {"min": number}
        if number:
            yield hit("replicas", statement, Mention("replicas", match.start(), match.end()), value=value)
        return
