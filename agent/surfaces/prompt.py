"""Without a command: a chat on a terminal, or one prompt with `-p`, as Claude Code's users and hosts know it.

One set of flags and one engine for text, JSON and stream-JSON; only what is printed differs.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence

from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags, flag_parser, parse_flags
from tools.resources import version


def prompt(arguments: Sequence[str], commands: Mapping[str, str]) -> int:
    """Chat, or answer. `commands` are shown in the help. Returns the exit code; raises `UsageProblem`."""
    if {"-h", "--help"} & set(arguments):
        print(_help(commands), end="")
        return 0
    flags = parse_flags(arguments)
    if flags.show_version:
        print(f"{version()} (expert-devops)")
        return 0
    streams = flags.streams_input or flags.output_format == "stream-json"
    if not streams:
        _know_every_flag(flags)
    if not flags.once and not streams and _on_a_terminal():
        from agent.surfaces.chat import chat

        return chat(flags)
    from agent.surfaces.protocol.main import answer

    return answer(flags)


def _on_a_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _know_every_flag(flags: Flags) -> None:
    """A person's typing error is told; hosts may send flags of other versions."""
    for name in flags.strange:
        near = difflib.get_close_matches(name, [n for action in flag_parser()._actions for n in action.option_strings])  # noqa: SLF001 - argparse has no other list of its flags
        hint = f"Did you mean {near[0]}?" if near else "Try `expert-devops --help`."
        raise UsageProblem(f"There is no flag {name}. {hint}")


def _help(commands: Mapping[str, str]) -> str:
    parser = flag_parser()
    parser.description = "A DevOps expert that runs. Without a command: a chat, or one prompt with -p."
    listed = "\n".join(f"  {name:<12} {text}" for name, text in commands.items())
    logs = "every command takes --log-format json: the events of a run on standard error"
    parser.epilog = f"commands:\n{listed}\n\n{logs}"
    parser.usage = "expert-devops [-p] [flags] [PROMPT]"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser.format_help()
