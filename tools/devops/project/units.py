"""Which folders are deploy units: candidates by their manifests, one language each, workspaces sorted out."""

from __future__ import annotations

import re
from dataclasses import replace

from tools.devops.project.languages import LANGUAGES, Found, Language, Sign
from tools.devops.project.languages import node_packages as node
from tools.devops.project.languages.language import script
from tools.devops.project.languages.node_nx import nx_units
from tools.devops.project.tree import SIDE_FOLDERS, Folder, Tree, mapping, text, words

MAX_DEPTH = 6
MAX_UNITS = 200

_NO_UNITS = SIDE_FOLDERS | frozenset(
    words(
        "template templates themes meta-inf "
        "remix.init script scripts tools tooling hack infra infrastructure terraform ops ci cdk pulumi devops"
    )
)
_DELEGATES = re.compile(
    r"\b(?:turbo|nx|lerna|wsrun|moon|rush)\b|--filter|-F |--workspace|-w |workspaces? |pnpm -r|--recursive|concurrently"
)

_EXACT: dict[str, list[Language]] = {}
_ENDINGS: list[tuple[str, Language]] = []
for _language in LANGUAGES:
    for _manifest in _language.manifests:
        if _manifest.startswith("*"):
            _ENDINGS.append((_manifest[1:], _language))
        else:
            _EXACT.setdefault(_manifest, []).append(_language)


def find_units(tree: Tree) -> list[Found]:
    """The deploy units of the tree, ordered by path (the root first)."""
    marked = {path: languages for path in tree.folders if (languages := _marks(tree, path))}
    nested = frozenset(path for path in marked if path)
    found: dict[str, Found] = {}
    for path in sorted({"", *marked}):
        if path.count("/") < MAX_DEPTH and not any(part.startswith(".") for part in path.split("/") if part):
            unit = identify(Folder(tree, path or ".", nested), marked.get(path, set()))
            if unit:
                found[unit.unit.path] = unit
    for unit in nx_units(Folder(tree, ".", nested)):
        found.setdefault(unit.unit.path, unit)
    if not found:
        for path in sorted(tree.folders):
            if path and path.count("/") < 2 and path not in marked and not _is_side(path):
                unit = identify(Folder(tree, path, nested), set())
                if unit and unit.sign >= Sign.RUNS:
                    found[path] = unit
    for path in _local_packages(tree, found):
        found.pop(path, None)
    chosen = _deployed(tree, found)
    if len(chosen) > MAX_UNITS:
        tree.note(f"Only the first {MAX_UNITS} of {len(chosen)} units are listed.")
    return chosen[:MAX_UNITS]


def _local_packages(tree: Tree, found: dict[str, Found]) -> set[str]:
    """Node packages that another one takes in by `file:` or `link:`."""
    paths: set[str] = set()
    for item in found.values():
        if item.unit.language == "node":
            folder = Folder(tree, item.unit.path)
            for target in mapping(node.manifest(folder).get("dependencies")).values():
                local = re.match(r"(?:file|link|portal):(?:\./)?([\w./-]+)$", text(target))
                if local and ".." not in local[1]:
                    paths.add(folder.prefix + local[1].rstrip("/"))
    return paths


def _marks(tree: Tree, path: str) -> set[str]:
    """Names of the languages that have a manifest in the folder."""
    marked: set[str] = set()
    for name in tree.folders[path]:
        marked.update(language.name for language in _EXACT.get(name, ()))
        marked.update(language.name for ending, language in _ENDINGS if name.endswith(ending))
    return marked


def identify(folder: Folder, marked: set[str]) -> Found | None:
    """What one folder is. Languages without a manifest there count by their hints, after those that have one."""
    seen: list[tuple[Sign, bool, Found]] = []
    node_found: Found | None = None
    for language in LANGUAGES:
        has_manifest = language.name in marked
        if has_manifest or any(_hinted(folder, hint) for hint in language.hints):
            unit = language.detect(folder)
            if unit:
                seen.append((unit.sign, has_manifest, unit))
                node_found = unit if language.name == "node" else node_found
    if not seen:
        return None
    best = max(seen, key=lambda item: item[:2])[2]  # max keeps the first of equals: the order of LANGUAGES
    if node_found and node_found is not best and folder.first("package.json"):
        return _with_assets(best, node_found)
    return best


