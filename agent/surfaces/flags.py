"""The flags of Claude Code's headless command line, in both spellings (`--flag value` and `--flag=value`).

Programs that start an agent as a child process pass these, so the grammar is theirs: a value may be empty or begin with
a dash, flags of other versions are no error, and a host that speaks stream-JSON passes neither `-p` nor a prompt.
Each field of `Flags` carries its own names, so this table is the only one.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from agent.surfaces.errors import UsageProblem

Kind = Literal["switch", "value", "optional", "many"]
"""`optional` may stand alone (`--resume`); `many` takes values up to the next flag and may be repeated."""


def _flag(
    *names: str,
    help: str,  # noqa: A002 - argparse's own word
    kind: Kind = "value",
    convert: Callable[[str], Any] = str,
    choices: Sequence[str] = (),
    default: Any = None,
) -> Any:
    return field(
        default=False if kind == "switch" else default,
        metadata={"names": names, "kind": kind, "convert": convert, "choices": choices, "help": help},
    )


_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_OUTPUTS, _INPUTS = ("text", "json", "stream-json"), ("text", "stream-json")


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What was asked for on the command line. None: not given. `unknown` names flags that were given and do nothing,
    `strange` those among them that no version is known to have.
    """

    prompt: str | None = None
    unknown: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()

    show_version: bool = _flag("-v", "--version", kind="switch", help="print the version and exit")
    once: bool = _flag("-p", "--print", kind="switch", help="answer once and exit")
    trust: bool = _flag("--trust", kind="switch", help="trust this folder's own hooks, rules, agents and servers")
    answers: str | None = _flag("--answers", help="YAML or JSON file with answers to questions")
    directory: str = _flag("-C", "--directory", default=".", help="where to work (default: here)")
    output_format: str = _flag("--output-format", choices=_OUTPUTS, default="text", help="how the answer is printed")
    input_format: str = _flag("--input-format", choices=_INPUTS, default="text", help="stream-json: frames on stdin")
    verbose: bool = _flag("--verbose", kind="switch", help="every message, not the result only")
    partial: bool = _flag("--include-partial-messages", kind="switch", help="stream events as they arrive")
    hook_events: bool = _flag("--include-hook-events", kind="switch", help="hooks as they begin and end")
    replay: bool = _flag("--replay-user-messages", kind="switch", help="echo user messages that were read")
    forward_subagent_text: bool = _flag("--forward-subagent-text", kind="switch", help="text of child agents too")

    model: str | None = _flag("--model", help="auto, playbook, a model id or an alias")
    fallback_model: str | None = _flag("--fallback-model", help="used while the model is overloaded")
    effort: str | None = _flag("--effort", choices=_EFFORTS, help="how much the model works on an answer")
    betas: tuple[str, ...] = _flag("--betas", kind="many", default=(), help="names of beta features")
    thinking: str | None = _flag("--thinking", choices=("adaptive", "enabled", "disabled"), help="how the model thinks")
    max_thinking_tokens: int | None = _flag("--max-thinking-tokens", convert=int, help="budget of thinking, 0: none")
    max_turns: int | None = _flag("--max-turns", convert=int, help="most model turns for one prompt")
    max_budget_usd: float | None = _flag("--max-budget-usd", convert=float, help="most money for the session")

    system_prompt: str | None = _flag("--system-prompt", help="replaces the persona; empty keeps it")
    system_prompt_file: str | None = _flag("--system-prompt-file", help="the same from a file")
    append_system_prompt: str | None = _flag("--append-system-prompt", help="added to the system prompt")
    append_system_prompt_file: str | None = _flag("--append-system-prompt-file", help="the same from a file")
    agent: str | None = _flag("--agent", help="name of the agent that answers")
    agents: str | None = _flag("--agents", help="JSON: agents by name")
    json_schema: str | None = _flag("--json-schema", help="schema of a structured answer")

    tools: tuple[str, ...] | None = _flag(
        "--tools", kind="many", help='built-in tools: names, "default", or "" for none'
    )
    allowed_tools: tuple[str, ...] = _flag(
        "--allowed-tools", "--allowedTools", kind="many", default=(), help="rules that allow"
    )
    disallowed_tools: tuple[str, ...] = _flag(
        "--disallowed-tools",
        "--disallowedTools",
        kind="many",
        default=(),
        help="rules that deny; a bare name removes the tool",
    )
    permission_mode: str | None = _flag("--permission-mode", help="what is asked about")
    skip_permissions: bool = _flag("--dangerously-skip-permissions", kind="switch", help="mode bypassPermissions")
    allow_skip: bool = _flag(
        "--allow-dangerously-skip-permissions", kind="switch", help="allow switching to bypassPermissions later"
    )
    permission_prompt_tool: str | None = _flag("--permission-prompt-tool", help="stdio, or mcp__server__tool")
    permission_prompts: str | None = _flag("--permission-prompts", choices=("none",), help="deny instead of asking")
    mcp_config: tuple[str, ...] = _flag("--mcp-config", kind="many", default=(), help="MCP servers: files or JSON")
    strict_mcp_config: bool = _flag("--strict-mcp-config", kind="switch", help="no other MCP servers than these")
    settings: str | None = _flag("--settings", help="settings: a file or JSON")
    setting_sources: str | None = _flag("--setting-sources", help="user, project, local: which settings to read")
    add_dir: tuple[str, ...] = _flag("--add-dir", kind="many", default=(), help="further directories to work in")

    resume: str | None = _flag("-r", "--resume", kind="optional", help="continue a session")
    continue_last: bool = _flag("-c", "--continue", kind="switch", help="continue this directory's last session")
    fork_session: bool = _flag("--fork-session", kind="switch", help="resume into a new session id")
    siblings: Literal["start", "request"] = _flag(
        "--siblings", choices=("start", "request"), default="start", help="request: end with typed requests instead"
    )
    delegation_results: str | None = _flag("--delegation-results", help="with --resume: what came of those, a file")
    session_id: str | None = _flag("--session-id", help="the id of the new session, a UUID")
    no_session_persistence: bool = _flag("--no-session-persistence", kind="switch", help="leave nothing of the session")
    resume_session_at: str | None = _flag("--resume-session-at", help="drop everything after this message")
    resume_drops_turn: str | None = _flag(
        "--resume-drops-turn", help="refuse unless this prompt starts what is dropped"
    )

    @property
    def streams_input(self) -> bool:
        return self.input_format == "stream-json"

    @property
    def notices(self) -> tuple[str, ...]:
        """One line for each flag that has no effect here, for the first message of a session."""
        return tuple(f"The flag {name} is not known here and has no effect." for name in self.unknown)


