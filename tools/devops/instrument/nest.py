"""NestJS: a controller in the root module; logger, middleware and shutdown hooks where the application is made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.devops.instrument.script_code import Call, ScriptFile
from tools.devops.instrument.script_handles import (
    find_clients,
    name_in,
    open_script,
    optional_names,
    own_check,
    scripts,
    specifier,
)
from tools.devops.instrument.script_modules import Modules
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Draft
from tools.devops.render import Quoted

_APP = r"(?:const|let|var)\s+(\w+)(?:\s*:\s*[\w.]{1,60})?\s*=\s*await\s+NestFactory\.create(?:<\w+>)?"
_ROOT = re.compile(r"@Module\(\{")
_CONTROLLER = "OperationsController"
_NAMES = (_CONTROLLER, "logJson", "withRequestId", "observeRequests", "JsonLogger")


@dataclass(frozen=True, slots=True)
class _Provider:
    """A class that Nest's container holds, and the question to it."""

    name: str
    module: str
    ask: str


def plan(unit: Unit) -> Draft:
    draft = Draft()
    main, root = _main(unit), _root_module(unit)
    routes = {"health", "liveness", "metrics"} & set(unit.subjects)
    if main is None or (routes and root is None):
        draft.unsupported.append(
            f"{', '.join(unit.subjects)}: no `const app = await NestFactory.create(...)` and no root "
            "`@Module({...})` in TypeScript was found. Add a controller for /health, /livez and /metrics, a "
            "JSON logger and `app.enableShutdownHooks()` by hand."
        )
        return draft
    if routes and root:
        _controller(unit, draft, *root)
    _start(unit, draft, *main)
    if routes and "setGlobalPrefix" in main[1].text:
        draft.notes.append("The application has a global prefix: the routes answer below it.")
    if any("APP_GUARD" in unit.folder.source(n) or "useGlobalGuards" in unit.folder.source(n) for n in scripts(unit)):
        draft.notes.append("A global guard sees every request: let /health, /livez and /metrics through.")
    return draft


def _main(unit: Unit) -> tuple[str, ScriptFile, Call] | None:
    for name in scripts(unit):
        if name.endswith(".ts") and "NestFactory.create" in unit.folder.source(name):
            file = open_script(unit, name)
            calls = file.calls(_APP) if file else []
            if file and len(calls) == 1 and not any(file.has_name(one) for one in _NAMES):
                return name, file, calls[0]
    return None


def _root_module(unit: Unit) -> tuple[str, ScriptFile] | None:
    """The module that `NestFactory.create` is given."""
    for name in scripts(unit):
        if name.endswith("app.module.ts"):
            file = open_script(unit, name)
            if file and len(_ROOT.findall(file.masked)) == 1 and not file.has_name(_CONTROLLER):
                return name, file
    return None


def _controller(unit: Unit, draft: Draft, path: str, file: ScriptFile) -> None:
    modules = Modules(unit, path, file)
    subjects = [name for name in ("health", "liveness", "metrics") if name in unit.subjects]
    imports: list[str] = []
    checks: list[str] = []
    own: list[tuple[str, str]] = []
    providers: list[_Provider] = []
    target = modules.new("operations.controller")
    if "health" in subjects:
        providers = _providers(unit, target, modules.extension)
        clients, opened, notes = find_clients(unit, None)
        if providers:
            clients = [client for client in clients if client.handle.role != "database"]
            opened = [handle for handle in opened if handle.role != "database"]
            notes = [note for note in notes if "database (" not in note]
        draft.notes += notes
        for client in clients:
            name, line = name_in(file, target, client, modules.extension)
            imports += [line] if line else []
            checks.append(f"{client.handle.role}: () => {client.ask(name)}")
        checks += [own_check(handle) for handle in opened]
        own = [(handle.kind, handle.name) for handle in opened]
        for provider in providers[:1]:
            imports.append(file.import_line(f"{{ {provider.name} }}", provider.module))
            checks.insert(0, f"database: () => this.modules.get({provider.name}, {{ strict: false }}).{provider.ask}")
    if "metrics" in subjects:
        metrics = modules.new("request-metrics", "metrics-of-requests")
        draft.new[metrics] = modules.render("request_metrics", {"routes": True, "handler": False})
        imports.append(modules.import_from(metrics, ["CONTENT_TYPE", "register"]))
    common = {"Controller", "Get"}
    common |= {"Header"} if "metrics" in subjects else set()
    common |= {"ServiceUnavailableException"} if "health" in subjects else set()
    values = {
        "common": Quoted(", ".join(sorted(common))),
        "imports": Quoted("\n".join(imports)),
        "checks": Quoted(", ".join(checks)),
        "providers": bool(providers),
        "own": own,
        "optional": optional_names(unit, unit.optional if "health" in subjects else ()),
        **{name: name in subjects for name in ("health", "liveness", "metrics")},
    }
    draft.new[target] = modules.render("nest_operations", values)
    _register(file, modules.import_from(target, [_CONTROLLER]))
    draft.edited[path] = file.edits.result()
    draft.added += subjects


