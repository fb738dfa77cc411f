"""The gates, in the order in which they are reported."""

from __future__ import annotations

from tools.devops.checks import (
    cloudrun,
    compose,
    consistency,
    containerapps,
    dockerfile,
    dockerignore,
    env_example,
    handovers,
    kubernetes,
    netlify,
    no_secrets,
    railway,
    readiness,
    runbook,
    sam,
    terraform,
    vercel,
    workflow,
)
from tools.devops.checks.gate import Gate

GATES: tuple[Gate, ...] = (
    dockerfile.GATE,
    dockerignore.GATE,
    compose.GATE,
    railway.GATE,
    vercel.GATE,
    netlify.GATE,
    kubernetes.GATE,
    terraform.GATE,
    sam.GATE,
    cloudrun.GATE,
    containerapps.GATE,
    workflow.GATE,
    env_example.GATE,
    no_secrets.GATE,
    readiness.HEALTH,
    readiness.LOGGING,
    runbook.GATE,
    handovers.GATE,
    consistency.GATE,
)
