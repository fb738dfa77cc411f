"""What the `consistency` gate finds by reading two kinds of files side by side: variables, hosts, images, code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from tools.devops.checks import compose, env_example
from tools.devops.checks.consistency_claims import compose_documents, kubernetes_objects, workflow_jobs
from tools.devops.checks.consistency_rules import RULES
from tools.devops.checks.documents import mapping, sequence
from tools.devops.checks.gate import Subject, readable
from tools.devops.checks.railway_program import parse_program
from tools.devops.types import DeployUnit, Finding

_CORS_FILE = (".py", ".js", ".ts", ".mjs")
_CORS_ANY = re.compile(r"allow_origins\s*=\s*\[\s*[\"']\*[\"']|origin:\s*[\"']\*[\"']")
_CORS_CREDENTIALS = re.compile(r"allow_credentials\s*=\s*True|credentials:\s*true")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_HOST = re.compile(r"(?:postgres\w*|mysql\w*|redis|mongodb|amqp)(?:\+\w+)?://(?:[^@/\s]*@)?([\w.-]+)")


def check(subject: Subject, units: Sequence[DeployUnit]) -> Iterator[Finding]:
    yield from _variables(subject, units)
    yield from _hosts(subject)
    yield from _images(subject)
    yield from _code(subject, units)


def _variables(subject: Subject, units: Sequence[DeployUnit]) -> Iterator[Finding]:
    read = {name for unit in units for name in unit.env}
    listed: set[str] = set().union(*env_example.documented(subject).values())
    known = read | listed
    if not known:
        return
    for file, line, names, complete in _settings(subject):
        for name in sorted(names - known):
            near = get_close_matches(name, sorted(known), n=1, cutoff=0.8)
            if near and not env_example.PROVIDED.fullmatch(name):
                yield RULES.at("env-unknown", file, line, f"{name[:60]} is not read; did you mean {near[0]}?")
        missing = sorted(name for name in read - names if not env_example.PROVIDED.fullmatch(name))
        if complete and len(units) == 1 and missing:
            yield RULES.at("env-not-set", file, line, f"{', '.join(missing)[:200]} not set here.")


def _settings(subject: Subject) -> Iterator[tuple[str, int, set[str], bool]]:
    """(file, line, names set, whether that is all the program gets) for each service of each platform file."""
    programs = [path for path in subject.tree.files if path.endswith(".railway/railway.py")]
    for path, program in readable(programs, lambda path: subject.parsed(path, parse_program)):
        for call in program.services:
            names = set(re.findall(r"[\"']([A-Z][A-Z0-9_]+)[\"']\s*:", call.source))
            yield path, call.line_of("env"), names, "env" in call.keywords
    for document in compose_documents(subject):
        for name, value in mapping(mapping(document.value).get("services")).items():
            entries = mapping(value).get("environment") if "build" in mapping(value) else None
            names = set(mapping(entries)) | {str(item).split("=")[0] for item in sequence(entries)}
            if names:
                yield document.file, document.line("services", name, "environment"), names, False
    for item in kubernetes_objects(subject):
        for container, line in item.containers():
            names = {str(mapping(entry).get("name")) for entry in sequence(container.get("env"))}
            if names and not compose.BACKING.search(str(container.get("image", ""))):
                yield item.file, line, names, not container.get("envFrom") and item.kind == "Deployment"


def _hosts(subject: Subject) -> Iterator[Finding]:
    for document in compose_documents(subject):
        services = mapping(mapping(document.value).get("services"))
        for name, value in services.items():
            entries = mapping(value).get("environment")
            texts = [str(item) for item in (*mapping(entries).values(), *sequence(entries))]
            for host in _HOST.findall(_VARIABLE.sub("x", " ".join(texts))):
                if host not in services and "." not in host:
                    line = document.line("services", name, "environment")
                    yield RULES.at(
                        "service-host", document.file, line, f"{name} connects to {host[:40]!r}, which is no service."
                    )


def _images(subject: Subject) -> Iterator[Finding]:
    built: set[str] = set()
    for job in workflow_jobs(subject):
        for index, step in enumerate(job.steps):
            if "build-push-action" not in str(step.get("uses")):
                continue
            text = str(mapping(step.get("with")).get("tags", ""))
            everything = f"{text} {job.body.get('env')} {[other.get('with') for other in job.steps]} {job.script}"
            if mapping(step.get("with")).get("push") not in (None, False, "false") and not re.search(
                r"github\.sha|GITHUB_SHA|type=sha|push-by-digest", everything
            ):
                yield RULES.at("image-sha", job.document.file, job.step_line(index), "No tag holds the commit.")
            built |= set(re.findall(r"(ghcr\.io/[\w./-]+?)(?=[:@\s'\"]|$)", everything))
    for item in kubernetes_objects(subject):
        for container, line in item.containers("initContainers", "containers"):
            name = re.split(r"[:@]", str(container.get("image", "")))[0]
            if built and name.startswith("ghcr.io/") and name not in built:
                message = f"{name[:80]} is deployed; the workflow builds {', '.join(sorted(built))[:100]}."
                yield RULES.at("image-name", item.file, line, message)


def _code(subject: Subject, units: Sequence[DeployUnit]) -> Iterator[Finding]:
    sources = [path for path in subject.tree.files if path.endswith(_CORS_FILE)]
    for path, text in readable(sources, subject.tree.text):
        if (found := _CORS_ANY.search(text)) and _CORS_CREDENTIALS.search(text):
            line = text.count("\n", 0, found.start()) + 1
            yield RULES.at("cors", path, line, "Every origin is allowed together with credentials.")
    for unit in units:
        file = "vercel.json" if unit.path == "." else f"{unit.path}/vercel.json"
        if file in subject.tree and unit.workers:
            yield RULES.at("serverless-worker", file, 0, f"{unit.name} has a worker process.")
