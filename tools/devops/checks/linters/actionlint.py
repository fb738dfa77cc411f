"""actionlint: expressions, action inputs, runner labels, retired actions, and the shell in `run` by shellcheck."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.devops.checks.documents import mapping, sequence
from tools.devops.checks.gate import CouldNotRunError, Subject
from tools.devops.checks.linters import process
from tools.devops.checks.tree import BadFileError
from tools.devops.types import Finding, Severity

locate = process.program("actionlint")

_SHELLCHECK = re.compile(r"shellcheck reported issue in this script: (SC\d+):(\w+):(\d+):\d+: (.*)", re.DOTALL)
_LEVEL: dict[str, Severity] = {"error": "error", "warning": "warning", "info": "info", "style": "info"}


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    """All files in one process. Of the project's own configuration only runner labels and variables are taken over."""
    program = locate()
    if program is None:
        raise CouldNotRunError("actionlint is not installed")
    shellcheck = process.program("shellcheck")()
    if not files:
        return
    with tempfile.TemporaryDirectory(prefix="expert-devops-actionlint-") as folder:
        config = Path(folder) / "actionlint.yaml"
        config.write_text(json.dumps(_configuration(subject)), encoding="utf-8")  # JSON is YAML
        argv = [
            *(str(program), "-no-color", "-format", "{{json .}}", "-pyflakes=", f"-shellcheck={shellcheck or ''}"),
            *("-config-file", str(config)),
            *(f"./{path}" for path in files),
        ]
        output = process.run(argv, cwd=subject.tree.root, ok=(0, 1))
    for item in process.parse_output("actionlint", output):
        yield _finding(item)
    if shellcheck is None:
        raise CouldNotRunError("shellcheck is not installed, so the scripts in `run` were not checked")


def _configuration(subject: Subject) -> dict[str, Any]:
    for path in (".github/actionlint.yaml", ".github/actionlint.yml"):
        if path in subject.tree:
            try:
                value = mapping(subject.yaml(path)[0].value)
            except (BadFileError, IndexError):
                return {}
            labels = sequence(mapping(value.get("self-hosted-runner")).get("labels"))
            return {"self-hosted-runner": {"labels": [str(label) for label in labels]}}
    return {}


def _finding(item: dict[str, Any]) -> Finding:
    message, rule, severity, line = str(item["message"]), str(item["kind"]), "error", int(item["line"])
    if found := _SHELLCHECK.fullmatch(message):
        rule, severity, message = found[1], _LEVEL.get(found[2], "warning"), found[4]
    return Finding(
        rule=rule,
        severity=_LEVEL.get(severity, "error"),
        file=str(item["filepath"]).removeprefix("./"),
        line=line,
        message=message[:400],
        why="The workflow fails, or does something else than it says." if severity == "error" else "A shell trap.",
        fix="Correct the line." if not found else f"See https://www.shellcheck.net/wiki/{rule}",
        tool="actionlint",
    )
