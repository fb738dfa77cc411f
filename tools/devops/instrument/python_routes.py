"""What FastAPI and Flask have in common: a factory for health routes, a router of metrics, JSON logs from the start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.devops.instrument.necessity import notes_on
from tools.devops.instrument.python_handles import find_handles
from tools.devops.instrument.python_templates import LOGGING, METRICS, health_values, import_block
from tools.devops.instrument.python_tests import FASTAPI, Added, Client, add_tests
from tools.devops.instrument.python_wiring import Wiring, find_app
from tools.devops.instrument.source import Unit, render_app
from tools.devops.instrument.types import Draft, Handle


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework's words. `register` mounts routes; `wrap_metrics` and `wrap_logs` are calls with `{app}` in them;
    `guards` are patterns of code that sees every request, with what a reader must know of it.
    """

    name: str
    makers: tuple[str, ...]
    awaits: bool
    register: str
    routes: str
    wrap_metrics: str
    wrap_logs: str
    client: Client = FASTAPI
    guards: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    health_imports: tuple[str, ...] = ()
    metrics_imports: tuple[str, ...] = ()
    logging_imports: tuple[str, ...] = ()


def plan_routes(framework: Framework, unit: Unit) -> Draft:
    """New modules beside the application and the lines that wire them."""
    draft = Draft()
    wiring = find_app(unit, framework.makers)
    if wiring is None:
        made = framework.makers[0].rpartition(".")[2]
        draft.unsupported.append(
            f"{', '.join(unit.subjects)}: no statement such as `app = {made}(...)` on lines of its own was found. "
            "Give the application a name at module level or in a factory, then try again."
        )
        return draft
    added = Added()
    if {"health", "liveness"} & set(unit.subjects):
        _health(framework, wiring, draft, added)
    if "metrics" in unit.subjects:
        imports = import_block([*METRICS, *framework.metrics_imports])
        module = _written(framework, wiring, draft, "metrics", ("metrics", "request_metrics"), {"imports": imports})
        added.modules["metrics"] = module
        wiring.use(module, *sorted([_called(framework.wrap_metrics), f"metrics_{framework.routes}"]))
        wiring.wrappers.append(framework.wrap_metrics.format(app=wiring.app.name))
        wiring.lines.append(f"{wiring.app.name}.{framework.register}(metrics_{framework.routes})")
        draft.added.append("metrics")
    if "json_logs" in unit.subjects:
        imports = import_block([*LOGGING, "import sys", *framework.logging_imports])
        values = {"imports": imports}
        module = _written(framework, wiring, draft, "json_logging", ("json_logging", "json_logs"), values)
        added.modules["json_logging"] = module
        wiring.use(module, *sorted([_called(framework.wrap_logs), "configure_logging"]))
        wiring.first.append("configure_logging()")
        wiring.wrappers.append(framework.wrap_logs.format(app=wiring.app.name))
        draft.added.append("json_logs")
    draft.edited[wiring.path] = wiring.result(framework.setup)
    sources = [text for _name, text in unit.folder.sources(".py")]
    seen_by = [what for guard, what in framework.guards.items() if any(re.search(guard, text) for text in sources)]
    draft.notes += [f"{what}: let /health, /livez and /metrics through." for what in seen_by]
    if wiring.app.at_module_level and not seen_by:
        added.app = (wiring.path, wiring.app.name)
    add_tests(unit, wiring.modules, draft, added, framework.client, wiring.file.edits.newline)
    return draft


def _called(call: str) -> str:
    """The name a wrapping call needs: `X` of `app.add_middleware(X)`, `f` of `f(app)`."""
    head, _, argument = call.removesuffix(")").partition("(")
    return head if argument == "{app}" else argument


def _health(framework: Framework, wiring: Wiring, draft: Draft, added: Added) -> None:
    handles: list[Handle] = []
    if "health" in wiring.unit.subjects:
        handles, notes = find_handles(
            wiring.unit, wiring.modules, wiring.path, wiring.file, wiring.app, awaits=framework.awaits
        )
        draft.notes += [*notes, *notes_on(wiring.unit.optional, [handle.role for handle in handles])]
    given = [wiring.name_of(handle) for handle in handles if handle.is_given]
    values = health_values(handles, framework.health_imports, wiring.unit, awaits=framework.awaits)
    module = _written(framework, wiring, draft, "health", ("health", "health_routes", "probes"), values)
    added.modules["health"], added.handles = module, handles
    factory = f"health_{framework.routes}"
    wiring.use(module, factory)
    wiring.lines.append(f"{wiring.app.name}.{framework.register}({factory}({', '.join(given)}))")
    draft.added += [subject for subject in ("health", "liveness") if subject in wiring.unit.subjects]


def _written(
    framework: Framework,
    wiring: Wiring,
    draft: Draft,
    template: str,
    stems: tuple[str, ...],
    values: Mapping[str, object],
) -> str:
    module = wiring.new_module(*stems)
    name = f"python/{framework.name}_{template}.py.j2"
    draft.new[module] = render_app(name, values, wiring.file.edits.newline)
    return module
