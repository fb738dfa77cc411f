"""python-hcl2: Terraform syntax."""

from __future__ import annotations

from collections.abc import Iterator

from tools.devops.checks.gate import Subject, readable
from tools.devops.checks.linters import process
from tools.devops.types import Finding

locate = process.library("hcl2")


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    import hcl2
    from lark.exceptions import LarkError

    for path, text in readable(files, subject.tree.text):
        try:
            hcl2.loads(text + "\n")
        except (LarkError, RecursionError) as error:
            line, last = getattr(error, "line", 0), len(text.splitlines()) or 1
            yield Finding(
                rule="syntax",
                severity="error",
                file=path,
                line=min(line, last) if isinstance(line, int) and line > 0 else last,
                message="This is not valid HCL.",
                why="terraform refuses the whole folder.",
                fix="Look for an unbalanced brace, quote or bracket at or above this line.",
                tool="python-hcl2",
            )
