"""The `handovers` gate: messages to other teams, in English or Korean, complete enough to act on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tools.devops.checks.gate import Gate, Subject, each
from tools.devops.checks.rules import Rule, Rules
from tools.devops.handover import HandoverError, parse
from tools.devops.types import Finding

RULES = Rules(
    "handovers",
    {
        "form": Rule(
            "error",
            "An orchestrator cannot deliver a message without recipient, sender and subject.",
            "Begin with the lines `To:`, `From:`, `Subject:` (수신, 발신, 제목).",
            "own: persona collaboration messages",
        ),
        "next-steps": Rule(
            "error",
            "The recipient cannot tell what to do, or who does it.",
            "End with `Next steps:` (다음 단계) and numbered lines `1. <who>: <what>`.",
            "own: persona collaboration messages",
        ),
        "empty": Rule(
            "error",
            "A message without facts or requirements gives nothing to work with.",
            "State the application, the platform and what is needed.",
            "own: persona collaboration messages",
        ),
        "placeholder": Rule("error", "A gap in the text reached the recipient.", "Fill it in.", "own"),
    },
)

PLACEHOLDER = re.compile(
    r"\b(TODO|TBD|FIXME|XXX)\b|\{\{|\{%|<\s*(your|insert|fill|todo)\b[^>]*>|lorem ipsum", re.IGNORECASE
)


def select(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path
        for path in subject.tree.files
        if path.startswith("docs/") and re.fullmatch(r"handover-[\w.-]+\.md", PurePosixPath(path).name)
    )


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(path, subject.tree.text(path)))


def _check_file(path: str, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.split("\n"), 1):
        if found := PLACEHOLDER.search(line):
            yield RULES.at("placeholder", path, number, f"{found[0][:40]!r} is left in the text.")
    try:
        message = parse(text)
    except HandoverError as error:
        yield RULES.at("form", path, 1, str(error))
        return
    if not (message.to and message.sender and message.subject):
        yield RULES.at("form", path, 1, "Recipient, sender or subject is empty.")
    if not message.next_steps:
        yield RULES.at("next-steps", path, 0, "There are no next steps that name who acts.")
    if not message.facts and not message.groups:
        yield RULES.at("empty", path, 0, "There is nothing between the subject and the next steps.")


GATE = Gate("handovers", RULES, select, check)
