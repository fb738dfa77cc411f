"""The `containerapps` gate: apps and jobs of Azure Container Apps, by our own schema and what it cannot see."""

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
from tools.devops.cron import fields
from tools.devops.types import Finding

_DOCS = "learn.microsoft.com/azure/container-apps"

RULES = Rules(
    "containerapps",
    {
        "schema": Rule(
            "error", "Azure refuses the file.", "Correct the key or value.", f"{_DOCS}/azure-resource-manager"
        ),
        "secret": Rule(
            "error",
            "Everyone who can read the repository can read it.",
            "Keep it in Key Vault: `keyVaultUrl` with `identity`, and `secretRef` in the container.",
            f"{_DOCS}/manage-secrets",
        ),
        "secret-ref": Rule(
            "error",
            "Azure refuses a reference to a secret that the app does not have.",
            "Declare it under `configuration.secrets`, or correct the name.",
            f"{_DOCS}/manage-secrets",
        ),
        "identity": Rule(
            "error",
            "Azure refuses to read vault or registry with an identity that the app does not have.",
            "List it under `identity`, or correct its name.",
            f"{_DOCS}/managed-identity",
        ),
        "image": Rule(
            "warning",
            "A tag can be moved, so nobody can tell what runs, or go back to it.",
            "Name the image by digest, or by a tag that holds the commit.",
            f"{_DOCS}/revisions",
        ),
        "insecure": Rule(
            "error",
            "Requests without TLS are answered: what users send can be read on the way.",
            "Set `allowInsecure: false`.",
            f"{_DOCS}/ingress-overview",
        ),
        "probe-port": Rule(
            "error",
            "The probe asks a port on which nothing listens, so no revision ever becomes healthy.",
            "Use the ingress's target port.",
            f"{_DOCS}/health-probes",
        ),
        "no-probe": Rule(
            "warning",
            "Without a probe only the open port is watched: a version that answers every request with an error gets "
            "all traffic.",
            "Add a readiness probe on the health path.",
            f"{_DOCS}/health-probes",
        ),
        "scale": Rule(
            "error", "Azure refuses the file.", "Keep minReplicas at or below maxReplicas.", f"{_DOCS}/scale-app"
        ),
        "resources": Rule(
            "error",
            "The consumption plan offers CPU in steps of 0.25 up to 4 with exactly 2 Gi of memory for each CPU, and "
            "refuses others.",
            "Use 0.25/0.5Gi, 0.5/1Gi, 0.75/1.5Gi, 1/2Gi ...; others need a `workloadProfileName`.",
            f"{_DOCS}/containers#allocations",
        ),
        "trigger": Rule(
            "error",
            "A job whose trigger has no settings, or whose time cannot be read, never runs.",
            "Give the settings of its trigger type, with a five-field cron expression for a schedule.",
            f"{_DOCS}/jobs",
        ),
    },
)

_SHAPE = re.compile(r"^properties:\s*$", re.MULTILINE)
_SIGN = re.compile(r"activeRevisionsMode|triggerType|targetPort|revisionSuffix|managedEnvironments|Microsoft\.App/")
_PLACEHOLDER = re.compile(r"[${<]|REPLACE|placeholder|replaced", re.IGNORECASE)


def select(subject: Subject) -> tuple[str, ...]:
    found = []
    for path in subject.tree.files:
        if path.endswith((".yaml", ".yml")) and not path.startswith(".github/"):
            try:
                text = subject.tree.text(path)
            except BadFileError:
                continue  # nothing says that it is one of these
            if _SHAPE.search(text) and _SIGN.search(text) and "containers:" in text and "apiVersion: v" not in text:
                found.append(path)
    return tuple(found)


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    yield from each(files, lambda path: _check_file(subject, path))


def _check_file(subject: Subject, path: str) -> Iterator[Finding]:
    for document in subject.yaml(path)[:1]:
        yield from schema_findings(document, own("containerapps"), RULES)
        configuration = mapping(lookup(document.value, "properties", "configuration"))
        template = mapping(lookup(document.value, "properties", "template"))
        profile = lookup(document.value, "properties", "workloadProfileName")
        yield from _secrets(document, configuration)
        yield from _identities(document, configuration)
        yield from _ingress(document, configuration, template)
        yield from _trigger(document, configuration)
        for index, item in enumerate(sequence(template.get("containers"))):
            place = ("properties", "template", "containers", index)
            yield from _container(document, place, mapping(item), configuration)
            if profile in (None, "", "Consumption"):
                yield from _resources(document, place, mapping(mapping(item).get("resources")))
        least, most = (lookup(template, "scale", f"{name}Replicas") for name in ("min", "max"))
        if isinstance(least, int) and isinstance(most, int) and least > most:
            line = document.line("properties", "template", "scale")
            yield RULES.at("scale", path, line, f"minReplicas {least} is above maxReplicas {most}.")


