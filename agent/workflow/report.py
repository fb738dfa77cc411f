"""What a run amounts to: the deployment report as data, and as Markdown in the conversation language.

Nothing here is claimed by a model: statuses come from gates, checks and the plan. What could not be verified says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.result import Outcome
from agent.workflow.sources import sources_of_plan
from agent.workflow.steps import Workflow, kept_findings, load_steps
from agent.workflow.written import Work
from tools.devops.platform import platform_of
from tools.devops.types import Check, Plan, Project, Spec
from tools.devops.wording import in_language
from tools.labels import group, label
from tools.plain import to_json
from tools.text import cap, clean

Json = dict[str, Any]

_CHECKLIST: Mapping[str, tuple[str, ...]] = {
    "ci_cd": ("workflow",),
    "containerization": ("dockerfile", "dockerignore"),
    "security": ("no_secrets", "env_example", "dockerfile", "workflow"),
    "monitoring": ("health", "json_logging"),
    "rollback": ("runbook", "workflow"),
    "documentation": ("runbook",),
    "zero_downtime": ("consistency",),
}
"""Checklist item -> the checks whose verdicts decide it, before what is known of code and platforms."""

_TRUST: Mapping[str, tuple[str, ...]] = {
    "test_first": ("workflow",),
    "readable": ("runbook",),
    "unified": ("consistency", "compose"),
    "secured": ("no_secrets", "env_example", "dockerfile"),
    "trackable": ("workflow",),
}

_STATES = {"written": "artifacts", "unchanged": "unchanged", "kept": "kept", "present": "present"}
"""State of a planned file -> the title under which the report lists it."""

_WATCHED = frozenset({"health", "json_logs", "metrics"})


def build_report(
    root: Path, spec: Spec | None, project: Project, plan: Plan, workflow: Workflow, result: Outcome, work: Work
) -> Json:
    """The report as JSON-ready data. Works at any point of a run: steps not reached are `open`.

    The `state` of an artifact is `written`, `unchanged` (right already), `kept` (hand-written, left alone), `present`
    (not touched by this run) or `absent`.
    """
    checks = [check for record in workflow.records.values() for check in record.checks]
    return {
        "spec": spec.id if spec else None,
        "language": plan.language,
        "outcome": result.status,
        "steps": [
            {
                "step": step.number,
                "id": step.id,
                "status": workflow.records[step.number].status,
                "summary": workflow.records[step.number].summary,
                "kept_findings": len(kept_findings(workflow.records[step.number].checks)),
            }
            for step in load_steps()
            if step.number in workflow.selected
        ],
        "decisions": to_json(workflow.decisions),
        "assumptions": [to_json(d) for d in workflow.decisions if d.source == "default"],
        "artifacts": [
            {
                "path": a.path,
                "kind": a.kind,
                "unit": a.unit,
                "present": (root / a.path).exists(),
                "state": work.state(root, a.path),
                "why": in_language(a.why, plan.language),
            }
            for a in plan.artifacts
        ],
        "code": [
            {
                "unit": data["unit"],
                "added": list(data["added"]),
                "files": [change["path"] for change in data["changes"]] if data["written"] else [],
                "unsupported": [in_language(text, plan.language) for text in data["unsupported"]],
                "notes": [in_language(text, plan.language) for text in data["notes"]],
            }
            for data in work.code
        ],
        "checklist": _checklist(checks, project, plan),
        "trust": {item: _verdict(names, checks) for item, names in _TRUST.items()},
        "not_verified": sorted({f"{c.name} ({c.tool}): {c.detail}" for c in checks if c.status == "not_verified"}),
        "kept_findings": to_json(kept_findings(checks)),
        "warnings": [to_json(f) for c in checks for f in c.findings if f.severity != "error"],
        "traceability": _traceability(spec, plan),
        "missing": to_json(project.missing),
        "delegations": to_json(result.delegations),
        "siblings": list(work.siblings),
        "infrastructure": list(work.infrastructure),
        "sources": [*sources_of_plan(plan), *work.sources],
        "strategy": to_json(plan.strategy),
        "cost": to_json(plan.cost),
        "unsupported": list(plan.unsupported),
        "notes": list(plan.notes),
        "usage": to_json(result.usage)
        | {"turns": result.turns, "seconds": round(result.seconds, 2), "by_agent": to_json(result.usage_by_agent)},
    }


def report_schema() -> str:
    """The JSON Schema of a report, as JSON text."""
    return Path(__file__).with_name("report.schema.json").read_text(encoding="utf-8")


def _verdict(names: Sequence[str], checks: Sequence[Check]) -> str:
    """`failed` beats `kept_with_findings`, which beats `passed`; without a passed check an item is not verified."""
    statuses = {check.status for check in checks if check.name.removesuffix("_planned") in names}
    for status in ("failed", "kept_with_findings"):
        if status in statuses:
            return status
    return "passed" if "passed" in statuses else "not_verified"


def _checklist(checks: Sequence[Check], project: Project, plan: Plan) -> dict[str, str]:
    """The seven items. A gate may accept what is handed over; the checklist says `open` until the code has it."""
    verdicts = {item: _verdict(names, checks) for item, names in _CHECKLIST.items()}
    serving = {unit.path for unit in project.units if unit.kind not in ("library", "worker", "static")}
    absent = {item.what for item in project.missing if item.unit in serving}
    hosts = [platform_of(str(d.value)) for d in plan.decisions if d.name.split(":")[0] == "platform"]
    if verdicts["monitoring"] == "passed" and absent & _WATCHED:
        verdicts["monitoring"] = "open"
    if verdicts["rollback"] == "passed" and not all(host.automatic_rollback for host in hosts):
        verdicts["rollback"] = "by_hand"
    if verdicts["zero_downtime"] == "passed" and ("health" in absent or not all(host.zero_downtime for host in hosts)):
        verdicts["zero_downtime"] = "open"
    return verdicts


def _traceability(spec: Spec | None, plan: Plan) -> list[Json]:
    """Each requirement id with the files that answer it; an empty list says that none does."""
    if spec is None:
        return []
    files: dict[str, list[str]] = {requirement.id: [] for requirement in spec.requirements}
    for artifact in plan.artifacts:
        for requirement in artifact.requirements:
            files.setdefault(requirement, []).append(artifact.path)
    text = {requirement.id: requirement.text for requirement in spec.requirements}
    return [{"id": name, "text": text.get(name, ""), "files": paths} for name, paths in files.items()]


def to_markdown(report: Mapping[str, Any]) -> str:
    """The report for people, in its own language."""
    lang = report["language"] if report["language"] in {"en", "ko"} else "en"

    def word(name: str) -> str:
        return label("report", name, lang)

    lines = [f"# {word('title')}" + (f": {report['spec']}" if report["spec"] else ""), ""]
    lines += [f"**{label('outcome', report['outcome'], lang)}**", "", f"## {word('steps')}", ""]
    for step in report["steps"]:
        status = label("step_status", step["status"], lang)
        if step["kept_findings"]:
            status += f" ({label('check_status', 'kept_with_findings', lang)}: {step['kept_findings']})"
        lines.append(f"{step['step']}. {label('step', step['id'], lang)}: {status}")
    for name in ("checklist", "trust"):
        lines += ["", f"## {word(name)}", ""]
        lines += [
            f"- {label(name, item, lang)}: {label('check_status', report[name][item], lang)}" for item in group(name)
        ]
    lines += ["", f"## {word('decisions')}", ""]
    for d in report["decisions"]:
        source = label("decision_source", d["source"], lang)
        lines.append(f"- {d['name']}: {d['value']} ({source}" + (f": {d['evidence']})" if d["evidence"] else ")"))
    for state, title in _STATES.items():
        lines += _list(word(title), [f"`{a['path']}`: {a['why']}" for a in report["artifacts"] if a["state"] == state])
    lines += _list(word("kept_findings"), [_kept_finding(f, word("fix")) for f in report["kept_findings"]])
    lines += _list(word("code"), [_code(entry, lang) for entry in report["code"] if entry["files"]])
    traced = [f"{t['id']}: {', '.join(t['files']) or '-'}" for t in report["traceability"]]
    lines += _list(word("traceability"), traced)
    missing = [
        f"{label('missing', m['what'], lang)} ({m['unit']}): {label('missing_why', m['what'], lang)}"
        for m in report["missing"]
    ]
    lines += _list(word("missing"), missing)
    lines += _list(word("not_verified"), report["not_verified"])
    lines += _list(word("siblings"), [_sibling(s, lang) for s in report["siblings"]])
    lines += _list(word("infrastructure"), [_infrastructure(entry, lang) for entry in report["infrastructure"]])
    lines += _list(word("delegations"), [f"{d['to']}: {d['subject']}" for d in report["delegations"]])
    sources = [
        f"{s['subject']}: {s['source']}, {s['date']} ({label('source_how', s['how'], lang)})" for s in report["sources"]
    ]
    lines += _list(word("sources"), sources)
    lines += _list(word("unsupported"), report["unsupported"])
    told = [text for entry in report["code"] for text in (*entry["unsupported"], *entry["notes"])]
    lines += _list(word("notes"), [*report["notes"], *dict.fromkeys(told)])
    usage = report["usage"]
    lines += ["", f"{word('usage')}: {usage['turns']} / {usage['seconds']} s / {_spent(usage)}"]
    spenders = [(agent, model, used) for agent, models in usage["by_agent"].items() for model, used in models.items()]
    if len(spenders) > 1:
        lines += ["", *(f"- {agent}, {model}: {_spent(used)}" for agent, model, used in spenders)]
    return "\n".join(lines) + "\n"


def _kept_finding(finding: Mapping[str, Any], fix: str) -> str:
    where = f"{finding['file']}:{finding['line']}" if finding["line"] else finding["file"]
    advice = f" {fix}: {finding['fix']}" if finding["fix"] else ""
    return f"`{where}`: {finding['message']} [{finding['rule']}]{advice}"


def _sibling(entry: Mapping[str, Any], lang: str) -> str:
    """One line: who did what, how it ended, the files, the cost."""
    files = ", ".join(f"`{path}`" for path in entry["files"]) or "-"
    broken = "".join(f"; {text}" for text in entry["broken_checks"])
    ended = label("outcome", "failed" if entry["broken_checks"] else entry["outcome"], lang)
    turns = "?" if entry["turns"] is None else entry["turns"]
    return f"{entry['agent']}, {entry['subject']}: {ended}; {files}; {turns} / {_money(entry)}{broken}"


def _infrastructure(entry: Mapping[str, Any], lang: str) -> str:
    what = label("command_class", entry["class"], lang)
    return f"`{clean(cap(entry['command'], 200))}`: {what}, {label('command_decision', entry['decision'], lang)}"


def _spent(usage: Json) -> str:
    """Tokens and money; an unknown price is no zero."""
    return f"{usage['input_tokens'] + usage['output_tokens']} / {_money(usage)}"


def _money(usage: Mapping[str, Any]) -> str:
    return "?" if usage["cost_usd"] is None else f"{usage['cost_usd']:.4f} USD"


def _code(entry: Mapping[str, Any], lang: str) -> str:
    """One line: the unit, what its code has now, in which files."""
    added = ", ".join(label("missing", subject, lang) for subject in entry["added"])
    return f"{entry['unit']}: {added}: {', '.join(f'`{path}`' for path in entry['files'])}"


def _list(title: str, items: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *(f"- {item}" for item in items)] if items else []
