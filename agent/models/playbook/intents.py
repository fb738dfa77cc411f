"""What a user's words ask of the playbook: a few intents it can serve by rules, and an honest answer to the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from agent.models.playbook.eight_steps import Engineer
from agent.models.playbook.script import Call, Script, Turn
from agent.models.playbook.words import say
from agent.models.port import Message

_STEPS = re.compile(r"work through steps ([\d, ]+) of the workflow")
_SPEC = re.compile(r"The SPEC is (\S+?)\.(?:\s|$)")
_KOREAN = re.compile(r"[가-힣]")
_LOOKUPS: Sequence[tuple[re.Pattern[str], Call]] = (
    (re.compile(r"(?i)\b(check|lint|verify|validate)\b|검사|검증"), ("CheckArtifacts", {})),
    (re.compile(r"(?i)\bspec\b|요구사항|스펙"), ("ReadSpec", {})),
    (re.compile(r"(?i)\b(detect|stack|scan|project)\b|탐지|프로젝트"), ("DetectProject", {})),
)
"""Words of a chat -> the one tool that answers them."""


def script_for(said: str, history: Sequence[Message]) -> Script:
    """The script that serves `said`."""
    language = "ko" if _KOREAN.search(said) else "en"
    if steps := _STEPS.search(said):
        spec = _SPEC.search(said)
        numbers = [int(number) for number in re.findall(r"\d+", steps[1])]
        return Engineer(spec[1] if spec else None, numbers, language).script()
    if len(history) > 1 and "are still open" in said:
        return _say(lambda: _last_words(history, language))
    for pattern, lookup in _LOOKUPS:
        if pattern.search(said):
            return _look_up(lookup)
    return _say(lambda: say("limits", language))


def _look_up(lookup: Call) -> Script:
    (reply,) = yield Turn("", (lookup,))
    return reply.text


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
