"""`spec`, `detect` and `check`: what is there, without a model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from agent.surfaces.errors import UsageProblem
from tools.devops.types import DeployUnit, Project, Spec, to_json
from tools.text import clean

GATE_FAILED = 4


def configure_spec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", help="SPEC id or path; without it the project's SPEC is found")
    parser.add_argument("-C", "--directory", default=".", metavar="DIR", help="the project (default: here)")
    parser.add_argument("--json", action="store_true", help="machine output")


def spec(args: argparse.Namespace) -> int:
    from tools.devops.spec import read_spec

    found = read_spec(_directory(args.directory), args.spec)
    print(_json(found) if args.json else clean(_spec_text(found)))
    return 0


def configure_detect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR", help="the project (default: here)")
    parser.add_argument("--json", action="store_true", help="machine output")


def detect(args: argparse.Namespace) -> int:
    from tools.devops.project import scan_project

    found = scan_project(_directory(args.directory))
    print(_json(found) if args.json else clean(_project_text(found)))
    return 0


def configure_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR", help="the project (default: here)")
    parser.add_argument("--format", choices=("text", "json", "sarif"), default="text")
    parser.add_argument("--kind", action="append", metavar="GATE", help="only this gate (repeatable)")
    parser.add_argument("--baseline", metavar="FILE", help="accept the findings recorded in FILE")
    parser.add_argument("--write-baseline", metavar="FILE", help="record today's findings in FILE and succeed")


def check(args: argparse.Namespace) -> int:
    """Exit code 0 when no gate failed, 4 otherwise. What could not be verified is said, and does not fail."""
    from tools.devops.checks import Baseline, run_checks, to_sarif, to_text
    from tools.devops.checks import to_json as report_json

    try:
        report = run_checks(_directory(args.directory), kinds=args.kind)
        if args.write_baseline:
            Baseline.of(report).save(Path(args.write_baseline))
            print(f"{len(report.findings)} findings recorded in {args.write_baseline}.")
            return 0
        if args.baseline:
            report = Baseline.load(Path(args.baseline)).apply(report)
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    match args.format:
        case "json":
            print(report_json(report), end="")
        case "sarif":
            print(json.dumps(to_sarif(report), ensure_ascii=False, indent=2))
        case _:
            print(clean(to_text(report)), end="")
    return GATE_FAILED if report.errors else 0


def _directory(name: str) -> Path:
    path = Path(name)
    if not path.is_dir():
        raise UsageProblem(f"{path} is not a directory.")
    return path.resolve()


def _json(value: Any) -> str:
    return json.dumps(to_json(value), ensure_ascii=False, indent=2)


def _spec_text(found: Spec) -> str:
    lines = [f"{found.id}: {found.title}", f"files: {', '.join(found.files)}", "", "deployment:"]
    for name, field in found.deployment.items():
        if field.status == "not_stated" and not field.conflicts:
            continue
        value = json.dumps(to_json(field.value), ensure_ascii=False) if field.status == "stated" else ""
        planned = " (planned)" if field.planned else ""
        lines.append(f"  {name}: {field.status} {value}{planned}".rstrip())
        lines += [f"      {e.file}:{e.line}: {e.text.strip()[:120]}" for e in field.evidence[:2]]
        lines += [f"      conflict: {json.dumps(to_json(c), ensure_ascii=False)[:160]}" for c in field.conflicts]
    silent = [name for name, field in found.deployment.items() if field.status == "not_stated"]
    lines += [f"  not stated: {', '.join(silent)}", "", f"requirements: {len(found.requirements)}"]
    lines += [f"  {r.id} ({r.pattern}, {r.file}:{r.line}): {r.text[:110]}" for r in found.requirements]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def _project_text(found: Project) -> str:
    lines = []
    for unit in found.units:
        lines.append(f"{unit.path} ({unit.kind}): {unit.language} {unit.version or ''}".rstrip())
        lines += [f"  {name}: {value}" for name, value in _unit_facts(unit) if value]
    lines += [f"platform: {sign.platform} ({sign.source}: {', '.join(sign.evidence)})" for sign in found.platforms]
    lines += [f"existing: {path}" for path in found.existing]
    lines += [f"missing in {item.unit}: {item.what}: {item.why}" for item in found.missing]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)]) or "No deploy unit was found."


def _unit_facts(unit: DeployUnit) -> list[tuple[str, Any]]:
    names = ("package_manager", "install", "build", "start", "migrate", "test", "lint", "port", "health_path")
    facts = [(name, getattr(unit, name)) for name in names]
    lists = [(name, ", ".join(getattr(unit, name))) for name in ("frameworks", "services", "env")]
    return [lists[0], *facts, *lists[1:]]
