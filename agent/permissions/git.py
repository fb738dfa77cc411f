"""Whether a git command that only reads is harmless here: a repository's own settings can name programs to run.

Measured with git 2.39: `core.fsmonitor`, `diff.external`, text converters and filters from a repository's
configuration run on `git status`, `git diff` and `git log -p`. The configuration is read as a text, git itself is
not called.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

_MAX_CONFIG = 65_536
_RUNS = re.compile(
    r"(?im)^\s*(?:fsmonitor|hookspath|pager|editor|sshcommand|gitproxy|external|textconv|clean|smudge|process|askpass|command|"
    r"sequence|program|helper|driver|alternaterefscommand|uploadpack|receivepack|attributesfile|worktree)\s*(?:=|$)|"
    r"^\s*\[\s*(?:alias|pager|filter|include|includeif)\b"
)
_HARMLESS_FSMONITOR = re.compile(r"(?im)^\s*fsmonitor\s*=\s*(?:true|false|0|1)\s*$")


def repository_danger(cwd: str | Path) -> str | None:
    """What makes read-only git unsafe in `cwd`, or None. No repository at all is safe."""
    directory = Path(cwd)
    for candidate in (directory, *directory.parents):
        if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir() and (candidate / "refs").is_dir():
            return "a bare repository"
        git = candidate / ".git"
        try:
            kind = git.lstat().st_mode
        except OSError:
            continue
        return _config_danger(git) if stat.S_ISDIR(kind) else ".git is a file or link"
    return None


def _config_danger(git: Path) -> str | None:
    for name in ("config", "config.worktree"):
        file = git / name
        if not file.exists():
            continue
        try:
            with file.open("rb") as handle:
                text = handle.read(_MAX_CONFIG + 1).decode(errors="replace")
        except OSError:
            return f"{name} cannot be read"
        if len(text) > _MAX_CONFIG:
            return f"{name} is too long"
        if found := _RUNS.search(_HARMLESS_FSMONITOR.sub("", text.replace("\\\n", ""))):
            return found[0].strip()
    return None
