"""A SPEC and a project as text for people, from their JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def spec_text(spec: Json) -> str:
    """What a SPEC says on deployment, with the lines it rests on, and its requirements."""
    lines = [f"{spec['id']}: {spec['title']}", f"files: {', '.join(spec['files'])}", "", "deployment:"]
    for name, field in spec["deployment"].items():
        if field["status"] == "not_stated" and not field["conflicts"]:
            continue
        value = json.dumps(field["value"], ensure_ascii=False) if field["status"] == "stated" else ""
        planned = " (planned)" if field["planned"] else ""
        lines.append(f"  {name}: {field['status']} {value}{planned}".rstrip())
        lines += [f"      {e['file']}:{e['line']}: {e['text'].strip()[:120]}" for e in field["evidence"][:2]]
        lines += [f"      conflict: {json.dumps(c, ensure_ascii=False)[:160]}" for c in field["conflicts"]]
    silent = [name for name, field in spec["deployment"].items() if field["status"] == "not_stated"]
    lines += [f"  not stated: {', '.join(silent)}", "", f"requirements: {len(spec['requirements'])}"]
    lines += [f"  {r['id']} ({r['pattern']}, {r['file']}:{r['line']}): {r['text'][:110]}" for r in spec["requirements"]]
    return "\n".join([*lines, *(f"note: {note}" for note in spec["notes"])])


def project_text(project: Json) -> str:
    """Deploy units with their commands, platforms, existing deployment files, and what is missing."""
    lines = []
    for unit in project["units"]:
        lines.append(f"{unit['path']} ({unit['kind']}): {unit['language']} {unit['version'] or ''}".rstrip())
        lines += [f"  {name}: {_shown(unit[name])}" for name in _UNIT_FACTS if unit[name]]
    for sign in project["platforms"]:
        lines.append(f"platform: {sign['platform']} ({sign['source']}: {', '.join(sign['evidence'])})")
    lines += [f"existing: {path}" for path in project["existing"]]
    lines += [f"missing in {item['unit']}: {item['what']}: {item['why']}" for item in project["missing"]]
    return "\n".join([*lines, *(f"note: {note}" for note in project["notes"])]) or "No deploy unit was found."


_UNIT_FACTS = (
    "frameworks",
    "package_manager",
    "install",
    "build",
    "start",
    "migrate",
    "test",
    "lint",
    "port",
    "health_path",
    "services",
    "env",
)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
