"""Node and Bun projects: servers, full-stack frameworks, single-page apps, static generators, workspace libraries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.devops.project.languages import node_packages as packages
from tools.devops.project.languages.language import Found, Language, Sign, present
from tools.devops.project.languages.node_frameworks import (
    SERVERS,
    UI_LIBRARIES,
    Framework,
    Served,
    frameworks_of,
    served,
)
from tools.devops.project.languages.node_nx import standalone_output
from tools.devops.project.languages.node_packages import Manager
from tools.devops.project.tree import Folder, dig, mapping, text
from tools.devops.types import DeployUnit, UnitKind

# A script that starts one of these serves developers, not production.
_DEVELOPMENT = re.compile(
    r"^(?:cross-env\s+|dotenv\s+(?:-\S+\s+)*--\s+|[A-Z_]+=\S*\s+|npx\s+)*"
    r"(?:nx (?:serve\b|run \S+:serve)|"
    r"nodemon|ts-node-dev|tsnd|react-scripts start|react-app-rewired start|craco start|ng serve|ng s\b|"
    r"vue-cli-service serve|gatsby (?:develop|start)|astro (?:dev|start)|vite(?:\s+(?:dev|serve|--.*))?$|"
    r"(?:next|nuxt|nuxi|remix|rw|redwood|wrangler|vercel|netlify|vinxi|react-router|expo|turbo|nx)\s+(?:run\s+)?(?:dev|start\b.*--dev)|"
    r"webpack(?:-dev-server|\s+serve)|parcel(?!\s+build)|expo start|tsx watch|node --watch|bun (?:--watch|--hot)|"
    r"nest start(?:\s+--(?:watch|debug))*$|(?:npm|pnpm|yarn|bun) (?:run )?(?:dev|develop|watch)|"
    r"docusaurus[ -]start|brunch watch|stencil build.*--(?:dev|serve|watch)|umi dev|max dev|sanity (?:dev|start)|"
    r"polymer serve|eleventy --serve|hexo server|vitepress dev|concurrently|ember serve|strapi develop)"
)
_FRAMEWORK_SERVER = re.compile(r"^(?:next start|nuxt start|remix-serve|react-router-serve)")
_PRODUCTION_SCRIPTS = ("start:prod", "start:production", "prod", "production", "serve:prod")
_MAIN_FILES = tuple(
    f"{folder}{stem}.{end}"
    for folder in ("", "src/")
    for stem in ("index", "server", "app", "main", "bot")
    for end in ("js", "mjs", "cjs", "ts", "mts")
)
_LISTENS = re.compile(r"\.listen\(|createServer\(|Bun\.serve\(|Deno\.serve\(|\bserve\(\s*[{(\w]")

_DEBIAN = {
    "canvas": ("libcairo2", "libpango-1.0-0", "libjpeg62-turbo", "libgif7", "librsvg2-2"),
    "puppeteer": ("chromium",),
    "fluent-ffmpeg": ("ffmpeg",),
    "@prisma/client": ("openssl",),
    "prisma": ("openssl",),
    "pdf-poppler": ("poppler-utils",),
    "node-tesseract-ocr": ("tesseract-ocr",),
}

# package -> migration command; a file or folder that must exist, where the package alone says too little
_MIGRATIONS = (
    ("prisma", "prisma migrate deploy", ("prisma/schema.prisma", "schema.prisma", "prisma/schema")),
    ("@prisma/client", "prisma migrate deploy", ("prisma/schema.prisma", "schema.prisma")),
    ("drizzle-kit", "drizzle-kit migrate", ("drizzle.config.ts", "drizzle.config.js", "drizzle.config.json")),
    ("knex", "knex migrate:latest", ("knexfile.js", "knexfile.ts", "knexfile.mjs", "knexfile.cjs")),
    ("sequelize-cli", "sequelize-cli db:migrate", ()),
    ("node-pg-migrate", "node-pg-migrate up", ()),
    ("db-migrate", "db-migrate up", ()),
    ("@mikro-orm/cli", "mikro-orm migration:up", ()),
    ("@mikro-orm/migrations", "mikro-orm migration:up", ()),
    ("kysely-ctl", "kysely migrate:latest", ()),
    ("migrate-mongo", "migrate-mongo up", ()),
)


@dataclass(frozen=True, slots=True)
class _Project:
    folder: Folder
    package: dict[str, Any]
    scripts: dict[str, str]
    needed: set[str]
    tools: set[str]
    manager: Manager

    @property
    def all(self) -> set[str]:
        return self.needed | self.tools

    def runs_bun(self) -> bool:
        """Bun is the runtime, not only the installer."""
        words = " ".join(self.scripts.values())
        return re.search(r"\bbun (?:run )?[\w./-]+\.[jt]sx?\b|\bbun --", words) is not None or (
            self.manager.name == "bun" and "elysia" in self.needed
        )


def detect(folder: Folder) -> Found | None:
    project = _read(folder)
    frameworks = frameworks_of(project.needed, project.tools)
    main = frameworks[0] if frameworks else None
    how = served(main, folder, project.needed) if main else None
    server = next((f for f in frameworks if f.name in SERVERS), None)
    start, entry = _start(project, main, how)
    kind, sign = _kind(project, main, how, server, start)
    static = kind in ("frontend", "static")
    if static:
        start = _static_start(project)
    pinned, where = packages.version(folder)
    runtime_bun = project.runs_bun()
    names = [f.name for f in frameworks] + [name for name in UI_LIBRARIES if name in project.all]
    unit = DeployUnit(
        path=folder.path,
        name=_name(project),
        kind=kind,
        language="node",
        version=pinned,
        frameworks=tuple(dict.fromkeys(names)),
        package_manager=project.manager.name,
        install=project.manager.install if folder.first(*packages.MANIFESTS) else None,
        build=_build(project, main),
        start=None if kind in ("library", "function") else start,
        migrate=_migrate(project),
        test=_check(project, "test:ci", "test"),
        lint=_check(project, "lint"),
        typecheck=_check(project, "typecheck", "type-check", "check-types", "tsc"),
        port=None if static or kind in ("library", "worker") else (main.port if main else 3000),
        entry=entry,
        output_dir=how.output if how and (static or main is None or main.output) else _typescript_output(project),
        files=_files(project),
        system_packages=tuple(sorted({p for name, ps in _DEBIAN.items() if name in project.all for p in ps})),
        workers=tuple(_workers(project)),
    )
    notes = []
    if where:
        notes.append(f"{folder.path}: Node {pinned or 'has no exact pin'}, {where}")
    if runtime_bun:
        notes.append(f"{folder.path}: runs on Bun {packages.bun_version(folder) or '(no version pinned)'}")
    return Found(
        unit, sign, frozenset(project.all if main and main.kind == "fullstack" else project.needed), tuple(notes)
    )


def _read(folder: Folder) -> _Project:
    package = packages.manifest(folder)
    scripts = {name: text(command) for name, command in mapping(package.get("scripts")).items() if text(command)}
    scripts = {name: _of_this_system(name, command, scripts) for name, command in scripts.items()}
    needed, tools = packages.dependencies(package)
    return _Project(folder, package, scripts, needed, tools, packages.manager(folder))


def _of_this_system(name: str, command: str, scripts: Mapping[str, str]) -> str:
    """What `run-script-os` runs on Linux, where a script leaves the choice to it."""
    if not re.fullmatch(r"(?:npx )?(?:run-script-os|run-os)", command):
        return command
    return next((scripts[f"{name}:{at}"] for at in ("linux", "nix", "default") if f"{name}:{at}" in scripts), command)


def _name(project: _Project) -> str:
    name = text(project.package.get("name"))
    return name if re.fullmatch(r"(?:@[\w.-]+/)?[\w.-]{1,80}", name) else project.folder.name


# --- how it starts ---------------------------------------------------------------------------------------------


def _start(project: _Project, main: Framework | None, how: Served | None) -> tuple[str | None, str | None]:
    """The production start command and the file it runs."""
    scripts, manager = project.scripts, project.manager
    own = scripts.get("start", "")
    if (output := standalone_output(project.folder)) and _DEVELOPMENT.match(own):
        return f"node {output}/main.js", f"{output}/main.js"
    if main and main.name == "nestjs" and (script := next((s for s in _PRODUCTION_SCRIPTS if s in scripts), None)):
        return manager.run(script), _script_file(scripts[script])
    if own and not _DEVELOPMENT.match(own):
        return manager.run("start"), _script_file(own)
    if script := next((s for s in _PRODUCTION_SCRIPTS if s in scripts), None):
        return manager.run(script), _script_file(scripts[script])
    if how and how.start and not how.static:
        return manager.exec(how.start), None
    if file := _main_file(project):
        return _run_file(project, file)
    if script := next((s for s in ("serve", "server", "preview") if s in scripts and main is None), None):
        return manager.run(script), None
    return (manager.run("start"), None) if own else (None, None)


def _script_file(command: str) -> str | None:
    found = re.search(r"(?:node|tsx|bun(?: run)?|ts-node|pm2-runtime)\s+(?:-\S+\s+)*((?:\./)?[\w./-]+)", command)
    return found[1] if found else None


def _main_file(project: _Project) -> str | None:
    folder = project.folder
    declared = text(project.package.get("main")) or text(project.package.get("module"))
    if declared and re.fullmatch(r"[\w./@-]+", declared) and ".." not in declared:
        declared = declared.removeprefix("./")
        exact = folder.first(declared, f"{declared}.js", f"{declared}/index.js")
        is_built = declared.startswith(("dist/", "build/", "lib/", "out/")) and "build" in project.scripts
        if exact or is_built:
            return exact or declared
    if folder.first("angular.json"):
        return None
    return folder.first(*_MAIN_FILES)


def _run_file(project: _Project, file: str) -> tuple[str | None, str | None]:
    if not file.endswith((".ts", ".mts")):
        runtime = "bun" if project.runs_bun() or (project.manager.name == "bun" and not project.scripts) else "node"
        return f"{runtime} {file}", file
    if project.manager.name == "bun":
        return f"bun run {file}", file
    if "build" in project.scripts and (output := _typescript_output(project)):
        built = f"{output}/{file.removeprefix('src/').removesuffix('.ts')}.js"
        return f"node {built}", built
    for runner in ("tsx", "ts-node"):
        if runner in project.all:
            return project.manager.exec(f"{runner} {file}"), file
    return f"node {file}", file


def _typescript_output(project: _Project) -> str | None:
    output = (
        text(dig(project.folder.json("tsconfig.json"), "compilerOptions", "outDir"))
        if (project.folder.first("tsconfig.json"))
        else ""
    )
    output = output.removeprefix("./").rstrip("/")
    return output if re.fullmatch(r"[\w./-]+", output) and ".." not in output else None


def _static_start(project: _Project) -> str | None:
    """A front end's own way to serve its build (`serve -s dist`), where it has one."""
    for script in ("start", *_PRODUCTION_SCRIPTS):
        command = project.scripts.get(script, "")
        if command and not _DEVELOPMENT.match(command) and not _FRAMEWORK_SERVER.match(command):
            return project.manager.run(script)
    return None


