"""Programs in the code that a scheduler is meant to start: they end by themselves and say so in their docstring."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from tools.devops.project.languages.python_code import importable, parse
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit

_SCHEDULED = re.compile(
    r"\b(?:schedul\w+|cron\w*|nightly|hourly|daily|weekly|(?:every|each) (?:day|night|morning|evening|hour|week))\b"
    r"|스케줄|크론|예약 ?(?:실행|작업)|정기적|매일|매시간|매주",
    re.IGNORECASE,
)
_REQUIREMENT = re.compile(r"\b[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-\d+\b")


def with_jobs(unit: DeployUnit, folder: Folder) -> tuple[Mapping[str, str], ...]:
    """The unit's `cron` with the programs of its code that no deployment file schedules yet.

    Such an entry has `name`, `command`, `file`, the `requirements` its docstring names, and no `schedule`: when it
    runs is for the SPEC to say.
    """
    known = {entry.get("command", "") for entry in (*unit.cron, *unit.workers)}
    found = [job for job in _python(folder) if not any(job["command"] in command for command in known)]
    return (*unit.cron, *found)


def _python(folder: Folder) -> Iterator[Mapping[str, str]]:
    for name, source in folder.sources(".py"):
        if "__main__" not in source or not _SCHEDULED.search(source):
            continue
        tree = parse(source)
        told = ast.get_docstring(tree) if tree else None
        if tree and told and _SCHEDULED.search(told) and any(map(_is_guard, tree.body)):
            base, module = importable(folder, name)
            command = f"python -m {module}" if base == "." else f"python {name}"
            job = {"name": module.rpartition(".")[2].replace("_", "-"), "command": command, "file": name}
            requirements = " ".join(dict.fromkeys(_REQUIREMENT.findall(told)))
            yield job | ({"requirements": requirements} if requirements else {})


def _is_guard(node: ast.stmt) -> bool:
    """`if __name__ == "__main__":`"""
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test) and "__main__" in ast.unparse(node.test)
