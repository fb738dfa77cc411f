"""hadolint: Dockerfile rules and the shell inside RUN.

It passes a file that has neither USER nor HEALTHCHECK; our own rules do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.devops.checks.gate import CouldNotRunError, Subject
from tools.devops.checks.linters import process
from tools.devops.checks.tree import BadFileError
from tools.devops.types import Finding, Severity

locate = process.program("hadolint")

_SEVERITY: dict[str, Severity] = {"error": "error", "warning": "warning", "info": "info", "style": "info"}
_REPORTED_BY_OWN_RULES = {"DL3002", "DL3006", "DL3007", "DL3025", "DL3066", "DL3064"}
_WIKI = "https://github.com/hadolint/hadolint/wiki/"


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    """One process a file, fed on standard input, so that no configuration file of the project is read."""
    program = locate()
    if program is None:
        raise CouldNotRunError("hadolint is not installed")
    for path in files:
        try:
            text = subject.tree.text(path)
        except BadFileError:
            continue
        argv = [str(program), "--no-color", "-f", "json", "-"]
        output = process.run(argv, ok=(0, 1), stdin=text)
        for item in process.parse_output("hadolint", output):
            if item["code"] not in _REPORTED_BY_OWN_RULES:
                yield Finding(
                    rule=item["code"],
                    severity=_SEVERITY.get(item["level"], "warning"),
                    file=path,
                    line=item["line"],
                    message=item["message"],
                    why=f"See {_WIKI}{item['code']}",
                    fix=item["message"],
                    tool="hadolint",
                )
