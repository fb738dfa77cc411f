"""What a unit runs beside its server: workers, cron jobs, the migration; and what a platform cannot run of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tools.devops.cron import eventbridge, five_fields, shortest_gap_minutes
from tools.devops.plan.image import default_port, image_of, runtime_of
from tools.devops.plan.names import direct, exec_line, fields, slug
from tools.devops.plan.schedule import jobs_of
from tools.devops.platform import Platform
from tools.devops.types import DeployUnit, Spec

RAILWAY_MINUTES = 5
"""Railway starts a cron service at most this often (its documentation, 2026-08)."""


@dataclass(frozen=True, slots=True)
class Process:
    """A further process of a unit. `command` is for `sh -c`; a cron job has a five-field `schedule` in UTC."""

    name: str
    command: str
    schedule: str = ""

    @property
    def eventbridge(self) -> str:
        """The schedule as AWS writes it, "" where it cannot."""
        return eventbridge(self.schedule) or ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A cron job that is a request to a path of the unit."""

    name: str
    path: str
    schedule: str


def workers_of(unit: DeployUnit, name: str) -> tuple[Process, ...]:
    """The unit's workers; `name` is its slug."""
    return tuple(process for process, _entry in _processes(unit.workers, unit, name))


def crons_of(unit: DeployUnit, name: str, spec: Spec | None) -> tuple[Process, ...]:
    """The unit's cron jobs that have a command and a time, of their own or the SPEC's."""
    found = _processes(jobs_of(unit, spec), unit, name)
    return tuple(
        Process(process.name, process.command, schedule)
        for process, entry in found
        if (schedule := five_fields(fields(entry, "schedule", "cron")))
    )


def visits_of(unit: DeployUnit) -> tuple[Visit, ...]:
    """The unit's cron jobs that are requests to a path."""
    return tuple(
        Visit(entry.get("name", ""), entry["path"], schedule)
        for entry in unit.cron
        if entry.get("path", "").startswith("/") and (schedule := five_fields(fields(entry, "schedule", "cron")))
    )


def migration_of(unit: DeployUnit, name: str) -> Process | None:
    """The migration as a process that runs once and ends."""
    return Process(f"{name}-migrate", f"exec {direct(unit.migrate)}") if unit.migrate else None


def fits_lambda(unit: DeployUnit, process: Process) -> bool:
    """Whether a cron job can be a function of its own from the unit's image: its language answers the requests."""
    return runtime_of(unit) in ("python", "node") and image_of(unit) is not None and bool(process.eventbridge)


NETLIFY_FUNCTIONS = "/.netlify/functions/"  # the only paths that Netlify calls on a schedule

Gap = tuple[str, str]
"""(key of notes.yaml, names of the processes)."""


def gaps(unit: DeployUnit, name: str, platform: Platform, spec: Spec | None) -> Iterator[Gap]:
    """What of the unit's processes has no place on `platform`, as remarks."""
    workers, crons, visits = workers_of(unit, name), crons_of(unit, name, spec), visits_of(unit)
    if workers and "worker" not in platform.runs:
        yield "no_worker", _listed(workers)
    if crons and "cron" not in platform.runs:
        yield "no_cron", _listed(crons)
    if platform.id == "netlify":
        visits = tuple(visit for visit in visits if not visit.path.startswith(NETLIFY_FUNCTIONS))
    elif "visit" in platform.runs:
        visits = ()
    if visits:
        yield "no_visit", ", ".join(f"{visit.path} ({visit.schedule})" for visit in visits)
    left = [process for process in crons if not fits_lambda(unit, process)]
    if platform.id == "aws-lambda" and left:
        yield "no_lambda_cron", _listed(left)
    if platform.id == "aws-ecs" and (left := [process for process in crons if not process.eventbridge]):
        yield "no_eventbridge", _listed(left)
    often = [c for c in crons if (shortest_gap_minutes(c.schedule) or 1440) < RAILWAY_MINUTES]
    if platform.id == "railway" and often:
        yield "railway_often", _listed(often)


def _listed(processes: Sequence[Process]) -> str:
    return ", ".join(f"{p.name} ({p.schedule})" if p.schedule else p.name for p in processes)


def _processes(
    entries: Sequence[Mapping[str, str]], unit: DeployUnit, name: str
) -> Iterator[tuple[Process, Mapping[str, str]]]:
    image = image_of(unit)
    port = image.port if image else default_port(unit)
    for n, entry in enumerate(entries, 1):
        command = fields(entry, "command", "start", "run")
        if command and not command.startswith("go run"):  # the image holds no compiler
            yield Process(slug(f"{name}-{fields(entry, 'name') or n}"), exec_line(command, port)), entry
