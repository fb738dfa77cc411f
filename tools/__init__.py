"""The tools a model can call, as async functions: `await read(ToolContext.at("."), file_path="x")`.

Names load on first use, so that `import tools` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.ask import ask_user_question
    from tools.delegate import delegate
    from tools.files import edit, notebook_edit, read, write
    from tools.search import glob, grep
    from tools.shell import bash, task_stop
    from tools.steps import complete_step
    from tools.todo import todo_write
    from tools.tool import Tool, ToolContext, ToolError, ToolResult, tool
    from tools.web import web_fetch

_HOMES = {
    "ask": ["ask_user_question"],
    "delegate": ["delegate"],
    "files": ["edit", "notebook_edit", "read", "write"],
    "search": ["glob", "grep"],
    "shell": ["bash", "task_stop"],
    "steps": ["complete_step"],
    "todo": ["todo_write"],
    "tool": ["Tool", "ToolContext", "ToolError", "ToolResult", "tool"],
    "web": ["web_fetch"],
}
_MODULE_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Tool",
    "ToolContext",
    "ToolError",
    "ToolResult",
    "ask_user_question",
    "bash",
    "complete_step",
    "delegate",
    "edit",
    "glob",
    "grep",
    "notebook_edit",
    "read",
    "task_stop",
    "todo_write",
    "tool",
    "web_fetch",
    "write",
]


def __getattr__(name: str) -> Any:
    home = _MODULE_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


class _Tools(ModuleType):
    """Two exports are named like the module they live in (`tool`, `delegate`); the export wins over the module."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in _MODULE_OF):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Tools
