"""A home, an organisation's directory and a project to put configuration files into."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from agent.settings import Places


@dataclass
class World:
    """Writes files to the places configuration is read from."""

    root: Path

    def __post_init__(self) -> None:
        for directory in (self.cwd, self.user, self.managed):
            directory.mkdir(parents=True)
        (self.root / "repo" / ".git").mkdir()

    @property
    def repo(self) -> Path:
        return self.root / "repo"

    @property
    def cwd(self) -> Path:
        return self.root / "repo" / "app"

    @property
    def user(self) -> Path:
        return self.root / "home" / ".claude"

    @property
    def managed(self) -> Path:
        return self.root / "managed"

    def places(self, *, trusted: bool | Callable[[Path], bool] = False, **changes: Any) -> Places:
        """Places of this world; `trusted` for all of it, or by directory."""
        places = Places(
            cwd=self.cwd,
            home=self.user.parent,
            user=self.user,
            managed=self.managed,
            trusted=trusted if callable(trusted) else lambda _directory: bool(trusted),
        )
        return replace(places, **changes)

    def settings(self, level: str, value: Any) -> Path:
        """Write a settings file; `value` is text or JSON data."""
        path = {
            "user": self.user / "settings.json",
            "project": self.cwd / ".claude" / "settings.json",
            "local": self.cwd / ".claude" / "settings.local.json",
            "managed": self.managed / "managed-settings.json",
        }.get(level) or self.managed / "managed-settings.d" / level
        return self.write(path, value if isinstance(value, str) else json.dumps(value))

    @staticmethod
    def write(path: Path, content: str | bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        return path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path.resolve())
