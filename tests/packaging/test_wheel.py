"""The built wheel, installed in an empty environment, used from a directory with packages of the same names."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_carries_the_knowledge(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "tools/_data/AGENT.md" in names
    for folder in ("prompts/workflow/", "prompts/siblings/", "skills/do-platform-railway/", "examples/repair-api/"):
        assert any(name.startswith(f"tools/_data/{folder}") for name in names), folder
    data = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("agent/**/*.yaml")}
    assert data <= names
    assert not [name for name in names if "__pycache__" in name or "node_modules" in name]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_works_from_a_directory_with_its_own_agent_and_tools(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", str(wheel)], check=True)
    project = tmp_path / "project"
    for name in ("agent", "tools"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    (project / "requirements.txt").write_text("flask\ngunicorn\n")
    (project / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    program = venv / "bin" / "expert-devops"
    for arguments in (["--version"], ["skills", "--json"], ["detect", "."], ["run", "--yes", "--model", "playbook"]):
        done = subprocess.run([str(program), *arguments], cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stderr)
    assert (project / "Dockerfile").is_file()
