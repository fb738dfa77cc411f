"""Hand-over messages between agents: typed, rendered in English or Korean, and parsed back without loss.

The shape: To / From / Subject, facts, groups with bullets, a quoted task, numbered next steps whose items name who
acts. One message has one recipient; it is a document, delivered by the orchestrator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Language = Literal["en", "ko"]

_LABELS: Mapping[Language, Mapping[str, str]] = {
    "en": {"to": "To", "from": "From", "subject": "Subject", "task": "Task", "next": "Next steps"},
    "ko": {"to": "수신", "from": "발신", "subject": "제목", "task": "작업", "next": "다음 단계"},
}
_STEP = re.compile(r"\d+\. (.+?): (.+)$")
_HANGUL = re.compile(r"[가-힣]")


class HandoverError(ValueError):
    """A text that is no hand-over message; says which part is missing."""


@dataclass(frozen=True, slots=True)
class Handover:
    """One message. `facts` are single lines (`App: FastAPI`), `groups` bullet lists, `next_steps` (actor, action).

    `task` is free text of any length. Everything else is brought onto one line when the message is made, so that no
    value can add lines of its own; empty values say nothing and fall away.
    """

    to: str
    sender: str
    subject: str
    facts: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    next_steps: tuple[tuple[str, str], ...] = ()
    task: str = ""

    def __post_init__(self) -> None:
        facts = {_name(key): _line(value) for key, value in self.facts.items()}
        groups = {_name(name): tuple(filter(None, map(_line, items))) for name, items in self.groups.items()}
        steps = ((_name(who), _line(what)) for who, what in self.next_steps)
        for name, value in (
            ("to", _line(self.to)),
            ("sender", _line(self.sender)),
            ("subject", _line(self.subject)),
            ("facts", {key: value for key, value in facts.items() if key and value}),
            ("groups", {name: items for name, items in groups.items() if name}),
            ("next_steps", tuple((who, what) for who, what in steps if who and what)),
            ("task", "\n".join(line.rstrip() for line in self.task.split("\n")).strip("\n")),
        ):
            object.__setattr__(self, name, value)


def render(message: Handover, language: Language = "en") -> str:
    """The message as Markdown text."""
    label = _LABELS[language]
    lines = [f"{label['to']}: {message.to}", f"{label['from']}: {message.sender}"]
    lines.append(f"{label['subject']}: {message.subject}")
    if message.facts:
        lines += ["", *(f"{key}: {value}" for key, value in message.facts.items())]
    for name, items in message.groups.items():
        lines += ["", f"{name}:", *(f"- {item}" for item in items)]
    if message.task:
        lines += ["", f"{label['task']}:", *(f"> {line}".rstrip() for line in message.task.split("\n"))]
    if message.next_steps:
        lines += ["", f"{label['next']}:"]
        lines += [f"{n}. {who}: {what}" for n, (who, what) in enumerate(message.next_steps, 1)]
    return "\n".join(lines) + "\n"


def parse(text: str) -> Handover:
    """A rendered message read back, in either language. Raises `HandoverError`."""
    lines = [line.rstrip() for line in text.split("\n")]
    label = _LABELS[_spoken(lines)]
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
    return _body(lines[start:], head, label)


def language_of(text: str) -> Language:
    """The language of a message by its labels, of any other text by whether it has Hangul."""
    try:
        return _spoken(text.split("\n"))
    except HandoverError:
        return "ko" if _HANGUL.search(text) else "en"


def _spoken(lines: list[str]) -> Language:
    for line in lines:
        for language, label in _LABELS.items():
            if line.startswith(f"{label['to']}:"):
                return language
    raise HandoverError("It has no recipient line (`To:` or `수신:`).")


def _body(lines: list[str], head: Mapping[str, str], label: Mapping[str, str]) -> Handover:
    """What follows the subject. Quotes below the task heading and numbers below the last one make these no groups."""
    facts: dict[str, str] = {}
    blocks: list[tuple[str, list[str]]] = []
    sections: set[int] = set()
    task: list[str] = []
    steps: list[tuple[str, str]] = []
    for line in lines:
        heading = blocks[-1][0] if blocks else None
        if blocks and line.startswith("- "):
            blocks[-1][1].append(line[2:])
        elif heading == label["task"] and (line == ">" or line.startswith("> ")):
            task.append(line[2:])
            sections.add(len(blocks))
        elif heading == label["next"] and (step := _STEP.match(line)):
            steps.append((step[1], step[2]))
            sections.add(len(blocks))
        elif line.endswith(":") and line[:-1] and ": " not in line:
            blocks.append((line[:-1], []))
        elif ": " in line and not blocks:
            key, value = line.split(": ", 1)
            facts[key] = value
    groups = {name: tuple(items) for n, (name, items) in enumerate(blocks, 1) if items or n not in sections}
    return Handover(head["to"], head["from"], head["subject"], facts, groups, tuple(steps), "\n".join(task))


def _line(text: str) -> str:
    """A value on one line."""
    return " ".join(text.split())


def _name(text: str) -> str:
    """A key, heading or actor: one line that a reader can tell from its value and from bullets and quotes."""
    return _line(text).replace(": ", ":").lstrip("-> ")
