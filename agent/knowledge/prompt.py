"""What the model is told: the agent's own prompt, its preloaded skills, and where it works.

Everything here goes into the frozen prefix, so it holds nothing that changes during a conversation or between two runs
of the same project (no date, no ids): the prompt cache and thinking signatures are bound to it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agent.knowledge.definition import AgentDefinition
from agent.knowledge.skills import Skill
from tools.resources import data_root
from tools.tool import Tool

Json = dict[str, Any]


def system_fragment(name: str) -> str:
    """A text of `prompts/system/`, without the `.md`."""
    return (data_root() / "prompts" / "system" / f"{name}.md").read_text(encoding="utf-8").strip()


def system_blocks(
    definition: AgentDefinition, skills: Sequence[Skill], cwd: Path, extra: Iterable[str] = ()
) -> list[Json]:
    """The system prompt as text blocks: the persona with its skills first (shared by runs), the place last."""
    persona = [definition.prompt.strip()]
    persona += [skill.preload().strip() for skill in skills]
    persona.append(system_fragment("untrusted-content"))
    place = system_fragment("environment").format(
        cwd=cwd,
        platform=f"{platform.system()} ({platform.machine()})",
        git="yes" if (cwd / ".git").exists() else "no",
    )
    return [_text("\n\n".join(persona)), _text("\n\n".join([place, *extra]))]


def tool_definitions(tools: Iterable[Tool]) -> list[Json]:
    """Tools as the Messages API takes them, sorted by name so that the prefix is the same on every run."""
    return [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        for tool in sorted(tools, key=lambda tool: tool.name)
    ]


def _text(text: str) -> Json:
    return {"type": "text", "text": text}
