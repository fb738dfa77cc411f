"""`agents`, `skills`, `tools`, `sessions` and `doctor`: what is loaded, from where, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.text import clean

if TYPE_CHECKING:
    from agent.knowledge.definition import AgentDefinition
    from agent.knowledge.skills import Skill

Row = dict[str, Any]


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-C", "--directory", default=".", metavar="DIR", help="the project (default: here)")
    parser.add_argument("--json", action="store_true", help="machine output")


configure_agents = configure_skills = configure_tools = configure_doctor = _common


def configure_sessions(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--all", action="store_true", help="sessions of every project")


def agents(args: argparse.Namespace) -> int:
    found, problems = _found_agents(Path(args.directory).resolve())
    return _show(args, _definition_rows(found.values(), problems), ("name", "path", "problems"))


def skills(args: argparse.Namespace) -> int:
    found, problems = _found_skills(Path(args.directory).resolve())
    return _show(args, _definition_rows(found.values(), problems), ("name", "path", "problems"))


def tools(args: argparse.Namespace) -> int:
    from tools.catalogue import builtin_tools

    rows = [
        {
            "name": tool.name,
            "effects": sorted(tool.effects),
            "description": tool.description.split("\n")[0],
            "input_schema": tool.input_schema,
        }
        for _, tool in sorted(builtin_tools().items())
    ]
    return _show(args, rows, ("name", "effects", "description"))


def sessions(args: argparse.Namespace) -> int:
    from agent.session.listing import list_sessions

    rows = [
        {
            "id": s.id,
            "kind": s.kind,
            "status": s.status,
            "modified": datetime.fromtimestamp(s.modified, UTC).isoformat(timespec="seconds"),
            "cwd": s.cwd,
            "title": s.title,
            "problem": s.problem,
        }
        for s in list_sessions(None if args.all else Path(args.directory), os.environ)
    ]
    return _show(args, rows, ("id", "kind", "status", "modified", "title", "problem"))


def doctor(args: argparse.Namespace) -> int:
    """Exit code 1 when something needed is missing; a missing linter is only said."""
    rows = [
        *_runtime(),
        *_model_access(),
        *_programs(),
        *_sandbox(),
        *_linters(),
        *_definitions(Path(args.directory).resolve()),
    ]
    _show(args, rows, ("status", "what", "detail"))
    return 1 if any(row["status"] == "problem" for row in rows) else 0


def _runtime() -> list[Row]:
    from agent.session.journal import state_home

    home = state_home()
    nearest = next(place for place in (home, *home.parents) if place.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    return [
        _row("ok", "Python", sys.version.split()[0]),
        _row("ok" if writable else "problem", "session store", f"{home}" + ("" if writable else " cannot be written")),
    ]


def _model_access() -> list[Row]:
    from agent.models.choose import has_key

    if has_key(os.environ):
        return [_row("ok", "model", f"Claude at {os.environ.get('ANTHROPIC_BASE_URL', 'the default address')}")]
    return [_row("ok", "model", "no key is set: runs use the embedded playbook (rules, not a language model)")]


def _programs() -> list[Row]:
    rows = []
    for program, purpose in (("git", "repository facts"), ("rg", "faster search")):
        path = shutil.which(program)
        rows.append(_row("ok" if path else "missing", program, path or f"optional: {purpose}"))
    return rows


def _sandbox() -> list[Row]:
    """What confines commands here, tried out."""
    from agent.sandbox import probe

    report = probe()
    if not report.available:
        return [_row("missing", "sandbox", report.notice())]
    return [
        _row("ok", "sandbox", f"{report.mechanism}: {'; '.join(report.enforced)}"),
        _row("ok", "not in the sandbox", "; ".join(report.missing)),
    ]


def _linters() -> list[Row]:
    from tools.devops.checks import available_tools

    hint = "not installed: its checks will say `not verified` (pip install 'expert-devops[validators]')"
    return [
        _row("ok" if path else "missing", name, str(path) if path else hint) for name, path in available_tools().items()
    ]


def _definitions(cwd: Path) -> list[Row]:
    problems = [*_found_agents(cwd)[1], *_found_skills(cwd)[1]]
    return [_row("problem", "definition file", problem) for problem in problems]


def _found_agents(cwd: Path) -> tuple[dict[str, AgentDefinition], tuple[str, ...]]:
    """Project, user and built-in agents by name; earlier ones win. And what could not be used."""
    from agent.knowledge.definition import builtin_agents, find_agents

    found, problems = find_agents([cwd / ".claude" / "agents", Path.home() / ".claude" / "agents"])
    return builtin_agents() | found, problems


def _found_skills(cwd: Path) -> tuple[dict[str, Skill], tuple[str, ...]]:
    from agent.knowledge.skills import builtin_skill_root, find_skills

    return find_skills([Path.home() / ".claude" / "skills", cwd / ".claude" / "skills", builtin_skill_root()])


def _definition_rows(found: Iterable[AgentDefinition | Skill], problems: Iterable[str]) -> list[Row]:
    rows: list[Row] = [
        {
            "name": one.name,
            "description": one.description,
            "path": str(getattr(one, "directory", None) or getattr(one, "path", "")),
            "problems": list(one.warnings),
        }
        for one in found
    ]
    return rows + [{"name": "", "description": "", "path": "", "problems": [problem]} for problem in problems]


def _row(status: str, what: str, detail: str) -> Row:
    return {"status": status, "what": what, "detail": detail}


def _show(args: argparse.Namespace, rows: Sequence[Row], columns: Sequence[str]) -> int:
    if args.json:
        print(json.dumps(list(rows), ensure_ascii=False, indent=2))
        return 0
    table = [[_cell(row[column]) for column in columns] for row in rows]
    widths = [max((len(line[i]) for line in table), default=0) for i in range(len(columns))]
    for line in table:
        print(clean("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()))
    return 0


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
