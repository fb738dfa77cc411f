"""The port a server listens on, by its code."""

from __future__ import annotations

import re

from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit

_SOURCES = (
    ".py",
    ".js",
    ".mjs",
    ".cjs",
    ".ts",
    ".mts",
    ".go",
    ".rs",
    ".rb",
    ".java",
    ".kt",
    ".properties",
    ".yml",
    ".yaml",
    ".exs",
)
# The default beside a PORT variable says most; then a literal where the server starts.
_DEFAULTS = re.compile(
    r"\bPORT[\"'\])}]*\s{0,3}(?:\|\||\?\?|,|or|:)\s{0,3}[\"'(]{0,2}:?(\d{4,5})\b|\bPORT:-(\d{4,5})\b|\$\{PORT:(\d{4,5})\}"
)
_LITERALS = re.compile(
    r"\.listen\(\s*\{?\s*(?:port:\s*)?(\d{4,5})\b|uvicorn\.run\([^)]{0,200}?port\s*=\s*(\d{4,5})|\bapp\.run\([^)]{0,200}?port\s*=\s*(\d{4,5})|"
    r"ListenAndServe\(\s*\"[\w.]*:(\d{4,5})|\.(?:Run|Start|Listen)\(\s*\"[\w.]*:(\d{4,5})|^server\.port\s*[=:]\s*(\d{4,5})|"
    r"\bbind\(\s*\(?\"[\d.]+[:\"],?\s*(\d{4,5})|TcpListener::bind\(\s*\"[\d.]+:(\d{4,5})",
    re.MULTILINE,
)
_READS_PORT = re.compile(r"\bPORT\b|server\.port|ASPNETCORE_URLS")


def port_in_code(folder: Folder) -> int | None:
    """The default port the code names, None where it names none."""
    for pattern in (_DEFAULTS, _LITERALS):
        for _, source in folder.sources(*_SOURCES):
            for found in pattern.finditer(source):
                number = int(next(group for group in found.groups() if group))
                if 0 < number < 65536:
                    return number
    return None


def fixed_port(folder: Folder, unit: DeployUnit) -> bool:
    """Whether the code listens on a literal port and nothing lets the platform choose another."""
    if "$PORT" in (unit.start or "") or "PORT" in unit.env:
        return False
    sources = [source for _, source in folder.sources(*_SOURCES)]
    return any(_LITERALS.search(source) for source in sources) and not any(_READS_PORT.search(s) for s in sources)
