"""The hand-over messages of a deployment: what each partner must know, derived from project, plan and decisions.

Who gets one: expert-backend for each project with a back end, expert-frontend with a front end, expert-security always,
manager-tdd where tests exist (persona, step 8). "Missing items" come from the scan of the code, never from an example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tools.devops.handover import Handover
from tools.devops.types import DeployUnit, EnvVar, Missing, Plan, Project, Spec, is_frontend
from tools.labels import label

SENDER = "expert-devops"


def partners(units: Sequence[DeployUnit]) -> tuple[str, ...]:
    """Who gets a message about these deploy units."""
    if not units:
        return ()
    frontends = [unit for unit in units if is_frontend(unit)]
    return (
        *(["expert-backend"] if len(frontends) < len(units) else []),
        *(["expert-frontend"] if frontends else []),
        "expert-security",
        *(["manager-tdd"] if any(unit.test for unit in units) else []),
    )


def handovers(plan: Plan, spec: Spec | None, project: Project) -> tuple[Handover, ...]:
    """The messages, one for each partner, in the plan's language."""
    lang = plan.language
    units = [unit for unit in project.units if unit.kind != "library"]
    frontends = [unit for unit in units if is_frontend(unit)]
    backends = [unit for unit in units if unit not in frontends]
    write = {
        "expert-backend": lambda: _to_backend(plan, spec, project, backends, lang),
        "expert-frontend": lambda: _to_frontend(plan, spec, frontends, backends, lang),
        "expert-security": lambda: _to_security(plan, spec, lang),
        "manager-tdd": lambda: _to_tests(spec, units, lang),
    }
    return tuple(write[partner]() for partner in partners(units))


def _to_backend(plan: Plan, spec: Spec | None, project: Project, units: Sequence[DeployUnit], lang: str) -> Handover:
    requirements = []
    for unit in units:
        prefix = f"{unit.path}: " if len(units) > 1 else ""
        requirements.append(f"{prefix}{_word('health_check', lang)}: GET {unit.health_path or '/health'} (200)")
        if unit.start:
            requirements.append(f"{prefix}{_word('start_command', lang)}: {unit.start}")
        if unit.migrate:
            requirements.append(f"{prefix}{_word('migration', lang)}: {unit.migrate}")
    paths = {unit.path for unit in units}
    missing = [_missing(item, lang, len(units) > 1) for item in project.missing if item.unit in paths]
    return Handover(
        to="expert-backend",
        sender=SENDER,
        subject=_subject(spec, "subject_production_readiness", lang),
        facts={
            _word("app", lang): ", ".join(_stack(unit) for unit in units),
            _word("platform", lang): ", ".join(dict.fromkeys(_platform(plan, unit) for unit in units)),
        },
        groups={
            _word("deployment_requirements", lang): tuple(requirements),
            _word("required_env", lang): tuple(_names(plan.env, paths)) or (_word("none_found", lang),),
            _word("missing_items", lang): tuple(missing) or (_word("none_found", lang),),
        },
        next_steps=_steps(lang, "expert-backend", "implement" if missing else "confirm"),
    )


def _to_frontend(
    plan: Plan, spec: Spec | None, units: Sequence[DeployUnit], backends: Sequence[DeployUnit], lang: str
) -> Handover:
    hosts = ", ".join(dict.fromkeys(_platform(plan, unit) for unit in backends)) or _word("none_found", lang)
    domain = next((str(d.value) for d in plan.decisions if d.name == "domain"), "app.example.com")
    cors = (
        f"{_word('production', lang)}: https://{domain}",
        f"{_word('staging', lang)}: https://staging.{domain}",
        f"{_word('development', lang)}: http://localhost:3000",
    )
    return Handover(
        to="expert-frontend",
        sender=SENDER,
        subject=_subject(spec, "subject_fullstack", lang),
        facts={
            _word("backend", lang): hosts,
            _word("frontend_platform", lang): ", ".join(dict.fromkeys(_platform(plan, unit) for unit in units)),
        },
        groups={
            _word("cors_settings", lang): cors,
            _word("frontend_env", lang): tuple(_names(plan.env, {unit.path for unit in units}))
            or (_word("none_found", lang),),
        },
        next_steps=_steps(lang, "expert-frontend", "project"),
    )


def _to_security(plan: Plan, spec: Spec | None, lang: str) -> Handover:
    secret = tuple(f"{var.name}: {var.lives_in}" for var in plan.env if var.secret)
    compliance = spec.deployment["compliance"].value if spec and "compliance" in spec.deployment else None
    groups: dict[str, tuple[str, ...]] = {label("report", "secret", lang): secret or (_word("none_found", lang),)}
    if compliance:
        groups[label("field", "compliance", lang)] = tuple(map(str, compliance))
    return Handover(
        to="expert-security",
        sender=SENDER,
        subject=_subject(spec, "subject_security", lang),
        groups=groups,
        next_steps=_steps(lang, "expert-security", "review"),
    )


def _to_tests(spec: Spec | None, units: Sequence[DeployUnit], lang: str) -> Handover:
    commands = tuple(f"{unit.path}: {unit.test}" for unit in units if unit.test)
    return Handover(
        to="manager-tdd",
        sender=SENDER,
        subject=_subject(spec, "subject_tests", lang),
        facts={_word("platform", lang): "GitHub Actions"},
        groups={label("handover", "test_commands", lang): commands},
        next_steps=_steps(lang, "manager-tdd", "coverage"),
    )


def _steps(lang: str, partner: str, task: str) -> tuple[tuple[str, str], ...]:
    return (
        (partner, label("handover", task, lang)),
        (SENDER, label("handover", "files", lang)),
        (_word("both_sides", lang), label("handover", "staging", lang)),
    )


def _word(key: str, lang: str) -> str:
    return label("message", key, lang)


def _subject(spec: Spec | None, key: str, lang: str) -> str:
    return f"{spec.id} {_word(key, lang)}" if spec else _word(key, lang)


def _stack(unit: DeployUnit) -> str:
    framework = unit.frameworks[0] if unit.frameworks else unit.language
    return f"{framework} ({unit.language} {unit.version})" if unit.version else framework


def _platform(plan: Plan, unit: DeployUnit) -> str:
    values: Mapping[str, object] = {decision.name: decision.value for decision in plan.decisions}
    return str(values.get(f"platform:{unit.path}", values.get("platform", "?")))


def _names(env: Sequence[EnvVar], paths: set[str]) -> list[str]:
    return [var.name for var in env if var.lives_in != "ci" and paths & set(var.units)]


def _missing(item: Missing, lang: str, several: bool) -> str:
    what = label("missing", item.what, lang)
    return f"{what} ({item.unit})" if several else what
