"""Kubernetes manifests found in a tree, and what other rules need to know of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tools.devops.checks.documents import Document, mapping, sequence
from tools.devops.checks.gate import Subject, lookup
from tools.devops.checks.tree import BadFileError, base_name

WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ReplicaSet"})
SERVERS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})

# (apiVersion, kind) to its replacement. Source: the deprecation guide of kubernetes.io, up to 1.37.
REMOVED: dict[tuple[str, str], str] = {
    ("extensions/v1beta1", "Ingress"): "networking.k8s.io/v1",
    ("extensions/v1beta1", "NetworkPolicy"): "networking.k8s.io/v1",
    ("extensions/v1beta1", "*"): "apps/v1",
    ("apps/v1beta1", "*"): "apps/v1",
    ("apps/v1beta2", "*"): "apps/v1",
    ("networking.k8s.io/v1beta1", "*"): "networking.k8s.io/v1",
    ("policy/v1beta1", "PodSecurityPolicy"): "Pod Security Admission",
    ("policy/v1beta1", "*"): "policy/v1",
    ("batch/v1beta1", "*"): "batch/v1",
    ("batch/v2alpha1", "*"): "batch/v1",
    ("autoscaling/v2beta1", "*"): "autoscaling/v2",
    ("autoscaling/v2beta2", "*"): "autoscaling/v2",
    ("rbac.authorization.k8s.io/v1beta1", "*"): "rbac.authorization.k8s.io/v1",
    ("apiextensions.k8s.io/v1beta1", "*"): "apiextensions.k8s.io/v1",
    ("admissionregistration.k8s.io/v1beta1", "*"): "admissionregistration.k8s.io/v1",
    ("storage.k8s.io/v1beta1", "*"): "storage.k8s.io/v1",
    ("discovery.k8s.io/v1beta1", "*"): "discovery.k8s.io/v1",
    ("gateway.networking.k8s.io/v1alpha2", "HTTPRoute"): "gateway.networking.k8s.io/v1",
    ("gateway.networking.k8s.io/v1alpha2", "Gateway"): "gateway.networking.k8s.io/v1",
}

_HINT = re.compile(r"^apiVersion:", re.MULTILINE)
_KIND = re.compile(r"^kind:", re.MULTILINE)
# Cloud Run's services are in Knative's form; the `cloudrun` gate is about them.
_KNATIVE = re.compile(r"^apiVersion:\s*[\"']?(serving\.knative\.dev|run\.googleapis\.com)/", re.MULTILINE)


@dataclass(frozen=True)
class Manifest:
    """One object. `document` may be a part of a file, or an item of a List."""

    document: Document

    @property
    def file(self) -> str:
        return self.document.file

    @cached_property
    def body(self) -> dict[str, Any]:
        return mapping(self.document.value)

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def api(self) -> str:
        return str(self.body.get("apiVersion", ""))

    @property
    def name(self) -> str:
        return str(lookup(self.body, "metadata", "name") or "")

    @property
    def namespace(self) -> str:
        return str(lookup(self.body, "metadata", "namespace") or "")

    def line(self, *path: str | int) -> int:
        return self.document.line(*path)

    @cached_property
    def template_path(self) -> tuple[str, ...]:
        """Where the pod template stands, () for a Pod."""
        if self.kind == "Pod":
            return ()
        return ("spec", "jobTemplate", "spec", "template") if self.kind == "CronJob" else ("spec", "template")

    @cached_property
    def pod(self) -> dict[str, Any]:
        """The pod's spec, {} when this is no workload."""
        return mapping(lookup(self.body, *self.template_path, "spec")) if self.kind in WORKLOADS else {}

    @cached_property
    def pod_labels(self) -> dict[str, Any]:
        if self.kind not in WORKLOADS:
            return {}
        return mapping(lookup(self.body, *self.template_path, "metadata", "labels"))

    def containers(self, *sections: str) -> Iterator[tuple[dict[str, Any], int]]:
        """(container, line) of `containers`, or of the named sections."""
        for section in sections or ("containers",):
            for index, container in enumerate(sequence(self.pod.get(section))):
                yield mapping(container), self.line(*self.template_path, "spec", section, index)


def candidates(subject: Subject) -> tuple[str, ...]:
    """YAML files that look like manifests or kustomizations; Helm templates are no YAML and left out."""
    charts = tuple(path.removesuffix("Chart.yaml") + "templates/" for path in subject.tree.named("Chart.yaml"))
    found = []
    for path in subject.tree.files:
        name = base_name(path)
        if not name.endswith((".yaml", ".yml")) or path.startswith((".github/", *charts)):
            continue
        if name in ("kustomization.yaml", "kustomization.yml"):
            found.append(path)
            continue
        try:
            text = subject.tree.text(path)
        except BadFileError:
            if re.search(r"(^|/)(k8s|kubernetes|manifests)/", path):
                found.append(path)
            continue
        if _HINT.search(text) and _KIND.search(text) and not _KNATIVE.search(text):
            found.append(path)
    return tuple(found)


def manifests_in(subject: Subject, path: str) -> Iterator[Manifest]:
    """The objects of one file, Lists opened. Raises `BadFileError`."""
    for document in subject.yaml(path):
        body = mapping(document.value)
        if body.get("kind") == "List":
            for index, item in enumerate(sequence(body.get("items"))):
                lines = {key[2:]: line for key, line in document.lines.items() if key[:2] == ("items", index)}
                yield Manifest(Document(path, item, lines))
        elif "kind" in body and "apiVersion" in body:
            yield Manifest(document)
