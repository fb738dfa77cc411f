"""How agents and tools are named in definition files, and which tools a list of names stands for.

Names are compared with `-` and `_` equal: agent files in the wild write `create-or-update-file` where the server says
`create_or_update_file`. Agent names also ignore case and spaces, and old names are aliases (`prompts/aliases.yaml`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tools.frontmatter import load_yaml
from tools.resources import data_root


@dataclass(frozen=True, slots=True)
class ToolSelection:
    """The tools an agent gets: `names` as the pool spells them, in pool order.

    `deny_rules` are the scoped entries of `disallowedTools` (`Bash(rm *)`), to be added as permission rules.
    """

    names: tuple[str, ...]
    deny_rules: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def fold(name: str) -> str:
    """`name` for comparison: `-`, `_` and spaces are equal, case does not count."""
    return re.sub(r"[\s_-]+", "-", name.strip()).casefold()


@cache
def _aliases() -> Mapping[str, str]:
    table = load_yaml((data_root() / "prompts" / "aliases.yaml").read_text(encoding="utf-8"))
    return {fold(alias): str(agent) for alias, agent in table.items()}


def resolve_agent_name(name: str) -> str:
    """The canonical name behind an alias or another spelling; an unknown name comes back folded."""
    folded = fold(name)
    return _aliases().get(folded, folded)


def split_list(text: str, *, spaces: bool = False) -> tuple[str, ...]:
    """Entries of a comma list (with `spaces`, also of a blank list). Nothing splits inside parentheses."""
    separators = ", \t\n" if spaces else ","
    entries, depth, start = [], 0, 0
    for position, char in enumerate(text):
        depth = max(depth + (char == "(") - (char == ")"), 0)
        if depth == 0 and char in separators:
            entries.append(text[start:position])
            start = position + 1
    entries.append(text[start:])
    return tuple(entry for entry in map(str.strip, entries) if entry)


def split_rule(entry: str) -> tuple[str, str | None]:
    """`Tool(specifier)` as name and specifier; `Tool`, `Tool()` and `Tool(*)` have None. `Task` reads as `Agent`."""
    name, opening, rest = entry.partition("(")
    name = name.strip()
    specifier = rest.rstrip().removesuffix(")").strip() if opening else ""
    return ("Agent" if name == "Task" else name), (specifier if specifier not in {"", "*"} else None)


def _grants(entry: str, tool: str) -> bool:
    wanted, name = split_rule(entry)[0].replace("-", "_"), tool.replace("-", "_")
    if wanted == "mcp__*":
        return name.startswith("mcp__")
    if wanted.startswith("mcp__") and (wanted.endswith("__*") or wanted.count("__") == 1):
        return name.startswith(wanted.removesuffix("*").removesuffix("__") + "__")
    return name == wanted or (name == "Task" and wanted == "Agent")


def _tool_warnings(entry: str, matches: Sequence[str]) -> Iterable[str]:
    name, specifier = split_rule(entry)
    if not matches:
        yield f"unknown tool {entry!r} is left out"
    elif specifier is not None and name != "Agent":
        yield f"{entry!r} grants the whole tool; limit it with a permission rule"


def select_tools(pool: Iterable[str], allowed: Sequence[str] | None, disallowed: Sequence[str] = ()) -> ToolSelection:
    """The part of `pool` that an agent with these lists may use; `allowed` None takes all.

    `disallowed` goes first and wins. `mcp__server` stands for all tools of a server. An entry that stands for nothing
    is a warning. `names` is empty when nothing fits: the caller decides that this is an error.
    """
    names = list(dict.fromkeys(pool))
    whole = [entry for entry in disallowed if split_rule(entry)[1] is None]
    names = [name for name in names if not any(_grants(entry, name) for entry in whole)]
    deny_rules = tuple(entry for entry in disallowed if entry not in whole)
    if allowed is None:
        return ToolSelection(tuple(names), deny_rules)
    chosen: set[str] = set()
    warnings: list[str] = []
    for entry in allowed:
        matches = [name for name in names if _grants(entry, name)]
        chosen.update(matches)
        warnings.extend(_tool_warnings(entry, matches))
    return ToolSelection(tuple(name for name in names if name in chosen), deny_rules, tuple(warnings))
