"""The command line: which words there are, and which module carries each out.

Only `argparse` is loaded here; a command's own module is imported when the command is used.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn

from agent.surfaces.errors import USAGE

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("agent.surfaces.run", "take a project through the eight steps"),
    "repair-ci": ("agent.surfaces.repair_ci", "explain a failed workflow run and repair it, within a limit"),
    "spec": ("agent.surfaces.inspect", "what a SPEC says on deployment, with evidence"),
    "detect": ("agent.surfaces.inspect", "deploy units, stacks, commands, services, platforms"),
    "check": ("agent.surfaces.inspect", "run every gate on what is there; no model"),
    "mcp": ("agent.surfaces.mcp", "serve this agent to MCP clients"),
    "permissions": ("agent.surfaces.permissions", "what a tool call would be decided and why; what a session decided"),
    "agents": ("agent.surfaces.listing", "agents that are loaded, from where, and what is wrong with them"),
    "skills": ("agent.surfaces.listing", "skill packs that are loaded"),
    "tools": ("agent.surfaces.listing", "tools, their effects and schemas"),
    "sessions": ("agent.surfaces.listing", "sessions that can be resumed"),
    "doctor": ("agent.surfaces.listing", "what works here and what is missing"),
}
"""Command -> the module with its `configure_<command>(parser)` and `<command>(args) -> int`, and its help line."""


class Parser(argparse.ArgumentParser):
    """Errors say what is wrong in one line and end with exit code 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}\nTry `{self.prog} --help`.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `expert-devops`. Returns the exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Korean, a file name that is no text
    arguments, log_format = take_log_format(sys.argv[1:] if argv is None else argv)
    if log_format not in {None, "json", "text"}:
        print(f"expert-devops: --log-format {log_format!r} is not known; use json or text.", file=sys.stderr)
        return USAGE
    if log_format is not None:
        os.environ["EXPERT_DEVOPS_LOG_FORMAT"] = log_format
    if arguments[:1] and arguments[0] in COMMANDS:
        return _guarded(lambda: _command(arguments[0], arguments[1:]))
    return _guarded(lambda: _prompt(arguments))


def take_log_format(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Take `--log-format VALUE` out of a command line: it means the same for every command."""
    rest: list[str] = []
    chosen: str | None = None
    words = iter(arguments)
    for word in words:
        if word == "--":
            return [*rest, word, *words], chosen
        if word == "--log-format":
            chosen = next(words, "")
        elif word.startswith("--log-format="):
            chosen = word.partition("=")[2]
        else:
            rest.append(word)
    return rest, chosen


def _command(name: str, arguments: Sequence[str]) -> int:
    module = import_module(COMMANDS[name][0])
    parser = Parser(prog=f"expert-devops {name}", description=COMMANDS[name][1].capitalize() + ".")
    function = name.replace("-", "_")
    getattr(module, f"configure_{function}")(parser)
    outcome: int = getattr(module, function)(parser.parse_args(arguments))
    return outcome


def _prompt(arguments: Sequence[str]) -> int:
    from agent.surfaces.prompt import prompt

    return prompt(arguments, {name: text for name, (_, text) in COMMANDS.items()})


def _guarded(action: Callable[[], int]) -> int:
    """Known failures become one line and an exit code; an interrupt is 130; a closed pipe is quiet."""
    from agent.surfaces.errors import explain

    try:
        code = action()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return 1  # what was asked for did not arrive
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        message, code = known
        _drop_output()
        print(f"expert-devops: {message}", file=sys.stderr)
        return code


def _drop_output() -> None:
    """Leave out what standard output still holds where it cannot be written: the end of the process would try again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
