"""What a user's words ask of the playbook: a few intents it can serve by rules, and an honest answer to the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.models.playbook.eight_steps import Engineer
from agent.models.playbook.repairing import is_repair, repair_script
from agent.models.playbook.script import Reply, Script, Turn
from agent.models.playbook.siblings import sibling_script
from agent.models.playbook.words import say
from agent.models.port import Message
from agent.turn.structured import DEMAND
from tools.devops.describe import project_text, spec_text

_STEPS = re.compile(r"work through steps ([\d, ]+) of the workflow")
_SPEC = re.compile(r"The SPEC is (\S+?)\.(?:\s|$)")
_RESULTS = "Results of what you delegated:"
_KOREAN = re.compile(r"[가-힣]")
_LOOKUPS: Sequence[tuple[re.Pattern[str], str, Callable[[Reply], str]]] = (
    (re.compile(r"(?i)\b(check|lint|verify|validate)\b|검사|검증"), "CheckArtifacts", lambda reply: reply.text),
    (re.compile(r"(?i)\bspec\b|요구사항|스펙"), "ReadSpec", lambda reply: _described(reply, spec_text)),
    (
        re.compile(r"(?i)\b(detect|stack|scan|project)\b|탐지|프로젝트"),
        "DetectProject",
        lambda reply: _described(reply, project_text),
    ),
)
"""Words of a chat -> the one tool that answers them, and how its reply is told."""


def script_for(said: str, history: Sequence[Message]) -> Script:
    """The script that serves `said`."""
    if (script := sibling_script(said)) is not None:
        return script
    language = "ko" if _KOREAN.search(said) else "en"
    if steps := _STEPS.search(said):
        spec = _SPEC.search(said)
        numbers = [int(number) for number in re.findall(r"\d+", steps[1])]
        return Engineer(spec[1] if spec else None, numbers, language).script()
    if said.startswith(_RESULTS) and (steps := _STEPS.search(_first_words(history))):
        spec = _SPEC.search(_first_words(history))
        last = [8] if "8" in steps[1] else []
        return Engineer(spec[1] if spec else None, last, language, delegates=False).script()
    if is_repair(said):
        return repair_script(said, language)
    if DEMAND in said:
        return _say(lambda: say("no_structure", language))
    if len(history) > 1 and "are still open" in said:
        return _say(lambda: _last_words(history, language))
    for pattern, tool, tell in _LOOKUPS:
        if pattern.search(said):
            return _look_up(tool, tell)
    return _say(lambda: say("limits", language))


def _first_words(history: Sequence[Message]) -> str:
    """The task that the conversation began with."""
    content = history[0]["content"]
    return content if isinstance(content, str) else " ".join(str(block.get("text", "")) for block in content)


def _look_up(tool: str, tell: Callable[[Reply], str]) -> Script:
    (reply,) = yield Turn("", ((tool, {}),))
    return tell(reply)


def _described(reply: Reply, describe: Callable[[Mapping[str, Any]], str]) -> str:
    data = reply.json()
    return describe(data) if data else reply.text


def _say(text: Callable[[], str]) -> Script:
    """An answer without any call."""
    yield from ()
    return text()


def _last_words(history: Sequence[Message], language: str) -> str:
    """Asked to go on where the rules end: say again what keeps it from going on."""
    for message in reversed(history):
        if message["role"] == "assistant" and not isinstance(message["content"], str):
            said = " ".join(block["text"] for block in message["content"] if block.get("type") == "text")
            if said:
                return said
    return say("limits", language)
