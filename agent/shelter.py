"""The shell, confined: a wrapper that puts the sandbox in place before the first command is judged or runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.events import Event, Notice
from tools.tool import Effect, Tool, ToolContext, ToolResult


class Confined:
    """Bash inside the sandbox of one `context`. What the system cannot enforce is said once, and asked about by the
    permission engine, which gets `missing`.
    """

    def __init__(self, inner: Tool, context: ToolContext, emit: Callable[[Event], None]) -> None:
        self._inner = inner
        self._context = context
        self._emit = emit
        self._missing: str | None = None

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def description(self) -> str:
        return self._inner.description

    @property
    def input_schema(self) -> Mapping[str, Any]:
        return self._inner.input_schema

    @property
    def effects(self) -> frozenset[Effect]:
        return self._inner.effects

    def missing(self) -> str:
        """Why no sandbox confines commands here; empty where one does. Puts it in place when first asked."""
        if self._missing is None:
            from agent.sandbox import confine

            report = confine(self._context)
            self._missing = "" if report.available else report.reason or "unknown reason"
            if notice := report.notice():
                self._emit(Notice(level="warning", text=notice))
        return self._missing

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        self.missing()
        return await self._inner.invoke(ctx, raw)
