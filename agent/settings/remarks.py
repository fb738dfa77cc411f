"""What a person should know about a configuration file, in their language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from tools.frontmatter import load_yaml
from tools.text import clean, cut_line

_MOST_DETAIL = 400

Language = Literal["en", "ko"]


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence of `remarks.yaml` about the file (or flag) `where`; `detail` fills its placeholders."""

    key: str
    where: str
    detail: Mapping[str, str] = field(default_factory=dict)

    def text(self, language: Language = "en") -> str:
        """The remark on one line, safe for a terminal."""
        shown = {name: _one_line(value) for name, value in self.detail.items()}
        return f"{_one_line(self.where)}: {_sentences()[self.key][language].format(**shown)}"

    def __str__(self) -> str:
        return self.text()


def remark(key: str, where: object, **detail: object) -> Remark:
    return Remark(key, str(where), {name: str(value).removesuffix(".") for name, value in detail.items()})


def _one_line(text: str) -> str:
    return cut_line(" ".join(clean(text).split()), _MOST_DETAIL)


@cache
def _sentences() -> Mapping[str, Mapping[str, str]]:
    sentences: Mapping[str, Mapping[str, str]] = load_yaml(
        (Path(__file__).parent / "remarks.yaml").read_text(encoding="utf-8")
    )
    return sentences
