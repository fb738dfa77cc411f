"""What a tool context leaves behind: nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tools.tool import ToolContext


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_context_without_a_scratch_directory_takes_its_own_with_it(temporary: Path) -> None:
    for _ in range(20):
        context = ToolContext.at(".")
        (context.scratch / "spilled").write_text("x")
        assert context.scratch.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == [context.scratch]
    del context
    assert list(temporary.iterdir()) == []


def test_a_scratch_directory_that_was_given_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    ToolContext(root=tmp_path, scratch=kept)
    assert kept.is_dir()


def test_nothing_is_left_when_the_program_ends(tmp_path: Path) -> None:
    code = "from tools.tool import ToolContext; kept = ToolContext.at('.'); (kept.scratch / 'x').write_text('x')"
    subprocess.run([sys.executable, "-c", code], check=True, env={"TMPDIR": str(tmp_path)}, timeout=30)
    assert list(tmp_path.iterdir()) == []
