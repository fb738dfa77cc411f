"""The sandbox for commands: bubblewrap, and nothing in its place where that does not work.

    report = confine(context)
    if not report.available:
        ... each command needs a person's permission: report.notice(language) ...

There is no weaker fallback: without mount and process namespaces a filter alone would leave files, signals and other
programs' environments open.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent.sandbox.launcher import BubblewrapLauncher
from agent.sandbox.probe import SandboxReport, probe
from tools.shell import shell
from tools.tool import ToolContext, ToolError

__all__ = ["BubblewrapLauncher", "SandboxReport", "confine", "probe"]


def confine(ctx: ToolContext, *, directories: Iterable[Path] = (), domains: Iterable[str] = ()) -> SandboxReport:
    """From now on the commands of this context run in the sandbox, if one can be had; the report says so.

    Writable are the workspace, `directories`, and `tmp` in the scratch directory. `domains` may be reached over TLS.
    """
    report = probe()
    if report.available:
        try:
            shell(ctx).launcher = BubblewrapLauncher([ctx.root, *directories], ctx.scratch / "tmp", domains=domains)
        except (ToolError, OSError) as error:
            return SandboxReport("none", reason=str(error))
    return report