_ACCEPTED: dict[str, Kind] = {
    "--append-subagent-system-prompt": "value",
    "--await-initialize": "switch",
    "--bare": "switch",
    "--debug": "optional",
    "-d": "optional",
    "--debug-file": "value",
    "--disable-slash-commands": "switch",
    "--initialize-fields": "value",
    "--managed-settings": "value",
    "--name": "value",
    "--plugin-dir": "many",
    "--project-config-root": "value",
    "--safe-mode": "switch",
    "--session-mirror": "switch",
    "--task-budget": "value",
    "--thinking-display": "value",
}
"""Flags of the contract that are read and have no effect, by kind; their values must not be taken for the prompt."""

_LISTS = frozenset({"betas", "tools", "allowed_tools", "disallowed_tools"})
"""Fields whose values are comma lists themselves."""


def parse_flags(arguments: Sequence[str]) -> Flags:
    """The flags in `arguments`. Raises `UsageProblem` for a value that cannot be used; unknown flags are kept aside."""
    known, words, unknown = _sort_out(arguments)
    values = vars(flag_parser().parse_args(known))
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = _split(value) if name in _LISTS else tuple(value)
    names = tuple(dict.fromkeys(unknown))
    strange = tuple(name for name in names if name not in _ACCEPTED)
    return Flags(prompt=words[-1] if words else None, unknown=names, strange=strange, **values)


def flag_parser() -> argparse.ArgumentParser:
    """The parser of the flags alone, without the prompt; also the source of their help."""
    parser = _Parser(prog="expert-devops", allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for item in _flag_fields():
        names, kind = item.metadata["names"], item.metadata["kind"]
        if kind == "switch":
            parser.add_argument(*names, dest=item.name, action="store_true", help=item.metadata["help"])
        else:
            parser.add_argument(
                *names,
                dest=item.name,
                action="append" if kind == "many" else "store",
                type=item.metadata["convert"],
                choices=item.metadata["choices"] or None,
                help=item.metadata["help"],
            )
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageProblem(message[:1].upper() + message[1:] + ".")


def _flag_fields() -> Iterator[dataclasses.Field[Any]]:
    return (item for item in dataclasses.fields(Flags) if item.metadata)


def _sort_out(arguments: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Known flags as `--flag=value`, words (the prompt is the last one), and names of flags without effect.

    argparse takes a value with a leading dash for a flag; joined with `=` it does not. A word right after a flag of
    unknown kind may be its value, so it is the prompt only when there is no other word.
    """
    kinds = {name: item.metadata["kind"] for item in _flag_fields() for name in item.metadata["names"]}
    known: list[str] = []
    words: list[str] = []
    unknown: list[str] = []
    doubtful: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, joined, value = word.partition("=")
        kind = kinds.get(name) or _ACCEPTED.get(name)
        values = [value] if joined else _values(kind, rest)
        if name not in kinds:
            unknown.append(name)
            if kind is None and not joined and rest and not rest[0].startswith("-"):
                doubtful.append(rest.pop(0))
        elif kind == "switch":
            known.append(name)
        elif not values:
            raise UsageProblem(f"The flag {name} needs a value.")
        else:
            known += [f"{_long(name)}={each}" for each in values]
    return known, words or doubtful, unknown


def _values(kind: Kind | None, rest: list[str]) -> list[str]:
    """Take the values of a flag off `rest`."""
    if kind in {"switch", None}:
        return []
    if kind == "optional":
        return [rest.pop(0)] if rest and not rest[0].startswith("-") else [""]
    taken = [rest.pop(0)] if rest else []
    while kind == "many" and rest and not rest[0].startswith("-"):
        taken.append(rest.pop(0))
    return taken


def _long(name: str) -> str:
    """The long spelling, since `-r=x` would read as the value `=x`."""
    return next(
        (long for item in _flag_fields() if name in item.metadata["names"] for long in item.metadata["names"][1:]), name
    )


def _split(values: Sequence[str]) -> tuple[str, ...]:
    from agent.knowledge.names import split_list

    return tuple(entry for value in values for entry in split_list(value))
