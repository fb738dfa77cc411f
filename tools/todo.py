"""TodoWrite: the list of what is to be done, kept for the run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.text import clean
from tools.tool import ToolContext, ToolError, ToolResult, tool


class Todo(BaseModel):
    """One item of the list."""

    model_config = ConfigDict(extra="forbid")

    content: Annotated[str, Field(min_length=1, description='What to do: "Run the tests".')]
    status: Literal["pending", "in_progress", "completed"]
    activeForm: Annotated[str, Field(min_length=1, description='The same while doing it: "Running the tests".')]  # noqa: N815 - the published name


@tool("TodoWrite", effects=set())
async def todo_write(
    ctx: ToolContext, todos: Annotated[list[Todo], Field(max_length=100, description="The whole list, anew.")]
) -> ToolResult:
    """Keep a list of the work, for yourself and for the user who watches. Each call replaces the whole list.

    - Use it for work of three or more steps, or when the user names several things. Not for a single simple task.
    - Exactly one item is `in_progress` while you work. Mark an item `completed` as soon as it is done, not in batches.
    - Never mark as completed what failed, is partial or was not verified: keep it `in_progress` and add what blocks it.
    - Remove items that no longer matter.
    """
    if sum(todo.status == "in_progress" for todo in todos) > 1:
        raise ToolError("More than one item is in_progress. Work on one at a time and mark the others pending.")
    old: list[dict[str, Any]] = ctx.state.get("todo", [])
    new = [todo.model_dump() for todo in todos]
    ctx.state["todo"] = new
    left = [todo for todo in todos if todo.status != "completed"]
    current = next((todo.activeForm for todo in left if todo.status == "in_progress"), "")
    if current:
        ctx.progress(clean(current))
    state = f"{len(new) - len(left)} of {len(new)} done" + (f"; now: {clean(current)}" if current else "")
    return ToolResult(f"The list is saved: {state}.", data={"oldTodos": old, "newTodos": new})
