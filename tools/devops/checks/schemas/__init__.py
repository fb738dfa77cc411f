"""JSON schemas: our own, written from vendors' field tables, and those that ship with check-jsonschema."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def own(name: str) -> Any:
    """Our schema `<name>.schema.json`."""
    return json.loads(files(__name__).joinpath(f"{name}.schema.json").read_text(encoding="utf-8"))


@cache
def vendored(name: str) -> Any:
    """The published schema `<name>.json` from check-jsonschema's package data."""
    folder = files("check_jsonschema").joinpath("builtin_schemas", "vendor")
    return json.loads(folder.joinpath(f"{name}.json").read_text(encoding="utf-8"))
