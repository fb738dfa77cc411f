"""What the project's own deployment files say: commands, ports, processes, schedules.

Their word beats what a language would do by default. Order: Procfile, then the platform files, then a Dockerfile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from tools.devops.merge import is_untouched
from tools.devops.project.tree import Folder, dig, items, mapping, text, texts
from tools.devops.types import DeployUnit

Entry = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """What one file says of a unit; None where it says nothing."""

    install: str | None = None
    build: str | None = None
    start: str | None = None
    migrate: str | None = None
    port: int | None = None
    health_path: str | None = None
    output_dir: str | None = None
    base_image: str | None = None
    workers: tuple[Entry, ...] = ()
    cron: tuple[Entry, ...] = ()


def with_told(unit: DeployUnit, folder: Folder) -> DeployUnit:
    """The unit with what its deployment files say put over it."""
    own_start = unit.start
    for reader in reversed(_READERS):
        told = reader(folder)
        unit = _over(unit, told)
    if unit.language == "go" and own_start and unit.start:
        unit = replace(unit, start=_built_program(unit, unit.start, own_start))
    is_told = unit.start is not None and unit.kind == "library" and unit.start != own_start
    return replace(unit, kind="backend") if is_told else unit


def _built_program(unit: DeployUnit, told: str, own: str) -> str:
    """A Go program called by the name a buildpack installs it under, as the file the build command makes."""
    name = unit.name if unit.entry in (None, ".") else (unit.entry or "").rsplit("/", 1)[-1]
    program, *arguments = told.split()
    return " ".join([own, *arguments]) if program.removeprefix("bin/") == name else told


def _over(unit: DeployUnit, told: Told) -> DeployUnit:
    names = {worker["name"] for worker in told.workers}
    commands = {worker["command"] for worker in told.workers}
    kept = tuple(w for w in unit.workers if w["name"] not in names and w["command"] not in commands)
    return replace(
        unit,
        install=told.install or unit.install,
        build=told.build or unit.build,
        start=told.start or unit.start,
        migrate=told.migrate or unit.migrate,
        port=told.port or unit.port,
        health_path=told.health_path or unit.health_path,
        output_dir=told.output_dir or unit.output_dir,
        base_image=told.base_image or unit.base_image,
        workers=(*told.workers, *kept) if told.workers else unit.workers,
        cron=(*unit.cron, *(entry for entry in told.cron if entry not in unit.cron)),
    )


def _command(value: object) -> str | None:
    """A command as a shell line, from a text or a list of words."""
    words = texts(value)
    return text(value) or (" ".join(words) if words else None) or None


def _port(value: object) -> int | None:
    found = re.fullmatch(r"\d{2,5}", text(value))
    return int(found[0]) if found and 0 < int(found[0]) < 65536 else None


def _path(value: object) -> str | None:
    return text(value) if re.fullmatch(r"/[\w./?=&-]*", text(value)) else None


def _procfile(folder: Folder) -> Told:
    lines = re.findall(r"^([A-Za-z0-9_-]{1,40}):(.+)$", folder.read("Procfile"), re.MULTILINE)
    entries = {name: text(command) for name, command in lines if text(command)}
    if not entries:
        return Told()
    release = entries.pop("release", None)
    start = next((name for name in ("web", "worker", *entries) if name in entries), None)
    workers = tuple({"name": name, "command": command} for name, command in entries.items() if name != start)
    return Told(start=entries.get(start or ""), migrate=release, workers=workers)


def _railway(folder: Folder) -> Told:
    config = folder.json("railway.json") or folder.toml("railway.toml")
    deploy = mapping(config.get("deploy"))
    start, schedule = _command(deploy.get("startCommand")), text(deploy.get("cronSchedule"))
    cron = ({"name": "cron", "schedule": schedule, "command": start or ""},) if schedule else ()
    return Told(
        build=_command(dig(config, "build", "buildCommand")),
        start=start,
        migrate=_command(deploy.get("preDeployCommand")),
        health_path=_path(deploy.get("healthcheckPath")),
        cron=cron,
    )


def _railpack(folder: Folder) -> Told:
    config = folder.json("railpack.json")
    return Told(start=_command(dig(config, "deploy", "startCommand")))


def _nixpacks(folder: Folder) -> Told:
    config = folder.toml("nixpacks.toml") or folder.json("nixpacks.json")
    build = " && ".join(texts(dig(config, "phases", "build", "cmds")))
    return Told(start=_command(dig(config, "start", "cmd")), build=build or None)


def _fly(folder: Folder) -> Told:
    config = folder.toml("fly.toml")
    processes = {
        name: command for name, value in mapping(config.get("processes")).items() if (command := _command(value))
    }
    start = processes.pop("app", None) or processes.pop("web", None)
    checks = items(dig(config, "http_service", "checks"))
    services = items(config.get("services"))
    return Told(
        start=start,
        migrate=_command(dig(config, "deploy", "release_command")),
        port=_port(dig(config, "http_service", "internal_port"))
        or next((port for service in services if (port := _port(dig(service, "internal_port")))), None),
        health_path=next((path for check in checks if (path := _path(dig(check, "path")))), None),
        workers=tuple({"name": name, "command": command} for name, command in processes.items()),
    )


def _render(folder: Folder) -> Told:
    result = Told()
    for place in folder.above():
        for service in items(place.yaml("render.yaml").get("services")):
            root = text(dig(service, "rootDir")).removeprefix("./").strip("/")
            here = place.prefix + root if root else place.path
            if (here.rstrip("/") or ".") == folder.path:
                result = _render_service(mapping(service), result)
    return result


def _render_service(service: dict[str, object], told: Told) -> Told:
    start, name = _command(service.get("startCommand")), text(service.get("name")) or "service"
    kind = text(service.get("type"))
    if kind == "cron" and start:
        entry = {"name": name, "schedule": text(service.get("schedule")), "command": start}
        return replace(told, cron=(*told.cron, entry))
    if kind == "worker" and start:
        return replace(told, workers=(*told.workers, {"name": name, "command": start}))
    return replace(
        told,
        build=_command(service.get("buildCommand")) or told.build,
        start=start or told.start,
        migrate=_command(service.get("preDeployCommand")) or told.migrate,
        health_path=_path(service.get("healthCheckPath")) or told.health_path,
        output_dir=text(service.get("staticPublishPath")).removeprefix("./") or told.output_dir,
    )


def _heroku(folder: Folder) -> Told:
    run = mapping(folder.yaml("heroku.yml").get("run"))
    return Told(start=_command(run.get("web")))


def _app_engine(folder: Folder) -> Told:
    config = folder.yaml("app.yaml")
    return Told(start=_command(config.get("entrypoint"))) if "runtime" in config else Told()


def _vercel(folder: Folder) -> Told:
    config = folder.json("vercel.json")
    cron = tuple(
        {"name": path.strip("/").replace("/", "-"), "schedule": text(dig(entry, "schedule")), "path": path}
        for entry in items(config.get("crons"))
        if (path := text(dig(entry, "path")))
    )
    return Told(
        install=_command(config.get("installCommand")),
        build=_command(config.get("buildCommand")),
        output_dir=text(config.get("outputDirectory")) or None,
        cron=cron,
    )


def _netlify(folder: Folder) -> Told:
    config = folder.toml("netlify.toml")
    if text(dig(config, "build", "base")) not in ("", ".", "/"):
        return Told()
    cron = tuple(
        {"name": name, "schedule": schedule, "path": f"/.netlify/functions/{name}"}
        for name, value in mapping(config.get("functions")).items()
        if (schedule := text(dig(value, "schedule")))
    )
    publish = text(dig(config, "build", "publish")).strip("/")
    return Told(build=_command(dig(config, "build", "command")), output_dir=publish or None, cron=cron)


def _wrangler(folder: Folder) -> Told:
    config = folder.toml("wrangler.toml") or folder.json("wrangler.json") or folder.json("wrangler.jsonc")
    crons = texts(dig(config, "triggers", "crons"))
    return Told(cron=tuple({"name": "scheduled", "schedule": schedule, "command": "scheduled()"} for schedule in crons))


_EXPOSE = re.compile(r"^[ \t]*EXPOSE\s+(\d{2,5})", re.IGNORECASE | re.MULTILINE)
_TLS_PORTS = ("443", "8443")
"""Exposed beside the plain port; a platform ends TLS itself."""


_FROM = re.compile(
    r"^[ \t]*FROM\s+(?:--\S+\s+)*(?:\S+/)?((?:python|node):\d{1,3}(?:\.\d{1,3})?)(?![\d])", re.IGNORECASE | re.MULTILINE
)


def _dockerfile(folder: Folder) -> Told:
    content = folder.read("Dockerfile")
    ports = [port for port in _EXPOSE.findall(content) if port not in _TLS_PORTS]
    images = _FROM.findall(content)
    own = [] if is_untouched(content) else images  # what we wrote ourselves binds nobody
    return Told(port=_port(ports[-1]) if ports else None, base_image=own[-1] if own else None)


def dockerfile_start(folder: Folder) -> str | None:
    """The CMD of a Dockerfile's last stage, as a shell line."""
    import json

    found = re.findall(r"^[ \t]*CMD[ \t]+(.+)$", folder.read("Dockerfile"), re.IGNORECASE | re.MULTILINE)
    if not found:
        return None
    try:
        words = texts(json.loads(found[-1])) if found[-1].startswith("[") else []
    except (ValueError, RecursionError):
        words = []
    if len(words) == 3 and words[0] in ("sh", "/bin/sh", "bash") and words[1].startswith("-"):
        return words[2].removeprefix("exec ")
    return " ".join(words) or text(found[-1]) or None


_READERS: tuple[Callable[[Folder], Told], ...] = (
    _procfile,
    _railway,
    _railpack,
    _nixpacks,
    _fly,
    _render,
    _heroku,
    _app_engine,
    _vercel,
    _netlify,
    _wrangler,
    _dockerfile,
)


def compose_services(root: Folder) -> Iterator[tuple[str, dict[str, object]]]:
    """Services of the root's compose file: name and definition."""
    file = root.first("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
    for name, service in mapping(root.yaml(file).get("services") if file else None).items():
        yield name, mapping(service)
