"""The siblings' sentences by language, from `texts.yaml`, and the shape of their reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from agent.models.playbook.script import Reply
from tools.frontmatter import load_yaml
from tools.labels import label

Json = dict[str, Any]

_FINDING = re.compile(r"(?P<place>.+?): (?P<level>error|warning|info): (?P<text>.+) \[(?P<rule>[\w./-]+)\](?: \(.+\))?")
_STATUS = re.compile(r"^  ([\w.-]+(?: · [\w.-]+)?): (passed|failed|not verified)( \(.*\))?$", re.MULTILINE)


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    texts: Mapping[str, Mapping[str, str]] = load_yaml(Path(__file__).with_name("texts.yaml").read_text("utf-8"))
    return texts


def say(key: str, language: str, **values: Any) -> str:
    """The sentence `key` in `language`, with its values filled in."""
    return _texts()[key][language].format(**values).strip()


def section(key: str, language: str, lines: Iterable[str]) -> str:
    """A part of a report: its heading and its lines, `none` when there are none."""
    return "\n".join([f"## {say(key, language)}", "", *(list(lines) or [f"- {say('none', language)}"])])


def statuses_of(reply: Reply) -> list[tuple[str, str, str]]:
    """(check, `passed` or `failed` or `not_verified`, its detail) for each check that `CheckArtifacts` ran."""
    found = _STATUS.findall(reply.text)
    return [(name, status.replace(" ", "_"), detail.strip()) for name, status, detail in found]


class Told(NamedTuple):
    """A finding as `CheckArtifacts` tells it. `place` is `file:line` or a file; `fix` may be empty."""

    place: str
    level: str
    text: str
    rule: str
    fix: str


def findings_of(reply: Reply) -> list[Told]:
    """The findings in a report of `CheckArtifacts`."""
    lines = reply.text.splitlines()
    found = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if match := _FINDING.fullmatch(line):
            _, fixed, fix = following.partition("    fix: ")
            found.append(Told(match["place"], match["level"], match["text"], match["rule"], fix if fixed else ""))
    return found


def checks_of(reply: Reply, language: str) -> list[str]:
    """What `CheckArtifacts` said, as list items; an error of the tool is shown as it is."""
    statuses = statuses_of(reply)
    if not statuses:
        return [f"- {reply.text.strip()[:500]}"]
    lines = [f"- `{told.place}` {told.text} [{told.rule}]" for told in findings_of(reply)]
    for name, status, detail in statuses:
        lines.append(f"- {name}: {label('check_status', status, language)} {detail}".rstrip())
    return lines


def units_of(project: Json) -> Sequence[Json]:
    """The deploy units of a project as `DetectProject` gives it, libraries left out."""
    return [unit for unit in project.get("units", ()) if unit["kind"] != "library"]
