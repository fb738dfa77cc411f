"""The remarks of a plan, in the reader's language: tensions, assumptions and gaps that no file can show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tools.devops.plan.environment import ignored_names, region_of
from tools.devops.plan.image import image_of, is_static, runtime_of
from tools.devops.plan.names import TWO_FROM, deployable, fields, platform_for, serves, slug, stated, uses_image
from tools.devops.plan.processes import gaps
from tools.devops.plan.schedule import jobs_of, unserved
from tools.devops.plan.services import services_of, unknown_services
from tools.devops.platform import Platform, fact, platform_of
from tools.devops.types import Decision, DeployUnit, Project, Spec

_SETUP = frozenset({"python", "node", "bun"})
"""Languages whose version CI can choose with a pinned action."""


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    import yaml

    data = yaml.safe_load(Path(__file__).with_name("notes.yaml").read_text(encoding="utf-8"))
    assert isinstance(data, dict)  # noqa: S101 - our own file
    return data


def note(key: str, language: str, **values: Any) -> str:
    """The remark `key` in `language` with its fields filled."""
    return _texts()[key][language].format(**values)


def notes_of(
    project: Project, spec: Spec | None, decisions: Sequence[Decision], cost: Mapping[str, Any], language: str
) -> tuple[str, ...]:
    """Every remark that applies, in a fixed order."""
    found = [*_of_project(project, spec, decisions, cost)]
    for unit in deployable(project):
        found += _of_unit(unit, spec, decisions)
    return tuple(note(key, language, **values) for key, values in found)


def unsupported_of(project: Project, decisions: Sequence[Decision], language: str) -> tuple[str, ...]:
    """One line for each platform that gets portable files only."""
    names = dict.fromkeys(platform_for(decisions, unit) for unit in deployable(project))
    return tuple(
        note("unsupported", language, platform=platform_of(name).name)
        for name in names
        if not platform_of(name).artifacts
    )


Remark = tuple[str, dict[str, Any]]


def _of_project(
    project: Project, spec: Spec | None, decisions: Sequence[Decision], cost: Mapping[str, Any]
) -> Iterator[Remark]:
    platforms = dict.fromkeys(platform_for(decisions, unit) for unit in deployable(project))
    if "railway.json" in project.existing or "railway.toml" in project.existing:
        until = fact("railway.config_file_read_until")
        yield "railway_json", {"until": until.value if until else "2026-12-01"}
    if "railway" in platforms and stated(spec, "autoscaling"):
        yield "railway_autoscaling", {}
    region = (region_of(spec) or "").lower()
    if "railway" in platforms and re.search(r"korea|seoul|ap-northeast|japan|tokyo|한국|서울|\b(kr|jp)\b", region):
        yield "railway_region", {"region": region_of(spec)}
    if "vercel" in platforms:
        yield "vercel_hobby", {}
    if missing := unknown_services(project):
        yield "unknown_services", {"services": ", ".join(missing)}
    workflows = [f for f in project.existing if f.startswith(".github/workflows/")]
    if others := [f for f in workflows if f != ".github/workflows/ci-cd.yml"]:
        yield "workflows", {"files": ", ".join(others)}
    if doubled := [platform_of(p).name for p in platforms if p in ("railway", "vercel", "netlify")]:
        yield "autodeploy", {"platforms": ", ".join(doubled)}
    if cost.get("within_budget") is False:
        yield "budget", {"monthly": cost["known"], "budget": cost["budget"]}
    if stated(spec, "budget") and cost["budget"] is None:
        yield "budget_unread", {}
    yield from _of_goals(project, spec, decisions)
    for schedule, text in unserved(deployable(project), spec):
        yield ("job_without_program" if schedule else "job_without_time"), {"schedule": schedule, "text": text}
    if names := ignored_names(project):
        yield "ignored_names", {"names": ", ".join(repr(n) for n in names)}


def _of_goals(project: Project, spec: Spec | None, decisions: Sequence[Decision]) -> Iterator[Remark]:
    sla = stated(spec, "sla")
    availability = sla.get("availability") if isinstance(sla, Mapping) else None
    replicated = any(uses_image(decisions, unit) and serves(unit) for unit in deployable(project))
    is_high = isinstance(availability, int | float) and availability >= TWO_FROM
    if replicated and is_high and not stated(spec, "replicas"):
        yield "single_replica", {"sla": availability}
    if compliance := stated(spec, "compliance"):
        names = compliance if isinstance(compliance, list | tuple) else [compliance]
        yield "compliance", {"names": ", ".join(str(n) for n in names)}
    if any(unit.migrate for unit in deployable(project)):
        yield "migrations", {}


def _of_unit(unit: DeployUnit, spec: Spec | None, decisions: Sequence[Decision]) -> Iterator[Remark]:
    platform = platform_of(platform_for(decisions, unit))
    source = next((d.source for d in decisions if d.name in (f"platform:{unit.path}", "platform")), "default")
    if source == "default":
        yield "assumed_platform", {"unit": unit.name, "platform": platform.name}
    if platform.suits.get(unit.kind, 1) == 0:
        yield "misfit", {"unit": unit.name, "platform": platform.name, "kind": unit.kind}
    if uses_image(decisions, unit) and image_of(unit) is None:
        yield "no_image", {"unit": unit.name, "stack": unit.language}
    if serves(unit) and not is_static(unit) and not unit.health_path and unit.kind in ("backend", "fullstack"):
        yield "no_health", {"unit": unit.name}
    if platform.id == "kubernetes" and serves(unit) and not unit.liveness_path and not is_static(unit):
        yield "no_liveness", {"unit": unit.name}
    timed = {fields(job, "command") for job in jobs_of(unit, spec)}
    for job in unit.cron:
        if (command := fields(job, "command")) and command not in timed:
            yield "program_without_time", {"unit": unit.name, "command": command}
    if not unit.test:
        yield "no_tests", {"unit": unit.name}
    yield from _beside(unit, spec, platform)
    if runtime_of(unit) not in _SETUP and unit.kind != "static":
        yield "preinstalled", {"unit": unit.name, "stack": unit.language}


def _beside(unit: DeployUnit, spec: Spec | None, platform: Platform) -> Iterator[Remark]:
    """What the unit needs beside its server and the platform, or our files for it, do not give."""
    if not platform.artifacts:
        return
    named = {"unit": unit.name, "platform": platform.name}
    if needed := [s.id for s in services_of(unit, spec) if s.id not in platform.makes]:
        key = "vercel_services" if platform.id in ("vercel", "netlify") else "services_elsewhere"
        yield key, {**named, "services": ", ".join(needed)}
    for key, processes in gaps(unit, slug(unit.name), platform, spec):
        yield key, {**named, "processes": processes}
