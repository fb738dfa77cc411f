"""FastAPI: routers and ASGI middleware."""

from __future__ import annotations

from tools.devops.instrument.python_routes import Framework, plan_routes
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Draft

_ASGI = "from starlette.types import ASGIApp, Message, Receive, Scope, Send"
_FASTAPI = Framework(
    name="fastapi",
    makers=("fastapi.FastAPI", "fastapi.applications.FastAPI"),
    awaits=True,
    register="include_router",
    routes="router",
    wrap_metrics="{app}.add_middleware(MetricsMiddleware)",
    wrap_logs="{app}.add_middleware(RequestIdMiddleware)",
    guards={
        r"FastAPI\([^)]{0,2000}\bdependencies\s*=": "Its own dependencies are asked for every route",
        r"TrustedHostMiddleware": "TrustedHostMiddleware refuses probes that call by address",
    },
    setup=("add_middleware", "add_exception_handler"),
    health_imports=("from fastapi import APIRouter", "from fastapi.responses import JSONResponse"),
    metrics_imports=("from fastapi import APIRouter, Response", _ASGI),
    logging_imports=(_ASGI,),
)


def plan(unit: Unit) -> Draft:
    draft = plan_routes(_FASTAPI, unit)
    if "sigterm" in unit.subjects:
        draft.unsupported.append(
            "sigterm: the start command does not name its server. uvicorn and gunicorn finish running requests on "
            "SIGTERM by themselves when they are the container's first process: start one of them directly."
        )
    return draft
