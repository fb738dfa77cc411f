"""What the planner and the instrumentation say in English, in the language a person reads.

The texts are in `wording.yaml`: English with `{names}` for what differs, beside the other languages. Files that tools
read stay English; documents and reports are for people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path


def in_language(text: str, language: str) -> str:
    """`text` in `language`; as it is where it is English or no wording is on record."""
    if language == "en":
        return text
    for pattern, other in _wordings(language):
        if found := pattern.fullmatch(text):
            return other.format(**found.groupdict())
    return text


@cache
def _wordings(language: str) -> Sequence[tuple[re.Pattern[str], str]]:
    from tools.frontmatter import load_yaml

    entries = load_yaml(Path(__file__).with_name("wording.yaml").read_text(encoding="utf-8"))
    return tuple((_pattern(entry["en"]), entry[language]) for entry in entries)


def _pattern(english: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", english)
    made = [re.escape(part) if index % 2 == 0 else f"(?P<{part}>.+?)" for index, part in enumerate(parts)]
    return re.compile("".join(made), re.DOTALL)
