"""The playbook's sentences by language, from `texts.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    import yaml

    loaded: Mapping[str, Mapping[str, str]] = yaml.safe_load(Path(__file__).with_name("texts.yaml").read_text("utf-8"))
    return loaded


def say(key: str, language: str, **values: Any) -> str:
    """The sentence `key` in `language` (English when there is none), with its values filled in."""
    entry = _texts()[key]
    return entry.get(language, entry["en"]).format(**values)
