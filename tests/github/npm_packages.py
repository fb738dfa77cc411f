"""What the tests take from npm, at fixed versions: a GitHub emulator, and the schemas GitHub publishes of its API."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

EMULATOR = "emulate@0.11.2"
OPENAPI = "@octokit/openapi@23.0.2"

CACHE = Path(__file__).parents[2] / ".cache" / "npm"
_DESCRIPTION = "package/generated/api.github.com.json"


def emulator_command() -> list[str]:
    """The emulator's program, installed on first use."""
    program = CACHE / "node_modules" / "emulate" / "dist" / "index.js"
    with _lock():
        if not program.exists():
            _npm("install", "--no-fund", "--no-audit", "--no-save", EMULATOR)
    return ["node", str(program)]


def body_schemas() -> dict[str, Any]:
    """JSON schemas of request bodies, by `METHOD /path/{template}`; None where a request has no body."""
    kept = CACHE / f"bodies-{OPENAPI.rpartition('@')[2]}.json"
    with _lock():
        if not kept.exists():
            kept.write_text(json.dumps(_reduced(_description())))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def _description() -> dict[str, Any]:
    """GitHub's OpenAPI description. Of the package's 385 MB only this one file is unpacked."""
    archive = CACHE / _npm("pack", "--silent", OPENAPI).strip().splitlines()[-1]
    with tarfile.open(archive) as tar:
        file = tar.extractfile(_DESCRIPTION)
        assert file is not None
        description: dict[str, Any] = json.load(file)
    archive.unlink()
    return description


def _reduced(description: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, verbs in description["paths"].items():
        if not path.startswith("/repos/{owner}/{repo}"):
            continue
        for verb in {"post", "put", "patch", "delete"} & set(verbs):
            content = verbs[verb].get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            found[f"{verb.upper()} {path}"] = None if schema is None else _as_json_schema(schema, description)
    return found


def _as_json_schema(node: Any, description: dict[str, Any]) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema: references resolved, `nullable` spelled out, unknown fields refused."""
    if isinstance(node, list):
        return [_as_json_schema(item, description) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target: Any = description
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        return _as_json_schema(target, description)
    dropped = {"nullable", "example", "examples", "description", "x-multi-segment"}
    schema = {key: _as_json_schema(value, description) for key, value in node.items() if key not in dropped}
    # A property may itself be called `description`: the names under `properties` are no keywords.
    if isinstance(node.get("properties"), dict):
        schema["properties"] = {k: _as_json_schema(v, description) for k, v in node["properties"].items()}
        if not {"oneOf", "anyOf", "allOf"} & set(node):
            schema.setdefault("additionalProperties", False)
    return {"anyOf": [schema, {"type": "null"}]} if node.get("nullable") else schema


def _npm(*arguments: str) -> str:
    try:
        done = subprocess.run(["npm", *arguments], cwd=CACHE, capture_output=True, text=True, timeout=100, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        reason = f"npm {' '.join(arguments)} failed: {getattr(error, 'stderr', None) or error}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return done.stdout


@contextmanager
def _lock() -> Iterator[None]:
    """One test process installs, the others wait."""
    CACHE.mkdir(parents=True, exist_ok=True)
    (CACHE / "package.json").touch(exist_ok=True)
    if not (CACHE / "package.json").read_text():
        (CACHE / "package.json").write_text('{"private": true}\n')
    with (CACHE / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