def _kind(
    project: _Project, main: Framework | None, how: Served | None, server: Framework | None, start: str | None
) -> tuple[UnitKind, Sign]:
    if _is_library(project, main, start):
        return "library", Sign.TOOLING
    if _is_function(project):
        return "function", Sign.APP
    if main and how and how.static and server is None:
        own = project.scripts.get("start", "")
        runs_own_server = own and not _DEVELOPMENT.match(own) and re.match(r"(?:node|bun|tsx)\s", own)
        if runs_own_server:
            return "fullstack", Sign.APP
        return ("frontend" if main.kind != "static" else "static"), _static_sign(project, main)
    if main and main.kind == "fullstack":
        return "fullstack", Sign.APP
    if main and (main.kind == "backend" or server):
        has_ui = any(f in project.all for f in ("vite", "react-scripts", "react-dom", "vue"))
        return ("fullstack" if has_ui and main.name in SERVERS else "backend"), Sign.APP if start else Sign.RUNS
    if main and main.kind in ("frontend", "static"):
        return ("fullstack", Sign.APP) if how and how.start and not how.static else (main.kind, Sign.APP)
    if start is None:
        if "build" in project.scripts and "webpack" in project.all and "react-dom" in project.all:
            return "frontend", Sign.RUNS
        return "library", Sign.TOOLING
    return ("backend" if _listens(project) else "worker"), Sign.RUNS