def _hinted(folder: Folder, hint: str) -> bool:
    return folder.first(hint) is not None if "/" in hint else bool(folder.matching(hint))


def _with_assets(main: Found, assets: Found) -> Found:
    """A server that also builds front-end assets with Node in the same folder."""
    if not assets.unit.build or main.sign < Sign.RUNS:
        return main
    unit = replace(
        main.unit,
        install=script(main.unit.install, assets.unit.install),
        build=script(assets.unit.build, main.unit.build),
        files=tuple(dict.fromkeys((*main.unit.files, *assets.unit.files))),
    )
    note = f"{unit.path}: assets are built with Node ({assets.unit.package_manager}) before the application"
    return replace(main, unit=unit, notes=(*main.notes, note))


# --- which of them are deployed --------------------------------------------------------------------------------


def _deployed(tree: Tree, found: dict[str, Found]) -> list[Found]:
    """Without side folders and roots that only delegate; libraries only as workspace members or when alone."""
    ordered = sorted(found.values(), key=lambda item: (item.unit.path != ".", item.unit.path))
    main = [item for item in ordered if not _is_side(item.unit.path)]
    running = [item for item in main if item.sign >= Sign.RUNS and not _only_delegates(tree, item, found)]
    if not running and all(_is_bare_workspace(tree, item) for item in main):
        return [item for item in ordered if item.sign >= Sign.RUNS] or main
    if not running:
        main = [item for item in main if not _only_delegates(tree, item, found)] or main
        top = [item for item in main if item.unit.path == "."]
        members = [item for item in main if _is_library_member(tree, item)]
        return [*top, *(item for item in members if item not in top)] or main[:1]
    libraries = [item for item in main if item.sign < Sign.RUNS and _is_library_member(tree, item)]
    chosen = [*running, *libraries]
    return sorted(chosen, key=lambda item: (item.unit.path != ".", item.unit.path))


def _is_side(path: str) -> bool:
    return any(part.lower() in _NO_UNITS for part in path.split("/"))


def _is_bare_workspace(tree: Tree, item: Found) -> bool:
    """A manifest that only names members."""
    folder = Folder(tree, item.unit.path)
    cargo = folder.toml("Cargo.toml")
    return ("workspace" in cargo and "package" not in cargo) or node.is_workspace_root(folder)


def _is_library_member(tree: Tree, item: Found) -> bool:
    """A member of a workspace of any language."""
    if item.unit.path == ".":
        return False
    for place in Folder(tree, item.unit.path).above():
        if place.path != item.unit.path and node.is_workspace_root(place) and item.unit.language == "node":
            return node.is_member(place, item.unit.path)
    if item.unit.language == "python":
        return item.unit.package_manager == "uv" and any(file.startswith("..") for file in item.unit.files)
    if item.unit.language == "rust":
        return any(file.startswith("..") for file in item.unit.files)
    return (
        item.unit.language in ("java", "kotlin", "go")
        and Folder(tree, ".").first("settings.gradle", "settings.gradle.kts", "pom.xml", "go.work") is not None
    )


def _only_delegates(tree: Tree, item: Found, found: dict[str, Found]) -> bool:
    """A workspace root whose scripts only call its members, while a member is deployed itself."""
    folder = Folder(tree, item.unit.path)
    if item.unit.language != "node" or not node.is_workspace_root(folder):
        return False
    below = [
        other
        for path, other in found.items()
        if path != item.unit.path and path.startswith(folder.prefix) and other.sign >= Sign.RUNS and not _is_side(path)
    ]
    if not below:
        return False
    scripts = mapping(node.manifest(folder).get("scripts"))
    commands = " ; ".join(text(scripts.get(name)) for name in ("start", "build", "dev"))
    runs_own_file = item.unit.entry is not None and folder.first(item.unit.entry) is not None
    is_plain = item.sign < Sign.APP and not runs_own_file
    return bool(folder.first("nx.json")) or is_plain or _DELEGATES.search(commands) is not None
