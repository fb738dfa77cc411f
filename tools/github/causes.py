"""Known causes of failed workflow runs, found in their logs. The causes are data: `causes.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tools.frontmatter import load_yaml
from tools.text import cut_line

Cure = Literal["files", "person", "again"]

_MOST_LINE = 300


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause and the log line that shows it. `cure` says who or what can mend it; `rewrite` names artifact kinds.

    `means` and `remedy` are texts by language. `line` is foreign text.
    """

    id: str
    cure: Cure
    means: Mapping[str, str]
    remedy: Mapping[str, str]
    rewrite: tuple[str, ...]
    line: str


def causes_of(log: str) -> tuple[Cause, ...]:
    """The known causes that a log shows, each once, in the order of the table: the most telling first."""
    lines = [line.removeprefix("##[error]") for line in log.split("\n")]
    found = []
    for entry, patterns in _table():
        line = next((line for line in lines if any(pattern.search(line[:2000]) for pattern in patterns)), None)
        if line is not None:
            texts = (entry["means"], entry["remedy"], tuple(entry.get("rewrite", ())))
            found.append(Cause(entry["id"], entry["cure"], *texts, cut_line(line.strip(), _MOST_LINE)))
    return tuple(found)


def rewrites() -> Mapping[str, tuple[str, ...]]:
    """Cause -> the kinds of planned files that are worked out anew for it."""
    return {str(entry["id"]): tuple(entry.get("rewrite", ())) for entry, _ in _table()}


@cache
def _table() -> Sequence[tuple[Mapping[str, Any], tuple[re.Pattern[str], ...]]]:
    entries = load_yaml(Path(__file__).with_name("causes.yaml").read_text("utf-8"))
    return [(entry, tuple(map(re.compile, entry["patterns"]))) for entry in entries]
