"""Rules on one workload: images, probes, resources, the restricted profile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tools.devops.checks.documents import mapping, sequence
from tools.devops.checks.gate import lookup
from tools.devops.checks.images import tag_of
from tools.devops.checks.kubernetes_model import SERVERS, WORKLOADS, Manifest
from tools.devops.checks.kubernetes_rules import RULES
from tools.devops.types import Finding

_MOVING = re.compile(r"(latest|main|master|stable|edge|dev|develop|nightly|production|staging)$")
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


def check(manifest: Manifest) -> Iterator[Finding]:
    if manifest.kind == "Secret":
        yield from _secret(manifest)
    if manifest.kind not in WORKLOADS or not manifest.pod:
        return
    yield from _pod(manifest)
    for container, line in manifest.containers("initContainers", "containers"):
        yield from _container(manifest, container, line)
    for container, line in manifest.containers():
        yield from _probes(manifest, container, line)


_HARMLESS = re.compile(r"(?i)(db_?)?(type|provider|host|hostname|port|database|dbname|name|user|username|region)")


def _secret(manifest: Manifest) -> Iterator[Finding]:
    for section in ("data", "stringData"):
        for key, value in mapping(manifest.body.get(section)).items():
            if _HARMLESS.fullmatch(key):
                continue
            if isinstance(value, str) and value and not re.match(r"\$\{|\$\(|<|\{\{", value):
                line = manifest.line(section, key)
                yield RULES.at(
                    "secret-literal", manifest.file, line, f"Secret {manifest.name} holds a value for {key[:40]}."
                )


def _pod(manifest: Manifest) -> Iterator[Finding]:
    pod, file = manifest.pod, manifest.file
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key) is True:
            yield RULES.at("host", file, manifest.line(*manifest.template_path, "spec", key), f"{key} is on.")
    for index, volume in enumerate(sequence(pod.get("volumes"))):
        if "hostPath" in mapping(volume):
            line = manifest.line(*manifest.template_path, "spec", "volumes", index)
            yield RULES.at("host", file, line, "A hostPath volume is mounted.")
    if pod.get("automountServiceAccountToken") is not False and "serviceAccountName" not in pod:
        message = f"{manifest.kind} {manifest.name} mounts the default service account's token."
        yield RULES.at("service-account", file, manifest.line(*manifest.template_path, "spec"), message)
    serves = any(container.get("ports") for container, _line in manifest.containers())
    if manifest.kind == "Deployment" and serves and lookup(manifest.body, "spec", "replicas") == 1:
        yield RULES.at("replicas", file, manifest.line("spec", "replicas"), f"Deployment {manifest.name} runs one pod.")


def _container(manifest: Manifest, container: dict[str, Any], line: int) -> Iterator[Finding]:
    name, file = str(container.get("name", "container"))[:60], manifest.file
    image = str(container.get("image", ""))
    tag = tag_of(image)
    if image and "@sha256:" not in image and "$" not in image and (not tag or _MOVING.fullmatch(tag)):
        yield RULES.at("image", file, line, f"{name} runs {image[:80]}, which can change.")
    resources = mapping(container.get("resources"))
    missing = [f"requests.{key}" for key in ("cpu", "memory") if key not in mapping(resources.get("requests"))]
    missing += [] if "memory" in mapping(resources.get("limits")) else ["limits.memory"]
    if missing:
        yield RULES.at("resources", file, line, f"{name} has no {', '.join(missing)}.")
    lacking = _lacking(mapping(container.get("securityContext")), mapping(manifest.pod.get("securityContext")))
    if lacking:
        yield RULES.at("restricted", file, line, f"{name} lacks {', '.join(lacking)}.")
    if lookup(container, "securityContext", "readOnlyRootFilesystem") is not True:
        yield RULES.at("read-only", file, line, f"{name} can write to its root file system.")


def _lacking(own: dict[str, Any], pod: dict[str, Any]) -> list[str]:
    """What the restricted profile asks for and neither the container nor its pod sets."""
    lacking = []
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True or own.get("runAsUser", pod.get("runAsUser")) == 0:
        lacking.append("runAsNonRoot: true")
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged") is True:
        lacking.append("allowPrivilegeEscalation: false")
    capabilities = mapping(own.get("capabilities"))
    if "ALL" not in sequence(capabilities.get("drop")) or set(map(str, sequence(capabilities.get("add")))) - {
        "NET_BIND_SERVICE"
    }:
        lacking.append("capabilities.drop: [ALL]")
    profile = lookup(own, "seccompProfile", "type") or lookup(pod, "seccompProfile", "type")
    if profile not in ("RuntimeDefault", "Localhost"):
        lacking.append("seccompProfile: RuntimeDefault")
    return lacking


def _probes(manifest: Manifest, container: dict[str, Any], line: int) -> Iterator[Finding]:
    name, file = str(container.get("name", "container"))[:60], manifest.file
    ports = [mapping(port) for port in sequence(container.get("ports"))]
    known = {port.get("containerPort") for port in ports} | {port.get("name") for port in ports}
    for probe in _PROBES:
        for action in ("httpGet", "tcpSocket", "grpc"):
            port = lookup(container, probe, action, "port")
            if port is not None and port not in known:
                yield RULES.at(
                    "probe-port", file, line, f"{probe} of {name} uses port {str(port)[:20]}, which {name} has not."
                )
    if manifest.kind not in SERVERS or not ports:
        return
    if "readinessProbe" not in container:
        yield RULES.at("readiness", file, line, f"{name} has no readinessProbe.")
    if "livenessProbe" not in container:
        yield RULES.at("liveness", file, line, f"{name} has no livenessProbe.")
    ready, alive = (lookup(container, probe, "httpGet", "path") for probe in _PROBES[:2])
    if ready not in (None, "/") and ready == alive:  # a plain page has no dependency to check
        yield RULES.at(
            "liveness-dependency", file, line, f"{name} uses {str(ready)[:60]} for both readiness and liveness."
        )
