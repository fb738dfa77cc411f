"""How a unit becomes a container image: base tags, what is copied first, which commands run.

The result is data for the Dockerfile templates; differences between languages are in images.yaml.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from tools.devops.plan.names import NAME, direct, exec_line, pick_version, serves, workspace
from tools.devops.platform import version
from tools.devops.types import DeployUnit

_DATA = Path(__file__).parent.with_name("images.yaml")
_PYTHON_TOOLS = frozenset({"uv", "poetry", "pdm", "pipenv"})


@dataclass(frozen=True, slots=True)
class Image:
    """A Dockerfile in terms of decisions.

    `template` is the file under `docker/`; `build`/`run` are base images; `first` are files copied before the source;
    `prepare` are commands that need nothing of the project; `install` those that need `first`; `compile` those that
    need the source; `folder` is the unit's folder inside the build context; `command` is the line for `sh -c`.
    """

    template: str
    build: str
    run: str
    first: tuple[str, ...]
    prepare: tuple[str, ...]
    install: tuple[str, ...]
    compile: tuple[str, ...]
    keep: tuple[str, ...]
    vendor: str
    build_packages: tuple[str, ...]
    run_packages: tuple[str, ...]
    folder: str
    command: str
    port: int
    health: str | None
    output: str


@cache
def _data() -> Mapping[str, Any]:
    import yaml

    data = yaml.safe_load(_DATA.read_text(encoding="utf-8"))
    assert isinstance(data, dict)  # noqa: S101 - our own file
    return data


def runtime_of(unit: DeployUnit) -> str:
    """The key of images.yaml for the unit's language, or an empty string."""
    language = unit.language.lower()
    language = str(_data()["aliases"].get(language, language))
    if language == "node" and unit.package_manager == "bun":
        language = "bun"
    return language if language in _data()["languages"] else ""


def language_version(unit: DeployUnit) -> str:
    """The version of the unit's language used in images and CI: that of a hand-written Dockerfile is tested."""
    entry = _data()["languages"].get(runtime_of(unit))
    image, _, pinned = (unit.base_image or "").partition(":")
    if entry and pinned and image == runtime_of(unit):
        return ".".join(pinned.split(".")[: entry["parts"]])
    return pick_version(unit.version, entry["version"], entry["parts"]) if entry else ""


def default_port(unit: DeployUnit) -> int:
    """The port the unit listens on when PORT is not set."""
    entry = _data()["languages"].get(runtime_of(unit), {})
    return unit.port or (8080 if is_static(unit) else int(entry.get("port", 8080)))


def is_static(unit: DeployUnit) -> bool:
    """Whether the unit is files after its build: nothing of its own to start."""
    return unit.kind in ("frontend", "static") and not unit.start


