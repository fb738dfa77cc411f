"""The `cloudrun` gate: services and jobs of Google Cloud Run, by our own schema and what the schema cannot see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.devops.checks.dockerfile import looks_secret
from tools.devops.checks.documents import Document, mapping, schema_findings, sequence
from tools.devops.checks.gate import Gate, Subject, each, lookup
from tools.devops.checks.images import MOVING_TAGS, tag_of
from tools.devops.checks.rules import Rule, Rules
from tools.devops.checks.schemas import own
from tools.devops.checks.tree import BadFileError
from tools.devops.types import Finding

_DOCS = "cloud.google.com/run/docs"

RULES = Rules(
    "cloudrun",
    {
        "schema": Rule(
            "error", "Cloud Run refuses the file.", "Correct the key or value.", f"{_DOCS}/reference/rest/v1"
        ),
        "secret": Rule(
            "error",
            "Everyone who can read the repository, or the service, can read it.",
            "Keep it in Secret Manager and read it with `valueFrom.secretKeyRef`.",
            f"{_DOCS}/configuring/services/secrets",
        ),
        "reserved": Rule(
            "error",
            "Cloud Run sets this name itself and refuses the file.",
            "Remove the entry; read the value that Cloud Run gives.",
            f"{_DOCS}/container-contract#env-vars",
        ),
        "image": Rule(
            "warning",
            "A tag can be moved, so nobody can tell what runs, or go back to it.",
            "Name the image by digest, or by a tag that holds the commit.",
            f"{_DOCS}/deploying",
        ),
        "identity": Rule(
            "warning",
            "Without an account of its own the code runs as the default compute account, which can often change "
            "everything in the project.",
            "Set `serviceAccountName` to an account that has only the rights this code needs.",
            f"{_DOCS}/securing/service-identity",
        ),
        "probe-port": Rule(
            "error",
            "The probe asks a port on which nothing listens, so no revision ever becomes ready.",
            "Use the container's port.",
            f"{_DOCS}/configuring/healthchecks",
        ),
        "probe-time": Rule(
            "error",
            "Cloud Run refuses a probe that may take longer than its period, and a start-up of more than 240 seconds.",
            "Keep timeoutSeconds <= periodSeconds, and periodSeconds x failureThreshold <= 240 for the startup probe.",
            f"{_DOCS}/configuring/healthchecks",
        ),
        "scale": Rule(
            "error", "Cloud Run refuses the file.", "Keep minScale at or below maxScale.", f"{_DOCS}/configuring"
        ),
        "cpu": Rule(
            "error",
            "Less than one CPU serves one request at a time, and more memory than 512 Mi needs at least half a CPU, "
            "more than 4 Gi two: Cloud Run refuses other pairs.",
            "Raise the CPU, or lower concurrency or memory.",
            f"{_DOCS}/configuring/services/cpu",
        ),
        "traffic": Rule("error", "Cloud Run refuses shares that are not 100 % together.", "Correct them.", _DOCS),
    },
)

_API = re.compile(r"^apiVersion:\s*[\"']?(run\.googleapis\.com/|serving\.knative\.dev/)", re.MULTILINE)
_RESERVED = frozenset({"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "CLOUD_RUN_JOB"})
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(Mi|Gi|M|G)")
_PLACEHOLDER = re.compile(r"[${<]|REPLACE|IMAGE|placeholder|replaced", re.IGNORECASE)


def is_cloud_run(path: str, text: str) -> bool:
    """Whether the file is about Cloud Run; Knative's own services for a cluster have the same form and are not."""
    return bool(_API.search(text)) and ("run.googleapis.com/" in text or "cloudrun" in path.replace("-", ""))


def select(subject: Subject) -> tuple[str, ...]:
    found = []
    for path in subject.tree.files:
        if path.endswith((".yaml", ".yml")) and not path.startswith(".github/"):
            try:
                if is_cloud_run(path, subject.tree.text(path)):
                    found.append(path)
            except BadFileError:
                continue  # nothing says that it is one of these
    return tuple(found)


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(subject, path))


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    for document in subject.yaml(path):
        kind = mapping(document.value).get("kind")
        if kind not in ("Service", "Job"):
            continue
        yield from schema_findings(document, own("cloudrun"), RULES)
        service = kind == "Service"
        place = ("spec", "template", "spec") if service else ("spec", "template", "spec", "template", "spec")
        pod = mapping(lookup(document.value, *place))
        if pod and not pod.get("serviceAccountName"):
            yield RULES.at("identity", path, document.line(*place), "`serviceAccountName` is not set.")
        for index, container in enumerate(sequence(pod.get("containers"))):
            yield from _container(document, (*place, "containers", index), mapping(container))
        if service:
            yield from _scale(document)
            yield from _cpu(document, place, pod)
            yield from _traffic(document)


