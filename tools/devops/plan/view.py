"""What templates see: the plan spread out, with every unit's commands, names and sizes worked out.

`view_of` gives one mapping. Values that come from the project are untrusted; templates quote them (see
`tools/devops/render.py`). Names made here (slugs, job names, image tags) are plain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.devops.plan.clouds import SERVERS_ONLY, lambda_handler, platform_of_file
from tools.devops.plan.environment import region_of
from tools.devops.plan.goals import goals_of
from tools.devops.plan.image import Image, default_port, image_of, is_static, language_version, runtime_of
from tools.devops.plan.names import (
    decided,
    deployable,
    direct,
    exec_line,
    joined,
    platform_for,
    replica_range,
    serves,
    setting,
    slug,
    slugs,
    stated,
    workspace,
)
from tools.devops.plan.pipeline import Checks, checks_of
from tools.devops.plan.processes import Process, Visit, crons_of, fits_lambda, migration_of, visits_of, workers_of
from tools.devops.plan.regions import regions
from tools.devops.plan.said import said
from tools.devops.plan.services import Service, addresses_of, services_for, services_of
from tools.devops.platform import Platform, facts, platform_of
from tools.devops.types import DEPLOYMENT_FIELDS, ArtifactPlan, DeployUnit, EnvVar, Plan, Project, Spec


@dataclass(frozen=True, slots=True)
class UnitView:
    """One deploy unit, ready for templates.

    `env` are the variables its running code reads, `settings`/`secrets` those of them that are not / are secret and
    not an address of a service; `addresses` pairs each service with the variable that holds its address. `folder` is
    the build context, `replicas` a (min, max) pair.
    """

    unit: DeployUnit
    slug: str
    platform: Platform
    image: Image | None
    services: tuple[Service, ...]
    addresses: tuple[tuple[str, Service], ...]
    env: tuple[EnvVar, ...]
    settings: tuple[EnvVar, ...]
    secrets: tuple[EnvVar, ...]
    public: tuple[EnvVar, ...]
    runtime: str
    version: str
    port: int
    health: str | None
    liveness: str | None
    serves: bool
    static: bool
    dockerfile: str
    folder: str
    migrate: str
    command: str
    dev_command: str
    workers: tuple[Process, ...]
    crons: tuple[Process, ...]
    visits: tuple[Visit, ...]
    checks: Checks
    replicas: tuple[int, int]

    @property
    def path(self) -> str:
        return self.unit.path

    @property
    def name(self) -> str:
        return self.unit.name

    @property
    def runtime_env(self) -> tuple[EnvVar, ...]:
        """What the running code reads from the platform's settings, in name order; PORT is set by the platform."""
        return tuple(v for v in self.env if v.lives_in == "platform" and v.name != "PORT")

    @property
    def jobs(self) -> tuple[Process, ...]:
        """What runs and ends: the migration, then the cron jobs."""
        migration = migration_of(self.unit, self.slug)
        return (*([migration] if migration else []), *self.crons)

    @property
    def timetable(self) -> str:
        """The cron jobs as `<five fields> <name>;` each."""
        return "".join(f"{process.schedule} {process.name};" for process in self.crons)

    @property
    def lambda_jobs(self) -> tuple[Process, ...]:
        """The cron jobs that AWS Lambda can run."""
        return tuple(p for p in self.crons if fits_lambda(self.unit, p))

    @property
    def handler(self) -> str:
        """The function that Lambda calls in a unit that is no server; "" where there is none."""
        return lambda_handler(self.unit)

    @property
    def lambda_runtime(self) -> str:
        """The name Lambda gives the language, for a function without an image."""
        return f"nodejs{self.version}.x" if self.runtime == "node" else f"python{self.version}"

    @property
    def deployed(self) -> bool:
        """Whether the pipeline deploys the unit: its platform has files here, and there is something to run."""
        runs = self.image is not None or not self.platform.image
        if self.platform.id in SERVERS_ONLY:
            runs = runs and self.serves
        return bool(self.platform.artifacts) and (runs or (self.platform.id == "aws-lambda" and bool(self.handler)))


def view_of(plan: Plan, artifact: ArtifactPlan, spec: Spec | None, project: Project) -> dict[str, Any]:
    """The template's variables.

    `plan`, `artifact`, `spec`, `project`, `language`, `facts`; `units` (every `UnitView`), `unit` and its `image` (None
    for a file of the whole project), `process` (of a file about one of the unit's), `by_platform`, `monorepo`;
    `services`, `env`; `branches`, `main`, `repository`, `name`, `domain`; `environment` (of an overlay), `region` (by
    platform), `cache_mounts`, `host_ports` (by slug);
    `members`, `database`, `cache` (see `_of_platform`);
    `stated` (the SPEC's deployment values), `said` (the same as text for people), `goals`;
    `requirements` (those that files answer).
    """
    names = slugs(project)
    units = tuple(_unit_view(unit, names[unit.path], plan, spec, project) for unit in deployable(project))
    unit = next((u for u in units if artifact.unit == u.path), None)
    branches = decided(plan.decisions, "branches", ["main"])
    return {
        **_of_platform(artifact, units),
        "plan": plan,
        "artifact": artifact,
        "spec": spec,
        "project": project,
        "language": plan.language,
        "units": units,
        "unit": unit,
        "process": _process(artifact, unit),
        "image": unit.image if unit else None,
        "services": services_for(project, spec),
        "env": plan.env,
        "branches": branches,
        "main": branches[0],
        "repository": decided(plan.decisions, "repository"),
        "name": _project_name(spec, project, names),
        "monorepo": len(units) > 1,
        "environment": artifact.path.split("/")[2] if artifact.path.startswith("k8s/overlays/") else "",
        "domain": decided(plan.decisions, "domain"),
        "region": regions(region_of(spec)),
        "cache_mounts": unit is not None and unit.platform.id != "railway",
        "facts": facts(),
        "requirements": _requirements(plan, spec),
        "by_platform": _by_platform(units),
        "host_ports": _host_ports([u for u in units if u.serves]),
        "goals": goals_of(spec),
        "said": said(spec, plan.language),
        "stated": {key: stated(spec, key) for key in DEPLOYMENT_FIELDS},
    }


