"""The security sibling by rules: every check on what is there, its own patterns, and what the SPEC demands.

It changes nothing. A finding names file and line, how grave it is, by when it is mended, and the smallest change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agent.models.playbook.script import Call, Reply, Script, Turn
from agent.models.playbook.siblings.words import Json, findings_of, say, section, statuses_of, units_of
from tools.devops.handover import Handover, Language
from tools.frontmatter import load_yaml

_SPEC = re.compile(r"\bSPEC-[A-Z0-9-]+")
_MATCH = re.compile(r"(?P<file>[^:\n]+):(?P<line>\d+):")
_TEST = re.compile(r"(^|/)(tests?|__tests__|spec|fixtures|examples?)/|(^|/)(test_|conftest)|[._](test|spec)\.")
_LOCKS = ("package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "npm-shrinkwrap.json")
_LEVELS = {"error": "high", "warning": "medium", "info": "low"}
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding. `place` is `file:line` or a file; `fix` may be empty."""

    severity: str
    place: str
    rule: str
    text: str
    fix: str = ""


@cache
def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = load_yaml(Path(__file__).with_name("security.yaml").read_text("utf-8"))
    return data


def security(message: Handover, language: Language) -> Script:
    spec_name = message.facts.get("SPEC") or "".join(_SPEC.findall(message.subject)[:1])
    named = {"spec": spec_name} if spec_name else {}
    found, spec_reply, checked = yield Turn(
        say("security_hello", language), (("DetectProject", {}), ("ReadSpec", named), ("CheckArtifacts", {}))
    )
    if found.is_error:
        return say("stopped", language, reason=found.text)
    spec = spec_reply.json().get("deployment", {})
    rules = {name: rule for name, rule in _data()["rules"].items() if not rule.get("compliance") or _compliance(spec)}
    searched = yield Turn(say("security_searches", language), tuple(_search(rule) for rule in rules.values()))
    issues = [
        *_from_checks(checked),
        *_from_searches(rules, searched, language),
        *_from_project(found.json(), language),
        *_from_spec(spec, language),
    ]
    order = list(_data()["deadlines"])
    issues.sort(key=lambda issue: (order.index(issue.severity), issue.place, issue.rule))
    unsearched = [name for name, reply in zip(rules, searched, strict=True) if reply.is_error]
    return _report(message, issues, spec, checked, unsearched, language)


def _search(rule: Json) -> Call:
    return "Grep", {"pattern": rule["pattern"], "glob": rule["where"], "output_mode": "content", "head_limit": 50}


def _compliance(spec: Json) -> list[str]:
    return [str(name) for name in (spec.get("compliance") or {}).get("value") or ()]


def _regions(spec: Json) -> list[str]:
    values = (spec.get("regions") or {}).get("value") or ()
    return [str(each.get("name") if isinstance(each, Mapping) else each) for each in values]


# --- findings -------------------------------------------------------------------------------------------------------


def _from_checks(reply: Reply) -> Iterator[Issue]:
    """The findings of the gates, by rule: what they call an error is graver than what they warn of."""
    graver = _data()["checks"]
    for told in findings_of(reply):
        severity = graver.get(told.rule) or graver.get(told.rule.split("/")[0]) or _LEVELS[told.level]
        yield Issue(severity, told.place, told.rule, told.text, told.fix)


def _from_searches(rules: Mapping[str, Json], replies: Sequence[Reply], language: Language) -> Iterator[Issue]:
    """Places that a pattern found. The line itself is not repeated: it may hold what must not be spread."""
    for (name, rule), reply in zip(rules.items(), replies, strict=True):
        for match in () if reply.is_error else map(_MATCH.match, reply.text.splitlines()):
            if match and not _TEST.search(match["file"]):
                place = f"{match['file']}:{match['line']}"
                yield Issue(rule["severity"], place, name, rule[language], rule["fix"][language])


def _from_project(project: Json, language: Language) -> Iterator[Issue]:
    for unit in units_of(project):
        locked = any(Path(name).name in _LOCKS for name in unit["files"])
        if unit["language"] == "node" and not locked:
            text, fix = say("security_no_lock", language), say("security_no_lock_fix", language)
            yield Issue("medium", unit["path"], "no-lock-file", text, fix)


def _from_spec(spec: Json, language: Language) -> Iterator[Issue]:
    """A law on personal data is stated, but not where the data lives."""
    if _compliance(spec) and not _regions(spec):
        names = ", ".join(_compliance(spec))
        text, fix = say("security_no_region", language, names=names), say("security_no_region_fix", language)
        yield Issue("medium", "SPEC", "data-residency", text, fix)


# --- the report -----------------------------------------------------------------------------------------------------


def _report(
    message: Handover,
    issues: Sequence[Issue],
    spec: Json,
    checked: Reply,
    unsearched: Sequence[str],
    language: Language,
) -> str:
    statuses = statuses_of(checked)
    sound = [f"- {name}" for name, status, _ in statuses if status == "passed"]
    unverified = [f"- {name} {detail}" for name, status, detail in statuses if status == "not_verified"]
    unverified += [f"- {name}" for name in unsearched]
    if not statuses:
        unverified.append(f"- CheckArtifacts: {checked.text.strip()[:500]}")
    shown = [_line(issue, language) for issue in issues[:_MOST_SHOWN]]
    if len(issues) > _MOST_SHOWN:
        shown.append(say("security_more", language, count=len(issues) - _MOST_SHOWN))
    fixes = dict.fromkeys(f"- {issue.fix} ({_deadline(issue, language)})" for issue in issues if issue.fix)
    return "\n\n".join(
        [
            f"# {say('security_title', language)}: {message.subject}",
            f"**{_verdict(issues, language)}**",
            section("scope", language, [say("security_scope", language, names=", ".join(_compliance(spec)) or "-")]),
            section("assessment", language, shown),
            section("remediation", language, fixes),
            section("compliance", language, _controls(spec, issues, language)),
            section("sound", language, sound),
            section("unverified", language, [*unverified, f"- {say('security_limits', language)}"]),
        ]
    )


def _line(issue: Issue, language: Language) -> str:
    severity = _data()["severities"][issue.severity][language]
    return f"- **{severity}** `{issue.place}` {issue.text} [{issue.rule}] ({_deadline(issue, language)})"


def _deadline(issue: Issue, language: Language) -> str:
    return str(_data()["deadlines"][issue.severity][language])


def _verdict(issues: Sequence[Issue], language: Language) -> str:
    found = {issue.severity for issue in issues}
    if "critical" in found:
        return say("verdict_no", language)
    return say("verdict_conditions" if found & {"high", "medium"} else "verdict_yes", language)


def _controls(spec: Json, issues: Sequence[Issue], language: Language) -> list[str]:
    """Each stated requirement with the technical controls that were looked at."""
    found = {issue.rule for issue in issues}
    residency = "control_missing" if found & {"consistency/region", "data-residency"} else "control_there"
    logs = "control_missing" if "personal-data-in-logs" in found else "control_there"
    secrets = "control_missing" if any(rule.startswith("no_secrets") for rule in found) else "control_there"
    return [
        say(
            "security_control",
            language,
            name=name,
            regions=", ".join(_regions(spec)) or "-",
            residency=say(residency, language),
            logs=say(logs, language),
            secrets=say(secrets, language),
        )
        for name in _compliance(spec)
    ]
