"""The shell, confined: a wrapper that puts the sandbox in place before the first command is judged or runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from agent.events import Event, Notice
from tools.tool import Effect, Tool, ToolContext, ToolResult

_FINDING_OUT = threading.Lock()  # what the sandbox can do is found out once, not by every thread that asks


class Confined:
    """Bash inside the sandbox of one `context`. What the system cannot enforce is said once, and asked about by the
    permission engine, which gets `missing`.
    """

    def __init__(self, inner: Tool, context: ToolContext, emit: Callable[[Event], None]) -> None:
        self.inner = inner
        self._context = context
        self._emit = emit
        self._missing: str | None = None
        self._prepared = False

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def description(self) -> str:
        return self.inner.description

    @property
    def input_schema(self) -> Mapping[str, Any]:
        return self.inner.input_schema

    @property
    def effects(self) -> frozenset[Effect]:
        return self.inner.effects

    def missing(self) -> str:
        """Why no sandbox confines commands here; empty where one does. Puts it in place when first asked."""
        if self._missing is None:
            from agent.sandbox import confine

            with _FINDING_OUT:
                report = confine(self._context)
            self._missing = "" if report.available else report.reason or "unknown reason"
            if notice := report.notice():
                self._emit(Notice(level="warning", text=notice))
        return self._missing

    def prepare(self) -> None:
        """Load what the first command needs, in a thread, while the model is still writing the call."""
        if not self._prepared:
            self._prepared = True
            asyncio.get_running_loop().run_in_executor(None, _load)

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        self.missing()
        return await self.inner.invoke(ctx, raw)


def _load() -> None:
    """Nothing here keeps state of a run: what is loaded or found out holds for the process."""
    from agent.permissions.shell import parse
    from agent.sandbox import probe

    parse("true")
    with _FINDING_OUT:
        probe()
