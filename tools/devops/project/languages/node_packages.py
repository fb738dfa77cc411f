"""Node manifests: package managers, workspaces, versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from tools.devops.project.languages.language import from_range, number, version_file
from tools.devops.project.tree import Folder, dig, mapping, text, texts

OLDEST_SUPPORTED = (22,)  # as of 2026-11: Node 20 ended in April 2026
_LTS_NAMES = {"argon": "4", "hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}

# lock file -> manager, in the order they are believed
_LOCKS = (
    ("pnpm-lock.yaml", "pnpm"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
    ("yarn.lock", "yarn"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
)


@dataclass(frozen=True, slots=True)
class Manager:
    """`lock` and `root` are relative to the unit (`../../yarn.lock`, `../..`); `root` is "." outside workspaces."""

    name: str
    lock: str | None
    root: str
    berry: bool = False

    @property
    def install(self) -> str:
        if self.name == "npm":
            return "npm ci" if self.lock else "npm install"
        if self.name == "yarn" and self.berry:
            return "yarn install --immutable" if self.lock else "yarn install"
        return f"{self.name} install --frozen-lockfile" if self.lock else f"{self.name} install"

    def run(self, script: str) -> str:
        return f"{self.name} run {script}"

    def exec(self, command: str) -> str:
        """A program from the installed packages. Plain `node ...` needs no help."""
        if command.startswith(("node ", "yarn ", "bun ")):
            return command
        prefix = {"npm": "npx", "pnpm": "pnpm exec", "yarn": "yarn", "bun": "bunx"}[self.name]
        return f"{prefix} {command}"


MANIFESTS = ("package.json", "package.yaml", "package.json5")


def manifest(folder: Folder) -> dict[str, Any]:
    """The package manifest; pnpm also reads YAML and JSON5."""
    name = folder.first(*MANIFESTS)
    if name is None:
        return {}
    return folder.json(name) if name == "package.json" else folder.yaml(name)


def manager(folder: Folder) -> Manager:
    """The manager of a folder: `packageManager`, lock files, then `engines`; the nearest folder up decides."""
    for place in folder.above():
        if place.path != folder.path and not is_workspace_root(place):
            continue
        package = manifest(place)
        declared = text(package.get("packageManager")).split("@")[0] or text(
            dig(package, "devEngines", "packageManager", "name")
        )
        locks = [(lock, name) for lock, name in _LOCKS if place.first(lock)]
        name = declared if declared in ("npm", "pnpm", "yarn", "bun") else locks[0][1] if locks else ""
        if not name and place.first(".yarnrc.yml"):
            name = "yarn"
        if not name and (
            place.first("pnpm-workspace.yaml", "package.yaml", "package.json5") or text(dig(package, "engines", "pnpm"))
        ):
            name = "pnpm"
        if not name and place.first("bunfig.toml"):
            name = "bun"
        name = name or next((m for m in ("yarn", "bun") if text(dig(package, "engines", m))), "")
        if name:
            lock = next((lock for lock, owner in locks if owner == name), None)
            root = up(folder, place)
            return Manager(name, lock if root == "." or not lock else f"{root}/{lock}", root, _is_berry(place, package))
    return Manager("npm", None, next((up(folder, place) for place in folder.above() if is_workspace_root(place)), "."))


def up(folder: Folder, above: Folder) -> str:
    """The relative path from a folder to one above it: "." or "../..\""""
    own = 0 if folder.path == "." else folder.path.count("/") + 1
    other = 0 if above.path == "." else above.path.count("/") + 1
    return "/".join([".."] * (own - other)) or "."


def _is_berry(folder: Folder, package: dict[str, object]) -> bool:
    declared = re.match(r"yarn@(\d+)", text(package.get("packageManager")))
    if declared:
        return int(declared[1]) >= 2
    return folder.first(".yarnrc.yml") is not None


def workspace_globs(folder: Folder) -> list[str]:
    """Patterns of workspace members, from every manager's own place."""
    package = manifest(folder)
    declared = package.get("workspaces")
    globs = texts(declared) or texts(dig(declared, "packages"))
    globs += texts(folder.yaml("pnpm-workspace.yaml").get("packages"))
    globs += texts(folder.json("lerna.json").get("packages"))
    if folder.first("nx.json") and not globs:
        globs = ["apps/*", "libs/*", "packages/*"]
    return [glob.removeprefix("./").rstrip("/") for glob in globs]


def is_workspace_root(folder: Folder) -> bool:
    return bool(workspace_globs(folder))


def is_member(root: Folder, path: str) -> bool:
    """Whether the folder `path` (root-relative) is a member of the workspace at `root`."""
    relative = path.removeprefix(root.prefix)
    globs = workspace_globs(root)
    chosen = any(_matches(relative, glob) for glob in globs if not glob.startswith("!"))
    return chosen and not any(_matches(relative, glob[1:]) for glob in globs if glob.startswith("!"))


def _matches(path: str, glob: str) -> bool:
    parts, wanted = path.split("/"), glob.split("/")
    if "**" in wanted:
        head = wanted[: wanted.index("**")]
        return len(parts) > len(head) and all(fnmatch(part, want) for part, want in zip(parts, head, strict=False))
    return len(parts) == len(wanted) and all(fnmatch(part, want) for part, want in zip(parts, wanted, strict=True))


def dependencies(package: dict[str, object]) -> tuple[set[str], set[str]]:
    """Names needed in production (optional ones too), and development tools."""
    needed = set(mapping(package.get("dependencies"))) | set(mapping(package.get("optionalDependencies")))
    return needed, set(mapping(package.get("devDependencies"))) - needed


def version(folder: Folder) -> tuple[str | None, str]:
    """The Node version ("22", "20.11.1") and where it is pinned; (None, why) for a range or an unknown alias."""
    for place in folder.above():
        for name in (".nvmrc", ".node-version"):
            line = place.read(name).strip().splitlines()
            if line and not number(line[0]):
                alias = _LTS_NAMES.get(line[0].strip().lower().removeprefix("lts/"))
                return alias, f"{place.prefix}{name} ({line[0].strip()[:20]})"
        if pinned := version_file(place, (".nvmrc", ".node-version"), ("nodejs", "node")):
            return number(pinned[0]), pinned[1]
        package = manifest(place)
        if exact := number(text(dig(package, "volta", "node"))):
            return exact, f"{place.prefix}package.json volta"
        if claim := text(dig(package, "engines", "node")):
            return from_range(claim, OLDEST_SUPPORTED, 1), f"{place.prefix}package.json engines ({claim[:40]})"
    return None, ""


def bun_version(folder: Folder) -> str | None:
    pinned = version_file(folder, (".bun-version",), ("bun",))
    package = manifest(folder)
    declared = text(package.get("packageManager"))
    return number(pinned[0]) if pinned else number(declared) if declared.startswith("bun@") else None
