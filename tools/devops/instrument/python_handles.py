"""The application's own engine and cache client, found in its code, and how each kind is asked whether it is there."""

from __future__ import annotations

from dataclasses import dataclass

from tools.devops.instrument.python_code import Made, PythonFile, made
from tools.devops.instrument.python_modules import Modules, open_python
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Handle


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of handle: the calls that make one, its type, the imports its question needs, whether it is awaited."""

    role: str
    makers: tuple[str, ...]
    imports: tuple[str, ...]
    type: str = ""
    is_async: bool = False


_TEXT = "from sqlalchemy import text"
_ASYNC_REDIS = "from redis.asyncio import Redis"
_REDIS = "from redis import Redis"

KINDS: dict[str, Kind] = {
    "async_engine": Kind(
        "database",
        ("sqlalchemy.ext.asyncio.create_async_engine",),
        (_TEXT, "from sqlalchemy.ext.asyncio import AsyncEngine"),
        "AsyncEngine",
        is_async=True,
    ),
    "engine": Kind(
        "database",
        ("sqlalchemy.create_engine", "sqlalchemy.engine.create_engine", "sqlmodel.create_engine"),
        (_TEXT, "from sqlalchemy.engine import Engine"),
        "Engine",
    ),
    "flask_sqlalchemy": Kind(
        "database",
        ("flask_sqlalchemy.SQLAlchemy",),
        (_TEXT, "from sqlalchemy.engine import Engine", "from flask_sqlalchemy import SQLAlchemy"),
        "SQLAlchemy",
    ),
    "async_pool": Kind(
        "database",
        ("psycopg_pool.AsyncConnectionPool",),
        ("from psycopg_pool import AsyncConnectionPool",),
        "AsyncConnectionPool",
        is_async=True,
    ),
    "pool": Kind(
        "database", ("psycopg_pool.ConnectionPool",), ("from psycopg_pool import ConnectionPool",), "ConnectionPool"
    ),
    "databases": Kind(
        "database", ("databases.Database",), ("from databases import Database",), "Database", is_async=True
    ),
    "async_mongo": Kind(
        "database",
        ("pymongo.AsyncMongoClient",),
        ("from pymongo import AsyncMongoClient",),
        "AsyncMongoClient[dict[str, Any]]",
        is_async=True,
    ),
    "motor": Kind(
        "database",
        ("motor.motor_asyncio.AsyncIOMotorClient",),
        ("from motor.motor_asyncio import AsyncIOMotorClient",),
        "AsyncIOMotorClient",
        is_async=True,
    ),
    "mongo": Kind(
        "database", ("pymongo.MongoClient",), ("from pymongo import MongoClient",), "MongoClient[dict[str, Any]]"
    ),
    "async_redis": Kind(
        "cache",
        ("redis.asyncio.Redis", "redis.asyncio.Redis.from_url", "redis.asyncio.from_url", "redis.asyncio.StrictRedis"),
        (_ASYNC_REDIS,),
        "Redis",
        is_async=True,
    ),
    "redis": Kind(
        "cache",
        ("redis.Redis", "redis.Redis.from_url", "redis.from_url", "redis.StrictRedis", "redis.StrictRedis.from_url"),
        (_REDIS,),
        "Redis",
    ),
    "django": Kind("database", (), ("from django.db import connection",)),
    "django_cache": Kind("cache", (), ("from django.core.cache import cache",)),
    "own_asyncpg": Kind("database", (), ("import asyncpg",), is_async=True),
    "own_psycopg": Kind("database", (), ("import psycopg",)),
    "own_psycopg2": Kind("database", (), ("import psycopg2",)),
    "own_redis": Kind("cache", (), (_ASYNC_REDIS,), is_async=True),
    "own_sync_redis": Kind("cache", (), (_REDIS,)),
}
_MAKERS = {maker: kind for kind, facts in KINDS.items() for maker in facts.makers}
_USUAL = ("engine", "db", "database", "cache", "redis", "redis_client", "client", "pool")

# driver among the dependencies -> kind that opens a connection of its own; the first one counts
_DRIVERS = {
    "database": (
        ("asyncpg", "own_asyncpg"),
        ("psycopg", "own_psycopg"),
        ("psycopg2", "own_psycopg2"),
        ("psycopg2-binary", "own_psycopg2"),
    ),
    "cache": (("redis", "own_redis"), ("redis", "own_sync_redis")),
}
ADDRESSES = {
    "database": ("DATABASE_URL", "POSTGRES_URL", "DB_URL", "DATABASE_URI", "POSTGRES_DSN", "SQLALCHEMY_DATABASE_URI"),
    "cache": ("REDIS_URL", "CACHE_URL", "REDIS_URI", "REDIS_DSN"),
}
SERVICES = {
    "database": frozenset({"postgres", "mysql", "mssql", "mongodb"}),
    "cache": frozenset({"redis"}),
}


def find_handles(
    unit: Unit, modules: Modules, entry: str, file: PythonFile, app: Made, *, awaits: bool
) -> tuple[list[Handle], list[str]]:
    """What `/health` asks: at most one database and one cache, with notes on what was chosen or left out.

    `awaits` says whether the application can await; if not, only handles that need no event loop count.
    """
    found = [*_in_entry(entry, file, app), *_elsewhere(modules, entry)]
    usable = [handle for handle in found if awaits or not KINDS[handle.kind].is_async]
    handles: list[Handle] = []
    notes: list[str] = []
    for role, services in SERVICES.items():
        own = sorted((handle for handle in usable if handle.role == role), key=_rank)
        wanted = sorted(services & set(unit.facts.services))
        if own:
            handles.append(own[0])
            if others := [f"{one.name} ({one.file}:{one.line})" for one in own[1:]]:
                notes.append(f"/health asks {own[0].name} ({own[0].file}); not asked: {', '.join(others)}.")
        elif wanted:
            handle = own_connection(unit, role, awaits=awaits)
            handles += [handle] if handle else []
            notes.append(substitute(role, wanted, handle))
    return handles, notes


def _rank(handle: Handle) -> tuple[int, int, str]:
    usual = _USUAL.index(handle.name) if handle.name in _USUAL else len(_USUAL)
    return usual, handle.file.count("/"), handle.file


def _in_entry(entry: str, file: PythonFile, app: Made) -> list[Handle]:
    """Handles the application's own file makes where the application can use them."""
    return [
        _handle(one, entry)
        for one in made(file)
        if one.callee in _MAKERS and one.node is not app.node and (one.at_module_level or one.body is app.body)
    ]


