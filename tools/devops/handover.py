"""Hand-over messages between agents: typed, rendered in English or Korean, and parsed back without loss.

The shape: To / From / Subject, facts, groups with bullets, numbered next steps whose items name who acts. One message
has one recipient; it is a document, delivered by the orchestrator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Language = Literal["en", "ko"]

_LABELS: Mapping[Language, Mapping[str, str]] = {
    "en": {"to": "To", "from": "From", "subject": "Subject", "next": "Next steps"},
    "ko": {"to": "수신", "from": "발신", "subject": "제목", "next": "다음 단계"},
}


class HandoverError(ValueError):
    """A text that is no hand-over message; says which part is missing."""


@dataclass(frozen=True, slots=True)
class Handover:
    """One message. `facts` are single lines (`App: FastAPI`), `groups` bullet lists, `next_steps` (actor, action)."""

    to: str
    sender: str
    subject: str
    facts: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    next_steps: tuple[tuple[str, str], ...] = ()


def render(message: Handover, language: Language = "en") -> str:
    """The message as Markdown text."""
    label = _LABELS[language]
    lines = [
        f"{label['to']}: {_line(message.to)}",
        f"{label['from']}: {_line(message.sender)}",
        f"{label['subject']}: {_line(message.subject)}",
    ]
    if message.facts:
        lines += ["", *(f"{_line(key)}: {_line(value)}" for key, value in message.facts.items())]
    for name, items in message.groups.items():
        lines += ["", f"{_line(name)}:", *(f"- {_line(item)}" for item in items)]
    if message.next_steps:
        lines += ["", f"{label['next']}:"]
        lines += [f"{n}. {_line(who)}: {_line(what)}" for n, (who, what) in enumerate(message.next_steps, 1)]
    return "\n".join(lines) + "\n"


def parse(text: str) -> Handover:
    """A rendered message read back, in either language. Raises `HandoverError`."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    language = next(
        (lang for lang, label in _LABELS.items() if any(ln.startswith(f"{label['to']}:") for ln in lines)), None
    )
    if language is None:
        raise HandoverError("It has no recipient line (`To:` or `수신:`).")
    label = _LABELS[language]
    head: dict[str, str] = {}
    start = 0
    for key in ("to", "from", "subject"):
        for index in range(start, len(lines)):
            if lines[index].startswith(f"{label[key]}:"):
                head[key] = lines[index].split(":", 1)[1].strip()
                start = index + 1
                break
        else:
            raise HandoverError(f"It has no `{label[key]}:` line after the ones before it.")
    facts, groups, steps = _body(lines[start:], label["next"])
    return Handover(head["to"], head["from"], head["subject"], facts, groups, steps)


def _body(
    lines: list[str], next_label: str
) -> tuple[dict[str, str], dict[str, tuple[str, ...]], tuple[tuple[str, str], ...]]:
    facts: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    steps: list[tuple[str, str]] = []
    group: str | None = None
    for line in lines:
        if line.startswith("- ") and group is not None:
            groups[group].append(line[2:])
        elif (step := re.match(r"\d+\. ([^:]+): (.*)$", line)) and group == next_label:
            steps.append((step[1], step[2]))
        elif line.endswith(":") and line[:-1]:
            group = line[:-1]
            groups.setdefault(group, [])
        elif ": " in line and group is None:
            key, value = line.split(": ", 1)
            facts[key] = value
    groups.pop(next_label, None)
    return facts, {name: tuple(items) for name, items in groups.items()}, tuple(steps)


def _line(text: str) -> str:
    """A value on one line, so that it cannot add lines of its own to the message."""
    return " ".join(text.split())
