"""FastAPI: a health router, request metrics and JSON logs, wired where the application is made."""

from __future__ import annotations

from tools.devops.instrument.python_handles import KINDS, find_handles
from tools.devops.instrument.python_templates import import_block, values_for
from tools.devops.instrument.python_wiring import Wiring, find_app
from tools.devops.instrument.source import Unit, render_app
from tools.devops.instrument.types import Draft, Handle

_APP = ("fastapi.FastAPI", "fastapi.applications.FastAPI")
_SETUP = ("add_middleware", "add_exception_handler")
_ASGI = "from starlette.types import ASGIApp, Message, Receive, Scope, Send"
_METRICS = (
    "from bisect import bisect_left",
    "from threading import Lock",
    "from time import perf_counter",
    "from fastapi import APIRouter, Response",
    _ASGI,
)
_LOGGING = (
    "from __future__ import annotations",
    "import json",
    "import logging",
    "import os",
    "import re",
    "import sys",
    "from contextvars import ContextVar",
    "from datetime import datetime, timezone",
    "from typing import Any",
    "from uuid import uuid4",
    _ASGI,
)
_HEALTH = (
    "from datetime import datetime, timezone",
    "from fastapi import APIRouter",
    "from fastapi.responses import JSONResponse",
)
_CHECKED = (
    "import asyncio",
    "import logging",
    "from collections.abc import Coroutine",
    "from typing import Any",
)


def plan(unit: Unit) -> Draft:
    draft = Draft()
    wiring = find_app(unit, _APP)
    if wiring is None:
        draft.unsupported.append(
            f"{', '.join(unit.subjects)}: no statement such as `app = FastAPI()` on a line of its own was found. "
            "Give the application a name at module level or in a factory, then try again."
        )
        return draft
    if {"health", "liveness"} & set(unit.subjects):
        _health(wiring, draft)
    if "metrics" in unit.subjects:
        module = wiring.new_module("metrics", "request_metrics")
        draft.new[module] = _rendered(wiring, "fastapi_metrics", imports=import_block(_METRICS))
        wiring.use(module, "MetricsMiddleware", "metrics_router")
        wiring.wrappers.append(f"{wiring.app.name}.add_middleware(MetricsMiddleware)")
        wiring.lines.append(f"{wiring.app.name}.include_router(metrics_router)")
        draft.added.append("metrics")
    if "json_logs" in unit.subjects:
        module = wiring.new_module("json_logging", "json_logs")
        draft.new[module] = _rendered(wiring, "fastapi_json_logging", imports=import_block(_LOGGING))
        wiring.use(module, "RequestIdMiddleware", "configure_logging")
        wiring.first.append("configure_logging()")
        wiring.wrappers.append(f"{wiring.app.name}.add_middleware(RequestIdMiddleware)")
        draft.added.append("json_logs")
    draft.edited[wiring.path] = wiring.result(_SETUP)
    return draft


def _health(wiring: Wiring, draft: Draft) -> None:
    handles: list[Handle] = []
    notes: list[str] = []
    if "health" in wiring.unit.subjects:
        handles, notes = find_handles(wiring.unit, wiring.modules, wiring.path, wiring.file, wiring.app)
    draft.notes += notes
    given = [wiring.name_of(handle) for handle in handles if handle.file]
    blocking = any(not KINDS[handle.kind].is_async for handle in handles)
    imports = [*_HEALTH, *(_CHECKED if handles else ())]
    if blocking:
        imports += ["from collections.abc import Callable", "from concurrent.futures import ThreadPoolExecutor"]
    module = wiring.new_module("health", "health_routes", "probes")
    draft.new[module] = _rendered(
        wiring,
        "fastapi_health",
        liveness="liveness" in wiring.unit.subjects,
        health="health" in wiring.unit.subjects,
        threads=blocking,
        **values_for(handles, imports),
    )
    wiring.use(module, "health_router")
    wiring.lines.append(f"{wiring.app.name}.include_router(health_router({', '.join(given)}))")
    draft.added += [subject for subject in ("health", "liveness") if subject in wiring.unit.subjects]


def _rendered(wiring: Wiring, template: str, **values: object) -> str:
    return render_app(f"python/{template}.py.j2", values, wiring.file.edits.newline)
