"""`spec`, `detect` and `check`: what is there, without a model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from agent.surfaces.errors import UsageProblem
from tools.devops.describe import project_text, spec_text
from tools.plain import to_json
from tools.text import clean

GATE_FAILED = 4


def configure_spec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", help="SPEC id or path; without it the project's SPEC is found")
    parser.add_argument("-C", "--directory", default=".", metavar="DIR", help="the project (default: here)")
    parser.add_argument("--json", action="store_true", help="machine output")


def spec(args: argparse.Namespace) -> int:
    from tools.devops.spec import read_spec

    found = read_spec(_directory(args.directory), args.spec)
    print(_json(found) if args.json else clean(spec_text(to_json(found))))
    return 0


def configure_detect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR", help="the project (default: here)")
    parser.add_argument("--json", action="store_true", help="machine output")


def detect(args: argparse.Namespace) -> int:
    from tools.devops.project import scan_project
    from tools.devops.spec import conversation_language

    root = _directory(args.directory)
    found = scan_project(root)
    print(_json(found) if args.json else clean(project_text(to_json(found), conversation_language(root))))
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
