"""Deno projects: tasks, Fresh, the usual main file."""

from __future__ import annotations

import re

from tools.devops.project.languages.language import Found, Language, Sign, number, present, version_file
from tools.devops.project.tree import Folder, mapping, text
from tools.devops.types import DeployUnit

_MAIN_FILES = tuple(
    f"{folder}{stem}.{end}"
    for folder in ("", "src/")
    for stem in ("main", "mod", "server", "index", "app")
    for end in ("ts", "tsx", "js")
)
_IMPORTS = r"[\"'](?:https://deno\.land/|jsr:|npm:)|\bDeno\.serve\("


def detect(folder: Folder) -> Found | None:
    file = folder.first("deno.json", "deno.jsonc")
    if file is None and not any(re.search(_IMPORTS, folder.source(name)) for name in _MAIN_FILES):
        return None
    config = folder.json(file) if file else {}
    tasks = {name: text(command) for name, command in mapping(config.get("tasks")).items()}
    imports = set(mapping(config.get("imports")))
    keys = " ".join(imports)
    targets = " ".join(text(target) for target in mapping(config.get("imports")).values())
    frameworks = tuple(name for name in ("fresh", "hono", "oak") if re.search(rf"[/@$]{name}\b", targets + keys))
    main = folder.first(*_MAIN_FILES)
    start = "deno task start" if tasks.get("start") else None
    if start and re.search(r"--watch|dev\.ts", tasks["start"]) and main:
        start = f"deno run -A {main}"
    if start is None and main:
        start = f"deno run --allow-net --allow-env --allow-read {main}"
    serves = bool(frameworks) or any(
        re.search(r"Deno\.serve\(|\bserve\(|\.listen\(|export default \{\s*fetch", source)
        for _, source in folder.sources(".ts", ".tsx", ".js")
    )
    pinned = version_file(folder, (".deno-version", ".dvmrc"), ("deno",))
    unit = DeployUnit(
        path=folder.path,
        name=text(config.get("name")).rsplit("/", 1)[-1] or folder.name,
        kind="library"
        if start is None
        else "fullstack"
        if "fresh" in frameworks
        else "backend"
        if serves
        else "worker",
        language="deno",
        version=number(pinned[0]) if pinned else None,
        frameworks=frameworks,
        package_manager="deno",
        install="deno install --frozen" if folder.first("deno.lock") else "deno install",
        build="deno task build" if tasks.get("build") else None,
        start=start,
        test="deno task test" if tasks.get("test") else "deno test",
        lint="deno lint",
        typecheck=f"deno check {main}" if main else None,
        port=8000 if serves and start else None,
        entry=main,
        files=present(folder, "deno.json", "deno.jsonc", "deno.lock"),
    )
    sign = Sign.TOOLING if start is None else Sign.APP if frameworks or serves else Sign.RUNS
    return Found(unit, sign, frozenset(imports))


DENO = Language("deno", detect, ("deno.json", "deno.jsonc"), hints=("main.ts", "index.ts", "server.ts", "app.ts"))
