"""What CI runs to test a unit: set-up, installation, and the project's own checks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tools.devops.plan.image import runtime_of
from tools.devops.plan.names import direct, setting
from tools.devops.platform import version
from tools.devops.types import DeployUnit, Spec

_RUN = {"uv": "uv run ", "poetry": "poetry run ", "pdm": "pdm run ", "pipenv": "pipenv run "}
_INSTALL = {
    "uv": "uv sync --locked",
    "poetry": "poetry install --no-interaction",
    "pdm": "pdm install --frozen-lockfile",
    "pipenv": "pipenv sync --dev",
}


@dataclass(frozen=True, slots=True)
class Checks:
    """`steps` are (step name, shell line) in order; `setup` is `python`, `uv`, `node` or empty; `cache` what the
    set-up action caches; `coverage` whether the tests write coverage.xml."""

    setup: str
    cache: str
    before: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str], ...]
    coverage: bool = False


def checks_of(unit: DeployUnit, spec: Spec | None) -> Checks:
    """The checks of `unit`, from its own commands."""
    runtime = runtime_of(unit)
    if runtime == "python":
        return _python(unit, coverage_target(spec))
    if runtime in ("node", "bun"):
        return _node(unit)
    install = (("Install", unit.install),) if unit.install else ()
    return Checks("", "", (), (*install, *_own(unit, ""), *(((("Build", unit.build),)) if unit.build else ())))


def coverage_target(spec: Spec | None) -> int | None:
    """The configured coverage in percent, or None where the configuration names none."""
    for section in ("constitution", "quality"):
        target = setting(spec, section, "test_coverage_target")
        if isinstance(target, int) and 0 < target <= 100:
            return target
    return None


def _own(unit: DeployUnit, prefix: str) -> list[tuple[str, str]]:
    named = (("Lint", unit.lint), ("Type check", unit.typecheck), ("Test", unit.test))
    return [(name, prefix + direct(command)) for name, command in named if command]


def _python(unit: DeployUnit, target: int | None) -> Checks:
    manager = unit.package_manager or "pip"
    prefix = _RUN.get(manager, "")
    steps: list[tuple[str, str]] = []
    if manager == "pip":
        steps.append(("Install", _pip_install(unit)))
    else:
        needs = " 'hishel<2'" if manager == "pdm" else ""  # pdm 2.29 fails with hishel 2 (measured 2026-11)
        tool = f"pip install {manager}=={version(manager)}{needs} && " if manager in _RUN and manager != "uv" else ""
        steps.append(("Install", tool + _INSTALL.get(manager, unit.install or "pip install .")))
    own = _own(unit, prefix)
    coverage = manager != "pdm" and bool(re.match(r"(python -m )?pytest\b", direct(unit.test or "")))
    if coverage:
        plugin = f"pytest-cov=={version('pytest-cov')}"
        if manager == "uv":
            own = [(n, c.replace("uv run ", f"uv run --with {plugin} ", 1) if n == "Test" else c) for n, c in own]
        else:
            steps.append(("Install the coverage plug-in", f"{prefix}pip install {plugin}"))
        gate = f" --cov-fail-under={target}" if target else ""
        report = f" --cov --cov-report=term --cov-report=xml{gate}"
        own = [(n, c + report if n == "Test" and "--cov" not in c else c) for n, c in own]
    setup, cache = ("uv", "") if manager == "uv" else ("python", "pip" if manager == "pip" else "")
    return Checks(setup, cache, (), (*steps, *own), coverage)


def _pip_install(unit: DeployUnit) -> str:
    if unit.install_dev:
        return unit.install_dev
    lists = [f for f in unit.files if re.search(r"requirements\S*\.txt$", f)]
    if not lists:
        return unit.install or "pip install ."
    return "pip install " + " ".join(f"--requirement {name}" for name in lists if re.fullmatch(r"[\w./-]+", name))


def _node(unit: DeployUnit) -> Checks:
    manager = unit.package_manager or "npm"
    before = (("Enable Corepack", "corepack enable"),) if manager in ("pnpm", "yarn") else ()
    bun = f"npx --yes bun@{version('bun')} "
    commands = [("Install", unit.install or f"{manager} install"), *_own(unit, ""), ("Build", unit.build or "")]
    steps = tuple(
        (name, re.sub(r"^bun ", bun, command) if manager == "bun" else command) for name, command in commands if command
    )
    berry = "--immutable" in (unit.install or "")
    cache = "npm" if manager == "npm" else "yarn" if manager == "yarn" and not berry else ""
    return Checks("node", cache, before, steps)
