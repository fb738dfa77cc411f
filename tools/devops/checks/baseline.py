"""A baseline lets an existing project adopt the gates step by step: known findings are accepted, new ones are not.

A finding is recognised by tool, rule, file and message with its numbers and spaces folded, so that it survives edits
above it. Each known finding is accepted as often as it was recorded: a second copy is new.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tools.devops.checks.runner import Report
from tools.devops.types import Check, Finding

VERSION = 1


def fingerprint(finding: Finding) -> str:
    """A stable id of 32 hexadecimal digits."""
    text = re.sub(r"\s+", " ", re.sub(r"\d+", "0", finding.message)).strip().lower()
    key = f"{finding.tool}\0{finding.rule}\0{finding.file}\0{text}"
    return hashlib.sha256(key.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Baseline:
    """Accepted findings: fingerprint to how often."""

    accepted: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, report: Report) -> Baseline:
        return cls(Counter(fingerprint(finding) for finding in report.findings))

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read a saved baseline. Raises ValueError naming the file when it is not one, OSError when unreadable."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["version"] != VERSION:
                raise ValueError(f"version {data['version']} is not {VERSION}")
            accepted = {str(key): int(count) for key, count in data["accepted"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a baseline: {error}; write a new one") from error
        return cls(Counter(accepted))

    def save(self, path: Path) -> None:
        data = {"version": VERSION, "accepted": dict(sorted(self.accepted.items()))}
        path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")

    def apply(self, report: Report) -> Report:
        """The report without accepted findings. A check that only failed on those has passed."""
        left = Counter(self.accepted)
        checks = tuple(self._apply(check, left) for check in report.checks)
        return dataclasses.replace(report, checks=checks)

    @staticmethod
    def _apply(check: Check, left: Counter[str]) -> Check:
        kept = []
        for finding in check.findings:
            key = fingerprint(finding)
            if left[key] > 0:
                left[key] -= 1
            else:
                kept.append(finding)
        status = check.status
        if status == "failed" and not any(finding.severity == "error" for finding in kept):
            status = "not_verified" if check.detail else "passed"
        return dataclasses.replace(check, findings=tuple(kept), status=status)
