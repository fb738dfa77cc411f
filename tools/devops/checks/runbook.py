"""The `runbook` gate: someone who was woken at night finds what to do, with commands to copy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from tools.devops.checks.gate import Gate, Subject, each
from tools.devops.checks.handovers import PLACEHOLDER
from tools.devops.checks.rules import Rule, Rules
from tools.devops.types import Finding

RULES = Rules(
    "runbook",
    {
        "section": Rule(
            "error",
            "The one section that is missing is the one needed at night.",
            "Add a heading and what to do, with commands.",
            "own: persona success criteria; sre.google incident response",
        ),
        "empty": Rule("error", "The heading promises help that is not there.", "Write the steps, or remove it.", "own"),
        "placeholder": Rule("error", "A command with a gap cannot be run.", "Fill it in.", "own"),
        "bare-command": Rule(
            "warning",
            "Outside a code block Markdown changes quotes and dashes; the copied command fails.",
            "Put it between ``` lines.",
            "own",
        ),
        "open-fence": Rule(
            "error", "The rest of the document is shown as code.", "Close the code block.", "commonmark.org"
        ),
        "no-commands": Rule(
            "warning", "Prose has to be translated into commands under stress.", "Add a code block per step.", "own"
        ),
    },
)

SECTIONS: dict[str, re.Pattern[str]] = {
    "deploy": re.compile(r"\bdeploy|\brelease|배포", re.IGNORECASE),
    "rollback": re.compile(r"roll(ing)?[ -]?back|revert|롤백|되돌리", re.IGNORECASE),
    "rotate": re.compile(r"rotat|secret|credential|시크릿|비밀|교체|키 변경", re.IGNORECASE),
    "restore": re.compile(r"restor|backup|recover|복구|복원|백업", re.IGNORECASE),
    "incident": re.compile(r"incident|troubleshoot|outage|on-?call|장애|문제 해결|인시던트|사고 대응", re.IGNORECASE),
}
_COMMAND = re.compile(
    r"^\s*(\$ \S|(railway|vercel|kubectl|docker|npm|gh|netlify|terraform|aws|alembic|psql|curl) [\w-]+ .*\S$)"
)


@dataclass
class Section:
    title: str
    level: int
    line: int
    text: str = ""
    has_children: bool = False


def select(subject: Subject) -> tuple[str, ...]:
    return tuple(
        path
        for path in subject.tree.files
        if re.fullmatch(r"[\w.-]*runbook[\w.-]*\.md", PurePosixPath(path).name.lower()) and "/" in path
    )


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(path, subject.tree.text(path)))


def _check_file(path: str, text: str) -> Iterator[Finding]:
    sections, problems = _read(path, text)
    yield from problems
    for name, pattern in SECTIONS.items():
        if not any(pattern.search(section.title) for section in sections if section.level > 1):
            yield RULES.at("section", path, 0, f"There is no section on {name}.")
    for section in sections:
        if not section.text and not section.has_children:
            yield RULES.at("empty", path, section.line, f"The section {section.title[:60]!r} is empty.")


def _read(path: str, text: str) -> tuple[list[Section], list[Finding]]:
    """The sections, and what is wrong with single lines or code blocks."""
    sections: list[Section] = []
    problems: list[Finding] = []
    opened, fences = 0, 0
    for number, line in enumerate(text.split("\n"), 1):
        heading = None if opened else re.match(r"(#{1,6})\s+(.+)", line)
        if line.lstrip().startswith(("```", "~~~")):
            opened, fences = (0 if opened else number), fences + 1
        elif heading:
            _open(sections, Section(heading[2], len(heading[1]), number))
        elif not opened and _COMMAND.match(line):
            problems.append(RULES.at("bare-command", path, number, "A command stands outside a code block."))
        if gap := PLACEHOLDER.search(line):
            problems.append(RULES.at("placeholder", path, number, f"{gap[0][:40]!r} is left in the text."))
        if sections and not heading:
            sections[-1].text += line.strip()
    if opened:
        problems.append(RULES.at("open-fence", path, opened, "This code block is never closed."))
    if not fences:
        problems.append(RULES.at("no-commands", path, 0, "The runbook holds no code block."))
    return sections, problems


def _open(sections: list[Section], section: Section) -> None:
    if sections and sections[-1].level < section.level:
        sections[-1].has_children = True
    sections.append(section)


GATE = Gate("runbook", RULES, select, check)
