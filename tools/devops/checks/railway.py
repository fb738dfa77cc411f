"""The `railway` gate: railway.json / railway.toml (legacy) and .railway/railway.py (infrastructure as code)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from tools.devops.checks import dockerfile
from tools.devops.checks.documents import mapping, schema_findings
from tools.devops.checks.gate import CouldNotRunError, Gate, Linter, Subject, each, readable
from tools.devops.checks.linters import railway_sdk
from tools.devops.checks.railway_program import Call, parse_program
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.schemas import own
from tools.devops.checks.tree import base_name, folder_of
from tools.devops.cron import shortest_gap_minutes
from tools.devops.types import Finding, Severity

_DOCS = "docs.railway.com"
_CONFIG = f"{_DOCS}/config-as-code/reference, as of 2026-08"

RULES = Rules(
    "railway",
    {
        "schema": Rule("error", "Railway refuses the file.", "Correct the key or value.", _CONFIG),
        "legacy": Rule(
            "warning",
            "railway.json and railway.toml are deprecated: new services cannot use them, and they are not read from "
            "2026-12-01 on.",
            "Keep the settings in `.railway/railway.py` or `.railway/railway.ts` (`railway config migrate`).",
            f"{_DOCS}/config-as-code, notice of 2026-08-21",
        ),
        "two-owners": Rule(
            "warning",
            "A service cannot be managed by both: `railway config plan` refuses while the old file exists.",
            "Remove the railway.json of a service once `.railway/` manages it.",
            f"{_DOCS}/infrastructure-as-code",
        ),
        "builder": Rule(
            "error",
            "Railway builds with the root Dockerfile whatever the builder says; the setting misleads.",
            'Set `"builder": "DOCKERFILE"`, or remove the Dockerfile.',
            f"{_DOCS}/builds/dockerfiles",
        ),
        "nixpacks": Rule(
            "warning",
            "Nixpacks is in maintenance and no longer documented as a choice.",
            "Use RAILPACK or DOCKERFILE.",
            f"{_DOCS}/builds/build-configuration",
        ),
        "start-port": Rule(
            "error",
            "With a Dockerfile the start command runs without a shell, so the server receives the text `$PORT`.",
            'Leave the start command out and let the image\'s CMD expand PORT, or wrap it: `sh -c "exec ... $PORT"`.',
            f"{_DOCS}/deployments/start-command",
        ),
        "fixed-port": Rule(
            "error",
            "Railway routes to the port it names in PORT; a fixed one is not reached.",
            "Listen on $PORT.",
            f"{_DOCS}/public-networking",
        ),
        "health": Rule(
            "error",
            "Without a health check, traffic moves to a version that may not answer.",
            "Set the health check path.",
            f"{_DOCS}/deployments/healthchecks",
        ),
        "drain": Rule(
            "error",
            "The default time between SIGTERM and SIGKILL is 0 s: open requests are cut off at each deployment.",
            "Set `drainingSeconds`, for example 30.",
            f"{_DOCS}/deployments/deployment-teardown",
        ),
        "volume-replicas": Rule(
            "error", "Railway refuses replicas for a service with a volume.", "Drop one of them.", f"{_DOCS}/volumes"
        ),
        "cron-gap": Rule(
            "error", "Railway starts a job at most every 5 minutes.", "Use a longer interval.", f"{_DOCS}/cron-jobs"
        ),
        "cron-syntax": Rule(
            "error",
            "The expression is refused; five fields are needed.",
            "Write five fields, in UTC.",
            f"{_DOCS}/cron-jobs",
        ),
        "cron-restart": Rule(
            "warning",
            "A cron service must end; one that is always restarted blocks its next run.",
            "Use restartPolicyType NEVER, and no health check.",
            f"{_DOCS}/cron-jobs",
        ),
        "region": Rule(
            "error",
            "The region does not exist; deployments fail or land elsewhere.",
            "Use us-west2, us-east4-eqdc4a, europe-west4-drams3a or asia-southeast1-eqsg3a.",
            f"{_DOCS}/deployments/regions, as of 2026-08",
        ),
        "program": Rule(
            "error",
            "Only a plain declarative file can be reviewed, and is safe to evaluate.",
            "Import from railway_sdk only, and write one decorated function of calls and literals.",
            "own",
        ),
        "unknown-keyword": Rule(
            "error",
            "railway-sdk drops keywords it does not know without a word; the setting never reaches Railway.",
            "Correct the keyword.",
            "measured on railway-sdk 0.7.0",
        ),
        "cache-mount": Rule(
            "warning",
            "Railway requires cache mounts to have an id of the form `s/<service id>-<path>` and fails without.",
            "Leave the cache mount out of a Dockerfile that Railway builds, or deploy a built image.",
            f"{_DOCS}/builds/dockerfiles#cache-mounts",
        ),
    },
)

END_OF_LEGACY = date(2026, 12, 1)
REGIONS = frozenset({"us-west2", "us-east4-eqdc4a", "europe-west4-drams3a", "asia-southeast1-eqsg3a"})
LEGACY = ("railway.json", "railway.toml")
_FIXED = re.compile(r"(--port[= ]|-p |--bind[= ]\S*:|-b \S*:)\d{2,5}\b")
_WORKER = re.compile(r"worker|celery|dramatiq|\brq\b|\barq\b|sidekiq|bullmq|consumer|scheduler|\bbeat\b", re.IGNORECASE)
_SHELL = re.compile(r"^\s*(/bin/)?(ba)?sh\s+-c\b")


def select(subject: Subject) -> tuple[str, ...]:
    programs = tuple(path for path in subject.tree.files if re.fullmatch(r"(.+/)?\.railway/railway\.(py|ts|go)", path))
    return (*subject.tree.named(*LEGACY), *programs)


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    programs = tuple(path for path in files if "/railway." in path and ".railway/" in path)
    legacy = tuple(path for path in files if path not in programs)
    for path in legacy:
        ended = not programs and datetime.now(UTC).date() >= END_OF_LEGACY
        message = f"This format is not read from {END_OF_LEGACY} on."
        yield RULES.at("legacy", path, 0, message, severity="error" if ended else None)
        if programs:
            yield RULES.at("two-owners", path, 0, f"{programs[0]} manages the project as well.")
    yield from each(legacy, lambda path: _legacy(subject, path))
    yield from each((path for path in programs if path.endswith(".py")), lambda path: _program(subject, path))
    built = not any("image(" in text for _, text in readable(programs, subject.tree.text))
    if built:
        yield from _cache_mounts(subject)
    if other := [path for path in programs if not path.endswith(".py")]:
        raise CouldNotRunError(f"{other[0]} is TypeScript or Go; only railway.py is evaluated here")


def _legacy(subject: Subject, path: str) -> Iterator[Finding]:
    document = subject.toml(path) if path.endswith(".toml") else subject.json(path)
    yield from schema_findings(document, own("railway"), RULES)
    top = mapping(document.value)
    build, deploy = mapping(top.get("build")), mapping(top.get("deploy"))
    builder, dockerfiles = build.get("builder"), bool(subject.files(dockerfile.select))
    if "Dockerfile" in subject.tree and builder not in (None, "DOCKERFILE"):
        line = document.line("build", "builder")
        yield RULES.at("builder", path, line, f"The builder is {builder}, but a Dockerfile stands in the root.")
    if builder == "NIXPACKS":
        yield RULES.at("nixpacks", path, document.line("build", "builder"), "The builder is NIXPACKS.")
    uses_dockerfile = builder == "DOCKERFILE" or (dockerfiles and "Dockerfile" in subject.tree)
    health = _has_health_route(subject, folder_of(path))

    def line_in(*place: str) -> Callable[[str], int]:
        return lambda key: document.line(*place, key)

    yield from deploy_findings(path, deploy, uses_dockerfile, line_in("deploy"), "", health)
    for name, environment in mapping(top.get("environments")).items():
        override = mapping(mapping(environment).get("deploy"))
        if override:
            at = line_in("environments", name, "deploy")
            yield from deploy_findings(path, {**deploy, **override}, uses_dockerfile, at, "", health)


def _has_health_route(subject: Subject, service: str) -> bool:
    """Whether the code behind `service` (a name or a folder) has a health route, as far as is known."""
    try:
        units = subject.project.units
    except CouldNotRunError:
        return True
    wanted = _folded(service)
    own = [unit for unit in units if wanted in (_folded(unit.name), _folded(unit.path), _folded(base_name(unit.path)))]
    return not units or any(unit.health_path for unit in own or units)


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def deploy_findings(
    file: str, deploy: dict[str, Any], dockerfile: bool, line: Callable[[str], int], name: str, known_health: bool
) -> Iterator[Finding]:
    """Rules on one deploy block, whichever file it came from. `line(key)` gives a key's line, `name` the service.

    A health check that is not set is a warning when the code has no route to check: the health gate asks for that.
    """
    start = str(deploy.get("startCommand") or "")
    cron = deploy.get("cronSchedule")
    if dockerfile and "$" in start and not _SHELL.match(start):
        yield RULES.at("start-port", file, line("startCommand"), "The start command holds a variable, without a shell.")
    if _FIXED.search(start) and "PORT" not in start:
        yield RULES.at("fixed-port", file, line("startCommand"), "The start command names a fixed port.")
    if isinstance(cron, str):
        gap = shortest_gap_minutes(cron)
        if gap is None:
            yield RULES.at("cron-syntax", file, line("cronSchedule"), f"{cron[:40]!r} is no cron expression.")
        elif gap < 5:
            yield RULES.at("cron-gap", file, line("cronSchedule"), f"{cron[:40]!r} fires every {gap} minutes.")
        if deploy.get("restartPolicyType") == "ALWAYS":
            yield RULES.at("cron-restart", file, line("restartPolicyType"), "A cron service is always restarted.")
    elif not deploy.get("healthcheckPath") and not _WORKER.search(f"{name} {start}"):
        severity: Severity | None = None if known_health else "warning"
        yield RULES.at("health", file, line("healthcheckPath"), "There is no healthcheckPath.", severity=severity)
    if not cron and not deploy.get("drainingSeconds"):
        yield RULES.at("drain", file, line("drainingSeconds"), "drainingSeconds is not set, or 0.")
    regions = mapping(deploy.get("multiRegionConfig"))
    replicas = [deploy.get("numReplicas"), *(mapping(value).get("numReplicas") for value in regions.values())]
    if deploy.get("requiredMountPath") and sum(n for n in replicas if isinstance(n, int)) > 1:
        yield RULES.at("volume-replicas", file, line("requiredMountPath"), "A service with a volume has replicas.")
    for region in [deploy.get("region"), *regions]:
        if isinstance(region, str) and region not in REGIONS:
            yield RULES.at("region", file, line("multiRegionConfig"), f"{region[:40]!r} is no Railway region.")


def _program(subject: Subject, path: str) -> Iterator[Finding]:
    program = subject.parsed(path, parse_program)
    for line, message in program.problems:
        yield RULES.at("program", path, line, message)
    for line, message in program.unknown_keywords:
        yield RULES.at("unknown-keyword", path, line, message)
    dockerfile = "Dockerfile" in subject.tree
    for call in program.services:
        deploy = _deploy_of(call)
        if not call.dynamic & {"deploy"}:
            is_image = "image(" in call.source
            health = _has_health_route(subject, call.name)
            yield from deploy_findings(path, deploy, dockerfile or is_image, call.line_of, call.name, health)


def _deploy_of(call: Call) -> dict[str, Any]:
    """The deploy block that a `service(...)` call means, with Railway's names."""
    short = {
        "startCommand": ("start", "startCommand"),
        "healthcheckPath": ("healthcheck", "healthcheckPath"),
        "requiredMountPath": ("volumeMounts",),
    }
    deploy = dict(mapping(call.values.get("deploy")))
    for key, names in short.items():
        for name in names:
            if name in call.keywords:
                deploy[key] = call.values.get(name, True)
    replicas = call.values.get("replicas", call.values.get("regions"))
    if isinstance(replicas, int):
        deploy["numReplicas"] = replicas
    elif isinstance(replicas, dict):
        deploy["multiRegionConfig"] = {
            name: {"numReplicas": count} if isinstance(count, int) else count for name, count in replicas.items()
        }
    return deploy


def _cache_mounts(subject: Subject) -> Iterator[Finding]:
    """Cache mounts in Dockerfiles that Railway builds."""
    paths = [path for path in subject.files(dockerfile.select) if path == "Dockerfile"]
    for path, parsed in readable(paths, lambda path: subject.parsed(path, dockerfile.read_dockerfile)):
        for item in parsed.instructions:
            for name, value in item.flags:
                if name == "mount" and "type=cache" in value and "id=s/" not in value:
                    yield RULES.at("cache-mount", path, item.line, "A cache mount without Railway's id.")


GATE = Gate("railway", RULES, select, check, (Linter("railway-sdk", railway_sdk.locate, railway_sdk.run),))
