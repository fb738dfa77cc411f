"""`expert-devops permissions explain`: what a call would be decided, by which rule, and what would allow it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from agent.surfaces.errors import UsageProblem


def configure_permissions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("explain",))
    parser.add_argument("tool", nargs="?", help="tool name, for example Bash")
    parser.add_argument("input", nargs="?", help="the call's input as JSON, or a bare command for Bash")
    parser.add_argument("--allow", action="append", default=[], metavar="RULE")
    parser.add_argument("--ask", action="append", default=[], metavar="RULE")
    parser.add_argument("--deny", action="append", default=[], metavar="RULE")
    parser.add_argument("--mode", default="default")
    parser.add_argument("-C", "--directory", default=".", metavar="DIR")
    parser.add_argument("--batch", nargs="?", const="-", metavar="FILE", help="JSON lines from FILE or stdin")
    parser.add_argument("--json", action="store_true", help="machine output")


def permissions(args: argparse.Namespace) -> int:
    from agent.permissions import MODES, PermissionEngine, Rules, explain, explain_batch

    if args.batch is not None:
        text = sys.stdin.read() if args.batch == "-" else Path(args.batch).read_text(encoding="utf-8")
        for answer in explain_batch(text.splitlines()):
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
