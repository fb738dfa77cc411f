"""A SPEC and a project as text for people, from their JSON form, in English or Korean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
MAX_EVIDENCE = 3
MAX_LINE = 140


def spec_text(spec: Json, language: str | None = None) -> str:
    """What a SPEC says on deployment, each value with the lines it rests on, what it leaves open, its requirements.

    Without `language` it is the project's conversation language, else the one the SPEC is written in.
    """
    say = _Words(language or spec["config"].get("language") or spec["language"])
    lines = [f"{spec['id']}: {spec['title']}", f"{say('files')}: {', '.join(spec['files'])}", "", say("deployment")]
    fields = spec["deployment"]
    for name, field in fields.items():
        if field["status"] != "not_stated" or field["evidence"]:
            lines += _field(say, name, field)
    silent = [say.of("fields", name) for name, f in fields.items() if f["status"] == "not_stated" and not f["evidence"]]
    if silent:
        lines += ["", f"{say('not_stated')}: {', '.join(silent)}"]
    if spec["requirements"]:
        lines += ["", say("requirements", n=len(spec["requirements"]))]
    for one in spec["requirements"]:
        place = f"{one['file']}:{one['line']}"
        lines.append(f"  {one['id']} ({say.of('patterns', one['pattern'])}, {place}): {_cut(one['text'])}")
    return "\n".join([*lines, *_notes(say, spec["notes"])])


def project_text(project: Json, language: str = "en") -> str:
    """Deploy units with their commands, platforms, existing deployment files, and what is missing."""
    say = _Words(language)
    lines: list[str] = []
    for unit in project["units"]:
        stack = " ".join(filter(None, (unit["language"], unit["version"])))
        frameworks = f" ({', '.join(unit['frameworks'])})" if unit["frameworks"] else ""
        lines.append(f"{unit['path']}: {say.of('kinds', unit['kind'])}, {stack}{frameworks}")
        lines += _unit(say, unit)
        lines.append("")
    if not lines:
        lines = [say("no_unit"), ""]
    for sign in project["platforms"]:
        source, evidence = say.of("sources", sign["source"]), ", ".join(sign["evidence"])
        lines.append(say("platform_line", platform=sign["platform"], source=source, evidence=evidence))
    if project["existing"]:
        lines.append(f"{say('existing')}: {', '.join(project['existing'])}")
    if project["missing"]:
        lines += ["", say("missing")]
    for item in project["missing"]:
        lines.append(f"  {item['unit']}: {say.of('lacking', item['what'])} - {say.why(item)}")
    return "\n".join([*lines, *_notes(say, project["notes"])]).rstrip()


class _Words:
    """The words of `describe.yaml` in one language."""

    def __init__(self, language: str) -> None:
        self.language = "ko" if str(language).lower().startswith("ko") else "en"

    def __call__(self, key: str, **values: object) -> str:
        text: str = _texts()[key][self.language]
        return text.format(**values)

    def of(self, group: str, key: str) -> str:
        """The word for `key`; a key without one stands for itself."""
        known: Mapping[str, str] = _texts()[group].get(key, {})
        return known.get(self.language, key)

    def why(self, item: Json) -> str:
        translated: Mapping[str, str] = _texts()["why_ko"]
        return translated.get(item["what"], item["why"]) if self.language == "ko" else str(item["why"])

    def note(self, text: str) -> str:
        """A note in this language; one without a translation stays as it is."""
        if self.language == "en":
            return text
        told = ((match, korean) for english, korean in _notes_ko() if (match := english.fullmatch(text)))
        return next((korean.format(**match.groupdict()) for match, korean in told), text)


@cache
def _notes_ko() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(english), korean) for english, korean in _texts()["notes_ko"])


@cache
def _texts() -> Mapping[str, Any]:
    import yaml

    texts: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return texts


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 1]}…"


def _notes(say: _Words, notes: list[str]) -> list[str]:
    return ["", say("notes"), *(f"  {say.note(note)}" for note in notes)] if notes else []


# --- a SPEC's fields -------------------------------------------------------------------------------------------


def _field(say: _Words, name: str, field: Json) -> Iterator[str]:
    """One field: its value, the evidence, then what was ruled out or said otherwise."""
    against = [side for side in field["conflicts"] if side.get("status") != "excluded"]
    if field["status"] == "excluded":
        value = say("excluded")
    elif field["status"] == "not_stated":
        value = say("undecided")
    elif field["value"] is None:
        sides = say("against").join(_side(say, name, side) for side in field["conflicts"])
        value = say("contradicts", sides=sides)
    else:
        value = _value(say, name, field["value"])
    planned = f" ({say('planned')})" if field["planned"] else ""
    yield f"  {say.of('fields', name)}: {value}{planned}"
    for line in field["evidence"][:MAX_EVIDENCE]:
        yield f"      {line['file']}:{line['line']}: {_cut(line['text'])}"
    if len(field["evidence"]) > MAX_EVIDENCE:
        yield f"      {say('more_lines', n=len(field['evidence']) - MAX_EVIDENCE)}"
    if field["status"] == "stated" and field["value"] is None:
        return
    for side in field["conflicts"]:
        yield f"      {say('also_said' if side in against else 'ruled_out', value=_side(say, name, side))}"


def _side(say: _Words, name: str, side: Json) -> str:
    mark = f" ({say('excluded')})" if side.get("status") == "excluded" and side["value"] is True else ""
    return f"{_value(say, name, side['value'])}{mark} ({side['evidence']['file']}:{side['evidence']['line']})"


def _value(say: _Words, name: str, value: Any) -> str:
    """A field's value as a person would write it."""
    if value is True:
        return say("yes_")
    if isinstance(value, list):
        return ", ".join(_value(say, name, item) for item in value)
    if name in ("rpo", "rto"):
        return _minutes(say, value)
    if isinstance(value, Mapping):
        return _SHAPES.get(name, _plain)(say, value)
    return str(value)


