"""Rules for every test: programs a test needs, and a home of its own."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agent.testing import block_network

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")  # how long an example takes there says nothing about the code

_PATH = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
"""Linters installed as Python packages lie beside the interpreter; the product looks there too."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip visibly where a needed program is absent; in CI that is a failure, since CI installs everything."""
    for mark in item.iter_markers("needs"):
        absent = [program for program in mark.args if shutil.which(program, path=_PATH) is None]
        if absent:
            report = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            report(f"needs {', '.join(absent)} on PATH")


_FOREIGN = ("ANTHROPIC_", "CLAUDE_", "EXPERT_DEVOPS_", "GITHUB_", "GH_", "AWS_", "API_TIMEOUT_MS")


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    """An accidental call to a real service fails the test; loopback is open."""
    with block_network():
        yield


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's home, settings or keys."""
    home: Path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
