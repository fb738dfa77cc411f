"""The playbook's sentences by language, from `texts.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tools.frontmatter import load_yaml


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    texts: Mapping[str, Mapping[str, str]] = load_yaml(Path(__file__).with_name("texts.yaml").read_text("utf-8"))
    return texts


def say(key: str, language: str, **values: Any) -> str:
    """The sentence `key` in `language` (English when there is none), with its values filled in."""
    entry = _texts()[key]
    return entry.get(language, entry["en"]).format(**values)
