"""A report for people (text), for programs (JSON) and for code-scanning services (SARIF 2.1.0)."""

from __future__ import annotations

import json
from typing import Any, Literal

from tools.devops.checks.baseline import fingerprint
from tools.devops.checks.runner import OWN, Report, rule_catalog
from tools.devops.types import Check, CheckStatus, Finding, Severity

Language = Literal["en", "ko"]

_LEVEL: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_STATUS: dict[Language, dict[CheckStatus, str]] = {
    "en": {"passed": "passed", "failed": "failed", "not_verified": "not verified", "not_applicable": "not applicable"},
    "ko": {"passed": "통과", "failed": "실패", "not_verified": "확인하지 못함", "not_applicable": "해당 없음"},
}
_SEVERITY: dict[Language, dict[Severity, str]] = {
    "en": {"error": "error", "warning": "warning", "info": "info"},
    "ko": {"error": "오류", "warning": "경고", "info": "참고"},
}
_WORDS: dict[Language, dict[str, str]] = {
    "en": {"fix": "fix", "why": "why", "checks": "Checks", "total": "{errors} errors, {others} other findings."},
    "ko": {"fix": "조치", "why": "이유", "checks": "검사", "total": "오류 {errors}건, 그 밖의 지적 {others}건."},
}


def to_text(report: Report, *, language: str = "en", why: bool = True) -> str:
    """Findings with their fix, then one line a check. `language` `ko` gives Korean labels; rule texts stay English."""
    lang: Language = "ko" if language == "ko" else "en"
    words = _WORDS[lang]
    lines: list[str] = []
    for finding in report.findings:
        lines.append(_heading(finding, lang))
        if why and finding.why:
            lines.append(f"    {words['why']}: {finding.why}")
        if finding.fix:
            lines.append(f"    {words['fix']}: {finding.fix}")
    if lines:
        lines.append("")
    lines.append(f"{words['checks']}:")
    lines += [_status_line(check, lang) for check in report.checks if check.status != "not_applicable"]
    others = len(report.findings) - len(report.errors)
    return "\n".join([*lines, words["total"].format(errors=len(report.errors), others=others)]) + "\n"


def to_json(report: Report) -> str:
    return json.dumps(report.to_json(), ensure_ascii=False, indent=2) + "\n"


def to_sarif(report: Report) -> dict[str, Any]:
    """SARIF 2.1.0 with one run a tool; a check that could not run is a notification, so silence is never success."""
    tools = list(dict.fromkeys(check.tool for check in report.checks)) or [OWN]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [_sarif_run(report, tool) for tool in tools],
    }


def _heading(finding: Finding, language: Language) -> str:
    place = f"{finding.file}:{finding.line}" if finding.line else finding.file
    tool = "" if finding.tool == OWN else f" ({finding.tool})"
    return f"{place}: {_SEVERITY[language][finding.severity]}: {finding.message} [{finding.rule}]{tool}"


def _status_line(check: Check, language: Language) -> str:
    tool = "" if check.tool == OWN else f" · {check.tool}"
    detail = f" ({check.detail})" if check.detail else ""
    return f"  {check.name}{tool}: {_STATUS[language][check.status]}{detail}"


def _sarif_run(report: Report, tool: str) -> dict[str, Any]:
    findings = [finding for finding in report.findings if finding.tool == tool]
    ids = list(dict.fromkeys(finding.rule for finding in findings))
    catalog = rule_catalog()
    rules = []
    for rule_id in ids:
        example = next(finding for finding in findings if finding.rule == rule_id)
        rule: dict[str, Any] = {"id": rule_id, "shortDescription": {"text": example.why or example.message}}
        if example.fix:
            rule["help"] = {"text": example.fix}
        if rule_id in catalog:
            rule["properties"] = {"source": catalog[rule_id].source}
        rules.append(rule)
    unverified = [check for check in report.not_verified if check.tool == tool]
    return {
        "tool": {"driver": {"name": tool, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not unverified,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": f"{check.name}: not verified: {check.detail}"}}
                    for check in unverified
                ],
            }
        ],
        "results": [_sarif_result(finding, ids.index(finding.rule)) for finding in findings],
    }


def _sarif_result(finding: Finding, index: int) -> dict[str, Any]:
    from urllib.parse import quote

    location: dict[str, Any] = {"artifactLocation": {"uri": quote(finding.file), "uriBaseId": "%SRCROOT%"}}
    if finding.line:
        location["region"] = {"startLine": finding.line}
    text = finding.message + (f" Fix: {finding.fix}" if finding.fix and finding.fix != finding.message else "")
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVEL[finding.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"expertDevops/v1": fingerprint(finding)},
    }
