"""The installed program with a home of its own, and the image store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.proof.images import ImageStore
from tests.proof.projects import ROOT, Program


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
