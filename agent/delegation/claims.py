"""Which agent is writing which file: a second writer is refused until the first one has ended.

A claim on a directory (a whole deploy unit) covers everything below it. Commands are not seen here: what a shell writes
is known only afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.workflow.written import files_of
from tools.paths import within
from tools.tool import AroundTool, Tool, ToolContext, ToolError, ToolResult

_TARGETS = ("file_path", "notebook_path", "path", "unit")


@dataclass(slots=True)
class Claims:
    """Paths being written, by agent id. One for the whole tree of agents."""

    held: dict[str, set[Path]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def take(self, agent_id: str, path: Path, above: Collection[str] = ()) -> None:
        """Claim `path` for an agent. Raises `ToolError` when another one holds it.

        The agents `above` it are waiting for it, so what they hold is no obstacle.
        """
        for other, paths in self.held.items():
            if other == agent_id or other in above:
                continue
            if any(within(path, held) or within(held, path) for held in paths):
                raise ToolError(
                    f"{path.name} is being written by {self.names.get(other, 'another agent')}, which has not ended. "
                    "Do not write it another way; go on without it and name it in your report."
                )
        self.held.setdefault(agent_id, set()).add(path)

    def release(self, agent_id: str) -> None:
        """The agent has ended."""
        self.held.pop(agent_id, None)
        self.names.pop(agent_id, None)


@dataclass(frozen=True, slots=True)
class ClaimingTool(AroundTool):
    """A writing tool as a child gets it: it claims its target first. `written` collects what it wrote."""

    inner: Tool
    claims: Claims
    agent_id: str
    above: Collection[str]
    written: dict[str, None]

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        target = next((raw[name] for name in _TARGETS if isinstance(raw.get(name), str)), None)
        if target is not None:
            path = ctx.resolve(target).resolve()
            self.claims.take(self.agent_id, path, self.above)
        result = await self.inner.invoke(ctx, raw)
        if not result.is_error and result.data.get("written", True):
            self.written.update(dict.fromkeys(files_of(ctx.root, result.data)))
        return result
