"""kubernetes-validate: objects against the API schemas, strictly, so that unknown fields are errors.

As a library: its command line exits 0 when it has no schema. Here an unknown kind is "not verified".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.checks.gate import CouldNotRunError, Subject, readable
from tools.devops.checks.kubernetes_model import REMOVED, Manifest, manifests_in
from tools.devops.checks.kustomize import is_kustomization, patch_files
from tools.devops.checks.linters import process
from tools.devops.types import Finding

locate = process.library("kubernetes_validate")

VERSION = "1.35"
_BUILT_IN = re.compile(r"(?:[a-z]+(?:\.[a-z0-9.-]*k8s\.io)?/)?v\d+(?:(?:alpha|beta)\d+)?")
# Kinds of other projects whose shape our own schema judges.
_OWN_SCHEMA = {("gateway.networking.k8s.io/v1", "HTTPRoute"), ("gateway.networking.k8s.io/v1", "Gateway")}


def run(subject: Subject, files: tuple[str, ...]) -> Iterator[Finding]:
    partial = patch_files(subject)
    whole = [path for path in files if path not in partial and not is_kustomization(path)]
    unknown: list[str] = []
    for _path, manifests in readable(whole, lambda path: list(manifests_in(subject, path))):
        for manifest in manifests:
            yield from _one(manifest, unknown)
    if unknown:
        raise CouldNotRunError(f"there is no schema for {', '.join(sorted(set(unknown))[:5])}")


def _one(manifest: Manifest, unknown: list[str]) -> Iterator[Finding]:
    import kubernetes_validate

    api, kind = manifest.api, manifest.kind
    if (api, kind) in _OWN_SCHEMA or (api, kind) in REMOVED or (api, "*") in REMOVED:
        return
    # Both become part of a file name in the library, which also cuts the group's domain off.
    if not _BUILT_IN.fullmatch(api) or not re.fullmatch(r"[A-Za-z]+", kind):
        unknown.append(f"{api[:60]} {kind[:60]}")
        return
    try:
        kubernetes_validate.validate(manifest.body, VERSION, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        unknown.append(f"{api} {kind}")
    except kubernetes_validate.ValidationError as error:
        path = tuple(error.absolute_path)
        extra = re.search(r"\('([^']{1,60})' (?:was|were) unexpected\)", error.message)
        reason = f"unknown field {extra[1]!r}" if extra else f"does not fit `{error.validator}`"
        yield Finding(
            rule="schema",
            severity="error",
            file=manifest.file,
            line=manifest.line(*path, *([extra[1]] if extra else [])),
            message=f"{kind} {manifest.name}: {'.'.join(map(str, path)) or 'object'}: {reason}.",
            why=f"The API server (schema {VERSION}, strict) refuses or drops it.",
            fix="Correct the field; `kubectl explain` lists the known ones.",
            tool="kubernetes-validate",
        )
