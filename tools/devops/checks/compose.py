"""The `compose` gate: the published schema, and the references inside the file that the schema cannot see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.devops.checks.documents import Document, mapping, schema_findings, sequence
from tools.devops.checks.env_example import documented
from tools.devops.checks.gate import Gate, Linter, Subject, each
from tools.devops.checks.images import MOVING_TAGS, tag_of
from tools.devops.checks.linters import yamllint
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.schemas import vendored
from tools.devops.checks.tree import base_name, folder_of, join
from tools.devops.composition import build_context
from tools.devops.types import Finding, Severity

_SPEC = "docs.docker.com/reference/compose-file"

RULES = Rules(
    "compose",
    {
        "schema": Rule("error", "Compose refuses the file.", "Correct the key or value.", "compose-spec schema"),
        "version": Rule(
            "warning",
            "`version` is obsolete and ignored with a warning.",
            "Remove the line.",
            f"{_SPEC}/version-and-name",
        ),
        "depends-unknown": Rule("error", "Compose refuses the file.", "Name a service of this file.", _SPEC),
        "depends-healthy": Rule(
            "error",
            "`service_healthy` waits for a health check; without one the dependent service never starts.",
            "Give the service it waits for a healthcheck (pg_isready, redis-cli ping, ...).",
            f"{_SPEC}/services/#depends_on",
        ),
        "depends-unready": Rule(
            "warning",
            "The container runs long before the database accepts connections; the application then fails at boot.",
            "Use `condition: service_healthy` and a healthcheck.",
            "docs.docker.com/compose/how-tos/startup-order",
        ),
        "undeclared": Rule(
            "error",
            "Compose refuses a name that the top level does not declare.",
            "Declare it at the top level.",
            _SPEC,
        ),
        "loopback": Rule(
            "error",
            "A port published without an address is open to the whole network; Docker bypasses the host firewall.",
            "Bind it to this machine: `127.0.0.1:5432:5432`.",
            "docs.docker.com/engine/network/packet-filtering-firewalls",
        ),
        "env": Rule(
            "error",
            "A variable without a default and without a line in .env.example becomes an empty string in silence.",
            "List it in .env.example, or give a default: `${NAME:-value}`.",
            f"{_SPEC}/interpolation",
        ),
        "tag": Rule("error", "Without a tag everyone gets another version.", "Name a version.", _SPEC),
        "postgres-volume": Rule(
            "error",
            "Up to 17 the image keeps data in /var/lib/postgresql/data, from 18 on below /var/lib/postgresql: on any "
            "other mount the data is lost with the container.",
            "Mount the folder that fits the major version.",
            "hub.docker.com/_/postgres, PGDATA",
        ),
        "build": Rule("error", "Compose has nothing to build.", "Correct the path.", f"{_SPEC}/build"),
    },
)

BACKING = re.compile(
    r"(^|/)(postgres|postgis|pgvector|mysql|mariadb|redis|valkey|mongo|rabbitmq|memcached|elasticsearch)\b"
)
_FILE = re.compile(r"(docker-)?compose([.-][\w.-]+)?\.ya?ml")
_VARIABLE = re.compile(r"(?<!\$)\$(?:\{([A-Za-z_]\w*)(:?[-?+][^}]*)?\}|([A-Za-z_]\w*))")
_NAME = re.compile(r"^(?:export\s+)?([A-Za-z_]\w*)=", re.MULTILINE)
_PRODUCTION = re.compile(r"prod|deploy|swarm|server", re.IGNORECASE)
_PROXY = re.compile(r"(^|/)(caddy|nginx|traefik|haproxy|envoy|httpd|nginx-proxy-manager)\b")


def is_compose(path: str) -> bool:
    return bool(_FILE.fullmatch(base_name(path)))


def select(subject: Subject) -> tuple[str, ...]:
    return tuple(path for path in subject.tree.files if is_compose(path))


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(subject, path))


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    documents = subject.yaml(path)
    if not documents:
        yield RULES.at("schema", path, 0, "The file is empty.")
        return
    document = documents[0]
    yield from schema_findings(document, vendored("compose-spec"), RULES)
    top = mapping(document.value)
    if "version" in top:
        yield RULES.at("version", path, document.line("version"), "The key `version` is obsolete.")
    for name, value in mapping(top.get("services")).items():
        service = mapping(value)
        yield from _dependencies(document, name, service)
        yield from _declared(document, name, service)
        yield from _ports(document, name, service)
        yield from _image(document, name, service)
        yield from _build(subject, document, name, service)
    yield from _variables(subject, document)


def _dependencies(document: Document, name: str, service: dict[str, Any]) -> Iterator[Finding]:
    services = mapping(mapping(document.value).get("services"))
    wants = service.get("depends_on")
    conditions = {str(item): "service_started" for item in sequence(wants)} | {
        other: str(mapping(value).get("condition", "service_started")) for other, value in mapping(wants).items()
    }
    for other, condition in conditions.items():
        line = document.line("services", name, "depends_on", other)
        if other not in services:
            if mapping(mapping(wants).get(other)).get("required") is not False and not mapping(document.value).get(
                "include"
            ):
                yield RULES.at(
                    "depends-unknown", document.file, line, f"{name} depends on {other}, which is no service."
                )
            continue
        target = mapping(services[other])
        healthy = "healthcheck" in target and not mapping(target["healthcheck"]).get("disable")
        backing = bool(BACKING.search(str(target.get("image", ""))))
        if condition == "service_healthy" and not healthy and (backing or "build" not in target):
            message = f"{name} waits until {other} is healthy, but {other} has no healthcheck."
            yield RULES.at("depends-healthy", document.file, line, message)
        elif condition == "service_started" and backing:
            yield RULES.at("depends-unready", document.file, line, f"{name} does not wait until {other} is ready.")


def _declared(document: Document, name: str, service: dict[str, Any]) -> Iterator[Finding]:
    """Named volumes, networks, secrets and configs."""
    top = mapping(document.value)
    used: list[tuple[str, str, int]] = []
    for index, volume in enumerate(sequence(service.get("volumes"))):
        line = document.line("services", name, "volumes", index)
        if isinstance(volume, str) and ":" in volume:
            source = volume.split(":")[0]
            if re.fullmatch(r"[A-Za-z0-9][\w.-]*", source):
                used.append(("volumes", source, line))
        elif mapping(volume).get("type") == "volume" and mapping(volume).get("source"):
            used.append(("volumes", str(volume["source"]), line))
    for section in ("networks", "secrets", "configs"):
        entries = service.get(section)
        for index, entry in enumerate(entries if isinstance(entries, list) else list(mapping(entries))):
            target = entry if isinstance(entry, str) else mapping(entry).get("source")
            if target and target != "default":
                used.append((section, str(target), document.line("services", name, section, index)))
    for section, target, line in used:
        if target not in mapping(top.get(section)):
            yield RULES.at("undeclared", document.file, line, f"{name} uses {target}, not declared under `{section}`.")


def _ports(document: Document, name: str, service: dict[str, Any]) -> Iterator[Finding]:
    backing = bool(BACKING.search(str(service.get("image", ""))))
    public = bool(_PROXY.search(str(service.get("image", "")))) or bool(_PRODUCTION.search(document.file))
    if public and not backing:
        return  # the way in for everyone
    for index, port in enumerate(sequence(service.get("ports"))):
        if isinstance(port, dict):
            open_to_all = port.get("published") is not None and port.get("host_ip") in (None, "0.0.0.0", "::")  # noqa: S104
        else:
            text = re.sub(r"\$\{[^}]*\}", "1", str(port)).split("/")[0]
            open_to_all = text.count(":") == 1 or text.startswith(("0.0.0.0:", "[::]:"))
        if open_to_all:
            line = document.line("services", name, "ports", index)
            message = f"{name} publishes a port on all addresses."
            yield RULES.at("loopback", document.file, line, message, severity=None if backing else "warning")


def _image(document: Document, name: str, service: dict[str, Any]) -> Iterator[Finding]:
    image = str(service.get("image") or "")
    line = document.line("services", name, "image")
    if image and "build" not in service and "$" not in image and "@" not in image and tag_of(image) in MOVING_TAGS:
        severity: Severity = "error" if BACKING.search(image) else "warning"  # with data, a new version can lose it
        message = f"{name} uses {image[:80]} without a fixed version."
        yield RULES.at("tag", document.file, line, message, severity=severity)
    postgres = re.search(r"(?:^|/)(?:postgres|pgvector|postgis):(?:pg)?(\d+)", image)
    for index, volume in enumerate(sequence(service.get("volumes")) if postgres else []):
        target = volume.split(":")[1] if isinstance(volume, str) and ":" in volume else mapping(volume).get("target")
        wrong = "/var/lib/postgresql/data" if postgres and int(postgres[1]) >= 18 else "/var/lib/postgresql"
        if target == wrong and "PGDATA" not in str(service.get("environment")):
            at = document.line("services", name, "volumes", index)
            yield RULES.at("postgres-volume", document.file, at, f"{image[:60]} does not keep its data in {wrong}.")


def _build(subject: Subject, document: Document, name: str, service: dict[str, Any]) -> Iterator[Finding]:
    build = service.get("build")
    context = build_context(service)
    if context is None or "$" in context or ":/" in context or mapping(build).get("dockerfile_inline"):
        return
    wanted = dockerfile_of(document, service)
    if wanted is None or (
        wanted not in subject.tree and wanted.replace("Dockerfile", "Containerfile") not in subject.tree
    ):
        line = document.line("services", name, "build")
        yield RULES.at("build", document.file, line, f"{name} builds {context[:60]}, where there is no Dockerfile.")


def dockerfile_of(document: Document, service: object) -> str | None:
    """Path of the Dockerfile that the service is built from; None without one inside the project."""
    context = build_context(service)
    folder = join(folder_of(document.file), context) if context else None
    named = mapping(mapping(service).get("build")).get("dockerfile", "Dockerfile")
    return join(folder, str(named)) if folder else None


def _variables(subject: Subject, document: Document) -> Iterator[Finding]:
    listed = documented(subject)
    near = [names for path, names in listed.items() if folder_of(path) in (folder_of(document.file), ".")]
    # Compose reads the .env file beside it. Only its names are looked at.
    own = join(folder_of(document.file), ".env")
    beside = _NAME.findall(subject.tree.text(own)) if own and own in subject.tree else []
    known: set[str] = set(beside).union(*near)
    seen: set[str] = set()
    for number, line in enumerate(subject.tree.text(document.file).split("\n"), 1):
        for found in _VARIABLE.finditer(line.split(" #")[0]):
            name, default = found[1] or found[3], found[2] or ""
            if name not in seen and name not in known and not default.startswith((":-", "-", ":+", "+")):
                seen.add(name)
                yield RULES.at("env", document.file, number, f"${{{name}}} has no default and is in no .env.example.")


GATE = Gate("compose", RULES, select, check, (Linter("yamllint", yamllint.locate, yamllint.run),))