def _is_function(project: _Project) -> bool:
    """Handlers that a platform calls, with no server to start."""
    if "firebase-functions" in project.needed or "@azure/functions" in project.needed:
        return True
    has_config = project.folder.first(
        "serverless.yml", "serverless.ts", "wrangler.toml", "wrangler.jsonc", "samconfig.toml"
    )
    return has_config is not None and "start" not in project.scripts


def _static_sign(project: _Project, main: Framework) -> Sign:
    """A bundler without pages of its own only builds assets for something else."""
    if main.name not in ("vite", "parcel"):
        return Sign.APP
    has_page = project.folder.first("index.html", "src/index.html", "public/index.html", "client/index.html")
    return Sign.APP if has_page else Sign.TOOLING


def _is_library(project: _Project, main: Framework | None, start: str | None) -> bool:
    """Published or imported by others, with nothing of its own to run."""
    if "start" in project.scripts or (main and main.name not in ("vite", "parcel", *SERVERS)):
        return False
    if main and main.name in ("vite", "parcel") and project.folder.first("index.html"):
        return False
    published = any(key in project.package for key in ("exports", "types", "typings", "publishConfig"))
    if published or ("peerDependencies" in project.package and not project.package.get("private")):
        return True
    is_member = project.manager.root != "."
    return is_member and (start is None or not _listens(project))


