"""Words a person reads, by language: `label("checklist", "rollback", "ko")`. The texts are in `prompts/labels.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tools.frontmatter import load_yaml
from tools.resources import data_root

Labels = Mapping[str, Mapping[str, Mapping[str, str]]]


@cache
def _labels() -> Labels:
    labels: Labels = load_yaml((data_root() / "prompts" / "labels.yaml").read_text(encoding="utf-8"))
    return labels


def label(group: str, key: str, language: str) -> str:
    """One word or phrase; English where a language has no text of its own. Raises `KeyError` for an unknown label."""
    texts = _labels()[group][key]
    return texts.get(language, texts["en"])


def group(name: str) -> tuple[str, ...]:
    """The keys of a group, in their order."""
    return tuple(_labels()[name])
