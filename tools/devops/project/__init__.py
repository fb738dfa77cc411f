"""The project scanner: deploy units, stacks, commands, services, variable names, platforms, missing pieces.

It reads files and nothing else: no project code runs, no link is followed, no value of a real `.env` is read.
New language: see `tools.devops.project.languages.language`.
"""

from __future__ import annotations

from tools.devops.project.scan import scan_project
from tools.devops.project.tree import ProjectError

__all__ = ["ProjectError", "scan_project"]
