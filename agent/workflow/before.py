"""What a project was like when a run began: so that a run answers for what it did, and for nothing else.

A finding is *theirs* when it lies in a file that the run left alone, or when it was there before in a file the run only
added to. It is told, with its fix, and stops nobody. A file that carries our stamp is ours, whichever run wrote it.
"""

from __future__ import annotations

import stat
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tools.devops.types import Check, Finding


@dataclass(frozen=True, slots=True)
class Before:
    """`began` in nanoseconds since the epoch; `known` counts the errors of that time by fingerprint."""

    began: int
    known: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def look(cls, root: Path) -> Before:
        """The state of `root` now: all checks run once."""
        from tools.devops.checks import run_checks
        from tools.devops.checks.baseline import fingerprint

        began = time.time_ns()
        return cls(began, Counter(fingerprint(finding) for finding in run_checks(root).errors))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Before:
        return cls(int(data["began"]), dict(data["known"]))

    def tell_apart(self, root: Path, checks: Sequence[Check], planned: Set[str]) -> list[Check]:
        """The checks, each failed one split into what the run answers for and what it found (`kept_with_findings`).

        A file that nothing can read, in the place of a `planned` one, stops the run: the deployment would lack it.
        """
        from tools.devops.checks.baseline import fingerprint

        left = Counter(self.known)
        told: list[Check] = []
        for check in checks:
            theirs = []
            for finding in check.findings:
                in_the_way = finding.file in planned and finding.rule.startswith("file/")
                if finding.severity != "error" or in_the_way:
                    continue
                place = _place(root, finding, self.began)
                key = fingerprint(finding)
                if place == "kept" or (place == "changed" and left[key] > 0):
                    theirs.append(finding)
                    left[key] -= 1
            told += _split(check, theirs) if theirs else [check]
        return told


def _split(check: Check, theirs: Sequence[Finding]) -> list[Check]:
    own = tuple(finding for finding in check.findings if finding not in theirs)
    kept = replace(check, status="kept_with_findings", findings=tuple(theirs), detail="")
    if any(finding.severity == "error" for finding in own):
        return [replace(check, findings=own), kept]
    if check.detail:  # it could not look at everything, and said why
        return [replace(check, findings=own, status="not_verified"), kept]
    return [replace(kept, findings=(*theirs, *own))]


def _place(root: Path, finding: Finding, began: int) -> Literal["kept", "changed", "ours"]:
    """What the run did to the place of a finding. What is not there is ours to write; a folder is never kept whole.

    The inode's own time tells: unlike that of the contents, no program sets it.
    """
    from tools.devops.merge import is_untouched

    path = root / finding.file
    try:
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            return "changed"
        if stat.S_ISREG(status.st_mode) and is_untouched(path.read_text(encoding="utf-8", errors="replace")):
            return "ours"
    except OSError:
        return "ours"
    return "kept" if status.st_ctime_ns < began else "changed"
