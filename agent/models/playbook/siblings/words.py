"""The siblings' sentences by language, from `texts.yaml`, and the shape of their reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from agent.models.playbook.script import Reply
from tools.frontmatter import load_yaml

Json = dict[str, Any]


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


def checks_of(reply: Reply) -> list[str]:
    """What `CheckArtifacts` said, as list items; an error of the tool is shown as it is."""
    lines = [line.strip() for line in reply.text.splitlines()]
    return [f"- {line}" for line in lines if line and not line.startswith(("why:", "fix:"))]


def units_of(project: Json) -> Sequence[Json]:
    """The deploy units of a project as `DetectProject` gives it, libraries left out."""
    return [unit for unit in project.get("units", ()) if unit["kind"] != "library"]
