"""Kustomizations without kubectl: which files they name, and whether those exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from tools.devops.checks.documents import Document, mapping, sequence
from tools.devops.checks.gate import Subject, readable
from tools.devops.checks.kubernetes_rules import RULES
from tools.devops.checks.tree import folder_of, join
from tools.devops.types import Finding

NAMES = ("kustomization.yaml", "kustomization.yml")
_REMOTE = re.compile(r"://|^git@|^github\.com/|\?ref=")


def is_kustomization(path: str) -> bool:
    return PurePosixPath(path).name in NAMES


def _all(subject: Subject) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, documents in readable(subject.tree.named(*NAMES), subject.yaml):
        if documents:
            yield path, mapping(documents[0].value)


def _patches(body: dict[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for index, item in enumerate(sequence(body.get("patches"))):
        if isinstance(mapping(item).get("path"), str):
            yield item["path"], ("patches", index)
    for key in ("patchesStrategicMerge", "components", "transformers", "configurations"):
        for index, item in enumerate(sequence(body.get(key))):
            if isinstance(item, str) and "\n" not in item:
                yield item, (key, index)
    for index, item in enumerate(sequence(body.get("patchesJson6902"))):
        if isinstance(mapping(item).get("path"), str):
            yield item["path"], ("patchesJson6902", index)


def _resources(body: dict[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for key in ("resources", "bases", "crds"):
        for index, item in enumerate(sequence(body.get(key))):
            if isinstance(item, str):
                yield item, (key, index)


def _inputs(body: dict[str, Any]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    for key in ("configMapGenerator", "secretGenerator"):
        for index, item in enumerate(sequence(body.get(key))):
            entries = [
                *sequence(mapping(item).get("files")),
                *sequence(mapping(item).get("envs")),
                mapping(item).get("env"),
            ]
            for entry in entries:
                if isinstance(entry, str):
                    yield entry.split("=", 1)[-1], (key, index)


def patch_files(subject: Subject) -> frozenset[str]:
    """Files that hold parts of objects, to be merged: no rule on whole objects applies to them."""
    found = (join(folder_of(path), name) for path, body in _all(subject) for name, _at in _patches(body))
    return frozenset(name for name in found if name)


def generated_names(subject: Subject) -> frozenset[str]:
    """ConfigMaps and Secrets that generators make."""
    return frozenset(
        str(mapping(item).get("name"))
        for _path, body in _all(subject)
        for key in ("configMapGenerator", "secretGenerator")
        for item in sequence(body.get(key))
    )


def is_local(subject: Subject, path: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a kustomization and all it includes stay inside the project and use no plugin or chart."""
    if path in seen:
        return False
    found = list(readable([path], subject.yaml))
    body = mapping(found[0][1][0].value) if found and found[0][1] else {}
    if (
        not body
        or {"helmCharts", "helmChartInflationGenerator", "generators", "transformers", "validators"} & body.keys()
    ):
        return False
    for name, _at in (*_resources(body), *_patches(body), *_inputs(body)):
        target = None if _REMOTE.search(name) else join(folder_of(path), name)
        if target is None:
            return False
        if target in subject.tree:
            if not (subject.tree.root / target).resolve().is_relative_to(subject.tree.root):
                return False
            continue
        below = next((f"{target}/{kind}" for kind in NAMES if f"{target}/{kind}" in subject.tree), None)
        if below is None or not is_local(subject, below, seen | {path}):
            return False
    return True


def check(subject: Subject, path: str) -> Iterator[Finding]:
    documents = subject.yaml(path)
    if not documents:
        return
    document, folder = documents[0], folder_of(path)
    body = mapping(document.value)
    listed: set[str] = set()
    for name, at in (*_resources(body), *_patches(body), *_inputs(body)):
        if _REMOTE.search(name):
            if not re.search(r"\?ref=[0-9a-f]{40}", name):
                yield RULES.at("kustomize-remote", path, document.line(*at), f"{name[:80]} is fetched when applied.")
            continue
        target = join(folder, name)
        listed.add(target or "")
        present = target is not None and (
            target in subject.tree or any(f"{target}/{kind}" in subject.tree for kind in NAMES)
        )
        if not present:
            yield RULES.at("kustomize-missing", path, document.line(*at), f"{name[:80]} does not exist in the project.")
    yield from _orphans(subject, document, folder, listed)


def _orphans(subject: Subject, document: Document, folder: str, listed: set[str]) -> Iterator[Finding]:
    for path in subject.tree.files:
        if folder_of(path) != folder or is_kustomization(path) or not path.endswith((".yaml", ".yml")):
            continue
        found = list(readable([path], subject.yaml))
        bodies = [mapping(item.value) for item in found[0][1]] if found else []
        if path not in listed and any("apiVersion" in body and "kind" in body for body in bodies):
            yield RULES.at("kustomize-orphan", path, 0, f"{document.file} does not list this file.")
