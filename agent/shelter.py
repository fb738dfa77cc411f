"""The shell, confined: a wrapper that puts the sandbox in place before the first command runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.events import Event, Notice
from tools.tool import Effect, Tool, ToolContext, ToolResult


class Confined:
    """Bash inside the sandbox. What the system cannot enforce is said once, before the first command."""

    def __init__(self, inner: Tool, emit: Callable[[Event], None]) -> None:
        self._inner = inner
        self._emit = emit
        self._ready = False

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

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        if not self._ready:
            self._ready = True
            from agent.sandbox import confine

            report = confine(ctx)
            if notice := report.notice():
                self._emit(Notice(level="warning", text=notice))
        return await self._inner.invoke(ctx, raw)
