"""The project scanner: deploy units, stacks, commands, services, variable names, platforms, missing pieces.

It reads files and nothing else: no project code runs, no link is followed, no value of a real `.env` is read.
New language: see `tools.devops.project.languages.language`.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from pydantic import Field

from tools.devops.project.scan import scan_project
from tools.devops.project.tree import ProjectError
from tools.devops.types import to_json
from tools.tool import ToolContext, ToolError, ToolResult, tool


@tool("DetectProject", effects={"reads"})
async def detect_project(
    ctx: ToolContext,
    path: Annotated[str, Field(description="Folder to scan; the workspace when left out.")] = ".",
) -> ToolResult:
    """Detects what a project is made of: deploy units with language, version, package manager, install, build, start,
    migrate and test commands, port, health path, backing services and environment variable names; platforms it points
    at; deployment files already there; and what production needs and the code lacks. Returns JSON. Runs nothing."""
    folder = ctx.resolve(path)
    if not folder.resolve().is_relative_to(ctx.root.resolve()):
        raise ToolError(f"{path} lies outside the workspace {ctx.root}. Name a folder inside it.")
    try:
        project = await asyncio.to_thread(scan_project, folder)
    except ProjectError as error:
        raise ToolError(str(error)) from error
    data = to_json(project)
    return ToolResult(json.dumps(data, ensure_ascii=False, separators=(",", ":")), data=data)


DetectProject = detect_project

__all__ = ["DetectProject", "ProjectError", "scan_project"]
