"""A GitHub server for the whole session, and a repository of its own for every test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.github.server import TOKEN, GitHubServer
from tools.github import GitHubSettings
from tools.tool import ToolContext

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def _github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubServer]:
    server = GitHubServer(tmp_path_factory.mktemp("github"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def github(_github: GitHubServer) -> Iterator[GitHubServer]:
    """The server, with nothing recorded yet. Every write of the test must have had a valid body."""
    _github.reset()
    yield _github
    _github.silence.set()
    assert _github.problems == []


@pytest.fixture
def repo(github: GitHubServer) -> str:
    """The name of a fresh repository of octocat's with a README."""
    name = f"demo-{next(_numbers)}"
    github.api("POST", "/user/repos", {"name": name, "auto_init": True})
    return name


@pytest.fixture
def connect(github: GitHubServer, tmp_path: Path) -> Callable[..., ToolContext]:
    """Makes a context bound to the given repositories (`owner/name`), without pauses between requests."""

    def made(*repositories: str, **settings: Any) -> ToolContext:
        ctx = ToolContext.at(tmp_path)
        values: dict[str, Any] = {"token": TOKEN, "api_url": github.url, "pauses": (0, 0), "timeout": 5}
        ctx.state["github"] = GitHubSettings(repositories=frozenset(repositories), **values | settings)
        return ctx

    return made


@pytest.fixture
def ctx(connect: Callable[..., ToolContext], repo: str) -> ToolContext:
    """A context bound to the test's own repository."""
    return connect(f"octocat/{repo}")


@pytest.fixture
def in_environment(github: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server and a token in the environment, without pauses between requests."""
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    as_configured = GitHubSettings.from_environment
    unpaced = lambda env: replace(as_configured(env), pauses=(0, 0))  # noqa: E731
    monkeypatch.setattr(GitHubSettings, "from_environment", unpaced)
