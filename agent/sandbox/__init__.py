"""The sandbox for commands: bubblewrap, and nothing in its place where that does not work.

    report = probe()                      # runs it once and tries to get out; cached
    if report.available:
        shell(context).launcher = BubblewrapLauncher([project], scratch / "tmp")

There is no weaker fallback: without mount and process namespaces a filter alone would leave files, signals and other
programs' environments open. Where `probe` says no, commands need a person's permission.
"""

from agent.sandbox.launcher import BubblewrapLauncher
from agent.sandbox.probe import SandboxReport, probe

__all__ = ["BubblewrapLauncher", "SandboxReport", "probe"]
