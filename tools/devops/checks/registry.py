"""The gates, in the order in which they are reported."""

from __future__ import annotations

from tools.devops.checks import (
    compose,
    dockerfile,
    dockerignore,
    env_example,
    kubernetes,
    netlify,
    railway,
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
    workflow.GATE,
    env_example.GATE,
)
