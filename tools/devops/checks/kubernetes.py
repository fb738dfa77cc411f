"""The `kubernetes` gate: objects that fit each other, pods that are safe, kustomizations that resolve.

Field types are the business of kubernetes-validate; here stands what a schema cannot say.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.devops.checks import kubernetes_links, kubernetes_pods, kustomize
from tools.devops.checks.documents import schema_findings
from tools.devops.checks.gate import Gate, Linter, Subject, each
from tools.devops.checks.kubernetes_model import REMOVED, Manifest, candidates, manifests_in
from tools.devops.checks.kubernetes_rules import RULES
from tools.devops.checks.linters import kubectl, kubernetes_validate
from tools.devops.checks.schemas import own
from tools.devops.types import Finding


def select(subject: Subject) -> tuple[str, ...]:
    return subject.files(candidates)


def check(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    partial = kustomize.patch_files(subject)
    everything: list[Manifest] = []

    def one(path: str) -> Iterator[Finding]:
        if kustomize.is_kustomization(path):
            yield from kustomize.check(subject, path)
            return
        for manifest in manifests_in(subject, path):
            if path not in partial:
                everything.append(manifest)
                yield from _object(manifest)

    yield from each(files, one)
    for manifest in everything:
        yield from kubernetes_pods.check(manifest)
    yield from kubernetes_links.check(everything, kustomize.generated_names(subject))


def _object(manifest: Manifest) -> Iterator[Finding]:
    file, line = manifest.file, manifest.line()
    if not manifest.name:
        yield RULES.at("object", file, line, f"This {manifest.kind} has no metadata.name.")
    replacement = REMOVED.get((manifest.api, manifest.kind), REMOVED.get((manifest.api, "*")))
    if replacement:
        at = manifest.line("apiVersion")
        yield RULES.at("removed-api", file, at, f"{manifest.api} {manifest.kind} is gone.", fix=f"Use {replacement}.")
    if manifest.api == "gateway.networking.k8s.io/v1" and manifest.kind in ("HTTPRoute", "Gateway"):
        yield from schema_findings(manifest.document, own("gateway-api"), RULES)


GATE = Gate(
    "kubernetes",
    RULES,
    select,
    check,
    (
        Linter("kubernetes-validate", kubernetes_validate.locate, kubernetes_validate.run),
        Linter("kubectl", kubectl.locate, kubectl.run, optional=True),
    ),
)
