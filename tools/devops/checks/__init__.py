"""Gates on deployment files: own rules for what no tool sees, schemas, and the linters that are installed.

report = run_checks(Path("."))
print(to_text(report))
"""

from __future__ import annotations

from tools.devops.checks.baseline import Baseline, fingerprint
from tools.devops.checks.outputs import to_json, to_sarif, to_text
from tools.devops.checks.runner import Report, available_tools, rule_catalog, run_checks

__all__ = [
    "Baseline",
    "Report",
    "available_tools",
    "fingerprint",
    "rule_catalog",
    "run_checks",
    "to_json",
    "to_sarif",
    "to_text",
]
