"""Rules between objects: selectors, ports, targets, backends, configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tools.devops.checks.documents import mapping, sequence
from tools.devops.checks.gate import lookup
from tools.devops.checks.kubernetes_model import Manifest
from tools.devops.checks.kubernetes_rules import RULES
from tools.devops.types import Finding


def check(manifests: Sequence[Manifest], generated: frozenset[str]) -> Iterator[Finding]:
    """`generated` holds names of ConfigMaps and Secrets that kustomize makes."""
    workloads = [manifest for manifest in manifests if manifest.pod]
    for manifest in manifests:
        match manifest.kind:
            case "Deployment" | "StatefulSet" | "DaemonSet":
                yield from _own_selector(manifest)
            case "Service":
                yield from _service(manifest, workloads)
            case "PodDisruptionBudget":
                yield from _selects(manifest, ("spec", "selector", "matchLabels"), workloads)
                yield from _budget(manifest, workloads, manifests)
            case "NetworkPolicy":
                yield from _selects(manifest, ("spec", "podSelector", "matchLabels"), workloads)
            case "HorizontalPodAutoscaler":
                yield from _autoscaler(manifest, workloads)
            case "HTTPRoute" | "Ingress":
                yield from _backends(manifest, manifests)
    for workload in workloads:
        yield from _configuration(workload, manifests, generated)


def _matches(selector: dict[str, Any], workload: Manifest) -> bool:
    return bool(selector) and selector.items() <= workload.pod_labels.items()


def _near(manifest: Manifest, other: Manifest) -> bool:
    """The same namespace, as far as stated: kustomize may set it later."""
    return not manifest.namespace or not other.namespace or manifest.namespace == other.namespace


def _own_selector(manifest: Manifest) -> Iterator[Finding]:
    selector = mapping(lookup(manifest.body, "spec", "selector", "matchLabels"))
    if selector and not _matches(selector, manifest):
        message = f"The selector of {manifest.kind} {manifest.name} does not match its pod template."
        yield RULES.at("selector", manifest.file, manifest.line("spec", "selector"), message)


def _selects(manifest: Manifest, path: tuple[str, ...], workloads: Sequence[Manifest]) -> Iterator[Finding]:
    selector = mapping(lookup(manifest.body, *path))
    if selector and not any(_matches(selector, w) and _near(manifest, w) for w in workloads):
        message = f"{manifest.kind} {manifest.name} selects no pod of these manifests."
        yield RULES.at("no-pods", manifest.file, manifest.line(*path), message)


def _service(manifest: Manifest, workloads: Sequence[Manifest]) -> Iterator[Finding]:
    selector = mapping(lookup(manifest.body, "spec", "selector"))
    if not selector:
        return
    yield from _selects(manifest, ("spec", "selector"), workloads)
    targets = [w for w in workloads if _matches(selector, w) and _near(manifest, w)]
    ports = {
        value
        for workload in targets
        for container, _line in workload.containers("initContainers", "containers")
        for port in sequence(container.get("ports"))
        for value in (mapping(port).get("containerPort"), mapping(port).get("name"))
    }
    for index, item in enumerate(sequence(lookup(manifest.body, "spec", "ports"))):
        target = mapping(item).get("targetPort", mapping(item).get("port"))
        if targets and target not in ports:
            line = manifest.line("spec", "ports", index)
            message = f"Service {manifest.name} sends to port {str(target)[:20]}, which no container has."
            yield RULES.at("target-port", manifest.file, line, message)


def _budget(manifest: Manifest, workloads: Sequence[Manifest], manifests: Sequence[Manifest]) -> Iterator[Finding]:
    selector = mapping(lookup(manifest.body, "spec", "selector", "matchLabels"))
    least = lookup(manifest.body, "spec", "minAvailable")
    most = lookup(manifest.body, "spec", "maxUnavailable")
    for workload in workloads:
        if not _matches(selector, workload) or not _near(manifest, workload):
            continue
        replicas = lookup(workload.body, "spec", "replicas")
        if replicas is None:
            scalers = [
                m
                for m in manifests
                if m.kind == "HorizontalPodAutoscaler"
                and lookup(m.body, "spec", "scaleTargetRef", "name") == workload.name
            ]
            replicas = lookup(scalers[0].body, "spec", "minReplicas") if scalers else 1
        blocked = isinstance(least, int) and isinstance(replicas, int) and least >= replicas
        if blocked or least == "100%" or most in (0, "0%"):
            message = f"PodDisruptionBudget {manifest.name} never lets a pod of {workload.name} go."
            yield RULES.at("pdb-blocks", manifest.file, manifest.line("spec", "minAvailable"), message)


def _autoscaler(manifest: Manifest, workloads: Sequence[Manifest]) -> Iterator[Finding]:
    target = mapping(lookup(manifest.body, "spec", "scaleTargetRef"))
    found = [w for w in workloads if w.kind == target.get("kind") and w.name == target.get("name")]
    if not found:
        line = manifest.line("spec", "scaleTargetRef")
        yield RULES.at(
            "hpa-target", manifest.file, line, f"{manifest.name} scales {str(target.get('name'))[:60]}, not there."
        )
    for workload in found:
        if lookup(workload.body, "spec", "replicas") is not None:
            line = workload.line("spec", "replicas")
            message = f"{workload.name} sets replicas, and {manifest.name} scales it."
            yield RULES.at("hpa-replicas", workload.file, line, message)


def _backends(manifest: Manifest, manifests: Sequence[Manifest]) -> Iterator[Finding]:
    services = {m.name: m for m in manifests if m.kind == "Service" and _near(manifest, m)}
    for name, port, line in _backend_refs(manifest):
        service = services.get(name)
        ports = {
            value
            for item in sequence(lookup(service.body, "spec", "ports") if service else None)
            for value in (mapping(item).get("port"), mapping(item).get("name"))
        }
        if service is None:
            yield RULES.at(
                "backend", manifest.file, line, f"{manifest.kind} {manifest.name} sends to {name[:60]}, not there."
            )
        elif port is not None and port not in ports:
            yield RULES.at("backend", manifest.file, line, f"Service {name[:60]} has no port {str(port)[:20]}.")


def _backend_refs(manifest: Manifest) -> Iterator[tuple[str, Any, int]]:
    """(service, port, line) of each reference of an HTTPRoute or Ingress, other kinds and namespaces left out."""
    for index, rule in enumerate(sequence(lookup(manifest.body, "spec", "rules"))):
        line = manifest.line("spec", "rules", index)
        for ref in sequence(mapping(rule).get("backendRefs")):
            item = mapping(ref)
            if item.get("kind", "Service") == "Service" and "namespace" not in item:
                yield str(item.get("name")), item.get("port"), line
        for path in sequence(lookup(rule, "http", "paths")):
            service = mapping(lookup(path, "backend", "service"))
            if service:
                port = mapping(service.get("port"))
                yield str(service.get("name")), port.get("number", port.get("name")), line


def _configuration(workload: Manifest, manifests: Sequence[Manifest], generated: frozenset[str]) -> Iterator[Finding]:
    """ConfigMaps that are read and do not exist. Secrets come from elsewhere by design."""
    known = {m.name for m in manifests if m.kind == "ConfigMap"} | generated
    for container, line in workload.containers("initContainers", "containers"):
        wanted = [lookup(item, "configMapRef") for item in sequence(container.get("envFrom"))]
        wanted += [lookup(item, "valueFrom", "configMapKeyRef") for item in sequence(container.get("env"))]
        for ref in wanted:
            name = mapping(ref).get("name")
            if name and name not in known and mapping(ref).get("optional") is not True:
                message = f"{workload.name} reads ConfigMap {str(name)[:60]}, not there."
                yield RULES.at("config-missing", workload.file, line, message)
