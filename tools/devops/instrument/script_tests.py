"""Tests of what was added to an Express application, for the runner the project has: Node's own, Jest or Vitest."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from tools.devops.instrument.script_code import ScriptFile
from tools.devops.instrument.script_handles import open_script, specifier
from tools.devops.instrument.script_modules import Modules
from tools.devops.instrument.script_templates import render_script
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Draft
from tools.devops.render import Quoted

_TEST_FILE = re.compile(r"\.(?:test|spec)\.[cm]?[jt]s$")
_STEMS = ("probes", "operations", "probes-and-metrics")


def add_tests(modules: Modules, draft: Draft, added: Mapping[str, tuple[str, list[str]]], roles: Sequence[str]) -> None:
    """Put the tests into the draft, or the reason why there are none.

    `added`: subject -> (new module, its names). `roles`: what `/health` asks; a test replaces each.
    """
    unit = modules.unit
    runner, present = _runner(unit), _test_files(unit)
    like = open_script(unit, present[0]) if present else None
    if runner is None or like is None or not added:
        return
    ending = present[0].rpartition(".")[2]
    path = next((name for name in _names(present[0]) if not unit.exists(name)), None)
    if path is None or not _can_load(runner, like, ending, modules):
        draft.notes.append(
            "No tests were added: the present ones cannot load the new modules (language or module system)."
        )
        return
    values = {
        "runner": runner,
        "imports": Quoted("\n".join(_imports(like, path, modules, added))),
        "roles": list(roles) or ["database"],
        "optional": list(unit.optional),
        **{subject: subject in added for subject in ("health", "liveness", "metrics", "json_logs")},
    }
    text = render_script(
        "express_tests", values, newline=like.edits.newline, typed=ending in ("ts", "mts", "cts"), like=like
    )
    draft.new[path] = re.sub(r"\s*module\.exports = \{\s*\};?\s*\Z", like.edits.newline, text)
    draft.notes.append(f"{path} tests what was added.")


def _runner(unit: Unit) -> str | None:
    """What `npm test` runs: `jest`, `vitest`, `node`; None for anything else."""
    try:
        manifest = json.loads(unit.folder.read("package.json") or "{}")
        command = str(manifest["scripts"]["test"])
    except (ValueError, KeyError, TypeError):
        return None
    if re.search(r"\bnode\b.*--test\b|\btsx\b.*--test\b", command):
        return "node"
    return next((name for name in ("vitest", "jest") if re.search(rf"\b{name}\b", command)), None)


def _test_files(unit: Unit) -> list[str]:
    prefix = unit.folder.prefix
    nested = tuple(f"{path}/" for path in unit.folder.nested if path != unit.folder.path)
    found = [
        path.removeprefix(prefix)
        for path in unit.folder.tree.files
        if path.startswith(prefix) and not path.startswith(nested) and _TEST_FILE.search(path)
    ]
    return sorted(found, key=lambda name: (name.count("/"), name))


def _names(present: str) -> list[str]:
    """Paths for the new file beside `present`, with its way of naming: `test/probes.test.mjs`."""
    folder, _, name = present.rpartition("/")
    tail = _TEST_FILE.search(name)
    lead = f"{folder}/" if folder else ""
    return [f"{lead}{stem}{tail[0]}" for stem in _STEMS] if tail else []


def _can_load(runner: str, like: ScriptFile, ending: str, modules: Modules) -> bool:
    """Whether a test like the present one can import the new modules."""
    if runner == "node" and modules.typed and not ending.endswith("ts"):
        return False
    return like.is_module or not modules.file.is_module or modules.typed


def _imports(like: ScriptFile, path: str, modules: Modules, added: Mapping[str, tuple[str, list[str]]]) -> list[str]:
    """Import lines in the templates' own form; `render_script` puts them into the dialect of the present test."""
    extension = modules.extension
    if like.is_module and not modules.typed:
        extension = f".{modules.ending}"
    elif modules.typed and like.extension != "?":
        extension = like.extension
    wanted: dict[str, set[str]] = {}
    for module, names in added.values():
        wanted.setdefault(module, set()).update(names)
    return [
        f'import {{ {", ".join(sorted(names))} }} from "{specifier(path, module, extension)}";'
        for module, names in sorted(wanted.items())
    ]