def _container(document: Document, place: tuple[str | int, ...], container: dict[str, Any]) -> Iterator[Finding]:
    file = document.file
    image = str(container.get("image") or "")
    if image and "@" not in image and tag_of(image) in MOVING_TAGS and not _PLACEHOLDER.search(image):
        yield RULES.at("image", file, document.line(*place, "image"), f"{image[:80]} has no fixed version.")
    for index, entry in enumerate(sequence(container.get("env"))):
        name, value = str(mapping(entry).get("name")), mapping(entry).get("value")
        line = document.line(*place, "env", index)
        if name in _RESERVED:
            yield RULES.at("reserved", file, line, f"{name} is set.")
        if looks_secret(name) and isinstance(value, str) and value and not _PLACEHOLDER.search(value):
            yield RULES.at("secret", file, line, f"{name[:60]} has a literal value.")
    port = lookup(container, "ports", 0, "containerPort")
    for name in ("startupProbe", "livenessProbe"):
        probe = mapping(container.get(name))
        line = document.line(*place, name)
        asked = [lookup(probe, kind, "port") for kind in ("httpGet", "tcpSocket", "grpc")]
        if wrong := [str(number) for number in asked if number is not None and port is not None and number != port]:
            yield RULES.at("probe-port", file, line, f"{name} asks port {wrong[0]}; the container has {port}.")
        period, timeout = probe.get("periodSeconds", 10), probe.get("timeoutSeconds", 1)
        tries = probe.get("failureThreshold", 3)
        if not all(isinstance(number, int) for number in (period, timeout, tries)):
            continue  # the schema says so
        if timeout > period:
            yield RULES.at("probe-time", file, line, f"{name} may take {timeout} s and is repeated every {period} s.")
        elif name == "startupProbe" and period * tries > 240:
            yield RULES.at("probe-time", file, line, f"{name} waits {period * tries} s.")


def _scale(document: Document) -> Iterator[Finding]:
    place = ("spec", "template", "metadata", "annotations")
    annotations = mapping(lookup(document.value, *place))
    least, most = (str(annotations.get(f"autoscaling.knative.dev/{name}Scale", "")) for name in ("min", "max"))
    if least.isdigit() and most.isdigit() and int(least) > int(most):
        yield RULES.at("scale", document.file, document.line(*place), f"minScale {least} is above maxScale {most}.")


def _cpu(document: Document, place: tuple[str, ...], pod: dict[str, Any]) -> Iterator[Finding]:
    for index, container in enumerate(sequence(pod.get("containers"))):
        limits = mapping(lookup(container, "resources", "limits"))
        cpu, memory = _cores(limits.get("cpu")), _gibibytes(limits.get("memory"))
        line = document.line(*place, "containers", index, "resources")
        if cpu is None:
            continue
        if cpu < 1 and pod.get("containerConcurrency", 80) != 1:
            yield RULES.at("cpu", document.file, line, f"{cpu:g} CPU with a concurrency that is not 1.")
        if memory is not None and (
            (memory > 4 and cpu < 2) or (memory > 8 and cpu < 4) or (memory > 0.5 and cpu < 0.5)
        ):
            yield RULES.at("cpu", document.file, line, f"{cpu:g} CPU with {memory:g} GiB.")


def _cores(value: Any) -> float | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", str(value))
    return float(found[1]) / (1000 if found[2] else 1) if found else None


def _gibibytes(value: Any) -> float | None:
    found = _MEMORY.fullmatch(str(value))
    return float(found[1]) / (1024 if found[2].startswith("M") else 1) if found else None


def _traffic(document: Document) -> Iterator[Finding]:
    shares = [mapping(item).get("percent", 0) for item in sequence(lookup(document.value, "spec", "traffic"))]
    if shares and all(isinstance(share, int) for share in shares) and sum(shares) != 100:
        yield RULES.at("traffic", document.file, document.line("spec", "traffic"), f"The shares sum to {sum(shares)}.")


GATE = Gate("cloudrun", RULES, select, check)
