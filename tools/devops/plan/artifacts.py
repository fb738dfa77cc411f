"""Which files a project gets, and the requirements each one answers.

Kinds: dockerfile, dockerignore, compose, env_example, workflow, dependabot, railway, railway_json, vercel, netlify,
kubernetes, sam, cloudrun, containerapps, terraform, architecture, runbook, secrets_doc, monitoring_doc, handover.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.devops.handovers import partners
from tools.devops.plan.clouds import cloud_files
from tools.devops.plan.image import image_of
from tools.devops.plan.names import deployable, joined, platform_for, serves, slugs, uses_image, workspace
from tools.devops.plan.schedule import requirements_of
from tools.devops.plan.services import services_for
from tools.devops.types import ArtifactPlan, Decision, DeployUnit, Project, Spec

HANDOVER = "handover"
"""Stands where a template's name would: the artifact is a hand-over message."""

WORKFLOW = ".github/workflows/ci-cd.yml"
_COMMON = "do-workflow-project/templates"
_RAILWAY = "do-platform-railway/templates"
_VERCEL = "do-platform-vercel/templates"
SCHEDULERS = {
    f"{_RAILWAY}/railway.py.j2": "railway",
    f"{_COMMON}/kubernetes/unit.yaml.j2": "kubernetes",
    f"{_COMMON}/aws-lambda/template.yaml.j2": "aws-lambda",
    f"{_COMMON}/aws-ecs/service.tf.j2": "aws-ecs",
    f"{_COMMON}/gcp-cloud-run/job.yaml.j2": "gcp-cloud-run",
    f"{_COMMON}/azure-container-apps/job.yaml.j2": "azure-container-apps",
}
"""Templates that hold the schedules of a unit's programs, with their platform."""
_COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")

# Words in a requirement that an artifact of the kind answers, English and Korean.
_ANSWERS = {
    "dockerfile": r"docker|container|image\b|non-root|컨테이너|도커|이미지",
    "compose": r"compose|local development|개발 환경|로컬",
    "workflow": r"\bci\b|ci/cd|pipeline|github actions|coverage|deploy|roll.?back|파이프라인|배포|자동화|테스트|롤백",
    "env_example": r"environment variable|\.env|환경 ?변수",
    "railway": r"railway|deploy|health|migrat|zero.downtime|replica|배포|헬스|마이그레이션|무중단",
    "vercel": r"vercel|cdn|front.?end|preview|cron|프론트엔드|프리뷰",
    "netlify": r"netlify|cdn|front.?end|preview|프론트엔드",
    "kubernetes": r"kubernetes|k8s|scal|replica|zero.downtime|network polic|쿠버네티스|확장|무중단|복제",
    "sam": r"lambda|serverless|deploy|canary|roll.?back|서버리스|배포|카나리|롤백",
    "terraform": r"terraform|infrastructure|deploy|database|scal|replica|zero.downtime|인프라|배포|확장|무중단|복제",
    "cloudrun": r"cloud run|deploy|cron|schedul|migrat|canary|roll.?back|배포|예약|마이그레이션|카나리|롤백",
    "containerapps": r"container app|deploy|cron|schedul|migrat|canary|roll.?back|배포|예약|마이그레이션|카나리|롤백",
    "architecture": r"database|cache|queue|region|availab|sla|budget|cost|scal|데이터베이스|캐시|리전|가용|예산|비용",
    "runbook": r"roll.?back|runbook|backup|restor|recover|incident|rpo|rto|롤백|런북|백업|복구|장애",
    "secrets_doc": r"secret|credential|token|key rotat|시크릿|비밀|자격 증명|토큰",
    "monitoring_doc": r"monitor|health|log|metric|alert|latency|p9\d|모니터|헬스|로그|지표|알림|지연",
}


def artifacts_of(
    project: Project, spec: Spec | None, decisions: Sequence[Decision], language: str
) -> tuple[ArtifactPlan, ...]:
    """Every file to write, in the order in which it makes sense to write them."""
    units = deployable(project)
    return tuple(
        ArtifactPlan(
            kind, path, template, unit, why, _requirements(spec, kind, _starts(units, decisions, template, unit))
        )
        for kind, path, template, unit, why in (
            *_containers(project, spec, units, decisions),
            *_platforms(project, spec, units, decisions),
            *_common(project, units, language),
            *_handovers(units),
        )
    )


Entry = tuple[str, str, str, str, str]
"""kind, path, template, unit path, why."""


def _containers(
    project: Project, spec: Spec | None, units: Sequence[DeployUnit], decisions: Sequence[Decision]
) -> Iterator[Entry]:
    images = [(u, image) for u in units if uses_image(decisions, u) and (image := image_of(u))]
    contexts: dict[str, str] = {}
    for unit, image in images:
        yield (
            "dockerfile",
            joined(unit, "Dockerfile"),
            f"{_COMMON}/docker/{image.template}.Dockerfile.j2",
            unit.path,
            f"{unit.name} runs as a container",
        )
        contexts.setdefault("." if workspace(unit) else unit.path, unit.path)
    for context, path in contexts.items():
        ignore = ".dockerignore" if context == "." else f"{context}/.dockerignore"
        yield (
            "dockerignore",
            ignore,
            f"{_COMMON}/docker/dockerignore.j2",
            path,
            "keeps secrets and caches out of images",
        )
    if images or services_for(project, spec):
        name = next((n for n in _COMPOSE_NAMES if n in project.existing), _COMPOSE_NAMES[0])
        yield "compose", name, f"{_COMMON}/compose.yaml.j2", ".", "the whole stack on a developer's machine"


