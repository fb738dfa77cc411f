"""Names and small readings shared by the planner's parts: units, slugs, versions, shell lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tools.devops.platform import normalise, platform_of
from tools.devops.types import Decision, DeployUnit, Project, Spec

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""A variable name every shell, container and platform accepts."""

_NO_EXEC = re.compile(r"(?:^|[;&]\s*)(?:if|for|while|until|case|then|do|done|fi|esac)\b")

TWO_FROM = 99.5
"""The availability in percent from which one replica is not enough."""

_RUNNERS = re.compile(r"^(?:uv|poetry|pdm|pipenv|rye|hatch) run (?:--\S+ )*")
_PORT = re.compile(r"\$PORT\b|\$\{PORT\}")


def deployable(project: Project) -> tuple[DeployUnit, ...]:
    """The units that are built and run; libraries are not."""
    return tuple(unit for unit in project.units if unit.kind != "library")


def slug(text: str, fallback: str = "app") -> str:
    """`text` as a DNS label of at most 40 characters."""
    folded = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    if not folded:
        return fallback
    return folded if folded[0].isalpha() else f"{fallback}-{folded}"[:40].strip("-")


def slugs(project: Project) -> dict[str, str]:
    """Unit path -> a name of its own, usable for services, jobs and images."""
    names: dict[str, str] = {}
    for unit in deployable(project):
        base = slug(unit.name or unit.path.rsplit("/", 1)[-1])
        taken = set(names.values())
        name, n = base, 2
        while name in taken:
            name, n = f"{base}-{n}", n + 1
        names[unit.path] = name
    return names


def decided(decisions: Sequence[Decision], name: str, default: Any = None) -> Any:
    """The value of the decision called `name`, or `default`."""
    return next((d.value for d in decisions if d.name == name), default)


def platform_for(decisions: Sequence[Decision], unit: DeployUnit) -> str:
    """The id of the platform decided for `unit`; `other` where none was."""
    value = decided(decisions, f"platform:{unit.path}", decided(decisions, "platform", "other"))
    return normalise(str(value))


def stated(spec: Spec | None, name: str) -> Any:
    """The value the SPEC states for a deployment field, or None."""
    if spec is None:
        return None
    entry = spec.deployment.get(name)
    return entry.value if entry is not None and entry.status == "stated" else None


def setting(spec: Spec | None, section: str, name: str) -> Any:
    """One value of the project's configuration, or None."""
    settings = spec.config.get("settings") if spec else None
    found = settings.get(section) if isinstance(settings, Mapping) else None
    return found.get(name) if isinstance(found, Mapping) else None


def replica_range(spec: Spec | None, platform: str) -> tuple[int, int]:
    """(least, most) replicas of a server: what the SPEC states, else two where its availability goal or the platform
    calls for them. A number out of 1 to 100 is brought into it."""
    sla = stated(spec, "sla")
    goal = sla.get("availability") if isinstance(sla, Mapping) else None
    low = 2 if platform == "kubernetes" or (isinstance(goal, int | float) and goal >= TWO_FROM) else 1
    high = 0
    for value in (stated(spec, "autoscaling"), stated(spec, "replicas")):
        if isinstance(value, Mapping):
            low, high = _whole(value.get("min")) or low, _whole(value.get("max")) or high
        else:
            low = _whole(value) or low
    low = min(low, 100)
    return low, min(max(high, low * 2), 200) if not high else max(high, low)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def joined(unit: DeployUnit, name: str) -> str:
    """`name` inside the unit's folder, relative to the project root."""
    return name if unit.path == "." else f"{unit.path}/{name}"


def workspace(unit: DeployUnit) -> bool:
    """Whether the unit's lock file lies above it, so that the build context is the project root."""
    return unit.path != "." and any(file.startswith("..") for file in unit.files)


def serves(unit: DeployUnit) -> bool:
    """Whether the unit answers requests."""
    return unit.kind not in ("worker", "library")


def uses_image(decisions: Sequence[Decision], unit: DeployUnit) -> bool:
    """Whether the unit's platform runs a container image."""
    return platform_of(platform_for(decisions, unit)).image


def pick_version(stated_version: str | None, default: str, parts: int) -> str:
    """The version for an image tag: the pin where there is one, else the newest of `default` and the lower bound.

    `3.12` and `v20.11.1` are pins; `>=3.11`, `^20`, `3.11 || 3.12` are ranges; `~=3.12.1` and `~3.12` stay on 3.12.
    """
    text = (stated_version or "").strip()
    numbers = [tuple(int(n) for n in m.split(".")[:parts]) for m in re.findall(r"\d+(?:\.\d+)*", text)]
    if not numbers:
        return default
    if re.fullmatch(r"v?\d+(\.\d+)*(\.[x*])*", text) or re.fullmatch(r"(==|~=?)\s*v?\d+\.\d+[\d.x*]*", text):
        return ".".join(str(n) for n in numbers[0])
    wanted = tuple(int(n) for n in default.split("."))
    upper = re.search(r"<\s*(=?)\s*v?(\d+(?:\.\d+)*)", text)
    if upper and not upper[1] and wanted >= tuple(int(n) for n in upper[2].split(".")[:parts]):
        return ".".join(str(n) for n in numbers[0])
    return ".".join(str(n) for n in max(wanted, numbers[0]))


def direct(command: str) -> str:
    """A start command without its project runner: the image has the environment on PATH already."""
    return _RUNNERS.sub("", command.strip())


def exec_line(command: str, port: int) -> str:
    """`command` for `sh -c`: the last program replaces the shell so that SIGTERM reaches it, and PORT has a default."""
    line = _PORT.sub(f"${{PORT:-{port}}}", direct(command))
    head, last = _split_last(line)
    if last is None or last.startswith("exec "):
        return line
    assigned = re.match(r"(?:[A-Za-z_]\w*=\S* )+", last)
    return f"{head}exec env {last}" if assigned else f"{head}exec {last}"


def _split_last(line: str) -> tuple[str, str | None]:
    """`line` cut before its last simple command; None where pipes, groups or keywords make `exec` unsafe."""
    quote, start, i = "", 0, 0
    while i < len(line):
        if line.startswith("$(", i) and quote != "'":
            i = _substitution_end(line, i + 1)
            continue
        char = line[i]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif line.startswith("&&", i) or char == ";":
            i += 2 if char == "&" else 1
            start = i
            continue
        elif char in "|&(){}`" and not (char in "{}" and "${" in line):
            return line, None
        i += 1
    last = line[start:].strip()
    if quote or not last or _NO_EXEC.search(line) or last.split()[0] in {"cd", "export", "set"}:
        return line, None
    return line[:start] + (" " if start else ""), last


def _substitution_end(line: str, opened: int) -> int:
    """Where the command substitution whose bracket opens at `opened` is over: what runs in it is not the program."""
    depth = 0
    for i in range(opened, len(line)):
        depth += (line[i] == "(") - (line[i] == ")")
        if depth == 0:
            return i + 1
    return len(line)


def fields(entry: Mapping[str, str], *names: str) -> str:
    """The first of `names` present in `entry`, or an empty string."""
    return next((entry[name] for name in names if entry.get(name)), "")
