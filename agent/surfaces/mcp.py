"""`expert-devops mcp`: this agent as an MCP server, over standard input and output, or HTTP on this machine."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.surfaces.errors import UsageProblem, explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.api import Agent
    from agent.mcp.server import ToolServer
    from agent.permissions import Mode
    from tools.ports import Asker

_INSTRUCTIONS = (
    "A DevOps expert. `run` makes the project deployable in eight steps that real tools verify; `detect`, `spec` and "
    "`check` only look; `delegate` takes a task in words; `explain` tells what a permission rule would decide."
)


def configure_mcp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-C", "--directory", default=".", metavar="DIR", help="clients stay inside it (default: here)")
    parser.add_argument("--http", action="store_true", help="serve HTTP on 127.0.0.1 instead of standard input")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port for --http (default: a free one)")
    parser.add_argument("--model", default="auto", help="model of the runs: auto, playbook, or an id")
    parser.add_argument("--max-turns", type=int, default=200, metavar="N", help="for each run")
    parser.add_argument("--max-budget-usd", type=float, metavar="USD", help="for each run")
    parser.add_argument("--language", choices=("en", "ko"), default="en", help="of questions to the user")


def mcp(args: argparse.Namespace) -> int:
    if importlib.util.find_spec("mcp") is None:
        raise UsageProblem("MCP needs an extra package: pip install 'expert-devops[mcp]'.")
    from agent.mcp.served import SERVED, Serving
    from agent.mcp.server import ToolServer

    root = Path(args.directory)
    if not root.is_dir():
        raise UsageProblem(f"{root} is not a directory. Give the project with -C DIR.")
    if not args.http and sys.stdin.isatty():
        print("Waiting for an MCP client on standard input; see --http for one on a port.", file=sys.stderr)
    server = ToolServer(SERVED, root.resolve(), _INSTRUCTIONS, args.language, {"serving": Serving(_maker(args))})
    if args.http:
        _serve_http(server, args.port)
    else:
        asyncio.run(server.stdio())
    return 0


def _maker(args: argparse.Namespace) -> Callable[[Path, Asker, Mode], Agent]:
    """Makes the agent of a run as this user and, where trusted, its directory configure it."""
    from agent.budget import Limits
    from agent.surfaces.configured import configured_agent
    from tools.tool import ToolError

    limits = Limits(turns=args.max_turns, cost_usd=args.max_budget_usd)

    def make(directory: Path, asker: Asker, mode: Mode) -> Agent:
        try:
            return configured_agent(directory, model=args.model, asker=asker, limits=limits, mode=mode)
        except Exception as error:
            if (known := explain(error)) is None:
                raise
            raise ToolError(known[0]) from error

    return make


def _serve_http(server: ToolServer, port: int) -> None:
    """Say where on standard output, as JSON; the token goes into a file that only this user can read."""
    from agent.session.journal import state_home

    token = secrets.token_urlsafe(32)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise UsageProblem(f"Port {port} cannot be used: {error}.") from error
        bound = listening.getsockname()[1]
        url = f"http://127.0.0.1:{bound}/mcp"
        path = state_home() / f"mcp-{bound}.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            json.dump({"url": url, "headers": {"Authorization": f"Bearer {token}"}}, file)
        # The HTTP server closes first and then raises the signal again: leave in order, without the token file.
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
        try:
            listening.listen()
            print(json.dumps({"url": url, "token_file": str(path)}), flush=True)
            asyncio.run(server.http(listening, token))
        finally:
            path.unlink(missing_ok=True)