def _listens(project: _Project) -> bool:
    return any(_LISTENS.search(source) for _, source in project.folder.sources(".js", ".mjs", ".cjs", ".ts", ".mts"))


# --- besides starting ------------------------------------------------------------------------------------------


def _build(project: _Project, main: Framework | None) -> str | None:
    if "build" in project.scripts:
        root = _root(project)
        name = text(project.package.get("name"))
        if root and name and root.first("turbo.json") and re.fullmatch(r"(?:@[\w.-]+/)?[\w.-]+", name):
            return project.manager.exec(f"turbo run build --filter={name}")
        return project.manager.run("build")
    if main and main.build and main.name not in ("vite", "parcel"):
        return project.manager.exec(main.build)
    if main and main.name in ("vite", "parcel") and project.folder.first("index.html"):
        return project.manager.exec("vite build" if main.name == "vite" else "parcel build index.html")
    return None


def _root(project: _Project) -> Folder | None:
    """The workspace root above the unit."""
    return next(
        (
            place
            for place in project.folder.above()
            if place.path != project.folder.path and packages.is_workspace_root(place)
        ),
        None,
    )


def _migrate(project: _Project) -> str | None:
    for script in ("db:migrate:deploy", "migrate:deploy", "migrate:prod", "migration:run", "db:migrate", "migrate"):
        command = project.scripts.get(script, "")
        if command and " dev" not in command:
            return project.manager.run(script)
    schema = text(mapping(project.package.get("prisma")).get("schema"))
    if schema and "@prisma/client" in project.all and project.folder.first(schema):
        return project.manager.exec("prisma migrate deploy")
    for package, command, files in _MIGRATIONS:
        if package in project.all and (not files or project.folder.first(*files)):
            return project.manager.exec(command)
    if "typeorm" in project.needed:
        for name, source in project.folder.sources(".ts", ".js"):
            if "new DataSource(" in source and "migrations" in source:
                output = _typescript_output(project) or "dist"
                built = f"{output}/{name.removeprefix('src/').removesuffix('.ts')}.js" if name.endswith(".ts") else name
                return project.manager.exec(f"typeorm migration:run -d {built}")
    return None


def _check(project: _Project, *names: str) -> str | None:
    for name in names:
        command = project.scripts.get(name, "")
        if command and "no test specified" not in command:
            return project.manager.run(name)
    if "typecheck" in names and "typescript" in project.all and project.folder.first("tsconfig.json"):
        return project.manager.exec("tsc --noEmit")
    return None


def _files(project: _Project) -> tuple[str, ...]:
    manager = project.manager
    own = present(project.folder, *packages.MANIFESTS, ".npmrc", ".yarnrc.yml", ".nvmrc", "prisma/schema.prisma")
    above = (f"{manager.root}/package.json",) if manager.root != "." else ()
    return (*own, *above, *((manager.lock,) if manager.lock else ()))


def _workers(project: _Project) -> list[dict[str, str]]:
    """Scripts that by their name run beside the web process."""
    found = []
    for name, command in project.scripts.items():
        last = name.removeprefix("start:")
        if re.fullmatch(r"(?:worker|queue|scheduler|consumer|jobs?|cron)(?:s|:prod|:start)?", last) and not (
            _DEVELOPMENT.match(command)
        ):
            found.append({"name": last.split(":")[0], "command": project.manager.run(name)})
    return found


NODE = Language(
    "node",
    detect,
    packages.MANIFESTS,
    hints=("index.js", "server.js", "server.ts", "index.ts", "bun.lock", "bun.lockb"),
)