def _elsewhere(modules: Modules, entry: str) -> list[Handle]:
    found = []
    for name in modules.files:
        file = open_python(modules.unit, name) if name != entry and _mentions(modules.unit, name) else None
        if file and (modules.reaches(entry, name) or file.only_declares()):
            found += [_handle(one, name) for one in made(file) if one.at_module_level and one.callee in _MAKERS]
    return found


def _mentions(unit: Unit, name: str) -> bool:
    text = unit.folder.source(name)
    return any(maker.rsplit(".", 1)[-1] in text for maker in _MAKERS)


def _handle(one: Made, file: str) -> Handle:
    kind = _MAKERS[one.callee]
    return Handle(KINDS[kind].role, kind, one.name, file, one.node.lineno)


def own_connection(unit: Unit, role: str, *, awaits: bool) -> Handle | None:
    """A connection the check opens itself, when a driver is installed and the address has a variable."""
    fitting = [kind for package, kind in _DRIVERS[role] if unit.depends_on(package)]
    kind = next((kind for kind in fitting if awaits or not KINDS[kind].is_async), None)
    address = next((name for name in ADDRESSES[role] if name in unit.facts.env), None)
    return Handle(role, kind, address) if kind and address else None


def substitute(role: str, services: list[str], handle: Handle | None) -> str:
    """What a reader must know where the application's own client was not found."""
    what = f"{role} ({', '.join(services)})"
    if handle is None:
        return f"/health does not check the {what}: neither a client in the code nor a known driver was found. Add it."
    return f"No client for the {what} was found in the code; /health opens a short connection from {handle.name}."


def position_after(handles: list[Handle], entry: str, app: Made) -> int:
    """The index in the application's list of statements after which all handles of its own file exist."""
    index = app.body.index(app.node)
    lines = {handle.line for handle in handles if handle.file == entry}
    return max([index, *(number for number, node in enumerate(app.body) if node.lineno in lines)])
