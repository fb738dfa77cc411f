"""The database and cache clients of JavaScript and TypeScript code, and the expression that asks each."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from tools.devops.instrument.necessity import notes_on
from tools.devops.instrument.python_handles import ADDRESSES, SERVICES, substitute
from tools.devops.instrument.script_code import MAX_CALLS, ScriptError, ScriptFile
from tools.devops.instrument.source import Unit
from tools.devops.instrument.types import Handle
from tools.devops.render import Quoted

SUFFIXES = (".ts", ".mts", ".cts", ".js", ".mjs", ".cjs")


@dataclass(frozen=True, slots=True)
class Kind:
    """A client: its role, what makes it, the package it comes from, the question as an expression."""

    role: str
    maker: str
    package: str
    ask: str


KINDS: dict[str, Kind] = {
    "prisma": Kind("database", r"new\s+PrismaClient", "prisma", "{name}.$queryRaw`SELECT 1`"),
    "pg": Kind("database", r"new\s+(?:pg\.|Pg\.)?Pool", "pg", '{name}.query("SELECT 1")'),
    "mysql": Kind("database", r"(?:mysql\.)?createPool", "mysql2/promise", '{name}.query("SELECT 1")'),
    "knex": Kind("database", r"[Kk]nex", "knex", '{name}.raw("SELECT 1")'),
    "sequelize": Kind("database", r"new\s+Sequelize", "sequelize", '{name}.query("SELECT 1")'),
    "typeorm": Kind("database", r"new\s+DataSource", "typeorm", '{name}.query("SELECT 1")'),
    "postgres": Kind("database", r"postgres", "postgres", "{name}`SELECT 1`"),
    "mongodb": Kind("database", r"new\s+MongoClient", "mongodb", "{name}.db().command({{ ping: 1 }})"),
    "ioredis": Kind("cache", r"new\s+(?:IO)?Redis", "ioredis", "{name}.ping()"),
    "redis": Kind("cache", r"(?:redis\.)?createClient", "redis", "{name}.ping()"),
}
_DRIVERS = {"database": (("pg", "pg"),), "cache": (("ioredis", "ioredis"), ("redis", "redis"))}
_OWN = {"database": "askDatabase", "cache": "askCache"}


@dataclass(frozen=True, slots=True)
class Client:
    """A client with the way it is exported: by name, as default, or not at all (usable in its own file only)."""

    handle: Handle
    is_default: bool = False

    def ask(self, name: str) -> str:
        return KINDS[self.handle.kind].ask.format(name=name)


def open_script(unit: Unit, name: str) -> ScriptFile | None:
    """The file ready for edits, None when it cannot be followed."""
    text = unit.exact(name)
    try:
        return None if text is None else ScriptFile(text)
    except ScriptError:
        return None


def scripts(unit: Unit) -> list[str]:
    """Source files of the unit that run on the server."""
    return [name for name in unit.folder.own_files if name.endswith(SUFFIXES) and not name.endswith(".d.ts")]


def find_clients(unit: Unit, entry: str | None) -> tuple[list[Client], list[Handle], list[str]]:
    """What `/health` asks: clients of the application, connections to open itself, and notes on both."""
    found: list[Client] = []
    for name in scripts(unit):
        if any(f"{quote}{kind.package}" in unit.folder.source(name) for kind in KINDS.values() for quote in "\"'/"):
            file = open_script(unit, name)
            found += _clients(file, name, is_entry=name == entry) if file else []
    clients: list[Client] = []
    own: list[Handle] = []
    notes: list[str] = []
    for role, services in SERVICES.items():
        usable = [client for client in found if client.handle.role == role]
        wanted = sorted(services & set(unit.facts.services))
        if usable:
            clients.append(usable[0])
            if others := [f"{one.handle.name} ({one.handle.file})" for one in usable[1:]]:
                first = usable[0].handle
                notes.append(f"/health asks {first.name} ({first.file}); not asked: {', '.join(others)}.")
        elif wanted:
            handle = _own_connection(unit, role)
            own += [handle] if handle else []
            notes.append(substitute(role, wanted, handle))
    asked = [client.handle.role for client in clients] + [handle.role for handle in own]
    return clients, own, [*notes, *notes_on(unit.optional, asked)]


def optional_names(unit: Unit, roles: Iterable[str]) -> Quoted:
    """The roles that are optional, as a list of string literals."""
    return Quoted(", ".join(f'"{role}"' for role in roles if role in unit.optional))


def _clients(file: ScriptFile, name: str, *, is_entry: bool) -> list[Client]:
    found = []
    for kind, facts in KINDS.items():
        if not re.search(rf"[\"'/]{re.escape(facts.package)}[\"'/]", file.text):
            continue
        declared = (
            r"(?:export\s+)?(?:const|let|var)\s+(\w+)(?:\s*:\s*[\w.<>]{1,60})?\s*=\s*(?:await\s+)?"
            rf"(?:[\w.?]{{1,60}}\s*(?:\?\?|\|\|)\s*)?{facts.maker}"
        )
        matches = re.finditer(rf"(?m)^{declared}(?:<[\w., ]{{1,80}}>)?\(", file.masked)
        for call in islice(matches, MAX_CALLS):
            is_default = _is_default(file, call[1])
            if is_default or is_entry or _is_exported(file, call):
                line = file.line_of(call.start())
                found.append(Client(Handle(facts.role, kind, call[1], name, line), is_default=is_default))
    return found


def _is_exported(file: ScriptFile, declared: re.Match[str]) -> bool:
    name = re.escape(declared[1])
    listed = rf"(?:\bexport|\bmodule\.exports\s*=)\s*\{{[^}}]{{0,2000}}(?<![\w$:.]){name}(?![\w$:])[^}}]{{0,2000}}\}}"
    single = rf"\b(?:module\.)?exports\.{name}\s*="
    return declared[0].lstrip().startswith("export") or re.search(f"{listed}|{single}", file.masked) is not None


def _is_default(file: ScriptFile, name: str) -> bool:
    exported = rf"(?m)(?:^export\s+default|\bmodule\.exports\s*=)\s+{re.escape(name)}\s*;?\s*$"
    return re.search(exported, file.masked) is not None


def _own_connection(unit: Unit, role: str) -> Handle | None:
    kind = next((kind for package, kind in _DRIVERS[role] if unit.depends_on(package)), None)
    address = next((name for name in ADDRESSES[role] if name in unit.facts.env), None)
    return Handle(role, kind, address) if kind and address else None


def own_check(handle: Handle) -> str:
    """The check that opens a connection of its own, by a function of the template."""
    return f"{handle.role}: {_OWN[handle.role]}"


def specifier(source: str, target: str, extension: str) -> str:
    """How `source` imports the module in file `target`."""
    path = posixpath.relpath(re.sub(r"\.[cm]?[jt]s$", "", target), posixpath.dirname(source) or ".")
    path = path.removesuffix("/index") if not extension else path
    return f"{path if path.startswith('.') else f'./{path}'}{extension}"


def name_in(file: ScriptFile, source: str, client: Client, extension: str) -> tuple[str, str | None]:
    """What the client is called in `source`, and the import line it needs (None when it is there already)."""
    handle = client.handle
    if handle.file == source:
        return handle.name, None
    wanted = re.sub(r"(?:/index)?\.[cm]?[jt]s$", "", handle.file)
    for names, module in re.findall(
        r"(?:import|const|let|var)\s+([\w{},:\s]{1,400}?)\s*(?:from|=\s*require\()\s*[\"'](\.[^\"'\n]*)[\"']", file.text
    ):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), re.sub(r"\.[cm]?[jt]s$", "", module)))
        if path.removesuffix("/index") == wanted:
            if client.is_default and (plain := re.match(r"\w+", names)):
                return plain[0], None
            if found := re.search(rf"(?<!\w){re.escape(handle.name)}(?:(?:\s+as|\s*:)\s+(\w+))?(?!\w)", names):
                return found[1] or handle.name, None
    local = handle.name if not file.has_name(handle.name) else f"health{handle.role.capitalize()}"
    names = local if client.is_default else f"{{ {handle.name}{'' if local == handle.name else f' as {local}'} }}"
    return local, file.import_line(names, specifier(source, handle.file, extension))
