"""The framework's own configuration: language of conversation, project, git and quality settings.

Four places are looked at below `.do` (then `.moai`): `config/config.yaml`, `config/config.json`, the old `config.json`,
and `config/sections/*.yaml` laid over whichever was found. A broken file is ignored with a note, never fatal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.devops.spec.files import Source
from tools.devops.spec.metadata import load_yaml

ROOTS = (".do", ".moai")
BASES = ("config/config.yaml", "config/config.json", "config.json")
SECTIONS = ("user", "language", "git-strategy", "project", "quality", "system")
KEPT = frozenset(
    {
        "do",
        "moai",
        "user",
        "language",
        "project",
        "constitution",
        "quality",
        "git_strategy",
        "github",
        "report_generation",
        "document_management",
        "session",
        "hooks",
        "agent",
        "tags",
    }
)
"""Sections with a use for deployment; anything else is left where it is."""
MAX_DEPTH = 8


def read_configuration(source: Source) -> dict[str, Any]:
    """`{"files": what was read, "language": conversation language or None, "settings": the merged sections}`."""
    for root in ROOTS:
        files, settings = _read_root(source, root)
        if files:
            return {"files": files, "language": _language(settings), "settings": settings}
    return {"files": [], "language": None, "settings": {}}


def conversation_language(root: Path) -> str:
    """The language people of the project at `root` are spoken to in; `en` when it configures none."""
    return str(read_configuration(Source(root))["language"] or "en")


def _read_root(source: Source, root: str) -> tuple[list[str], dict[str, Any]]:
    files: list[str] = []
    settings: dict[str, Any] = {}
    for base in BASES:
        data = _load(source, f"{root}/{base}")
        if data is not None:
            files.append(f"{root}/{base}")
            settings = data
            break
    for section in SECTIONS:
        name = f"{root}/config/sections/{section}.yaml"
        data = _load(source, name)
        if data is not None:
            files.append(name)
            key = section.replace("-", "_")
            settings = _merge(settings, data if set(data) & KEPT else {key: data})
    return files, {key: value for key, value in settings.items() if key in KEPT}


def _load(source: Source, name: str) -> dict[str, Any] | None:
    text = source.read(source.root / name)
    if text is None:
        return None
    if name.endswith(".json"):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
    else:
        data = load_yaml(text)
    if not isinstance(data, dict) or (not data and text.strip()):
        source.notes.append(f"{name}: not a valid configuration; ignored.")
        return None
    return {str(key): value for key, value in data.items()}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        deeper = isinstance(old, Mapping) and isinstance(value, Mapping) and depth < MAX_DEPTH
        merged[key] = _merge(old, value, depth + 1) if deeper else value  # type: ignore[arg-type]  # both are mappings
    return merged


def _language(settings: Mapping[str, Any]) -> str | None:
    """`conversation_language`, in its long, short and oldest spelling."""
    section = settings.get("language")
    if isinstance(section, str):
        return section
    if isinstance(section, Mapping):
        value = section.get("conversation_language") or section.get("conversation")
        return str(value) if value else None
    project = settings.get("project")
    value = project.get("locale") if isinstance(project, Mapping) else None
    return str(value) if value else None
