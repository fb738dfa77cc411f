"""Instrumentation: health, liveness, metrics, JSON logs and shutdown for applications that lack them.

`plan_instrumentation` reads a unit's code and returns new files and edits as diffs; `apply` writes them. A framework
is one module here plus its templates; what it cannot do is said in `unsupported`, never guessed.
"""

from __future__ import annotations

from tools.devops.instrument.plan import SUBJECTS, apply, plan_instrumentation
from tools.devops.instrument.types import FileChange, Instrumentation, InstrumentError

__all__ = [
    "SUBJECTS",
    "FileChange",
    "InstrumentError",
    "Instrumentation",
    "apply",
    "plan_instrumentation",
]
