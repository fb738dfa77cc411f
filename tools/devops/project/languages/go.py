"""Go modules and workspaces: one program, or the server among several under `cmd/`."""

from __future__ import annotations

import re

from tools.devops.project.languages.language import Found, Language, Sign, number, present
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit

_FRAMEWORKS = {
    "github.com/gin-gonic/gin": "gin",
    "github.com/labstack/echo": "echo",
    "github.com/gofiber/fiber": "fiber",
    "github.com/go-chi/chi": "chi",
    "github.com/gorilla/mux": "gorilla",
    "github.com/beego/beego": "beego",
    "github.com/gobuffalo/buffalo": "buffalo",
    "google.golang.org/grpc": "grpc",
    "github.com/danielgtaylor/huma": "huma",
    "connectrpc.com/connect": "connect",
    "goa.design/goa": "goa",
    "github.com/pocketbase/pocketbase": "pocketbase",
}
_SERVES = re.compile(
    r"ListenAndServe|http\.Serve\(|net\.Listen\(|\.Listen\(|\.Run\(\s*(?:\"|\)|addr|port|os)|\.Start\("
)
_SERVER_NAMES = ("server", "api", "web", "app", "http", "backend", "service", "main")
_WORKER_NAMES = re.compile(r"worker|consumer|scheduler|cron|jobs?|processor|subscriber")
_MIGRATIONS = (
    ("github.com/pressly/goose", "goose -dir {dir} up"),
    ("github.com/golang-migrate/migrate", 'migrate -path {dir} -database "$DATABASE_URL" up'),
)
_MIGRATION_FOLDERS = ("migrations", "db/migrations", "db/migration", "internal/db/migrations", "sql/migrations")


def detect(folder: Folder) -> Found | None:
    module = folder.read("go.mod")
    programs = _programs(folder)
    if not (module or programs or folder.first("go.work")):
        return None
    required = set(
        re.findall(
            r"^[ \t]*(?:require\s+)?([\w.-]+\.[\w./-]+) v\d\S*(?!\s*//\s*indirect)(?=\s|$)", module, re.MULTILINE
        )
    )
    frameworks = tuple(name for path, name in _FRAMEWORKS.items() if any(r.startswith(path) for r in required))
    chosen = _choose(folder, programs)
    serves = bool(frameworks) or any(_SERVES.search(source) for _, source in folder.sources(".go"))
    pinned = re.search(r"^go (\d+\.\d+(?:\.\d+)?)", module or folder.read("go.work"), re.MULTILINE)
    toolchain = re.search(r"^toolchain go(\S+)", module, re.MULTILINE)
    version = number(toolchain[1]) if toolchain else pinned[1] if pinned else None
    path = re.search(r"^module\s+(\S+)", module, re.MULTILINE)
    target = "." if chosen in (None, ".") else f"./{chosen}"
    others = [program for program in programs if program != chosen]
    unit = DeployUnit(
        path=folder.path,
        name=re.sub(r"/v\d+$", "", path[1]).rsplit("/", 1)[-1] if path else folder.name,
        kind="library" if chosen is None else "backend" if serves else "worker",
        language="go",
        version=version,
        frameworks=frameworks,
        package_manager="go",
        install="go mod download" if module else None,
        build=f'go build -ldflags="-s -w" -o out {target}' if chosen else "go build ./...",
        start="./out" if chosen else None,
        migrate=_migrate(folder, required),
        test="go test ./...",
        lint="golangci-lint run" if folder.matching(".golangci.*") else "go vet ./...",
        port=8080 if serves and chosen else None,
        entry=target if chosen else None,
        files=present(folder, "go.mod", "go.sum", "go.work", "go.work.sum"),
        workers=tuple(
            {"name": other.rsplit("/", 1)[-1], "command": f"go run ./{other}"}
            for other in others
            if _WORKER_NAMES.search(other)
        ),
    )
    notes: tuple[str, ...] = (f"{folder.path}: Go {version}, {folder.prefix}go.mod",) if version and module else ()
    rest = [other for other in others if not _WORKER_NAMES.search(other)]
    if rest:
        notes += (f"{folder.path}: {target} is built as the service; other programs: {', '.join(rest[:10])}",)
    sign = Sign.TOOLING if chosen is None else Sign.APP if frameworks or serves else Sign.RUNS
    return Found(unit, sign, frozenset(required), notes)


def _programs(folder: Folder) -> list[str]:
    """Folders that hold `package main` with a `main` function, workspace members included."""
    found = {
        name.rsplit("/", 1)[0] if "/" in name else "."
        for name, source in folder.sources(".go")
        if not name.endswith("_test.go")
        and re.search(r"^package main\b", source, re.MULTILINE)
        and re.search(r"^func main\(\)", source, re.MULTILINE)
    }
    return sorted(found)


def _choose(folder: Folder, programs: list[str]) -> str | None:
    """The program to deploy: the root's, else the one named like a server or the module, else the first."""
    if not programs:
        return None
    module = re.search(r"^module\s+\S*?([\w.-]+)\s*$", folder.read("go.mod"), re.MULTILINE)
    names = (*_SERVER_NAMES, module[1] if module else folder.name)

    def rank(program: str) -> tuple[bool, bool, int, int, str]:
        last = program.rsplit("/", 1)[-1]
        known = next((i for i, name in enumerate(names) if last == name or last.endswith(("-" + name, "_" + name))), 99)
        is_tool = re.search(r"cli|ctl|tool|gen|migrate|seed|script|internal|hack", program) is not None
        return program != ".", is_tool or _WORKER_NAMES.search(last) is not None, known, program.count("/"), program

    return min(programs, key=rank)


def _migrate(folder: Folder, required: set[str]) -> str | None:
    where = next((name for name in _MIGRATION_FOLDERS if folder.has_folder(name)), None)
    if where is None:
        return None
    return next((cmd.format(dir=where) for path, cmd in _MIGRATIONS if any(r.startswith(path) for r in required)), None)


GO = Language("go", detect, ("go.mod", "go.work"), hints=("main.go",))
