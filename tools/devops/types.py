"""The nouns of the DevOps side: what a SPEC says, what a project is, what is planned, what a check found.

Plain frozen dataclasses; `tools.plain.to_json` turns any of them into JSON-ready data with the same key names. The
shapes of `Spec` and `Project` are the stable machine output of `expert-devops spec --json` and `detect --json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# --- what a SPEC says ------------------------------------------------------------------------------------------

FieldStatus = Literal["stated", "excluded", "not_stated"]
Pattern = Literal["ubiquitous", "event", "state", "optional", "unwanted", "complex", "unknown"]

DEPLOYMENT_FIELDS = (
    "application_type",
    "platform",
    "frontend_platform",
    "regions",
    "database",
    "database_hosting",
    "database_replication",
    "database_backup",
    "cache",
    "queue",
    "cron",
    "cdn",
    "autoscaling",
    "load_balancing",
    "replicas",
    "budget",
    "compliance",
    "sla",
    "rpo",
    "rto",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line that supports a value. `file` is relative to the project root; `line` counts from 1."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class DeploymentField:
    """One deployment subject of a SPEC. "Not stated" is a value of its own: neither "no" nor a guess.

    `value` is a string, number, list or mapping, normalised per field (see `tools/devops/spec/`), None unless stated.
    `planned` marks a stated value that the SPEC calls planned. `conflicts` lists further, different claims as
    `{"value", "evidence"}`; when two equally ranked sources disagree, `value` is None and both stand in `conflicts`.
    One value that the SPEC rules out for a choice stands there too, with `"status": "excluded"`.
    """

    status: FieldStatus = "not_stated"
    value: Any = None
    evidence: tuple[Evidence, ...] = ()
    planned: bool = False
    conflicts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement with the id the author gave it (a generated `L<line>` where none was given)."""

    id: str
    pattern: Pattern
    text: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Spec:
    """What was read: `files` in reading order (relative paths), `language` of the prose (`en`, `ko`, ...)."""

    id: str
    title: str
    files: tuple[str, ...]
    language: str
    metadata: Mapping[str, Any]
    requirements: tuple[Requirement, ...]
    deployment: Mapping[str, DeploymentField]
    config: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


# --- what a project is -----------------------------------------------------------------------------------------

UnitKind = Literal["backend", "frontend", "fullstack", "worker", "static", "function", "library"]


@dataclass(frozen=True, slots=True)
class DeployUnit:
    """One thing that is built and deployed on its own.

    `path` is relative to the project root ("." for the root). Commands are shell lines run in `path`; `start` is the
    production command and binds to `$PORT` where the framework allows; `install_dev` also installs what tests and
    linters need, None where `install` does. `env` holds names only. `services` holds the
    backing services the code needs (`postgres`, `mysql`, `redis`, `mongodb`, `rabbitmq`, `s3`, ...). `entry` is the
    application object or file (`app.main:app`, `dist/main.js`). `files` lists the paths (relative to `path`) a build
    needs first: manifests and lock files. An entry of `cron` without `schedule` is a program that a scheduler is meant
    to start; when is for the SPEC to say. `ready` maps readiness subjects (`health`, `liveness`, `metrics`, `sigterm`,
    `json_logs`, `migrations`) to whether the code has them. `base_image` is the language image with its version that
    the unit's own hand-written Dockerfile runs on (`python:3.12`).
    """

    path: str
    name: str
    kind: UnitKind
    language: str
    version: str | None = None
    frameworks: tuple[str, ...] = ()
    package_manager: str | None = None
    install: str | None = None
    install_dev: str | None = None
    build: str | None = None
    start: str | None = None
    migrate: str | None = None
    test: str | None = None
    lint: str | None = None
    typecheck: str | None = None
    port: int | None = None
    health_path: str | None = None
    liveness_path: str | None = None
    entry: str | None = None
    output_dir: str | None = None
    files: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    workers: tuple[Mapping[str, str], ...] = ()
    cron: tuple[Mapping[str, str], ...] = ()
    env: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    ready: Mapping[str, bool] = field(default_factory=dict)
    base_image: str | None = None


def is_frontend(unit: DeployUnit) -> bool:
    """Whether a unit is pages for browsers: files, or a rendering server without backing services of its own."""
    return unit.kind in ("frontend", "static") or (unit.kind == "fullstack" and not unit.services)


@dataclass(frozen=True, slots=True)
class PlatformSign:
    """A platform the project points at. `source` says how: `file`, `workflow`, `sdk`, `default`."""

    platform: str
    evidence: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Something production needs that the code does not have.

    `what` is a readiness subject, `production_server` (none is declared; `install` adds one), `port` (fixed, `PORT`
    is never read), `database_driver` or `syntax`; `unit` is a unit's path.
    """

    what: str
    unit: str
    why: str


@dataclass(frozen=True, slots=True)
class Project:
    """A scanned project. `existing` lists deployment files already there, relative to `root`.

    `service_images` holds, by backing service, the image and version that the project's own compose file runs.
    """

    root: str
    units: tuple[DeployUnit, ...]
    platforms: tuple[PlatformSign, ...]
    existing: tuple[str, ...]
    missing: tuple[Missing, ...]
    default_branch: str | None = None
    notes: tuple[str, ...] = ()
    service_images: Mapping[str, str] = field(default_factory=dict)


# --- what is planned -------------------------------------------------------------------------------------------

Source = Literal["spec", "project", "user", "default"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A choice and where it came from. A `default` is an assumption and is shown as one."""

    name: str
    value: Any
    source: Source
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class ArtifactPlan:
    """One file to be written. `kind` names the artifact (see `tools/devops/plan.py`); `path` is root-relative."""

    kind: str
    path: str
    template: str
    unit: str
    why: str
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvVar:
    """One variable. `lives_in` says where its production value is kept; `example` is safe to publish."""

    name: str
    secret: bool
    lives_in: str
    example: str
    units: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The deployment design: everything a template or a report needs, derived from SPEC, project and decisions."""

    spec_id: str
    language: str
    decisions: tuple[Decision, ...]
    artifacts: tuple[ArtifactPlan, ...]
    env: tuple[EnvVar, ...]
    strategy: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


# --- what a check found ----------------------------------------------------------------------------------------

Severity = Literal["error", "warning", "info"]
CheckStatus = Literal["passed", "failed", "kept_with_findings", "not_verified", "not_applicable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: where (`line` 0 = the whole file), which `rule`, why it matters and what fixes it."""

    rule: str
    severity: Severity
    file: str
    line: int
    message: str
    why: str = ""
    fix: str = ""
    tool: str = "expert-devops"


@dataclass(frozen=True, slots=True)
class Check:
    """One check that was due. `not_verified` carries the reason in `detail` and never counts as passed.

    `kept_with_findings` is of a run only: it found errors in files that were there before and that it left alone.
    """

    name: str
    tool: str
    status: CheckStatus
    files: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    detail: str = ""
