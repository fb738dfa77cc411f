"""The built-in tools as a list that costs nothing to load: `catalogue.json`, made from the tools themselves.

A run must tell the model its tools before the first request; importing all of them, with pydantic, would be most of
that time. So names, descriptions, effects and schemas are kept beside the code, and a tool is imported when it is first
called. `python -m tools.catalogue` writes the file again; a test fails when it differs from what the tools say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from tools.tool import Effect, FunctionTool, Tool, ToolContext, ToolResult

FILE = Path(__file__).with_name("catalogue.json")
_MODULES = (
    "tools.ask",
    "tools.delegate",
    "tools.devops.tools",
    "tools.docs",
    "tools.files.changing",
    "tools.files.reading",
    "tools.search",
    "tools.shell",
    "tools.steps",
    "tools.todo",
    "tools.web",
)
_COLLECTIONS = {"tools.github.collection": "GITHUB_TOOLS"}


class Listed:
    """A built-in tool by its entry in the catalogue. Satisfies `Tool`."""

    def __init__(self, name: str, entry: Mapping[str, Any]) -> None:
        self.name = name
        self.description: str = entry["description"]
        self.input_schema: Mapping[str, Any] = entry["input_schema"]
        self.effects: frozenset[Effect] = frozenset(entry["effects"])
        self._home: str = entry["home"]

    @cached_property
    def inner(self) -> FunctionTool[Any]:
        """The tool itself."""
        module, _, attribute = self._home.partition(":")
        return cast("FunctionTool[Any]", getattr(import_module(module), attribute))

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        return await self.inner.invoke(ctx, raw)

    def __repr__(self) -> str:
        return f"<tool {self.name}>"


def builtin_tools() -> dict[str, Tool]:
    """Every built-in tool by name."""
    return {name: Listed(name, entry) for name, entry in _entries().items()}


@cache
def _entries() -> dict[str, Any]:
    entries: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return entries


def describe_tools() -> str:
    """The catalogue as the tools themselves give it: JSON text, sorted by name."""
    entries = {
        tool.name: {
            "home": home,
            "effects": sorted(tool.effects),
            "description": tool.description,
            "input_schema": tool.input_schema,
        }
        for home, tool in _found()
    }
    return json.dumps(dict(sorted(entries.items())), ensure_ascii=False, indent=1) + "\n"


def _found() -> Iterator[tuple[str, FunctionTool[Any]]]:
    """Each tool with `module:attribute`, where it is defined."""
    for module in _MODULES:
        yield from _defined(module)
    for collection, attribute in _COLLECTIONS.items():
        wanted = set(map(id, getattr(import_module(collection), attribute)))
        homes = sorted({tool.fn.__module__ for tool in getattr(import_module(collection), attribute)})
        yield from ((home, tool) for module in homes for home, tool in _defined(module) if id(tool) in wanted)


def _defined(module: str) -> Iterator[tuple[str, FunctionTool[Any]]]:
    for name, value in vars(import_module(module)).items():
        if isinstance(value, FunctionTool) and value.fn.__module__ == module:
            yield f"{module}:{name}", value


if __name__ == "__main__":
    FILE.write_text(describe_tools(), encoding="utf-8")
