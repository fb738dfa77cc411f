"""Environments with the real frameworks, made once and kept in `.cache`, and the services applications need."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.proof.services import PostgreSQL, Redis, postgres_and_redis, require

_CACHE = Path(__file__).parents[2] / ".cache" / "instrument"
_PYTHON = (
    "fastapi==0.165.0",
    "uvicorn==0.54.0",
    "sqlalchemy[asyncio]==2.1.9",
    "asyncpg==0.32.0",
    "redis==8.1.0",
    "pydantic-settings==2.16.3",
    "psycopg[binary]==3.3.9",
    "flask==3.1.3",
    "flask-sqlalchemy==3.1.1",
    "django==5.2.19",
    "gunicorn==27.0.1",
    "httpx==0.28.1",
    "pytest==9.2.0",
)
_NODE = {
    "express": "5.3.0",
    "pg": "8.23.1",
    "ioredis": "6.0.0",
    "redis": "6.3.1",
    "@nestjs/common": "12.5.1",
    "@nestjs/core": "12.5.1",
    "@nestjs/platform-express": "12.5.1",
    "reflect-metadata": "0.2.2",
    "rxjs": "7.8.2",
    "next": "16.4.6",
    "react": "19.3.1",
    "react-dom": "19.3.1",
    "typescript": "5.9.3",
    "@types/express": "5.0.6",
    "@types/node": "26.6.6",
    "@types/pg": "8.23.1",
    "@types/react": "19.3.0",
}


@pytest.fixture(scope="session")
def services() -> Iterator[tuple[PostgreSQL, Redis]]:
    with postgres_and_redis() as both:
        yield both


@pytest.fixture(scope="session")
def python_programs() -> Path:
    """The `bin` of a virtual environment with the Python frameworks."""

    def build(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *_PYTHON], check=True)

    return _made("python", "\n".join(_PYTHON), build) / "bin"


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """A `node_modules` with the Node frameworks."""
    npm = require("npm")

    def build(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"name": "frameworks", "dependencies": _NODE}))
        subprocess.run([npm, "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)

    return _made("node", json.dumps(_NODE), build) / "node_modules"


def _made(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder, built when it is absent or was built from something else. One process builds, others wait."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    folder, stamp = _CACHE / name, _CACHE / f"{name}.txt"
    with (_CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != key:
            build(folder)
            stamp.write_text(key)
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Writes files, byte for byte, into an empty folder named `shop` and returns it."""

    def write(files: Mapping[str, str]) -> Path:
        shutil.rmtree(tmp_path / "shop", ignore_errors=True)
        for name, content in files.items():
            path = tmp_path / "shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode())
        return tmp_path / "shop"

    return write
