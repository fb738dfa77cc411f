"""The shell, confined: a wrapper that puts the sandbox in place before the first command is judged or runs, and gives
single commands the secrets that a user named for them.
"""

from __future__ import annotations

import asyncio
import copy
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from agent.events import Event, Notice
from tools.tool import AroundTool, Tool, ToolContext, ToolResult

_FINDING_OUT = threading.Lock()  # what the sandbox can do is found out once, not by every thread that asks


@dataclass(frozen=True, slots=True)
class Shelter:
    """What commands may reach beyond the workspace; from the user, never from a project or a model.

    `directories` are written to as well, `domains` reached over TLS. With `may_leave` a call can ask to run outside the
    sandbox, which needs a person's permission. `secrets` names, for commands that fit a rule like
    `Bash(vercel deploy:*)`, the environment variables that such a command alone gets.
    """

    directories: Sequence[Path] = ()
    domains: Sequence[str] = ()
    may_leave: bool = False
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def for_child(self) -> Shelter:
        """What an agent started by this one gets: no secrets."""
        return replace(self, secrets={})

    def named(self) -> set[str]:
        """The variables that are given to any command."""
        return {name for names in self.secrets.values() for name in names}

    def secrets_for(self, command: str, cwd: Path) -> list[str]:
        """The variables for `command`: one plain command, nothing piped, redirected or set, that a rule covers."""
        if not self.secrets:
            return []
        from agent.permissions import PermissionEngine, Rules
        from agent.permissions.shell import parse

        script = parse(command)
        alone = script.plain and len(script.parts) == 1
        if not alone or script.parts[0].redirects or script.parts[0].assignments:
            return []
        found: dict[str, None] = {}
        for rule, names in self.secrets.items():
            engine = PermissionEngine(Rules.parse(allow=[rule]), cwd=cwd, home=Path.home())
            decision = engine.decide("Bash", {"command": command})
            if decision.behavior == "allow" and decision.rule == rule:
                found.update(dict.fromkeys(names))
        return list(found)


class Confined(AroundTool):
    """Bash for one `context`, in the sandbox unless `sandbox` is off. What the system cannot enforce is said once, and
    asked about by the permission engine, which gets `missing`. `env` holds the values of the shelter's secrets.
    """

    def __init__(
        self,
        inner: Tool,
        context: ToolContext,
        emit: Callable[[Event], None],
        shelter: Shelter | None = None,
        *,
        sandbox: bool = True,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.inner = inner
        self._context = context
        self._emit = emit
        self._shelter = shelter or Shelter()
        self._secrets = env
        self._missing: str | None = None if sandbox else ""
        self._prepared = not sandbox

    def missing(self) -> str:
        """Why no sandbox confines commands here; empty where one does. Puts it in place when first asked."""
        if self._missing is None:
            from agent.sandbox import confine
            from tools.shell import shell

            shelter = self._shelter
            with _FINDING_OUT:
                report = confine(self._context, directories=shelter.directories, domains=shelter.domains)
            shell(self._context).may_leave_sandbox = shelter.may_leave
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
        return await self.inner.invoke(self._with_secrets(ctx, raw), raw)

    def _with_secrets(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolContext:
        """The context of this one call, with the secrets named for its command. Their names are told, never values."""
        command = raw.get("command")
        if not isinstance(command, str) or raw.get("run_in_background"):
            return ctx
        names = self._shelter.secrets_for(command, ctx.cwd)
        given = {name: self._secrets[name] for name in names if name in self._secrets}
        if absent := [name for name in names if name not in given]:
            text = f"{', '.join(absent)} would be given to this command alone, but is not set in the environment."
            self._emit(Notice(level="warning", text=text))
        if not given:
            return ctx
        self._emit(Notice(level="info", text=f"Given to this command alone: {', '.join(given)}."))
        alone = copy.copy(ctx)
        alone.env = {**ctx.env, **given}
        return alone


def expected(*, sandbox: bool) -> Literal["bubblewrap", "none", "off"]:
    """What will confine commands, as far as a look at the installed programs tells: it is tried out later."""
    if not sandbox:
        return "off"
    places = f"{os.defpath}{os.pathsep}/usr/local/bin{os.pathsep}{os.environ.get('PATH', '')}"
    return "bubblewrap" if sys.platform == "linux" and shutil.which("bwrap", path=places) else "none"


def _load() -> None:
    """Nothing here keeps state of a run, or is used by two threads: modules, and what is found out for the process."""
    from agent.sandbox import probe

    for name in ("agent.permissions", "tree_sitter", "tree_sitter_bash"):
        import_module(name)
    with _FINDING_OUT:
        probe()
