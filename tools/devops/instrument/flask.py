"""Flask: blueprints and request hooks."""

from __future__ import annotations

from tools.devops.instrument.python_routes import Framework, plan_routes
from tools.devops.instrument.python_tests import FLASK
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Draft

_FLASK = Framework(
    name="flask",
    makers=("flask.Flask", "flask.app.Flask"),
    awaits=False,
    register="register_blueprint",
    routes="blueprint",
    wrap_metrics="observe_requests({app})",
    wrap_logs="tag_requests({app})",
    client=FLASK,
    guards={r"\.before_request\b": "A before_request hook sees every request"},
    health_imports=("from flask import Blueprint",),
    metrics_imports=("from flask import Blueprint, Flask, Response, g, request",),
    logging_imports=("from flask import Flask, Response, request",),
)
GUNICORN = "gunicorn writes its own start and stop lines as plain text; set `logconfig_dict` in gunicorn.conf.py."
NEEDS_SERVER = (
    "sigterm: the development server cuts running requests. Start with gunicorn, which finishes them on SIGTERM "
    "by itself; add it to the dependencies."
)


def plan(unit: Unit) -> Draft:
    draft = plan_routes(_FLASK, unit)
    if "json_logs" in draft.added:
        draft.notes.append(GUNICORN)
    if "sigterm" in unit.subjects:
        draft.unsupported.append(NEEDS_SERVER)
    return draft
