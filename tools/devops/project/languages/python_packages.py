"""Python manifests: which packages a project needs, who installs them, which Python it wants."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.devops.project.languages.language import from_range, number, present, version_file
from tools.devops.project.tree import Folder, dig, items, mapping, text, texts

OLDEST_SUPPORTED = (3, 11)  # as of 2026-11: 3.10 ended in October 2026

MANIFESTS = (
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "setup.cfg",
    "environment.yml",
    "environment.yaml",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
)
_REQUIREMENTS = (
    "requirements.txt",
    "requirements.in",
    "requirements/production.txt",
    "requirements/prod.txt",
    "requirements/base.txt",
    "requirements/common.txt",
)
_DEV_REQUIREMENTS = (
    "requirements-dev.txt",
    "requirements_dev.txt",
    "dev-requirements.txt",
    "requirements-test.txt",
    "test-requirements.txt",
    "requirements/dev.txt",
    "requirements/development.txt",
    "requirements/local.txt",
    "requirements/test.txt",
)


@dataclass(frozen=True, slots=True)
class Packages:
    """Normalised names: `needed` in production, `tools` besides, `extras` as `name[extra]`."""

    needed: frozenset[str]
    tools: frozenset[str]
    extras: frozenset[str]

    def has(self, *names: str) -> bool:
        return any(name in self.needed for name in names)

    def knows(self, name: str) -> bool:
        return name in self.needed or name in self.tools


_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")


def _name(raw: str) -> str:
    return re.sub(r"[-_.]+", "-", raw).lower()


def _split(requirement: str) -> tuple[str, set[str]]:
    found = _REQUIREMENT.match(requirement)
    if found is None:
        return "", set()
    name = _name(found[1])
    return name, {f"{name}[{_name(extra.strip())}]" for extra in (found[2] or "").split(",") if extra.strip()}


def _requirement_lines(folder: Folder, name: str, seen: set[str]) -> list[str]:
    """Lines of a requirements file and of those it includes; includes stay inside the folder."""
    if name in seen or len(seen) > 20:
        return []
    seen.add(name)
    lines: list[str] = []
    for raw in folder.read(name).splitlines():
        line = raw.split(" #")[0].strip()
        include = re.match(r"(?:-r|--requirement)[ =]*([\w./-]+)$", line)
        if include and ".." not in include[1]:
            base = name.rsplit("/", 1)[0] + "/" if "/" in name else ""
            lines += _requirement_lines(folder, base + include[1].removeprefix("./"), seen)
        elif line and not line.startswith(("#", "-")):
            egg = re.search(r"#egg=([\w.-]+)", line)
            lines.append(egg[1] if egg else line)
    return lines


def packages(folder: Folder) -> Packages:
    """Everything the folder's manifests name. Lock files are not read: they hold transitive packages."""
    project = folder.toml("pyproject.toml")
    pipfile = folder.toml("Pipfile")
    needed: list[str] = texts(dig(project, "project", "dependencies"))
    tools: list[str] = []
    for name in _REQUIREMENTS:
        needed += _requirement_lines(folder, name, set())
    for name in _DEV_REQUIREMENTS:
        tools += _requirement_lines(folder, name, set())
    for group, entries in mapping(dig(project, "project", "optional-dependencies")).items():
        (needed if group in ("prod", "production", "server") else tools).extend(texts(entries))
    for entries in mapping(project.get("dependency-groups")).values():
        tools += texts(entries)
    needed += _table(dig(project, "tool", "poetry", "dependencies"))
    tools += _table(dig(project, "tool", "poetry", "dev-dependencies"))
    tools += texts(dig(project, "tool", "uv", "dev-dependencies"))
    for group in mapping(dig(project, "tool", "poetry", "group")).values():
        tools += _table(dig(group, "dependencies"))
    for entries in mapping(dig(project, "tool", "pdm", "dev-dependencies")).values():
        tools += texts(entries)
    needed += _table(pipfile.get("packages"))
    tools += _table(pipfile.get("dev-packages"))
    needed += _setup_py(folder.read("setup.py"))
    needed += [
        line for line in text_block(folder.read("setup.cfg"), "install_requires") if not line.startswith(("[", "#"))
    ]
    needed += _conda(folder)
    split_needed = [_split(item) for item in needed]
    names = frozenset(name for name, _ in split_needed if name and name != "python")
    return Packages(
        needed=names,
        tools=frozenset(name for name, _ in map(_split, tools) if name) - names,
        extras=frozenset(extra for _, extras in split_needed for extra in extras),
    )


def _table(value: object) -> list[str]:
    """`{name: version or {version, extras}}` as requirement texts."""
    result = []
    for name, spec in mapping(value).items():
        extras = ",".join(texts(dig(spec, "extras")))
        result.append(f"{name}[{extras}]" if extras else name)
    return result


def _setup_py(content: str) -> list[str]:
    found = re.search(r"install_requires\s*=\s*\[([^\]]{0,8000})\]", content)
    return re.findall(r"[\"']([^\"'\n]{1,200})[\"']", found[1]) if found else []


def text_block(content: str, key: str) -> list[str]:
    """The indented lines after `key =` in an ini file."""
    found = re.search(rf"^{key}\s*=[ \t]*(.*(?:\n[ \t]+.*)*)", content, re.MULTILINE)
    return [line.strip() for line in found[1].splitlines() if line.strip()] if found else []


