"""`python -m agent.testing.server SCRIPT.json`: the fake Messages API for programs in any language.

SCRIPT.json is a list of turns. A turn is a text, a block, a list of those, or an object with `blocks` and optionally
`stop_reason`, `usage`, `stop_details` and `fault` (the fields of `Fault`); `{"status": 529, "message": "..."}` is an
error answer. The first line of output is `{"base_url": ...}`. It serves until its input ends or it is interrupted, then
prints `{"requests", "violations", "problem"}` and exits with 1 when there was one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.testing.fake import FakeMessagesServer
from agent.testing.script import Fault, Turn, TurnLike, http_error


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a script. Exit code 0: used up and clean; 1: not; 2: the script cannot be read."""
    parser = argparse.ArgumentParser(prog="agent.testing.server", description="A scripted, strict Messages API.")
    parser.add_argument("script", type=Path, help="JSON file: a list of turns")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--seeded", action="store_true", help="accept history this server did not give")
    options = parser.parse_args(argv)
    try:
        turns = load_script(options.script)
    except (OSError, ValueError, TypeError) as error:
        sys.stderr.write(f"{options.script}: {error}\n")
        return 2
    problem = None
    signal.signal(signal.SIGTERM, _interrupt)
    with FakeMessagesServer(turns, port=options.port, seeded=options.seeded) as server:
        _print({"base_url": server.base_url})
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()
    try:
        server.assert_clean()
    except AssertionError as error:
        problem = str(error)
    _print({"requests": len(server.requests), "violations": server.violations, "problem": problem})
    return 1 if problem else 0


def load_script(path: Path) -> list[TurnLike]:
    """The turns of a script file. Raises `OSError`, or `ValueError` or `TypeError` that name what is wrong."""
    entries = json.loads(path.read_text("utf-8"))
    if not isinstance(entries, list):
        raise TypeError("a script is a list of turns")
    return [_turn(entry) for entry in entries]


def _turn(entry: Any) -> TurnLike:
    if isinstance(entry, dict) and "status" in entry:
        return http_error(**entry)
    if isinstance(entry, dict) and "blocks" in entry:
        return Turn(**(entry | {"fault": Fault(**entry.get("fault", {}))}))
    if isinstance(entry, str | list | dict):
        return entry
    raise TypeError(f"not a turn: {entry!r}")


def _print(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
