"""What each file says about the same thing: one claim is a subject, a value and where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.devops.checks import cloudrun, compose, containerapps, dockerfile, workflow
from tools.devops.checks.documents import Document, mapping, sequence
from tools.devops.checks.gate import Subject, lookup, readable
from tools.devops.checks.kubernetes_model import Manifest, candidates, manifests_in
from tools.devops.checks.railway_program import parse_program
from tools.devops.checks.workflow_model import Job, read_workflow

MIGRATION = re.compile(
    r"alembic upgrade|manage\.py migrate|flask db upgrade|prisma migrate deploy|drizzle-kit migrate|knex migrate:latest"
    r"|typeorm\S* migration:run|sequelize\S* db:migrate|rails db:migrate|rake db:migrate|flyway migrate|goose .*\bup\b"
    r"|atlas migrate apply|dbmate up|npm run (db:)?migrate|aerich upgrade"
)
HEALTH_URL = re.compile(
    r"(?:https?://[^\s\"'/]+|\$\{?\w+\}?|localhost:\d+|[\"'])\"?"
    r"(/[\w./-]*(?:health|healthz|livez|readyz|ready|live|ping|status)[\w/-]*)"
)
DATABASE_IMAGE = re.compile(r"(?:^|/)(postgres|mysql|mariadb|redis|valkey|mongo)(?:-ssl)?:(\d+)")
_DEFAULT_PORT = re.compile(
    r"\$\{PORT:-(\d{2,5})\}|PORT['\"]?\s*(?:,|\|\||\?\?)\s*['\"]?(\d{2,5})|(?:localhost|127\.0\.0\.1):(\d{2,5})/"
)
_SCRIPT = re.compile(r"([\w-]+\.sh)\b")
_PYTHON_OR_NODE = re.compile(r"(?:^|/)(python|node):(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Claim:
    subject: str
    value: str
    file: str
    line: int
    scope: str = ""


def all_claims(subject: Subject) -> list[Claim]:
    """Every claim of every file that can be read."""
    return [
        *_dockerfiles(subject),
        *_compose(subject),
        *_workflows(subject),
        *_kubernetes(subject),
        *_cloud_jobs(subject),
        *_railway(subject),
        *_vercel(subject),
    ]


def workflow_jobs(subject: Subject) -> Iterator[Job]:
    for _path, documents in readable(subject.files(workflow.select), subject.yaml):
        for document in documents[:1]:
            yield from read_workflow(document).jobs.values()


def kubernetes_objects(subject: Subject) -> list[Manifest]:
    paths = subject.files(candidates)
    return [item for _path, found in readable(paths, lambda path: list(manifests_in(subject, path))) for item in found]


def compose_documents(subject: Subject) -> Iterator[Document]:
    for _path, documents in readable(subject.files(compose.select), subject.yaml):
        yield from documents[:1]


def _dockerfiles(subject: Subject) -> Iterator[Claim]:
    found = readable(subject.files(dockerfile.select), lambda path: subject.parsed(path, dockerfile.read_dockerfile))
    for path, parsed in found:
        for stage in parsed.stages:
            if runtime := _PYTHON_OR_NODE.search(stage.image):
                yield Claim(f"{runtime[1]} version", runtime[2], path, stage.line, path)
        for item in (item for stage in parsed.final for item in stage.instructions):
            if item.keyword == "HEALTHCHECK":
                for health in HEALTH_URL.finditer(item.value):
                    yield Claim("health path", health[1], path, item.line)
            if item.keyword == "EXPOSE" and item.value.split("/")[0].isdigit():
                yield Claim("port", item.value.split("/")[0], path, item.line, path)
            if item.keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
                for port in _DEFAULT_PORT.finditer(item.value):
                    yield Claim("port", port[1] or port[2] or port[3], path, item.line, path)
            if item.keyword == "ENV" and (fixed := re.search(r"\bPORT[= ](\d+)", item.value)):
                yield Claim("port", fixed[1], path, item.line, path)
            if item.keyword in ("CMD", "ENTRYPOINT") and MIGRATION.search(item.script):
                yield Claim("migration", "start", path, item.line)


def _compose(subject: Subject) -> Iterator[Claim]:
    for document in compose_documents(subject):
        for name, value in mapping(mapping(document.value).get("services")).items():
            service = mapping(value)
            line = document.line("services", name, "image")
            if version := DATABASE_IMAGE.search(str(service.get("image", ""))):
                yield Claim(f"{version[1]} version", version[2], document.file, line)
            if "build" not in service:
                continue
            test = lookup(service, "healthcheck", "test")
            text = " ".join(map(str, test)) if isinstance(test, list) else str(test or "")
            for health in HEALTH_URL.finditer(text):
                yield Claim("health path", health[1], document.file, document.line("services", name, "healthcheck"))


def _workflows(subject: Subject) -> Iterator[Claim]:
    for job in workflow_jobs(subject):
        for name, value in mapping(job.body.get("services")).items():
            image = value if isinstance(value, str) else str(mapping(value).get("image", ""))
            if version := DATABASE_IMAGE.search(image):
                line = job.document.line("jobs", job.id, "services", name)
                yield Claim(f"{version[1]} version", version[2], job.document.file, line)
        for index, step in enumerate(job.steps):
            line, inputs = job.step_line(index), mapping(step.get("with"))
            for kind in ("python", "node"):
                version_text = str(inputs.get(f"{kind}-version", ""))
                if f"setup-{kind}@" in str(step.get("uses")) and re.fullmatch(r"\d+(\.\d+)?", version_text):
                    yield Claim(f"{kind} version", version_text, job.document.file, line)
            script = str(step.get("run", ""))
            for health in HEALTH_URL.finditer(script):
                yield Claim("health path", health[1], job.document.file, line)
            text = _with_what_it_calls(subject, script, step) if job.deploys else script
            if not _has_own_database(job) and MIGRATION.search(text):
                yield Claim("migration", "workflow", job.document.file, line)
            for service in re.finditer(r"railway up\b[^\n]*?(?:--service|-s)[= ]\"?([\w-]+)", script):
                yield Claim("railway service", service[1], job.document.file, line)


def _has_own_database(job: Job) -> bool:
    """Whether a job migrates a database of its own to test against: one it starts beside itself."""
    return job.tests or "test" in job.id.lower() or (bool(mapping(job.body.get("services"))) and not job.deploys)


def _with_what_it_calls(subject: Subject, script: str, step: Mapping[str, object]) -> str:
    """A step's script, the variables it gets, and the project's shell scripts that it names."""
    called = subject.tree.named(*_SCRIPT.findall(script))
    scripts = (text for _path, text in readable(called, subject.tree.text))
    return "\n".join([script, *map(str, mapping(step.get("env")).values()), *scripts])


def _kubernetes(subject: Subject) -> Iterator[Claim]:
    for item in kubernetes_objects(subject):
        for container, line in item.containers("initContainers", "containers"):
            image = str(container.get("image", ""))
            if version := DATABASE_IMAGE.search(image):
                yield Claim(f"{version[1]} version", version[2], item.file, line)
            path = lookup(container, "readinessProbe", "httpGet", "path")
            if isinstance(path, str):
                yield Claim("health path", path, item.file, line)
            command = " ".join(map(str, [*sequence(container.get("command")), *sequence(container.get("args"))]))
            if MIGRATION.search(command):
                once = item.kind in ("Job", "CronJob")
                yield Claim("migration", "job" if once else "start", item.file, line)


def _cloud_jobs(subject: Subject) -> Iterator[Claim]:
    """Migrations as jobs of Cloud Run and Container Apps."""
    paths = [*subject.files(cloudrun.select), *subject.files(containerapps.select)]
    for path, documents in readable(paths, subject.yaml):
        for document in documents:
            body = mapping(document.value)
            job = body.get("kind") == "Job" or lookup(body, "properties", "configuration", "triggerType")
            if job and MIGRATION.search(subject.tree.text(path)):
                yield Claim("migration", "job", path, 1)


def _railway(subject: Subject) -> Iterator[Claim]:
    for path, document in readable(subject.tree.named("railway.json"), subject.json):
        deploy = mapping(mapping(document.value).get("deploy"))
        if isinstance(health := deploy.get("healthcheckPath"), str):
            yield Claim("health path", health, path, document.line("deploy", "healthcheckPath"))
        yield from _commands(path, deploy, document.line("deploy", "preDeployCommand"))
    programs = [path for path in subject.tree.files if path.endswith(".railway/railway.py")]
    for path, program in readable(programs, lambda path: subject.parsed(path, parse_program)):
        for call in program.services:
            yield Claim("railway service defined", call.name, path, call.line)
            for key in ("healthcheck", "healthcheckPath"):
                if isinstance(value := call.values.get(key), str):
                    yield Claim("health path", value, path, call.line_of(key))
            for key in ("regions", "replicas"):
                for region in mapping(call.values.get(key)):
                    yield Claim("region", str(region), path, call.line_of(key))
            values = {**mapping(call.values.get("deploy")), **call.values}
            yield from _commands(path, values, call.line_of("preDeploy"))
            if branch := re.search(r"branch\s*=\s*[\"']([^\"']+)", call.source):
                yield Claim("branch", branch[1], path, call.line)


def _vercel(subject: Subject) -> Iterator[Claim]:
    for path, document in readable(subject.tree.named("vercel.json"), subject.json):
        for region in sequence(mapping(document.value).get("regions")):
            yield Claim("region", str(region), path, document.line("regions"))


def _commands(path: str, deploy: dict[str, object], line: int) -> Iterator[Claim]:
    before = [deploy.get("preDeployCommand"), deploy.get("preDeploy")]
    start = [deploy.get("startCommand"), deploy.get("start")]
    if MIGRATION.search(str(before)):
        yield Claim("migration", "pre-deploy", path, line)
    if MIGRATION.search(str(start)):
        yield Claim("migration", "start", path, line)
