"""The installed program with a home of its own, and the image store."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.proof.images import ImageStore
from tests.proof.projects import ROOT, Finished, Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    home = tmp_path / "home"
    home.mkdir()
    return Program(home)


@pytest.fixture(scope="session")
def images() -> ImageStore:
    if os.geteuid() != 0:
        pytest.skip("building images without an engine needs root")
    return ImageStore(ROOT / ".cache" / "proof")


@pytest.fixture(scope="session")
def finished_examples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Finished]:
    """Each example after one run. The tests that share it only read, or work on copies."""
    return cache(lambda example: Finished.of(example, tmp_path_factory.mktemp(example)))
