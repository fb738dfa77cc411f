"""From a directory to a `Project`: units by their languages, then everything that is the same for all languages."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from tools.devops.project.jobs import with_jobs
from tools.devops.project.languages import Found, Sign
from tools.devops.project.languages.python_faults import python_faults
from tools.devops.project.platforms import default_branch, existing_files, file_platforms, platform_signs
from tools.devops.project.ports import fixed_port, port_in_code
from tools.devops.project.readiness import WHY, missing, with_readiness
from tools.devops.project.services import image_service, services_of
from tools.devops.project.told import compose_services, with_told
from tools.devops.project.tree import Folder, ProjectError, Tree, dig, items, mapping, text
from tools.devops.project.units import find_units
from tools.devops.project.variables import compose_names, names_read
from tools.devops.types import DeployUnit, Missing, Project


def scan_project(root: Path) -> Project:
    """What the project at `root` is. Reads files only; the result is the same for the same files.

    Raises `ProjectError` when `root` is not a directory or cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise ProjectError(f"{root} is not a directory. Name the folder of the project.")
    tree = Tree(root.resolve())
    found = find_units(tree)
    nested = frozenset(item.unit.path for item in found if item.unit.path != ".")
    packages = {item.unit.path: item.packages for item in found}
    units = [_complete(tree, item, nested) for item in found]
    units = _with_libraries(units, packages)
    units = _with_compose(Folder(tree, "."), units)
    lacking = [entry for unit in units for entry in (*missing(unit), *_more_missing(tree, unit, found, nested))]
    for item in found:
        for note in item.notes:
            tree.note(note)
    own = file_platforms(tree, [unit.path for unit in units])
    return Project(
        root=str(tree.root),
        units=tuple(units),
        platforms=tuple(platform_signs(tree, own, units, packages)),
        existing=tuple(existing_files(tree, own)),
        missing=tuple(lacking),
        default_branch=default_branch(tree),
        notes=tree.notes,
        service_images=_service_images(Folder(tree, ".")),
    )


def _complete(tree: Tree, found: Found, nested: frozenset[str]) -> DeployUnit:
    """A language's unit with what is common to all languages."""
    folder = Folder(tree, found.unit.path, nested)
    unit = with_told(found.unit, folder)
    served = unit.kind in ("backend", "fullstack") and unit.port is not None
    told_port = unit.port if unit.port != found.unit.port else None
    port = told_port or (port_in_code(folder) if served else None) or unit.port
    unit = replace(
        unit,
        port=port,
        cron=with_jobs(unit, folder),
        env=tuple(sorted(names_read(folder))),
        services=tuple(sorted(services_of(folder, found.packages)))
        if found.sign >= Sign.RUNS or unit.kind == "library"
        else (),
    )
    return with_readiness(unit, folder, found.packages)


def _with_libraries(units: list[DeployUnit], packages: dict[str, frozenset[str]]) -> list[DeployUnit]:
    """Units with what their workspace libraries read and need: a library's driver is the application's."""
    libraries = {unit.name: unit for unit in units if unit.kind == "library"}
    if not libraries:
        return units
    result = []
    for unit in units:
        wanted, used = list(packages[unit.path]), set()
        while wanted:
            name = wanted.pop()
            if name in libraries and name not in used and name != unit.name:
                used.add(name)
                wanted += packages[libraries[name].path]
        if used and unit.kind not in ("library", "frontend", "static"):
            needed = [unit, *(libraries[name] for name in used)]
            result.append(
                replace(
                    unit,
                    env=tuple(sorted({name for one in needed for name in one.env})),
                    services=tuple(sorted({name for one in needed for name in one.services})),
                    system_packages=tuple(sorted({name for one in needed for name in one.system_packages})),
                )
            )
        else:
            result.append(unit)
    return result


def _with_compose(root: Folder, units: list[DeployUnit]) -> list[DeployUnit]:
    """Units with the backing services and variables the root's compose file gives them."""
    defined = dict(compose_services(root))
    backing = {name: kind for name, service in defined.items() if (kind := image_service(service))}
    if not defined:
        return units
    servers = [unit for unit in units if unit.kind in ("backend", "fullstack", "worker")]

    def joined(unit: DeployUnit) -> DeployUnit:
        own = [service for service in defined.values() if _builds(service, unit.path)]
        kinds: set[str] = set()
        env: set[str] = set()
        if own and unit in servers:
            linked = {name for service in own for name in (*mapping(service.get("depends_on")), *_names(service))}
            kinds = {backing[name] for name in linked if name in backing}
            env = {name for service in own for name in compose_names(service)}
        elif servers == [unit]:
            kinds = set(backing.values())
        return replace(unit, services=tuple(sorted({*unit.services, *kinds})), env=tuple(sorted({*unit.env, *env})))

    return [joined(unit) for unit in units]


def _service_images(root: Folder) -> dict[str, str]:
    """Backing service -> its image in the root's compose file, where that names a version."""
    images = {image_service(service): text(service.get("image")) for _name, service in compose_services(root)}
    return {kind: image for kind, image in images.items() if kind and re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", image)}


def _names(service: dict[str, object]) -> list[str]:
    return [text(name) for name in items(service.get("depends_on"))]


def _builds(service: dict[str, object], path: str) -> bool:
    build = service.get("build")
    context = text(build) or text(dig(build, "context"))
    return bool(context) and (context.removeprefix("./").strip("/") or ".") == path


def _more_missing(tree: Tree, unit: DeployUnit, found: list[Found], nested: frozenset[str]) -> list[Missing]:
    notes = next(item.notes for item in found if item.unit.path == unit.path)
    lacking = []
    if any("is not among the dependencies" in note for note in notes):
        lacking.append(Missing("production_server", unit.path, WHY["production_server"]))
    if unit.kind in ("backend", "fullstack") and fixed_port(Folder(tree, unit.path, nested), unit):
        lacking.append(Missing("port", unit.path, WHY["port"]))
    if unit.language == "python":
        lacking += [
            Missing(what, unit.path, WHY[what]) for what in python_faults(Folder(tree, unit.path, nested), unit)
        ]
    return lacking
