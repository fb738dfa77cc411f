"""Which tools there are, and what is granted beyond an agent file's own list."""

from __future__ import annotations

from collections.abc import Iterable

from tools.tool import Tool

PERSONA_GRANTS = (
    "AskUserQuestion",
    "CheckArtifacts",
    "Delegate",
    "DetectProject",
    "InstrumentApp",
    "PlanDeployment",
    "ReadSpec",
    "WriteArtifact",
)
"""What the runtime grants to its own persona beyond the header: DevOps tools, the user and siblings."""

WORKFLOW_GRANTS = ("CompleteStep",)
"""What a run of the eight steps grants in addition."""


def builtin_tools() -> dict[str, Tool]:
    """Every built-in tool by name."""
    import tools as core
    from tools.devops.tools import TOOLS
    from tools.github import GITHUB_TOOLS

    found: Iterable[Tool] = (
        core.read,
        core.write,
        core.edit,
        core.notebook_edit,
        core.grep,
        core.glob,
        core.bash,
        core.task_stop,
        core.web_fetch,
        core.todo_write,
        core.ask_user_question,
        core.delegate,
        core.complete_step,
        *TOOLS,
        *GITHUB_TOOLS,
    )
    return {tool.name: tool for tool in found}
