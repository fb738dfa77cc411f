"""`expert-devops permissions`: what a call would be decided and why (`explain`), what a session decided (`log`)."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.surfaces.errors import UsageProblem
from tools.text import clean

if TYPE_CHECKING:
    from agent.events import PermissionDecided


def configure_permissions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("explain", "log"))
    parser.add_argument("tool", nargs="?", help="explain: a tool name, for example Bash; log: a session id")
    parser.add_argument("input", nargs="?", help="the call's input as JSON, or a bare command for Bash")
    parser.add_argument("--allow", action="append", default=[], metavar="RULE")
    parser.add_argument("--ask", action="append", default=[], metavar="RULE")
    parser.add_argument("--deny", action="append", default=[], metavar="RULE")
    parser.add_argument("--mode", default="default")
    parser.add_argument("-C", "--directory", default=".", metavar="DIR")
    parser.add_argument("--batch", nargs="?", const="-", metavar="FILE", help="JSON lines from FILE or stdin")
    parser.add_argument("--json", action="store_true", help="machine output")


def permissions(args: argparse.Namespace) -> int:
    if args.action == "log":
        return _log(args)
    from agent.permissions import MODES, PermissionEngine, Rules, explain, explain_batch

    if args.batch is not None:
        text = sys.stdin.read() if args.batch == "-" else Path(args.batch).read_text(encoding="utf-8")
        for answer in explain_batch(text.split("\n")):  # JSON may hold other line ends
            print(answer)
        return 0
    if not args.tool or args.input is None:
        raise UsageProblem("Give a tool and its input: expert-devops permissions explain Bash 'git status'.")
    cwd = Path(args.directory).resolve()
    tool_input = _input(args.tool, args.input)
    if args.json:
        rules = {"allow": args.allow, "ask": args.ask, "deny": args.deny}
        case = {"rules": rules, "mode": args.mode, "cwd": str(cwd), "tool": args.tool, "input": tool_input}
        print(*explain_batch([json.dumps(case)]))
        return 0
    if args.mode not in MODES:
        raise UsageProblem(f"--mode {args.mode!r} is none of {', '.join(MODES)}.")
    parsed = Rules.parse(allow=args.allow, ask=args.ask, deny=args.deny, source="command line", anchor=cwd)
    print(explain(PermissionEngine(parsed, mode=args.mode, cwd=cwd, home=Path.home()), args.tool, tool_input))
    for warning in parsed.warnings:
        print(warning, file=sys.stderr)
    return 0


def _log(args: argparse.Namespace) -> int:
    """Every decision of a session, one line each: what came of it, who settled it, tool, class, agent, rule, reason."""
    from agent.events import PermissionDecided, to_json
    from agent.session.journal import JOURNAL, SessionError, find_session, read_events

    if not args.tool:
        raise UsageProblem("Give a session: expert-devops permissions log SESSION (see expert-devops sessions).")
    try:
        events = list(read_events(find_session(args.tool, Path(args.directory)) / JOURNAL))
    except SessionError as error:
        raise UsageProblem(str(error)) from error
    for event in events:
        if isinstance(event, PermissionDecided):
            print(json.dumps(to_json(event), ensure_ascii=False) if args.json else clean(_line(event)))
    return 0


def _line(event: PermissionDecided) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.time))
    known = {"mode": event.mode, "class": event.command_class, "agent": event.agent_id, "rule": event.rule}
    details = " ".join(f"{name}={value}" for name, value in known.items() if value)
    source = f" ({event.source})" if event.source else ""
    return f"{moment}  {event.behavior:<5} by {event.by:<6} {event.tool}  {details}{source}\n    {event.reason}"


def _input(tool: str, text: str) -> dict[str, object]:
    if tool == "Bash" and not text.lstrip().startswith("{"):
        return {"command": text}
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UsageProblem(f"The input is no JSON: {error}.") from error
    if not isinstance(data, dict):
        raise UsageProblem("The input must be a JSON object.")
    return data
