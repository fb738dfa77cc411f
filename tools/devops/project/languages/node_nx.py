"""Nx workspaces whose applications have a `project.json` and no `package.json` of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.project.languages import node_packages as packages
from tools.devops.project.languages.language import Found, Sign
from tools.devops.project.tree import Folder, dig, mapping, text
from tools.devops.types import DeployUnit, UnitKind

# a word in the executors or the application's files -> framework, kind
_FRAMEWORKS: tuple[tuple[str, str, UnitKind], ...] = (
    ("next", "next", "fullstack"),
    ("nest", "nestjs", "backend"),
    ("remix", "remix", "fullstack"),
    ("angular", "angular", "frontend"),
    ("express", "express", "backend"),
    ("vite", "vite", "frontend"),
    ("webpack", "webpack", "frontend"),
    ("node", "node", "backend"),
    ("esbuild", "node", "backend"),
    ("js", "node", "backend"),
)


def standalone_output(folder: Folder) -> str | None:
    """Where a workspace that is itself one Node application puts its build."""
    targets = mapping(folder.json("project.json").get("targets")) if folder.first("nx.json") else {}
    options = mapping(dig(targets, "build", "options"))
    runs_on_node = "node" in (options.get("platform"), options.get("target"))
    return text(options.get("outputPath")) or None if runs_on_node else None


def nx_units(root: Folder) -> Iterator[Found]:
    """One unit for each application of the workspace at `root`."""
    if not root.first("nx.json"):
        return
    manager = packages.manager(root)
    for path, names in root.tree.folders.items():
        if not path or "project.json" not in names or "package.json" in names:
            continue
        folder = Folder(root.tree, path, root.nested)
        project = folder.json("project.json")
        name = text(project.get("name")) or folder.name
        targets = mapping(project.get("targets") or project.get("architect"))
        if project.get("projectType") == "library" or not re.fullmatch(r"[\w@/.-]+", name) or name.endswith("-e2e"):
            continue
        framework, kind = _framework(root, folder, targets)
        if framework is None:
            continue
        output = text(dig(targets, "build", "options", "outputPath")) or f"dist/{path}"
        up = "../" * (path.count("/") + 1)
        start = None
        if framework == "next":
            start = manager.exec(f"next start {up}{output} -H 0.0.0.0 -p $PORT")
        elif kind == "backend":
            start = f"node {up}{output}/main.js"
        elif kind == "fullstack":
            start = manager.exec(f"nx run {name}:start:production")
        pinned, _ = packages.version(root)
        unit = DeployUnit(
            path=path,
            name=name,
            kind=kind,
            language="node",
            version=pinned,
            frameworks=(framework,),
            package_manager=manager.name,
            install=manager.install,
            build=manager.exec(f"nx build {name}"),
            start=start,
            test=manager.exec(f"nx test {name}") if "test" in targets else None,
            lint=manager.exec(f"nx lint {name}") if "lint" in targets else None,
            port=3000 if kind != "frontend" else None,
            output_dir=f"{up}{output}",
            files=(
                "project.json",
                f"{up}package.json",
                f"{up}nx.json",
                *((f"{up}{manager.lock}",) if manager.lock else ()),
            ),
        )
        needed, tools = packages.dependencies(packages.manifest(root))
        yield Found(unit, Sign.APP, frozenset(needed | tools) if kind != "frontend" else frozenset())


def _framework(root: Folder, folder: Folder, targets: dict[str, object]) -> tuple[str | None, UnitKind]:
    needed, _ = packages.dependencies(packages.manifest(root))
    if folder.matching("next.config.*"):
        return "next", "fullstack"
    sources = "".join(source for name, source in folder.sources("main.ts", "main.js") if name.count("/") < 2)
    for word, name in (("@nestjs/core", "nestjs"), ("express", "express"), ("fastify", "fastify")):
        if word in needed and re.search(rf"[\"']{word}[\"']", sources):
            return name, "backend"
    executors = " ".join(text(dig(target, "executor")) for target in targets.values() if isinstance(target, dict))
    for word, name, kind in _FRAMEWORKS:
        if re.search(rf"[@/]{word}\b|{word}:", executors):
            return name, kind
    return ("vite", "frontend") if folder.matching("vite.config.*") else (None, "library")