def _of_platform(artifact: ArtifactPlan, units: Sequence[UnitView]) -> dict[str, Any]:
    """`members`, the units of the platform whose folder the template lies in, and their `database` and `cache`.

    A template that all platforms share sees every unit.
    """
    platform = platform_of_file(artifact.path, artifact.template)
    members = [u for u in units if u.platform.id == platform] or list(units)
    services = [s for u in members for s in u.services]
    return {
        "members": members,
        "database": next((s for s in services if s.id in ("postgres", "mysql")), None),
        "cache": next((s for s in services if s.id == "redis"), None),
    }


def _process(artifact: ArtifactPlan, unit: UnitView | None) -> Process | None:
    """The worker or job that `artifact` is about: the one its file is named after."""
    name = artifact.path.rsplit("/", 1)[-1].split(".")[0]
    return next((p for p in (*unit.workers, *unit.jobs) if p.name == name), None) if unit else None


def _host_ports(units: Sequence[UnitView]) -> dict[str, int]:
    """Slug -> a port of its own on a developer's machine."""
    ports: dict[str, int] = {}
    for unit in units:
        port = unit.port
        while port in ports.values():
            port += 1
        ports[unit.slug] = port
    return ports


def _unit_view(unit: DeployUnit, name: str, plan: Plan, spec: Spec | None, project: Project) -> UnitView:
    platform = platform_of(platform_for(plan.decisions, unit))
    image = image_of(unit) if platform.image else None
    port = image.port if image else default_port(unit)
    services = _shared_names(services_of(unit, spec), services_for(project, spec))
    env = tuple(v for v in plan.env if unit.path in v.units and v.lives_in in ("platform", "build"))
    names = {v.name for v in env}
    addresses = tuple((variable, service) for variable, service in addresses_of(unit, services) if variable in names)
    taken = {variable for variable, _ in addresses}
    own = [v for v in env if v.name not in taken]
    command = image.command if image else exec_line(unit.start or "", port)
    return UnitView(
        unit=unit,
        slug=name,
        platform=platform,
        image=image,
        services=services,
        addresses=addresses,
        env=env,
        settings=tuple(v for v in own if not v.secret and v.lives_in == "platform"),
        secrets=tuple(v for v in own if v.secret),
        public=tuple(v for v in own if v.lives_in == "build"),
        runtime=runtime_of(unit),
        version=language_version(unit),
        port=port,
        health=(image.health if image else unit.health_path) if serves(unit) else None,
        liveness="/" if is_static(unit) else unit.liveness_path,
        serves=serves(unit),
        static=is_static(unit),
        dockerfile=joined(unit, "Dockerfile"),
        folder="." if workspace(unit) else unit.path,
        migrate=direct(unit.migrate) if unit.migrate else "",
        command=command,
        dev_command=_dev_command(command),
        workers=workers_of(unit, name),
        crons=crons_of(unit, name, spec),
        visits=visits_of(unit),
        checks=checks_of(unit, spec),
        replicas=replica_range(spec, platform.id),
    )


def _shared_names(own: Sequence[Service], everyone: Sequence[Service]) -> tuple[Service, ...]:
    """The unit's services under the names they have in the whole project."""
    ids = {s.id for s in own}
    return tuple(s for s in everyone if s.id in ids)


def _dev_command(command: str) -> str:
    """The start command with live reload, where the server has it; otherwise empty."""
    if re.search(r"\buvicorn\b", command) and "--workers" not in command:
        return f"{command} --reload"
    if re.search(r"\b(gunicorn|flask\b.*\brun)\b", command):
        return f"{command} --reload" if "gunicorn" in command else f"{command} --debug"
    return ""


def _project_name(spec: Spec | None, project: Project, names: Mapping[str, str]) -> str:
    stated_name = setting(spec, "project", "name")
    folder = project.root.rstrip("/").rsplit("/", 1)[-1]
    return slug(str(stated_name or folder or next(iter(names.values()), "app")))


def _requirements(plan: Plan, spec: Spec | None) -> list[dict[str, str]]:
    """Each requirement that files answer, with their paths."""
    if spec is None:
        return []
    found = []
    for requirement in spec.requirements:
        paths = [a.path for a in plan.artifacts if requirement.id in a.requirements]
        if paths:
            text = requirement.text if len(requirement.text) <= 160 else requirement.text[:157] + "..."
            found.append({"id": requirement.id, "text": text, "files": ", ".join(paths[:4])})
    return found


def _by_platform(units: Sequence[UnitView]) -> list[tuple[Platform, list[UnitView]]]:
    found: dict[str, tuple[Platform, list[UnitView]]] = {}
    for unit in units:
        found.setdefault(unit.platform.id, (unit.platform, []))[1].append(unit)
    return list(found.values())
