"""The gates, in the order in which they are reported."""

from __future__ import annotations

from tools.devops.checks import dockerfile
from tools.devops.checks.gate import Gate

GATES: tuple[Gate, ...] = (dockerfile.GATE,)
