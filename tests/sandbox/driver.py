"""Runs commands with the Bash tool, in the sandbox or without it: a plan on standard input, results on standard output.

A program of its own, so that tests can start it as another user.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from agent.sandbox import BubblewrapLauncher, probe
from tools.shell import bash, shell
from tools.tool import ToolContext, ToolError, child_environment


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    project, scratch = Path(plan["project"]), Path(plan["scratch"])
    context = ToolContext(root=project, cwd=project, scratch=scratch, env=child_environment(plan["env"]))
    sandbox = BubblewrapLauncher([project], scratch / "tmp") if plan["sandbox"] else None
    shell(context).launcher = sandbox
    results = {}
    for name, command in plan["commands"].items():
        try:
            answer = await bash(context, command=f"{command}\necho TRIED", timeout=60_000)
            results[name] = answer.content
        except ToolError as error:
            results[name] = f"ToolError: {error}"
    if sandbox is not None:
        await sandbox.aclose()
    report = probe() if plan["sandbox"] else None
    left = sorted(entry.name for entry in os.scandir(project))
    return {
        "results": results,
        "left": left,
        "missing": report.missing if report else (),
        "reason": report and report.reason,
    }


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)
