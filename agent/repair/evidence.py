"""What the model is told of a failed run, and what its changes are judged by."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from tools.github import FailedRun
from tools.plain import to_json
from tools.text import as_data, cap, clean

Errors: TypeAlias = frozenset[tuple[str, str, str]]
"""Errors of the checks: rule, file, message."""

TASK = """Repair the CI of this project: run {id} of the workflow {name} failed on the branch {branch}.

Find the cause in the evidence below and correct the files here so that the next run succeeds.
- Make the smallest change that removes the cause. Never make a run pass by weakening it: no test, check or scan is
  removed, skipped or allowed to fail, no rule is switched off, no permission is wider than a refused call needs.
- Do not push, commit or start anything on GitHub: your changes are checked and pushed when you are done.
- Where no change of files can help, change nothing and say in a sentence what a person has to do.
{language}{feedback}
Known causes in the logs: {known}
"""

_MOST_LOG = 20_000
_SPOKEN = {"ko": "- Say what you did in Korean (한국어).\n"}
_SECRET = re.compile(r"\bsecrets\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*['\"]([^'\"]+)['\"]\s*\])")


def evidence(failed: FailedRun, causes: Sequence[dict[str, Any]], feedback: str, language: str) -> str:
    """The task for the model, whose words are in `language`. What the logs say is marked as data."""
    known = "; ".join(f"{c['id']} ({c['means']['en']} {c['remedy']['en']})" for c in causes) or "none"
    before = f"- Your last try was not pushed. {feedback}\n" if feedback else ""
    run = failed.run
    names = {key: json.dumps(clean(str(run[key]))[:100]) for key in ("name", "head_branch")}  # one line, in quotes
    spoken = _SPOKEN.get(language, "")
    told = TASK.format(
        id=run["id"], name=names["name"], branch=names["head_branch"], language=spoken, feedback=before, known=known
    )
    jobs = [
        {"job": job.job["name"], "failed_steps": job.steps, "errors": job.errors, "log": job.log} for job in failed.jobs
    ]
    text = cap(json.dumps(to_json(jobs), ensure_ascii=False, indent=1), _MOST_LOG, note="the log is longer")
    return f"{told}\n{as_data(text, 'GitHub Actions log')}"


def errors_of(root: Path) -> Errors:
    """All errors that the checks find now. A finding's line moves and is left out."""
    from tools.devops.checks import run_checks

    return frozenset((f.rule, f.file, f.message) for f in run_checks(root).errors)


def new_secrets(before: str, path: Path) -> list[str]:
    """Secrets that a workflow uses now and did not use before."""
    if ".github" not in path.parts or not path.is_file():
        return []
    now = path.read_text(encoding="utf-8", errors="replace")
    return sorted(_names(now) - _names(before))


def _names(text: str) -> set[str]:
    return {(dotted or quoted).upper() for dotted, quoted in _SECRET.findall(text)} - {"GITHUB_TOKEN"}
