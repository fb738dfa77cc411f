"""Express: handlers and middleware right after the application is made, shutdown where it listens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.devops.instrument.script_code import Call, ScriptFile
from tools.devops.instrument.script_handles import (
    find_clients,
    name_in,
    open_script,
    optional_names,
    own_check,
    scripts,
)
from tools.devops.instrument.script_modules import Modules
from tools.devops.instrument.script_tests import add_tests
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Draft, Handle
from tools.devops.render import Quoted

_APP = r"(?:export\s+)?(?:const|let|var)\s+(\w+)(?:\s*:\s*[\w.]{1,60})?\s*=\s*express"
_LISTEN = r"(?:(?:export\s+)?(?:const|let|var)\s+(\w+)(?:\s*:\s*[\w.]{1,60})?\s*=\s*\w+|(\w+))\.listen"
_NAMES = {
    "health": ("answerHealth",),
    "liveness": ("answerLivez",),
    "metrics": ("answerMetrics", "observeRequests"),
    "json_logs": ("logJson", "withRequestId"),
    "sigterm": ("finishOnSigterm",),
}


_WRONG_SHAPE = (
    "no statement such as `const app = express()` on a line of its own was found. Give the application a name, "
    "then try again."
)
_NO_LISTEN = (
    "sigterm: no statement such as `app.listen(port)` on a line of its own was found. Keep the server it returns and, "
    "on SIGTERM, call `server.close(() => process.exit(0))` and `server.closeIdleConnections()`."
)


def plan(unit: Unit) -> Draft:
    draft = Draft()
    files: dict[str, ScriptFile] = {}
    subjects = tuple(name for name in unit.subjects if name != "sigterm")
    found = _find(unit, _APP)
    if subjects and (found is None or any(found[1].has_name(name) for one in subjects for name in _NAMES[one])):
        draft.unsupported.append(f"{', '.join(subjects)}: {_WRONG_SHAPE}")
    elif subjects and found:
        path, file, app = found
        files[path] = file
        wiring = _Wiring(Modules(unit, path, file), app, draft)
        if {"health", "liveness"} & set(subjects):
            wiring.health(subjects)
        if "metrics" in subjects:
            wiring.metrics()
        if "json_logs" in subjects:
            wiring.json_logs()
        wiring.write()
        add_tests(wiring.modules, draft, wiring.added, wiring.roles)
        draft.added += subjects
    if "sigterm" in unit.subjects:
        _shutdown(unit, draft, files)
    draft.edited.update({name: file.edits.result() for name, file in files.items()})
    return draft


class _Wiring:
    """The lines for the file that makes the application, and the modules they name."""

    def __init__(self, modules: Modules, app: Call, draft: Draft) -> None:
        self.modules = modules
        self.app = app
        self.draft = draft
        self.imports: list[str] = []
        self.middleware: list[str] = []
        self.routes: list[str] = []
        self.first: list[str] = []
        self.added: dict[str, tuple[str, list[str]]] = {}
        self.roles: list[str] = []

    def _use(self, target: str, names: list[str]) -> None:
        self.imports.append(self.modules.import_from(target, names))

    def health(self, subjects: tuple[str, ...]) -> None:
        asked: list[str] = []
        own: list[Handle] = []
        names: list[str] = []
        if "health" in subjects:
            asked, own = self._checks()
            given = f"{{ {', '.join(asked)} }}" if asked else ""
            self.routes.append(f'{self.app.name}.get("/health", answerHealth({given}));')
            names.append("answerHealth")
        if "liveness" in subjects:
            self.routes.append(f'{self.app.name}.get("/livez", answerLivez);')
            names.append("answerLivez")
        target = self.modules.new("health", "health-routes")
        values = {
            "own": [(handle.kind, handle.name) for handle in own],
            "optional": optional_names(self.modules.unit, self.modules.unit.optional if "health" in subjects else ()),
            "asked": Quoted(f"{{ {', '.join([*map(own_check, own), '...checks'])} }}" if own else "checks"),
            "health": "health" in subjects,
            "liveness": "liveness" in subjects,
        }
        self.draft.new[target] = self.modules.render("express_health", values)
        self.added |= {name: (target, list(_NAMES[name])) for name in ("health", "liveness") if name in subjects}
        self._use(target, names)

    def _checks(self) -> tuple[list[str], list[Handle]]:
        clients, own, notes = find_clients(self.modules.unit, self.modules.path)
        self.draft.notes += notes
        self.roles = [client.handle.role for client in clients] + [handle.role for handle in own]
        asked = []
        for client in clients:
            name, line = name_in(self.modules.file, self.modules.path, client, self.modules.extension)
            self.imports += [line] if line else []
            asked.append(f"{client.handle.role}: () => {client.ask(name)}")
        return asked, own

    def metrics(self) -> None:
        target = self.modules.new("request-metrics", "metrics-routes")
        self.draft.new[target] = self.modules.render("request_metrics", {"routes": True, "handler": True})
        self.added["metrics"] = (target, list(_NAMES["metrics"]))
        self.middleware.append("observeRequests")
        self.routes.append(f'{self.app.name}.get("/metrics", answerMetrics);')
        self._use(target, ["answerMetrics", "observeRequests"])

    def json_logs(self) -> None:
        target = self.modules.new("json-console", "json-logs")
        self.draft.new[target] = self.modules.render("json_console", {"request_ids": True})
        self.added["json_logs"] = (target, ["JsonFormatter"])
        self.middleware.insert(0, "withRequestId")
        self.first.append("logJson();")
        self._use(target, ["logJson", "withRequestId"])

    def write(self) -> None:
        file, app = self.modules.file, self.app
        uses = [f"{app.name}.use({', '.join(self.middleware)});"] if self.middleware else []
        file.edits.insert_after(file.last_import(app.start), *self.imports)
        file.edits.insert_after(app.first_line - 1, *(app.indent + file.styled(line) for line in self.first))
        file.edits.insert_after(app.last_line, *(app.indent + file.styled(line) for line in (*uses, *self.routes)))


def _shutdown(unit: Unit, draft: Draft, files: dict[str, ScriptFile]) -> None:
    """Where the server listens: keep it, and close it on SIGTERM."""
    found = [(name, file, call) for name, file in _listeners(unit, files) for call in file.calls(_LISTEN)]
    if len(found) != 1 or any(found[0][1].has_name(name) for name in _NAMES["sigterm"]):
        draft.unsupported.append(_NO_LISTEN)
        return
    name, file, call = found[0]
    files[name] = file
    modules = Modules(unit, name, file)
    target = modules.new("shutdown", "graceful-shutdown")
    draft.new[target] = modules.render("shutdown", {})
    file.edits.insert_after(file.last_import(call.start), modules.import_from(target, ["finishOnSigterm"]))
    line = file.edits.lines[call.first_line - 1].rstrip("\r\n")
    server = call.name
    if line.lstrip().startswith(f"{call.name}.listen") and not _makes_server(file, call.name):
        server = "server" if not file.has_name("server") else "listeningServer"
        file.edits.replace(call.first_line, f"{call.indent}const {server} = {line.lstrip()}")
    file.edits.insert_after(call.last_line, call.indent + file.styled(f"finishOnSigterm({server});"))
    draft.added.append("sigterm")


def _makes_server(file: ScriptFile, name: str) -> bool:
    declared = rf"\b{re.escape(name)}(?:\s*:\s*[\w.]{{1,60}})?\s*=\s*(?:\w+\.)?createServer\("
    return re.search(declared, file.masked) is not None


def _listeners(unit: Unit, files: dict[str, ScriptFile]) -> Iterator[tuple[str, ScriptFile]]:
    for name in scripts(unit):
        if ".listen(" in unit.folder.source(name):
            file = files.get(name) or open_script(unit, name)
            if file:
                yield name, file


def _find(unit: Unit, pattern: str) -> tuple[str, ScriptFile, Call] | None:
    """The file and statement that make the application: in the entry's file, else in the shallowest other file."""
    for name in _ordered(unit):
        if re.search(r"[\"']express[\"']", unit.folder.source(name)):
            file = open_script(unit, name)
            calls = file.calls(pattern) if file else []
            if file and calls:
                return name, file, calls[0]
    return None


def _ordered(unit: Unit) -> list[str]:
    entry = re.sub(r"^(?:\./)?(?:dist|build|lib|out)/|\.[cm]?[jt]s$", "", unit.facts.entry or "")

    def rank(name: str) -> tuple[bool, int, str]:
        stem = re.sub(r"\.[cm]?[jt]s$", "", name)
        return stem not in (entry, f"src/{entry}"), name.count("/"), name

    return sorted(scripts(unit), key=rank)
