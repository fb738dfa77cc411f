"""What production needs from the code, and whether the code has it: health, metrics, shutdown, logs, migrations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tools.devops.project.services import SQL
from tools.devops.project.tree import Folder, words
from tools.devops.types import DeployUnit, Missing

_HEALTH = (
    r"(?:healthz?|health[-_]?check|health/ready|health/readiness|readyz|ready|readiness|_health|ping|status|up|"
    r"heartbeat)"
)
_LIVE = r"(?:livez|liveness|live|alive|health/live(?:ness)?|healthz/live|health/liveness)"
_PREFIX = r"/?(?:[\w-]{1,30}/){0,3}"

# A route declaration with a literal path: what comes before the quote, in every framework's spelling.
_DECLARES = (
    r"(?:\.(?:get|route|add_route|all|use|add_api_route|add_url_rule|add_get|head|nest|service)|@(?:Get|Path|Route|RequestMapping|GetMapping|"
    r"HttpGet)|\bHandleFunc|\bHandle|\bMap(?:Get|HealthChecks)|\b(?:path|re_path|url|Route|resource|route)|\bget|Route::(?:get|view)|"
    r"\.GET|\.Get|#\[(?:get|route))"
)
_ROUTE = re.compile(
    rf"{_DECLARES}(?:\(|\s)\s*(?:value\s*=\s*|path\s*=\s*)?r?[\"']\^?(?:GET\s+)?({_PREFIX}(?:{_LIVE}|{_HEALTH}|metrics))/?\$?[\"']"
)
_URL_OBJECT = re.compile(rf"(?:url|pathname|path)\s*={{2,3}}\s*[\"'](/{_PREFIX[2:]}(?:{_LIVE}|{_HEALTH}|metrics))[\"']")
_LAST_LIVE = re.compile(rf"(?:^|/){_LIVE}$")
_FILE_ROUTES = (
    (re.compile(rf"^(?:src/)?app/((?:[\w-]+/){{0,3}}(?:{_LIVE}|{_HEALTH}))/route\.[jt]sx?$"), "/"),
    (re.compile(rf"^(?:src/)?pages/(api/(?:[\w-]+/){{0,2}}(?:{_LIVE}|{_HEALTH}))(?:/index)?\.[jt]sx?$"), "/"),
    (re.compile(rf"^(?:src/)?routes/((?:[\w-]+/){{0,3}}(?:{_LIVE}|{_HEALTH}))/\+server\.[jt]s$"), "/"),
    (re.compile(rf"^server/(api/(?:{_LIVE}|{_HEALTH}))(?:\.get)?\.[jt]s$"), "/"),
    (re.compile(rf"^server/routes/((?:{_LIVE}|{_HEALTH}))(?:\.get)?\.[jt]s$"), "/"),
    (re.compile(rf"^app/routes/((?:{_LIVE}|{_HEALTH}))\.[jt]sx?$"), "/"),
    (re.compile(rf"^src/pages/((?:api/)?(?:{_LIVE}|{_HEALTH}))\.[jt]s$"), "/"),
)
_SOURCES = (
    ".py",
    ".js",
    ".mjs",
    ".cjs",
    ".ts",
    ".mts",
    ".tsx",
    ".go",
    ".rs",
    ".rb",
    ".php",
    ".java",
    ".kt",
    ".cs",
    ".ex",
    ".exs",
    ".ru",
)

# package -> paths the framework itself serves
_BUILT_IN: tuple[tuple[str, str, str | None], ...] = (
    ("spring-boot-starter-actuator", "/actuator/health", "/actuator/health/liveness"),
    ("quarkus-smallrye-health", "/q/health/ready", "/q/health/live"),
    ("micronaut-management", "/health/readiness", "/health/liveness"),
    ("django-health-check", "/ht/", None),
)
_METRICS_PACKAGES = frozenset(
    words(
        "prometheus-fastapi-instrumentator starlette-exporter starlette-prometheus prometheus-flask-exporter "
        "django-prometheus micrometer-registry-prometheus quarkus-micrometer-registry-prometheus express-prom-bundle "
        "fastify-metrics @willsoto/nestjs-prometheus yabeda-prometheus prometheus-net.AspNetCore "
        "prom_ex axum-prometheus actix-web-prom swagger-stats koa-prometheus nestjs-prometheus"
    )
)
_JSON_LOG_PACKAGES = frozenset(
    words(
        "structlog python-json-logger pino nestjs-pino pino-http bunyan lograge semantic_logger "
        "rails_semantic_logger logstash-logback-encoder logger_json fastify go.uber.org/zap "
        "github.com/rs/zerolog Serilog.Formatting.Compact quarkus-logging-json logback-json-classic"
    )
)
_JSON_LOGS = re.compile(
    r"JSONFormatter|JsonFormatter|format\.json\(|NewJSONHandler|serialize=True|AddJsonConsole|JSONRenderer\(|"
    r"\.json\(\)\.(?:init|with)|logging\.structured|CompactJsonFormatter|LoggerJSON|JsonLayout|FormatJSON|python-json-logger"
)
_SIGTERM = re.compile(
    r"SIGTERM|enableShutdownHooks|close-with-grace|lightship|terminus|signal::ctrl_c|shutdown_signal|"
    r"RegisterShutdown|ApplicationStopping|server\.shutdown=graceful|shutdown:\s*graceful"
)
_METRICS = re.compile(
    r"make_asgi_app\(|promhttp\.Handler|collectDefaultMetrics|register\.metrics\(|start_http_server\(|UseHttpMetrics"
)

# servers and frameworks that stop accepting and finish running requests on SIGTERM by themselves
_DRAINS = re.compile(
    r"\b(?:uvicorn|gunicorn|hypercorn|granian|daphne|waitress-serve|puma|celery|arq|sidekiq|streamlit|sanic|next start|"
    r"react-router-serve|remix-serve|rails server)\b"
)
_DRAINING_FRAMEWORKS = frozenset(
    {"next", "phoenix", "aspnet", "rails", "quarkus", "rocket", "actix-web", "aiohttp", "worker-service"}
)

WHY = {
    "health": "A platform cannot tell a working instance from a broken one without a health endpoint that returns 503 "
    "when the database is away.",
    "liveness": "A liveness path that does not touch the database keeps Kubernetes from restarting every pod in a "
    "database outage.",
    "metrics": "Without a Prometheus metrics endpoint, traffic, errors and latency cannot be watched or alerted on.",
    "sigterm": "Nothing handles SIGTERM, so requests in flight are cut at every deployment.",
    "json_logs": "Logs are not structured (one JSON object a line), so platforms cannot filter by level or request.",
    "migrations": "A SQL database is used but no migration tool was found, so schema changes cannot be deployed.",
    "production_server": "No production server is among the dependencies; the start command needs one.",
    "database_driver": "The asynchronous engine needs its driver in the database's address (postgresql+asyncpg://); "
    "platforms hand out postgresql://, so the code has to put it in.",
    "syntax": "The file that starts the application is no valid Python, so it cannot start.",
    "port": "The code listens on a fixed port and does not read PORT, which most platforms assign.",
}


@dataclass(frozen=True, slots=True)
class Routes:
    """Paths the unit serves for probes."""

    health: str | None = None
    liveness: str | None = None
    metrics: bool = False


def routes(folder: Folder, packages: frozenset[str], frameworks: Iterable[str]) -> Routes:
    """Probe paths found in code, files named as routes, and what the framework brings."""
    paths: list[str] = []
    prefixes = _Prefixes(folder)
    for name in folder.own_files:
        for pattern, lead in _FILE_ROUTES:
            if matched := pattern.match(name):
                paths.append(lead + matched[1])
        if name.endswith(_SOURCES):
            source = folder.source(name)
            found_here = [m[1] for pattern in (_ROUTE, _URL_OBJECT) for m in pattern.finditer(source) if _is_route(m)]
            paths += [prefixes.full(name, source, path) for path in found_here]
    for package, health, live in _BUILT_IN:
        if package in packages:
            paths += [health, *((live,) if live else ())]
    if "rails" in frameworks and "rails/health#show" in folder.source("config/routes.rb"):
        paths.append("/up")
    if "laravel" in frameworks and (named := re.search(r"health:\s*[\"'](/\w+)", folder.source("bootstrap/app.php"))):
        paths.append(named[1])
    usual = [path for path in dict.fromkeys(paths) if not path.rstrip("/").endswith("/metrics")]
    alive = [path for path in usual if _LAST_LIVE.search(path.strip("/"))]
    ready = [path for path in usual if path not in alive]
    metrics = len(usual) < len(set(paths)) or bool(packages & _METRICS_PACKAGES)
    return Routes(_preferred(ready), _preferred(alive), metrics)


def _is_route(match: re.Match[str]) -> bool:
    """`params.get("status")` looks something up; a method that declares a route takes a path with its slash."""
    return match[1].startswith("/") or re.match(r"\.[a-z]", match.group()) is None


def _preferred(paths: list[str]) -> str | None:
    def rank(path: str) -> tuple[bool, int, str]:
        return "health" not in path and "ready" not in path, len(path), path

    return min(paths, key=rank, default=None)


class _Prefixes:
    """Path prefixes that stand away from the route: routers, blueprints, controllers, included URL lists."""

    def __init__(self, folder: Folder) -> None:
        self.global_prefix = ""
        self.outside: frozenset[str] = frozenset()  # paths that `exclude` keeps out of the global prefix
        self.included: dict[str, str] = {}
        for _name, source in folder.sources(".py"):
            for found in re.finditer(
                r"include_router\(\s*([\w.]+)[^)\n]{0,120}?prefix\s*=\s*[\"'](/[\w/-]*)[\"']", source
            ):
                for part in found[1].removesuffix(".router").split("."):
                    self.included[part.removesuffix("_router")] = found[2]
            for found in re.finditer(r"path\(\s*[\"']([\w/-]*)[\"']\s*,\s*include\(\s*[\"']([\w.]+)[\"']", source):
                self.included[found[2].removesuffix(".urls").rsplit(".", 1)[-1] + "/urls"] = "/" + found[1].strip("/")
        for _name, source in folder.sources("main.ts", "main.js"):
            if declared := re.search(r"setGlobalPrefix\(\s*[\"']/?([\w/-]+)[\"']([^)]{0,400})", source):
                self.global_prefix = "/" + declared[1]
                self.outside = frozenset(re.findall(r"[\"']/?([\w/-]+)[\"']", declared[2]))

    def full(self, name: str, source: str, path: str) -> str:
        own = re.search(
            r"(?:APIRouter\([^)]{0,200}?prefix|Blueprint\([^)]{0,200}?url_prefix)\s*=\s*[\"'](/[\w/-]*)[\"']", source
        )
        lead = own[1] if own else ""
        if name.endswith((".ts", ".js")) and (
            found := re.search(r"@Controller\(\s*(?:[\"']/?([\w/-]*)[\"']|\))", source)
        ):
            route = "/".join(part.strip("/") for part in (found[1] or "", path) if part.strip("/"))
            return f"/{route}" if route in self.outside else f"{self.global_prefix}/{route}"
        if name.endswith(".py"):
            stem = name.removesuffix(".py").rsplit("/", 1)[-1]
            parent = "/".join(name.removesuffix(".py").rsplit("/", 2)[-2:])
            lead = self.included.get(parent, self.included.get(stem, "")) + lead
        return (lead.rstrip("/") + "/" + path.lstrip("/")) if lead else "/" + path.lstrip("/")


# --- the verdict -----------------------------------------------------------------------------------------------


def with_readiness(unit: DeployUnit, folder: Folder, packages: frozenset[str]) -> DeployUnit:
    """The unit with its probe paths and `ready`."""
    if unit.kind in ("library", "static", "frontend"):
        return unit
    found = routes(folder, packages, unit.frameworks)
    texts = [
        source for _, source in folder.sources(*_SOURCES, ".yml", ".properties", "logback.xml", "appsettings.json")
    ]
    controllers = _controller_routes(folder)
    health = unit.health_path or found.health or controllers
    ready = {
        "health": health is not None,
        "liveness": unit.liveness_path is not None or found.liveness is not None,
        "metrics": found.metrics or any(_METRICS.search(text) for text in texts),
        "sigterm": _drains(unit) or any(_SIGTERM.search(text) for text in texts),
        "json_logs": bool(packages & _JSON_LOG_PACKAGES) or any(_JSON_LOGS.search(text) for text in texts),
        "migrations": unit.migrate is not None,
    }
    if unit.kind in ("worker", "function"):
        ready = {key: value for key, value in ready.items() if key in ("sigterm", "json_logs", "migrations")}
    return replace(unit, health_path=health, liveness_path=unit.liveness_path or found.liveness, ready=ready)


def _controller_routes(folder: Folder) -> str | None:
    """Controllers whose own path is the probe (`@Controller('health')` with a bare `@Get()`, terminus)."""
    pattern = re.compile(rf"@(?:Controller|RequestMapping)\(\s*[\"']/?((?:[\w-]+/){{0,2}}{_HEALTH})[\"']")
    prefix = _Prefixes(folder).global_prefix
    for _name, source in folder.sources(".ts", ".js", ".java", ".kt"):
        if found := pattern.search(source):
            return f"{prefix}/{found[1]}"
    return None


def _drains(unit: DeployUnit) -> bool:
    return bool(_DRAINS.search(unit.start or "")) or bool(_DRAINING_FRAMEWORKS & set(unit.frameworks))


def missing(unit: DeployUnit) -> list[Missing]:
    """What the unit lacks, each with the reason it matters."""
    return [
        Missing(what, unit.path, WHY[what])
        for what, has in unit.ready.items()
        if not has and (what != "migrations" or SQL & set(unit.services))
        if unit.kind != "function" or what != "sigterm"
    ]
