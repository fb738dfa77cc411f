"""cfn-lint: CloudFormation and SAM templates against the resource schemas."""

from __future__ import annotations

from collections.abc import Iterator

from tools.devops.checks.gate import CouldNotRunError, Subject
from tools.devops.checks.linters import process
from tools.devops.types import Finding, Severity

locate = process.program("cfn-lint")

_SEVERITY: dict[str, Severity] = {"Error": "error", "Warning": "warning", "Informational": "info"}


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    """Exit codes are bits (2 errors, 4 warnings, 8 informational); 1 and 32 up mean that it failed itself."""
    program = locate()
    if program is None:
        raise CouldNotRunError("cfn-lint is not installed")
    if not files:
        return
    argv = [str(program), "--format", "json", "--config-file", "/dev/null", "--", *(f"./{path}" for path in files)]
    output = process.run(argv, cwd=subject.tree.root, ok=(0, 2, 4, 6, 8, 10, 12, 14), timeout=120)
    for item in process.parse_output("cfn-lint", output):
        yield Finding(
            rule=item["Rule"]["Id"],
            severity=_SEVERITY.get(item["Level"], "warning"),
            file=item["Filename"].removeprefix("./"),
            line=item["Location"]["Start"]["LineNumber"],
            message=item["Message"][:400],
            why=item["Rule"]["ShortDescription"],
            fix=f"See {item['Rule']['Source']}",
            tool="cfn-lint",
        )