def _secrets(document: Document, configuration: dict[str, Any]) -> Iterator[Finding]:
    for index, item in enumerate(sequence(configuration.get("secrets"))):
        value = mapping(item).get("value")
        if isinstance(value, str) and value and not _PLACEHOLDER.search(value):
            line = document.line("properties", "configuration", "secrets", index)
            yield RULES.at("secret", document.file, line, f"{str(mapping(item).get('name'))[:60]} has a literal value.")


def _identities(document: Document, configuration: dict[str, Any]) -> Iterator[Finding]:
    identity = mapping(mapping(document.value).get("identity"))
    if not identity:
        return  # set with `az containerapp identity assign`, outside this file
    own_ids = {name.lower() for name in mapping(identity.get("userAssignedIdentities"))}
    if "systemassigned" in str(identity.get("type", "")).lower():
        own_ids.add("system")
    for section in ("secrets", "registries"):
        for index, item in enumerate(sequence(configuration.get(section))):
            wanted = mapping(item).get("identity")
            if wanted and str(wanted).lower() not in own_ids:
                line = document.line("properties", "configuration", section, index)
                yield RULES.at("identity", document.file, line, f"{str(wanted)[-60:]} is no identity of this app.")


def _ingress(document: Document, configuration: dict[str, Any], template: dict[str, Any]) -> Iterator[Finding]:
    ingress = mapping(configuration.get("ingress"))
    place = ("properties", "configuration", "ingress")
    if ingress.get("allowInsecure") is True and ingress.get("external") is True:
        yield RULES.at("insecure", document.file, document.line(*place, "allowInsecure"), "Plain HTTP is allowed.")
    containers = [mapping(item) for item in sequence(template.get("containers"))]
    probes = [mapping(probe) for item in containers for probe in sequence(item.get("probes"))]
    if ingress and containers and not probes:
        yield RULES.at("no-probe", document.file, document.line(*place), "No container has a probe.")
    target = ingress.get("targetPort")
    if len(containers) != 1 or not isinstance(target, int) or target == 0:
        return  # with sidecars, which port is whose is not certain
    for index, probe in enumerate(probes):
        port = lookup(probe, "httpGet", "port") or lookup(probe, "tcpSocket", "port")
        if isinstance(port, int) and port != target:
            line = document.line("properties", "template", "containers", 0, "probes", index)
            message = f"The probe asks port {port}; the target port is {target}."
            yield RULES.at("probe-port", document.file, line, message)


def _trigger(document: Document, configuration: dict[str, Any]) -> Iterator[Finding]:
    kind = configuration.get("triggerType")
    if kind not in ("Schedule", "Manual", "Event"):
        return
    key = f"{str(kind).lower()}TriggerConfig"
    line = document.line("properties", "configuration", key)
    if not mapping(configuration.get(key)):
        yield RULES.at("trigger", document.file, line, f"The trigger is {kind}, and {key} is missing.")
    elif kind == "Schedule" and fields(str(mapping(configuration[key]).get("cronExpression"))) is None:
        yield RULES.at("trigger", document.file, line, "cronExpression has not five valid fields.")


def _container(
    document: Document, place: tuple[str | int, ...], container: dict[str, Any], configuration: dict[str, Any]
) -> Iterator[Finding]:
    file = document.file
    image = str(container.get("image") or "")
    if image and "@" not in image and tag_of(image) in MOVING_TAGS and not _PLACEHOLDER.search(image):
        yield RULES.at("image", file, document.line(*place, "image"), f"{image[:80]} has no fixed version.")
    known = {str(mapping(item).get("name")) for item in sequence(configuration.get("secrets"))}
    for index, entry in enumerate(sequence(container.get("env"))):
        name, value, wanted = (mapping(entry).get(key) for key in ("name", "value", "secretRef"))
        line = document.line(*place, "env", index)
        if looks_secret(str(name)) and isinstance(value, str) and value and not _PLACEHOLDER.search(value):
            yield RULES.at("secret", file, line, f"{str(name)[:60]} has a literal value.")
        if wanted and str(wanted) not in known:
            yield RULES.at("secret-ref", file, line, f"There is no secret {str(wanted)[:60]}.")


def _resources(document: Document, place: tuple[str | int, ...], resources: dict[str, Any]) -> Iterator[Finding]:
    cpu, memory = resources.get("cpu"), str(resources.get("memory", ""))
    if not isinstance(cpu, int | float) or not re.fullmatch(r"\d+(\.\d+)?Gi", memory):
        return
    if cpu * 4 != int(cpu * 4) or not 0.25 <= cpu <= 4 or float(memory[:-2]) != cpu * 2:
        yield RULES.at("resources", document.file, document.line(*place, "resources"), f"{cpu} CPU with {memory}.")


GATE = Gate("containerapps", RULES, select, check)
