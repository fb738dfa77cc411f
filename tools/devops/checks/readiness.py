"""The `health` and `json_logging` gates: what production needs from the code itself.

The code belongs to the backend's owner. What it lacks is a warning, and where a document of this delivery (a hand-over
message, the monitoring guide with its template) asks for it no more than a remark that says which. A run of the eight
steps demands what it could have added itself (`agent.workflow.gates`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tools.devops.checks import handovers
from tools.devops.checks.gate import Gate, Subject, readable
from tools.devops.checks.rules import Rule, Rules
from tools.devops.types import DeployUnit, Finding

HEALTH_RULES = Rules(
    "health",
    {
        "missing": Rule(
            "warning",
            "Platforms cannot tell whether a new version works, so a broken one receives traffic.",
            "Add a health route that checks the database and answers 200 or 503, or hand it over to the backend.",
            "own: persona step 7",
        ),
        "no-503": Rule(
            "error",
            "A route that answers 200 without its database keeps traffic on a broken instance.",
            "Answer 503 when the database cannot be reached.",
            "RFC 9110 section 15.6.4",
        ),
        "unbounded": Rule(
            "warning",
            "A hanging database makes the health route hang too; probes pile up.",
            "Give the query a timeout shorter than the probe's, such as 2 s.",
            "own: persona step 7",
        ),
        "no-database": Rule(
            "warning",
            "The route says healthy while the database the code needs is gone.",
            "Run a simple query (`SELECT 1`) in it.",
            "own: persona step 7",
        ),
    },
)
LOGGING_RULES = Rules(
    "json_logging",
    {
        "missing": Rule(
            "warning",
            "Log services cannot filter plain text by level or field.",
            "Write one JSON object a line to standard output (timestamp, level, message, module), or hand it over.",
            "own: persona step 7",
        ),
    },
)

_GUIDE = re.compile(r"docs/(.+/)?[\w.-]*monitoring[\w.-]*\.md")
_SUBJECTS = {
    "health": re.compile(r"health|/ready|헬스|상태 확인", re.IGNORECASE),
    "json_logs": re.compile(r"json.{0,20}log|structured log|log.{0,20}json|JSON 로그|구조화된? 로", re.IGNORECASE),
}
_SOURCE = (
    ".py",
    ".js",
    ".mjs",
    ".cjs",
    ".ts",
    ".mts",
    ".tsx",
    ".go",
    ".rb",
    ".java",
    ".kt",
    ".rs",
    ".php",
    ".cs",
    ".ex",
)
_TEST = re.compile(r"(^|/)\.|(^|/)(tests?|__tests__|spec)/|(^|/)test_|[._](test|spec)\.")
_DATABASES = {"postgres", "mysql", "mariadb", "mongodb", "mongo", "sqlite", "sqlserver"}
_QUERY = re.compile(
    r"SELECT 1|\.ping\(|\.execute\(|\.query\(|queryRaw|\.command\(|PingContext|connection\.cursor|isConnected"
)
_BOUND = re.compile(r"timeout|wait_for|AbortSignal|Promise\.race|WithTimeout|fail_after|move_on_after", re.IGNORECASE)
_REFUSES = re.compile(r"\b503\b|SERVICE_UNAVAILABLE|ServiceUnavailable|StatusServiceUnavailable|service_unavailable")


def _project_files(subject: Subject) -> tuple[str, ...]:
    """The project stands for all its files; a tree without source code has nothing to look at."""
    return ("",) if any(path.endswith(_SOURCE) for path in subject.tree.files) or subject.given_project else ()


def check_health(subject: Subject, _files: tuple[str, ...]) -> Iterator[Finding]:
    for unit in subject.project.units:
        if unit.kind not in ("backend", "fullstack", "function"):
            continue
        databases = _DATABASES & set(unit.services)
        if not unit.health_path and not unit.ready.get("health"):
            if unit.kind == "backend" or databases:
                yield _missing(subject, HEALTH_RULES, unit, "health", f"{unit.name} has no health route.")
            continue
        if databases and unit.health_path:
            yield from _route(subject, unit, unit.health_path, sorted(databases))


def _missing(subject: Subject, rules: Rules, unit: DeployUnit, what: str, message: str) -> Finding:
    asked = _asked_for(subject, what)
    if asked:
        message = f"{message} {asked} asks for it."
    place = "." if unit.path == "." else unit.path
    return rules.at("missing", place, 0, message, severity="info" if asked else None)


def _asked_for(subject: Subject, what: str) -> str | None:
    """The document that asks for a readiness subject, None when none does."""
    guides = (path for path in subject.tree.files if _GUIDE.fullmatch(path))
    for path, text in readable((*subject.files(handovers.select), *guides), subject.tree.text):
        if _SUBJECTS[what].search(text):
            return path
    return None


def _route(subject: Subject, unit: DeployUnit, route: str, databases: list[str]) -> Iterator[Finding]:
    """Rules on the source files that hold the route, seen together."""
    found = _files_of_route(subject, unit, route)
    if not found:
        return
    text = "\n".join(text for _path, text in found)
    path = found[0][0]
    line = next((n for n, row in enumerate(found[0][1].split("\n"), 1) if _last(route) in row), 0)
    query = _QUERY.search(text)
    if not query:
        message = f"{route} does not seem to query {', '.join(databases)}."
        yield HEALTH_RULES.at("no-database", path, line, message)
    elif not _REFUSES.search(text):
        yield HEALTH_RULES.at("no-503", path, line, f"{route} never answers 503.")
    if query and not _BOUND.search(text):
        yield HEALTH_RULES.at("unbounded", path, line, f"The query behind {route} has no timeout.")


def _last(route: str) -> str:
    return route.rstrip("/").rsplit("/", 1)[-1]


def _files_of_route(subject: Subject, unit: DeployUnit, route: str) -> list[tuple[str, str]]:
    """Source files of the unit that name the route, or stand where a file-based router serves it.

    Tests and dot folders are left out. Files named after the route come first: they hold its logic.
    """
    prefix = "" if unit.path == "." else f"{unit.path}/"
    by_file = re.compile(rf"(app|pages)/.*{re.escape(_last(route))}(/route|/index|)\.[jt]sx?$")
    quoted = re.compile(rf"[\"'`/]{re.escape(_last(route))}/?[\"'`]")
    sources = (
        path
        for path in subject.tree.files
        if path.startswith(prefix) and path.endswith(_SOURCE) and not _TEST.search(path)
    )
    found = [
        (path, text)
        for path, text in readable(sources, subject.tree.text)
        if quoted.search(text) or by_file.search(path)
    ]
    return sorted(found, key=lambda item: _last(route) not in PurePosixPath(item[0]).as_posix())


def check_logging(subject: Subject, _files: tuple[str, ...]) -> Iterator[Finding]:
    for unit in subject.project.units:
        if unit.kind in ("backend", "worker") and not unit.ready.get("json_logs"):
            yield _missing(subject, LOGGING_RULES, unit, "json_logs", f"{unit.name} does not log JSON.")


HEALTH = Gate("health", HEALTH_RULES, _project_files, check_health)
LOGGING = Gate("json_logging", LOGGING_RULES, _project_files, check_logging)
