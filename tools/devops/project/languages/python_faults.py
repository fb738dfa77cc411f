"""What keeps Python code from starting where it is deployed, though the project looks complete."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.project.languages.python_code import parse
from tools.devops.project.services import SQL
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit

_ASYNC_ENGINE = re.compile(r"\b(?:create_async_engine|async_engine_from_config)\(")
_NAMES_DRIVER = re.compile(r"\+(?:asyncpg|psycopg|aiomysql|asyncmy|aiosqlite|aioodbc)|\bdrivername\b|\bURL\.create\(")


def python_faults(folder: Folder, unit: DeployUnit) -> Iterator[str]:
    """Names of what is missing, as in `readiness.WHY`."""
    entry = unit.entry or ""
    if entry.endswith(".py") and (source := folder.source(entry)) and parse(source.removeprefix("\ufeff")) is None:
        yield "syntax"
    sources = [source for _, source in folder.sources(".py")] if SQL & set(unit.services) else []
    if any(map(_ASYNC_ENGINE.search, sources)) and not any(map(_NAMES_DRIVER.search, sources)):
        yield "database_driver"
