"""What is installed: its version, and AGENT.md, prompts/, skills/ and examples/, in the wheel or in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_HERE = Path(__file__).resolve().parent


@cache
def data_root() -> Path:
    """The directory that holds `AGENT.md`, `prompts`, `skills` and `examples`."""
    packaged = _HERE / "_data"
    return packaged if packaged.is_dir() else _HERE.parent


def version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import version as installed

    return installed("expert-devops")
