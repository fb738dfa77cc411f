"""zizmor: the security of workflows. Always offline, without the project's own configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.devops.checks.gate import CouldNotRunError, Subject
from tools.devops.checks.linters import process
from tools.devops.checks.tree import BadFileError
from tools.devops.types import Finding, Severity

locate = process.program("zizmor")

_SEVERITY: dict[str, Severity] = {"High": "error", "Medium": "warning", "Low": "info", "Informational": "info"}
_REPORTED_BY_OWN_RULES = {"unpinned-uses"}


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    """All parsable files in one process. Exit codes 11 to 14 name the highest severity; anything else is a failure."""
    program = locate()
    if program is None:
        raise CouldNotRunError("zizmor is not installed")
    usable = [path for path in files if _parses(subject, path)]
    if not usable:
        return
    argv = [
        *(str(program), "--offline", "--no-config", "--no-progress", "--quiet", "--strict-collection"),
        *("--format", "json-v1", "--", *(f"./{path}" for path in usable)),
    ]
    output = process.run(argv, cwd=subject.tree.root, ok=(0, 11, 12, 13, 14))
    for item in process.parse_output("zizmor", output):
        if item["ident"] not in _REPORTED_BY_OWN_RULES and not item["ignored"]:
            yield _finding(item)


def _parses(subject: Subject, path: str) -> bool:
    try:
        return bool(subject.yaml(path))
    except BadFileError:
        return False


def _finding(item: dict[str, Any]) -> Finding:
    primary = next(
        (place for place in item["locations"] if place["symbolic"]["kind"] == "Primary"), item["locations"][0]
    )
    key = primary["symbolic"]["key"]["Local"]
    fixes = [fix["title"] for fix in item.get("fixes", [])]
    return Finding(
        rule=item["ident"],
        severity=_SEVERITY.get(item["determinations"]["severity"], "warning"),
        file=key["verbatim_path"].removeprefix("./"),
        line=primary["concrete"]["location"]["start_point"]["row"] + 1,
        message=f"{item['desc']}: {primary['symbolic']['annotation']}",
        why=f"See {item['url']}",
        fix=fixes[0] if fixes else f"See {item['url']}",
        tool="zizmor",
    )