def image_of(unit: DeployUnit) -> Image | None:
    """How to build `unit`, or None when its language or start command is unknown."""
    runtime = runtime_of(unit)
    if is_static(unit):
        return _static(unit, runtime)
    entry = _data()["languages"].get(runtime)
    start = unit.start or (entry or {}).get("start")
    if entry is None or not start:
        return None
    port = default_port(unit)
    packages = tuple(p for p in unit.system_packages if re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", p) and p[:4] != "ext-")
    prepare, install, compiled = _commands(unit, runtime, entry)
    name = PurePosixPath(unit.entry or unit.name).name
    return Image(
        template=entry["template"],
        build=entry["build"].format(version=language_version(unit)),
        run=entry["run"].format(version=language_version(unit)),
        first=_first(unit, runtime),
        prepare=prepare,
        install=install,
        compile=compiled,
        keep=tuple(path.format(name=name) for path in entry.get("keep", ())),
        vendor=entry.get("vendor", ""),
        build_packages=packages,
        run_packages=_run_packages(packages),
        folder=unit.path if workspace(unit) else ".",
        command=exec_line(_start(unit, runtime, start.format(name=name) if not unit.start else start), port),
        port=port,
        health=unit.health_path if serves(unit) else None,
        output=unit.output_dir or "",
    )


def _static(unit: DeployUnit, runtime: str) -> Image | None:
    if unit.build and runtime not in ("node", "bun"):
        return None
    node = _data()["languages"]["node"]
    entry = _data()["languages"][runtime or "node"]
    prepare, install, compiled = _commands(unit, runtime, entry) if unit.build else ((), (), ())
    return Image(
        template="static",
        build=entry["build"].format(version=language_version(unit) or entry["version"]),
        run=node["run"].format(version=node["version"]),
        first=_first(unit, runtime),
        prepare=prepare,
        install=install,
        compile=compiled,
        keep=(),
        vendor="",
        build_packages=(),
        run_packages=(),
        folder=unit.path if workspace(unit) else ".",
        command="exec serve --single --no-clipboard --listen tcp://0.0.0.0:${PORT:-8080} /srv",
        port=8080,
        health="/",
        output=unit.output_dir or ("dist" if unit.build else "."),
    )


def _first(unit: DeployUnit, runtime: str) -> tuple[str, ...]:
    """Manifests and lock files inside the build context. In a workspace the whole tree is needed at once."""
    if workspace(unit):
        return ()
    wanted = [f for f in unit.files if not f.startswith("..")]
    if runtime == "python" and unit.package_manager not in _PYTHON_TOOLS:
        wanted = [f for f in wanted if "requirements" in f or f.endswith(".txt")]
    return tuple(wanted)


def _run_packages(packages: Sequence[str]) -> tuple[str, ...]:
    data = _data()
    kept = [data["runtime_packages"].get(p, p) for p in packages if p not in data["build_only"]]
    return tuple(dict.fromkeys(p for p in kept if not p.endswith("-dev")))


Commands = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _commands(unit: DeployUnit, runtime: str, entry: Mapping[str, Any]) -> Commands:
    """prepare, install, compile."""
    if runtime == "python":
        return _python(unit)
    if runtime in ("node", "bun"):
        return _node(unit)
    install = (unit.install,) if unit.install else (("go mod download",) if runtime == "go" else ())
    build = unit.build or entry.get("compile")
    if runtime == "go":
        target = unit.entry if unit.entry and unit.entry.startswith("./") else "."
        return (), install, (f"CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/app {target}",)
    return (), install, (build,) if build else ()


def _python(unit: DeployUnit) -> Commands:
    """The tool that reads the lock file lives outside the virtual environment, so that it is not shipped."""
    manager = unit.package_manager or "pip"
    prepare = (f"pip install --no-cache-dir {manager}=={version(manager)}",) if manager in _PYTHON_TOOLS else ()
    exported = "/tmp/requirements.txt"  # noqa: S108 - a path inside the image, not on this machine
    into = f"/opt/venv/bin/pip install --requirement {exported}"
    build = (_python_build(unit),) if unit.build else ()
    extra = _additions(unit.install)
    if manager == "uv":
        sync = "uv sync --locked --no-dev --no-editable"
        return prepare, (f"{sync} --no-install-project",), (sync, *extra, *build)
    if manager == "poetry":
        return prepare, ("poetry install --only main --no-root --no-interaction", *extra), build
    if manager == "pdm":
        return prepare, (f"pdm export --prod --format requirements --output {exported}", into, *extra), build
    if manager == "pipenv":
        return prepare, (f"pipenv requirements > {exported}", into, *extra), build
    lists = [f for f in unit.files if re.search(r"requirements.*\.txt$", f) and not f.startswith("..")]
    named = re.search(r"-r\s+(\S+)|--requirement[= ](\S+)", unit.install or "")
    chosen = (named[1] or named[2]) if named else None
    wanted = [f for f in lists if f == chosen] or [f for f in lists if not re.search(r"dev|test|doc", f)][:1]
    if wanted:
        return prepare, (f"/opt/venv/bin/pip install --requirement {wanted[0]}", *extra), build
    return prepare, (), ("/opt/venv/bin/pip install --no-cache-dir .", *extra, *build)


def _additions(install: str | None) -> tuple[str, ...]:
    """Servers the scanner's install command adds because the dependencies lack one (`... && pip install gunicorn`)."""
    found = re.search(r"&&.*\b(?:pip install|add)\s+([A-Za-z][\w.-]*(?:\[[\w,-]+\])?)\s*$", install or "")
    return (f"/opt/venv/bin/pip install --no-cache-dir {shlex.quote(found[1])}",) if found else ()


def _python_build(unit: DeployUnit) -> str:
    """The build command; settings that insist on a secret key get a throw-away one for this command only."""
    build = direct(unit.build or "")
    keys = [name for name in unit.env if NAME.fullmatch(name) and name.endswith("SECRET_KEY")]
    return " ".join([*(f"{name}=only-for-this-build" for name in keys), build]) if "manage.py" in build else build


_NODE_INSTALL = {
    "npm": "npm ci",
    "pnpm": "pnpm install --frozen-lockfile",
    "yarn": "yarn install --frozen-lockfile",
    "bun": "bun install --frozen-lockfile",
}
_NODE_PRUNE = {
    "npm": "npm prune --omit=dev",
    "pnpm": "CI=true pnpm prune --prod",
    "yarn": "yarn install --production --ignore-scripts --prefer-offline --frozen-lockfile",
    "yarn-berry": "yarn workspaces focus --all --production",
    "bun": "rm -rf node_modules && bun install --production --frozen-lockfile",
}


def _node(unit: DeployUnit) -> Commands:
    manager = unit.package_manager or "npm"
    install = unit.install or _NODE_INSTALL.get(manager, "npm install")
    berry = manager == "yarn" and ("--immutable" in install or ".yarnrc.yml" in unit.files)
    prepare = ("corepack enable",) if manager in ("pnpm", "yarn") else ()
    build = (unit.build,) if unit.build else ()
    standalone = "standalone" in (unit.output_dir or "")
    if is_static(unit) or standalone or workspace(unit):
        return prepare, (install,), build
    return prepare, (install,), (*build, _NODE_PRUNE["yarn-berry" if berry else manager])


def _start(unit: DeployUnit, runtime: str, start: str) -> str:
    """npm and its kin do not pass signals on reliably: name the program where it is known."""
    if runtime not in ("node", "bun") or not re.match(r"(npm|yarn|pnpm)\b", start):
        return start
    if "standalone" in (unit.output_dir or ""):
        return "node server.js"
    if "next" in unit.frameworks or "nextjs" in unit.frameworks:
        return "next start --hostname 0.0.0.0 --port $PORT"
    if unit.entry and unit.entry.endswith((".js", ".mjs", ".cjs")):
        return f"node {unit.entry}"
    return start