def _minutes(say: _Words, minutes: float) -> str:
    if not minutes:
        return say("no_loss")
    return say("minutes", n=minutes) if minutes < 60 or minutes % 60 else say("hours", n=int(minutes) // 60)


def _plain(_: _Words, value: Json) -> str:
    parts = (part for v in value.values() for part in (v if isinstance(v, list) else [v]))
    return " ".join(map(str, parts))


def _region(say: _Words, value: Json) -> str:
    implied = f", {say('implied')}" if value.get("implied") else ""
    return f"{value['name']} ({value['country']}{implied})"


def _backup(say: _Words, value: Json) -> str:
    kept = say("kept", n=value["retention_days"]) if "retention_days" in value else ""
    return ", ".join(filter(None, (value.get("frequency", ""), kept)))


def _bounds(say: _Words, value: Json) -> str:
    if "max" not in value:
        return say("at_least", n=value["min"])
    return say("between", low=value.get("min", 1), high=value["max"])


def _budget(say: _Words, value: Json) -> str:
    amount = f"{value['amount']:,}"
    if value["period"] is None:
        return f"{amount} {value['currency']}"
    return say(f"per_{value['period']}", amount=amount, currency=value["currency"])


def _sla(_: _Words, value: Json) -> str:
    latencies = [f"{item['percentile']} < {item['ms']:g} ms" for item in value.get("latency", ())]
    share = [f"{value['availability']:g} %"] if "availability" in value else []
    return ", ".join([*share, *latencies])


def _job(say: _Words, value: Json) -> str:
    return f"{value['schedule'] or say('no_schedule')} - {_cut(value['text'])}"


_SHAPES = {
    "regions": _region,
    "database_backup": _backup,
    "autoscaling": _bounds,
    "replicas": _bounds,
    "budget": _budget,
    "sla": _sla,
    "cron": _job,
}


# --- a project's units -----------------------------------------------------------------------------------------


def _unit(say: _Words, unit: Json) -> Iterator[str]:
    for name in _texts()["unit"]:
        value = unit[name]
        if value and name in ("workers", "cron"):
            yield from (f"  {say.of('unit', name)}: {' - '.join(map(str, one.values()))}" for one in value)
        elif value:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield f"  {say.of('unit', name)}: {shown}"
