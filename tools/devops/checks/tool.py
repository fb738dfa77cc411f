"""The `CheckArtifacts` tool: the gates as a model sees them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from tools.devops.checks.outputs import to_text
from tools.devops.checks.runner import run_checks
from tools.tool import ToolContext, ToolError, ToolResult, tool


@tool("CheckArtifacts", effects={"reads", "runs"})
async def check_artifacts(
    ctx: ToolContext,
    paths: Annotated[
        list[str] | None, Field(description="Files or folders, relative to the workspace, to report on. Default: all.")
    ] = None,
    kinds: Annotated[
        list[str] | None,
        Field(description="Gates to run, for example dockerfile, workflow, consistency. Default: all that apply."),
    ] = None,
) -> ToolResult:
    """Check deployment files with schemas, rules and the linters that are installed.

    Each finding names file, line, rule, why it matters and what fixes it. "not verified" means that a check could not
    run; it is not a pass. Correct the errors and check again before a step is closed.
    """
    wanted = None if paths is None else [_relative(ctx, path) for path in paths]
    try:
        report = await asyncio.to_thread(run_checks, ctx.root, kinds=kinds, paths=wanted)
    except (ValueError, FileNotFoundError) as error:
        raise ToolError(f"CheckArtifacts: {error}") from error
    return ToolResult(to_text(report, why=False), data=report.to_json())


def _relative(ctx: ToolContext, path: str) -> str:
    full = ctx.resolve(path)
    if not full.is_relative_to(ctx.root):
        raise ToolError(f"CheckArtifacts: {path} is outside the workspace {ctx.root}. Name a path inside it.")
    if not full.exists():
        raise ToolError(f"CheckArtifacts: {path} does not exist. List the folder to find its name.")
    return full.relative_to(ctx.root).as_posix()