def _conda(folder: Folder) -> list[str]:
    name = folder.first("environment.yml", "environment.yaml")
    entries = items(folder.yaml(name).get("dependencies")) if name else []
    return [text(entry) for entry in entries if text(entry)] + [
        pip for entry in entries for pip in texts(dig(entry, "pip"))
    ]


# --- who installs ----------------------------------------------------------------------------------------------

_LOCKS = (("uv.lock", "uv"), ("poetry.lock", "poetry"), ("pdm.lock", "pdm"), ("Pipfile.lock", "pipenv"))


def manager(folder: Folder) -> tuple[str, str | None]:
    """The package manager and the lock file it goes by (relative to the folder, `../uv.lock` in a workspace)."""
    for lock, name in _LOCKS:
        if folder.first(lock):
            return name, lock
    project = folder.toml("pyproject.toml")
    for place in folder.above():
        members = dig(place.toml("pyproject.toml"), "tool", "uv", "workspace")
        if members is not None and place.path != folder.path and project and place.first("uv.lock"):
            depth = folder.path.count("/") + 1 - (0 if place.path == "." else place.path.count("/") + 1)
            return "uv", "../" * depth + "uv.lock"
    if folder.first("requirements.txt"):
        return "pip", None
    for name in ("uv", "poetry", "pdm"):
        if dig(project, "tool", name) is not None:
            return name, None
    if folder.first("Pipfile"):
        return "pipenv", None
    if not project and folder.first("environment.yml", "environment.yaml"):
        return "conda", None
    return "pip", None


def install(folder: Folder, name: str, lock: str | None) -> str | None:
    """The command that installs what production needs."""
    project = folder.toml("pyproject.toml")
    if name == "uv":
        return "uv sync --locked --no-dev" if lock else "uv sync --no-dev"
    if name == "poetry":
        has_scripts = dig(project, "tool", "poetry", "scripts") or dig(project, "project", "scripts")
        return "poetry install --only main" + ("" if has_scripts else " --no-root")
    if name == "pdm":
        return "pdm install --prod --frozen-lockfile" if lock else "pdm install --prod"
    if name == "pipenv":
        return "pipenv install --deploy" if lock else "pipenv install"
    if name == "conda":
        return f"conda env update --file {folder.first('environment.yml', 'environment.yaml')}"
    requirements = folder.first("requirements.txt", *_REQUIREMENTS[2:])
    if requirements:
        return f"pip install -r {requirements}"
    return "pip install ." if folder.first("pyproject.toml", "setup.py", "setup.cfg") else None


def install_dev(folder: Folder, name: str) -> str | None:
    """The command that installs what tests and linters need, for pip; the other managers do it by themselves."""
    if name != "pip":
        return None
    found = folder.first(*_DEV_REQUIREMENTS)
    if found:
        base = folder.first("requirements.txt", *_REQUIREMENTS[2:])
        return f"pip install -r {base} -r {found}" if base else f"pip install -r {found}"
    project = folder.toml("pyproject.toml")
    for extra in ("dev", "test", "tests"):
        if dig(project, "project", "optional-dependencies", extra) is not None:
            return f"pip install -e '.[{extra}]'"
        if dig(project, "dependency-groups", extra) is not None:
            return f"pip install -e . --group {extra}"
    return None


_ADD = {"uv": "uv pip install {}", "poetry": "poetry run pip install {}", "pdm": "pdm run pip install {}"}


def adds(name: str, package: str) -> str:
    """The command that installs one more package beside the declared ones."""
    return _ADD.get(name, "pipenv run pip install {}" if name == "pipenv" else "pip install {}").format(package)


def in_environment(name: str, command: str) -> str:
    """A development command run inside the manager's environment."""
    return f"{name} run {command}" if name in ("uv", "poetry", "pdm", "pipenv") else command


def manifest_files(folder: Folder, lock: str | None) -> tuple[str, ...]:
    files = present(folder, "pyproject.toml", *_REQUIREMENTS, "Pipfile", "setup.py", "setup.cfg", ".python-version")
    return (*files, lock) if lock else files


def version(folder: Folder) -> tuple[str | None, str]:
    """The Python version ("3.12") and where it is pinned; (None, why) without a usable pin."""
    if pinned := version_file(folder, (".python-version", "runtime.txt"), ("python",)):
        return number(pinned[0], 2), pinned[1]
    project, pipfile = folder.toml("pyproject.toml"), folder.toml("Pipfile")
    claims = (
        (text(dig(pipfile, "requires", "python_full_version")), "Pipfile"),
        (text(dig(pipfile, "requires", "python_version")), "Pipfile"),
        (text(dig(project, "project", "requires-python")), "pyproject.toml requires-python"),
        (
            text(dig(project, "tool", "poetry", "dependencies", "python")).replace("^", ">="),
            "pyproject.toml tool.poetry",
        ),
        (next(iter(text_block(folder.read("setup.cfg"), "python_requires")), ""), "setup.cfg"),
    )
    for claim, where in claims:
        if claim:
            found = from_range(claim, OLDEST_SUPPORTED, 2)
            return found, f"{folder.prefix}{where} ({claim[:40]})"
    return None, ""
