"""detect-secrets: a second opinion on secrets, without its network verification."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.devops.checks.gate import CouldNotRunError, Subject
from tools.devops.checks.linters import process
from tools.devops.types import Finding

locate = process.program("detect-secrets")


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    """Only warnings: it flags development placeholders too."""
    program = locate()
    if program is None:
        raise CouldNotRunError("detect-secrets is not installed")
    root = subject.tree.root
    usable = [f"./{path}" for path in files if not Path(path).name.startswith(".env")]
    if not usable:
        return
    argv = [str(program), "scan", "--no-verify", *usable]
    for path, items in process.parse_output("detect-secrets", process.run(argv, cwd=root, ok=(0,)))["results"].items():
        for item in items:
            yield Finding(
                rule=item["type"],
                severity="warning",
                file=path.removeprefix("./"),
                line=item["line_number"],
                message=f"This line holds what looks like a secret ({item['type']}).",
                why="Whoever can read the repository can use it.",
                fix="Revoke it and keep the new one in a secret store.",
                tool="detect-secrets",
            )