def _providers(unit: Unit, target: str, extension: str) -> list[_Provider]:
    """The database as Nest's container knows it: TypeORM's data source, a service that is a Prisma client."""
    for name in scripts(unit):
        found = re.search(r"export\s+class\s+(\w+)\s+extends\s+PrismaClient\b", unit.folder.source(name))
        if found:
            return [_Provider(found[1], specifier(target, name, extension), "$queryRaw`SELECT 1`")]
    if any("TypeOrmModule.forRoot" in unit.folder.source(name) for name in scripts(unit)):
        return [_Provider("DataSource", "typeorm", 'query("SELECT 1")')]
    return []


def _register(file: ScriptFile, line: str) -> None:
    """Put the controller into the root module's list, or give it one."""
    opening = next(_ROOT.finditer(file.masked))
    body = file.masked[opening.end() : file.closing(opening.end() - 1)]
    listed = re.search(r"\bcontrollers\s*:\s*\[", body)
    file.edits.insert_after(file.last_import(opening.start()), line)
    at = opening.end() + (listed.end() if listed else 0)
    number = file.line_of(at - 1)
    start = at - _column(file, at)
    row = file.edits.lines[number - 1].rstrip("\r\n")
    column = at - start
    if listed:
        rest = row[column:]
        separator = "" if rest.lstrip().startswith("]") else ", " if rest.strip() else ","
        file.edits.replace(number, f"{row[:column]}{_CONTROLLER}{separator}{rest}")
    else:
        added = f"controllers: [{_CONTROLLER}],"
        rest = row[column:]
        file.edits.replace(number, f"{row[:column]} {added}{rest}" if rest.strip() else f"{row[:column]}\n  {added}")


def _column(file: ScriptFile, offset: int) -> int:
    return offset - max(file.text.rfind("\n", 0, offset), file.text.rfind("\r", 0, offset)) - 1


def _start(unit: Unit, draft: Draft, path: str, file: ScriptFile, app: Call) -> None:
    modules = Modules(unit, path, file)
    imports: list[str] = []
    middleware: list[str] = []
    after: list[str] = []
    if "json_logs" in unit.subjects:
        console = modules.new("json-console", "json-logs")
        logger = modules.new("json-logger", "json-nest-logger")
        draft.new[console] = modules.render("json_console", {"request_ids": True})
        draft.new[logger] = modules.render("nest_json_logger", {"console": Quoted(_stem(console))})
        imports += [
            modules.import_from(console, ["logJson", "withRequestId"]),
            modules.import_from(logger, ["JsonLogger"]),
        ]
        file.edits.insert_after(app.first_line - 1, app.indent + file.styled("logJson();"))
        if not _give_logger(file, app):
            after.append(f"{app.name}.useLogger(new JsonLogger());")
        middleware.append("withRequestId")
        draft.added.append("json_logs")
    if "metrics" in unit.subjects:
        metrics = next(name for name in draft.new if "metrics" in name)
        imports.append(file.import_line("{ observeRequests }", specifier(path, metrics, modules.extension)))
        middleware.append("observeRequests")
        if unit.depends_on("@nestjs/platform-fastify"):
            draft.notes.append("With Fastify the metrics have no route label: every request counts as unmatched.")
    if middleware:
        after.append(f"{app.name}.use({', '.join(middleware)});")
    if "sigterm" in unit.subjects:
        after.append(f"{app.name}.enableShutdownHooks();")
        draft.added.append("sigterm")
    file.edits.insert_after(file.last_import(app.start), *imports)
    file.edits.insert_after(app.last_line, *(app.indent + file.styled(line) for line in after))
    draft.edited[path] = file.edits.result()


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _give_logger(file: ScriptFile, app: Call) -> bool:
    """Hand the logger to `create(AppModule)`, so that start-up is logged with it; False when options are there."""
    start, end = app.arguments
    if app.first_line != app.last_line or not re.fullmatch(r"\s*\w+\s*", file.masked[start:end]):
        return False
    row = file.edits.lines[app.first_line - 1].rstrip("\r\n")
    column = _column(file, end)
    file.edits.replace(app.first_line, f"{row[:column]}, {{ logger: new JsonLogger() }}{row[column:]}")
    return True
