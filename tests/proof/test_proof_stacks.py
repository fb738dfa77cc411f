"""Small applications of other stacks: the eight steps write a Dockerfile, it is built, and the image answers."""

from __future__ import annotations

import http.client
import json
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proof.images import ImageStore
from tests.proof.projects import Program
from tests.proof.services import free_port, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("buildah", "debootstrap", "crun"),
    pytest.mark.timeout(900),
]

FASTAPI = """\
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def root() -> dict[str, str]:
    return {"hello": "world"}
"""
FLASK = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def root():
    return {"hello": "world"}
"""
EXPRESS = """\
const express = require("express");

const app = express();
app.get("/", (_request, response) => response.json({ hello: "world" }));
app.listen(process.env.PORT || 3000);
"""
TYPED = """\
import express from "express";

const app = express();
app.get("/", (_request, response) => {
  response.json({ hello: "world" });
});
app.listen(Number(process.env.PORT ?? 3000));
"""


# The simple index by its address: not every mirror has the JSON interface that poetry asks for by default.
POETRY = (
    "[tool.poetry]",
    "package-mode = false",
    "[[tool.poetry.source]]",
    'name = "index"',
    'url = "https://pypi.org/simple/"',
    'priority = "primary"',
)


def package(manager: str = "", **scripts: str) -> str:
    """A package.json of an Express application."""
    manifest = {
        "name": "sample",
        "version": "1.0.0",
        "private": True,
        "scripts": {"start": "node server.js", **scripts},
        "dependencies": {"express": "5.2.1"},
    }
    if "build" in scripts:
        manifest["devDependencies"] = {"typescript": "5.9.3", "@types/express": "5.0.6", "@types/node": "24.10.1"}
    return json.dumps(manifest | ({"packageManager": manager} if manager else {}), indent=2)


def pyproject(*extra: str) -> str:
    """A pyproject.toml of a FastAPI application."""
    lines = [
        "[project]",
        'name = "sample"',
        'version = "1.0.0"',
        'requires-python = ">=3.12"',
        'dependencies = ["fastapi>=0.116", "uvicorn>=0.35"]',
        *extra,
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Sample:
    """A project without lock file; `lock` makes it, in a container of `base`."""

    base: str
    files: Mapping[str, str]
    lock: str = "true"


SAMPLES = {
    "pip": Sample("python:3-slim", {"main.py": FASTAPI, "requirements.txt": "fastapi>=0.116\nuvicorn>=0.35\n"}),
    "flask": Sample("python:3-slim", {"app.py": FLASK, "requirements.txt": "flask>=3.1\ngunicorn>=23\n"}),
    "uv": Sample("python:3-slim", {"main.py": FASTAPI, "pyproject.toml": pyproject()}, "pip install -q uv && uv lock"),
    "poetry": Sample(
        "python:3-slim",
        {"main.py": FASTAPI, "pyproject.toml": pyproject(*POETRY)},
        "python -m venv /tmp/tool && /tmp/tool/bin/pip install -q poetry && /tmp/tool/bin/poetry lock",
    ),
    "npm": Sample("node:slim", {"server.js": EXPRESS, "package.json": package()}, "npm install --package-lock-only"),
    "pnpm": Sample(
        "node:slim",
        {"server.js": EXPRESS, "package.json": package("pnpm@10.24.0")},
        "npx --yes pnpm@10.24.0 install --lockfile-only",
    ),
    "typescript": Sample(
        "node:slim",
        {
            "src/server.ts": TYPED,
            "package.json": package(build="tsc", start="node dist/server.js"),
            "tsconfig.json": '{"compilerOptions": {"module": "commonjs", "target": "es2022", "outDir": "dist", '
            '"rootDir": "src", "esModuleInterop": true, "strict": true, "skipLibCheck": true}, "include": ["src"]}',
        },
        "npm install --package-lock-only",
    ),
}


def make(sample: Sample, root: Path, images: ImageStore) -> Path:
    """The project on disk, locked."""
    for name, text in sample.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with images.workshop(sample.base, root) as container:
        container.run("sh", "-ec", sample.lock)
        made = Path(images.buildah("mount", container.name).strip()) / "src"
        for path in made.iterdir():
            if path.name not in sample.files and "lock" in path.name:
                shutil.copyfile(path, root / path.name)
    return root


def status(port: int, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


@pytest.mark.parametrize("name", SAMPLES)
def test_the_image_is_healthy_answers_and_ends_on_sigterm(
    name: str, images: ImageStore, program: Program, tmp_path: Path
) -> None:
    root = make(SAMPLES[name], tmp_path / "sample", images)
    program.run(root, "--yes").expect(0)
    image = images.build(root, f"proof-sample-{name}:test")
    try:
        assert image.config["User"] == "10001"
        port = free_port()
        with image.container() as container, container.serve(tmp_path / "log", PORT=str(port)) as server:
            wait_until(lambda: container.health(PORT=str(port)), f"{name}: the health check")
            assert [status(port, path) for path in ("/", "/health", "/livez")] == [200, 200, 200]
            assert server.users == {10001}
            server.terminate()
            server.process.wait(15)
            assert server.own == []
    finally:
        image.remove()
