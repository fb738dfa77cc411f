"""yamllint, a second opinion on YAML syntax and duplicate keys only; layout is a matter of taste."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.checks.gate import CouldNotRunError, Subject
from tools.devops.checks.linters import process
from tools.devops.types import Finding

locate = process.program("yamllint")

_CONFIG = "{rules: {key-duplicates: enable, anchors: enable}}"
_LINE = re.compile(r"(?P<file>.+?):(?P<line>\d+):\d+: \[(?P<level>\w+)\] (?P<message>.+?) \((?P<rule>[\w-]+)\)")


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    program = locate()
    if program is None:
        raise CouldNotRunError("yamllint is not installed")
    argv = [str(program), "-f", "parsable", "-d", _CONFIG, *(f"./{path}" for path in files)]
    output = process.run(argv, cwd=subject.tree.root, ok=(0, 1)) if files else ""
    for line in output.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise CouldNotRunError("yamllint printed a line of an unknown form")
        yield Finding(
            rule=found["rule"],
            severity="error" if found["level"] == "error" else "warning",
            file=found["file"].removeprefix("./"),
            line=int(found["line"]),
            message=found["message"],
            why="YAML readers disagree on such text.",
            fix="Correct the line.",
            tool="yamllint",
        )
