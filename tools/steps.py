"""CompleteStep: the claim that a step of the workflow is done, which the runtime verifies."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tools.ports import StepClaim
from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool


@tool("CompleteStep", effects={"reads", "runs", "writes"})
async def complete_step(
    ctx: ToolContext,
    step: Annotated[int, Field(ge=1, le=8, description="Number of the step.")],
    summary: Annotated[str, Field(min_length=1, description="What was done and decided, in a few sentences.")],
    artifacts: Annotated[
        list[str] | None, Field(description="Files of this step, relative to the project root. They must exist.")
    ] = None,
    decisions: Annotated[
        list[dict[str, Any]] | None,
        Field(description="Decisions as {name, value, source: spec|project|user|default, evidence}."),
    ] = None,
) -> ToolResult:
    """Claim that a step of the workflow is done. The runtime then runs the step's gates over the files.

    - Call it when the step's work is finished, once a step and in order, in a turn of its own.
    - A refusal names each finding with file and line. Correct the cause and claim again; do not weaken a check or
      remove content to get past it.
    - List every file the step produced, and every decision with where it came from. What nothing settled is a
      `default`, never the user's word.
    """
    if ctx.steps is None:
        raise ToolError("This run has no workflow, so there are no steps to complete. Just finish the task.")
    claim = StepClaim(step, summary, tuple(artifacts or ()), tuple(decisions or ()))
    verdict = await ctx.steps.complete(claim)
    data = {"step": step, "accepted": verdict.accepted, "report": verdict.report, **verdict.data}
    return ToolResult(clean(verdict.report), is_error=not verdict.accepted, data=data)
