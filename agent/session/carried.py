"""What one turn of a session leaves for the next beside the journal: the shell's directory, the files that were read.

It saves work and is never needed: a damaged or missing file costs reading again and starting in the project's root.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.session.private import write_private
from tools.tool import ToolContext

CARRIED = "carried.json"


def save(context: ToolContext, directory: Path) -> None:
    """Write it into the session's directory."""
    data: dict[str, Any] = {"cwd": str(context.cwd)}
    if "files" in context.state:
        from tools.files.ledger import dump

        data["files"] = dump(context)
    write_private(directory / CARRIED, data)


def load(context: ToolContext, directory: Path) -> None:
    """Take it up. What was read may be edited; the shell goes on where it was, inside the workspace."""
    try:
        data = json.loads((directory / CARRIED).read_text(encoding="utf-8"))
        cwd, files = Path(data["cwd"]), data.get("files", {})
        if files:
            from tools.files.ledger import load as load_files

            load_files(context, files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    if cwd.resolve().is_relative_to(context.root) and cwd.is_dir():
        context.cwd = cwd