def _platforms(
    project: Project, spec: Spec | None, units: Sequence[DeployUnit], decisions: Sequence[Decision]
) -> Iterator[Entry]:
    by_platform: dict[str, list[DeployUnit]] = {}
    for unit in units:
        by_platform.setdefault(platform_for(decisions, unit), []).append(unit)
    if "railway" in by_platform:
        yield "railway", ".railway/railway.py", f"{_RAILWAY}/railway.py.j2", ".", "Railway services as code"
        asked = any(d.name == "railway_json" and d.value not in (False, "no", None) for d in decisions)
        for unit in by_platform["railway"]:
            path = joined(unit, "railway.json")
            if image_of(unit) and (asked or path in project.existing):
                yield (
                    "railway_json",
                    path,
                    f"{_RAILWAY}/railway.json.j2",
                    unit.path,
                    "legacy file, asked for or present",
                )
    for unit in by_platform.get("vercel", []):
        yield "vercel", joined(unit, "vercel.json"), f"{_VERCEL}/vercel.json.j2", unit.path, "Vercel build settings"
    for unit in by_platform.get("netlify", []):
        path = joined(unit, "netlify.toml")
        yield "netlify", path, f"{_COMMON}/netlify.toml.j2", unit.path, "Netlify build settings"
    if "kubernetes" in by_platform:
        yield from _kubernetes([u for u in by_platform["kubernetes"] if image_of(u)], slugs(project))
    for platform, members in by_platform.items():
        yield from cloud_files(platform, members, slugs(project), spec)


def _kubernetes(units: Sequence[DeployUnit], names: dict[str, str]) -> Iterator[Entry]:
    folder = f"{_COMMON}/kubernetes"
    if not units:
        return
    yield "kubernetes", "k8s/base/kustomization.yaml", f"{folder}/base.yaml.j2", ".", "what all environments share"
    yield "kubernetes", "k8s/base/network.yaml", f"{folder}/network.yaml.j2", ".", "deny traffic that is not named"
    for unit in units:
        name = names[unit.path]
        yield "kubernetes", f"k8s/base/{name}.yaml", f"{folder}/unit.yaml.j2", unit.path, f"runs {unit.name}"
        if serves(unit):
            yield (
                "kubernetes",
                f"k8s/base/{name}-route.yaml",
                f"{folder}/route.yaml.j2",
                unit.path,
                f"routes to {unit.name}",
            )
        if unit.migrate:
            path = f"k8s/base/{name}-migrate.yaml"
            yield "kubernetes", path, f"{folder}/migrate.yaml.j2", unit.path, "migrations run once, before the rollout"
    for environment in ("dev", "staging", "prod"):
        path = f"k8s/overlays/{environment}"
        why = f"what differs in {environment}"
        yield "kubernetes", f"{path}/kustomization.yaml", f"{folder}/overlay.yaml.j2", ".", why
        yield "kubernetes", f"{path}/namespace.yaml", f"{folder}/namespace.yaml.j2", ".", "restricted pod security"


def _common(project: Project, units: Sequence[DeployUnit], language: str) -> Iterator[Entry]:
    if not units:
        return
    yield "workflow", WORKFLOW, f"{_COMMON}/workflow/workflow.yaml.j2", ".", "test, build, deploy, verify"
    dependabot = next((f for f in project.existing if re.fullmatch(r"\.github/dependabot\.ya?ml", f)), None)
    path = dependabot or ".github/dependabot.yml"
    yield "dependabot", path, f"{_COMMON}/dependabot.yaml.j2", ".", "keeps pins and dependencies current"
    yield (
        "env_example",
        ".env.example",
        f"{_COMMON}/env.example.j2",
        ".",
        "every variable, with safe development values",
    )
    documents = {
        "architecture": ("architecture.md", "the design and its reasons"),
        "runbook": ("runbook.md", "deploy, roll back, rotate, restore, respond"),
        "secrets_doc": ("secrets.md", "where each secret lives and how it is changed"),
        "monitoring_doc": ("monitoring.md", "health checks, logs, goals and alerts"),
    }
    for kind, (name, why) in documents.items():
        template = f"{_COMMON}/docs/{name.removesuffix('.md')}.{language}.md.j2"
        yield kind, f"docs/deployment/{name}", template, ".", why


def _handovers(units: Sequence[DeployUnit]) -> Iterator[Entry]:
    """One message for each partner; their text is rendered by `tools.devops.handover`, not from a template."""
    for partner in partners(units):
        path = f"docs/deployment/handover-{partner}.md"
        yield "handover", path, HANDOVER, ".", f"what {partner} must know and do"


def _requirements(spec: Spec | None, kind: str, scheduling: Sequence[DeployUnit]) -> tuple[str, ...]:
    """Ids of the requirements that the artifact answers by its words, or by starting the programs of `scheduling`."""
    pattern = _ANSWERS.get(kind)
    if spec is None or pattern is None:
        return ()
    found = re.compile(pattern, re.IGNORECASE)
    worded = [r.id for r in spec.requirements if found.search(r.text)][:12]
    return tuple(dict.fromkeys([*worded, *requirements_of(scheduling, spec)]))


def _starts(units: Sequence[DeployUnit], decisions: Sequence[Decision], template: str, path: str) -> list[DeployUnit]:
    """The units whose scheduled programs a file of this template starts; `path` is the unit it is for, or "."."""
    platform = SCHEDULERS.get(template)
    mine = [u for u in units if platform and platform_for(decisions, u) == platform]
    return [u for u in mine if path in (".", u.path)]
