"""What is granted to a run beyond the tools of its agent file."""

from __future__ import annotations

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
