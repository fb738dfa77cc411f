"""terraform fmt: syntax and layout, the part of terraform that needs neither providers nor network."""

from __future__ import annotations

from collections.abc import Iterator

from tools.devops.checks.gate import CouldNotRunError, Subject, readable
from tools.devops.checks.linters import process
from tools.devops.types import Finding

locate = process.program("terraform")

_ENV = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": "/dev/null"}


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    """One process a file, on standard input: exit 0 is formatted, 3 differs, 2 is a syntax error."""
    program = locate()
    if program is None:
        raise CouldNotRunError("terraform is not installed")
    for path, text in readable(files, subject.tree.text):
        argv = [str(program), "fmt", "-check", "-no-color", "-"]
        code = process.exit_code(argv, ok=(0, 2, 3), stdin=text, env=_ENV)
        if code == 2:
            message, why = "terraform cannot parse this file.", "No plan can be made."
            yield Finding("syntax", "error", path, 0, message, why, "Run `terraform fmt` to see the line.", "terraform")
        elif code == 3:
            message, why = "The file is not formatted.", "Formatting noise hides real changes in reviews."
            yield Finding("fmt", "warning", path, 0, message, why, "Run `terraform fmt`.", "terraform")
