"""Where configuration is looked for, and how far the project in it is believed.

Believed in steps. *Untrusted*: nothing of the project that executes, redirects or loosens is used. *Vouched*: a host
that passes setting sources has said that it wants them; allow rules and further directories still need trust, as
documented for headless runs. *Trusted*: a person has trusted this very directory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["managed", "flag", "local", "project", "user", "built-in"]

SOURCES = ("user", "project", "local")
"""What `--setting-sources` may name."""


class SettingsError(ValueError):
    """What was passed on the command line cannot be used. The message says what to change."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """`user` is `~/.claude` or `$CLAUDE_CONFIG_DIR`; `managed` the organisation's directory; both may be absent.

    `trusted` says whether a person trusts a directory (a trust store's `is_trusted`). `directories` are `--add-dir`'s.
    """

    cwd: Path
    home: Path
    user: Path
    managed: Path
    sources: frozenset[str] = frozenset(SOURCES)
    vouched: bool = False
    trusted: Callable[[Path], bool] = lambda _directory: False
    directories: tuple[Path, ...] = ()

    @classmethod
    def find(
        cls,
        cwd: Path,
        *,
        setting_sources: str | None = None,
        trusted: Callable[[Path], bool] = lambda _directory: False,
        directories: Iterable[Path | str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Places:
        """The usual places. `setting_sources` is the flag's value: a comma list, empty for none, None when not given.

        Raises `SettingsError` for a source that does not exist.
        """
        env = os.environ if env is None else env
        home = Path(env.get("HOME") or Path.home())
        named = {name.strip() for name in (setting_sources or "").split(",")} - {""}
        if unknown := named - set(SOURCES):
            raise SettingsError(f"Unknown setting source {sorted(unknown)[0]!r}. Use {', '.join(SOURCES)}.")
        cwd = cwd.resolve()
        return cls(
            cwd=cwd,
            home=home,
            user=Path(env.get("CLAUDE_CONFIG_DIR") or home / ".claude"),
            managed=_managed_directory(),
            sources=frozenset(SOURCES if setting_sources is None else named),
            vouched=setting_sources is not None,
            trusted=trusted,
            directories=tuple((cwd / Path(directory).expanduser()).resolve() for directory in directories),
        )

    def believes(self, directory: Path) -> bool:
        """Whether what a directory's files bring in may be used."""
        return self.vouched or self.trusted(directory)

    @property
    def project(self) -> tuple[Path, ...]:
        """The working directory and those above it, up to the repository's root; nearest first.

        The home directory is no project: its `.claude` holds the user's own files.
        """
        root = next((path for path in (self.cwd, *self.cwd.parents) if (path / ".git").exists()), self.cwd)
        above = (path for path in (self.cwd, *self.cwd.parents) if path.is_relative_to(root))
        users = os.path.realpath(self.user)
        return tuple(path for path in above if os.path.realpath(path / ".claude") != users)


def _managed_directory() -> Path:
    """Claude Code's documented places, August 2026."""
    if sys.platform == "darwin":
        return Path("/Library/Application Support/ClaudeCode")
    return Path("C:/Program Files/ClaudeCode" if os.name == "nt" else "/etc/claude-code")
