"""The `consistency` gate: files that each look right on their own must agree with each other and with the code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tools.devops.checks import compose, consistency_files, dockerfile, env_example, railway, vercel, workflow
from tools.devops.checks.consistency_claims import (
    Claim,
    all_claims,
    compose_documents,
    kubernetes_objects,
    workflow_jobs,
)
from tools.devops.checks.consistency_rules import RULES
from tools.devops.checks.documents import mapping, sequence
from tools.devops.checks.gate import Gate, Subject, lookup
from tools.devops.checks.kubernetes_model import candidates
from tools.devops.types import DeployUnit, Evidence, Finding, Spec

# Country of each region, as of 2026-08; a region that is not listed is not judged.
_COUNTRY = {
    "icn1": "KR", "hnd1": "JP", "kix1": "JP", "sin1": "SG", "hkg1": "HK", "bom1": "IN", "syd1": "AU", "iad1": "US",
    "sfo1": "US", "pdx1": "US", "cle1": "US", "yul1": "CA", "gru1": "BR", "fra1": "DE", "lhr1": "GB", "dub1": "IE",
    "cdg1": "FR", "arn1": "SE", "cpt1": "ZA", "dxb1": "AE", "us-west2": "US", "us-east4-eqdc4a": "US",
    "europe-west4-drams3a": "NL", "asia-southeast1-eqsg3a": "SG",
}  # fmt: skip
_EU = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())  # noqa: SIM905
_REF = re.compile(r"refs/heads/([\w./-]+)")


def select(subject: Subject) -> tuple[str, ...]:
    found = {
        *subject.files(dockerfile.select),
        *subject.files(compose.select),
        *subject.files(workflow.select),
        *subject.files(candidates),
        *subject.files(railway.select),
        *subject.files(vercel.select),
        *subject.tree.named(*env_example.NAMES),
    }
    return tuple(sorted(found))


def check(subject: Subject, _files: tuple[str, ...]) -> Iterator[Finding]:
    claims = all_claims(subject)
    units = [unit for unit in subject.project.units if unit.kind != "library"]
    yield from _health(claims, units)
    yield from _ports(subject, claims)
    yield from _versions(claims, subject.spec)
    yield from _branches(subject, claims)
    yield from _railway_services(claims)
    yield from _migrations(claims, units)
    yield from consistency_files.check(subject, units)
    yield from _regions(subject, claims)


def _of(claims: list[Claim], subject: str) -> list[Claim]:
    return [claim for claim in claims if claim.subject == subject]


def _health(claims: list[Claim], units: list[DeployUnit]) -> Iterator[Finding]:
    found = _of(claims, "health path")
    known = {path for unit in units for path in (unit.health_path, unit.liveness_path) if path}
    if known and any(not unit.health_path for unit in units):
        known.add("/")  # all that can be asked of a unit without a health route
    if not known and found:
        known = {Counter(claim.value for claim in found).most_common(1)[0][0]}
    for claim in found:
        owners = [unit for unit in units if unit.path == "." or claim.file.startswith(f"{unit.path}/")]
        if units and not owners and dockerfile.is_dockerfile(claim.file):
            continue  # an image of something that is no deploy unit
        if not any(_same_path(claim.value, path) for path in known):
            message = f"{claim.value[:60]} is not a health path of the code ({', '.join(sorted(known))})."
            yield RULES.at("health-path", claim.file, claim.line, message)


def _same_path(asked: str, served: str) -> bool:
    """Whether a request to `asked` may reach the route `served`: routers are mounted below prefixes like /api/v1."""
    if asked.rstrip("/") == served.rstrip("/"):
        return True
    actuator = served.startswith("/actuator/") and asked in ("/livez", "/readyz")  # Spring's additional paths
    return actuator or (served.count("/") > 1 and asked.rstrip("/").endswith(served.rstrip("/")))


def _ports(subject: Subject, claims: list[Claim]) -> Iterator[Finding]:
    found = _of(claims, "port")
    defaults: dict[str, str] = {}
    for claim in found:
        first = defaults.setdefault(claim.scope, claim.value)
        if claim.value != first:
            message = f"Port {claim.value} here, port {first} earlier in the file."
            yield RULES.at("port", claim.file, claim.line, message)
    if len(defaults) != 1:
        return  # with several images, which manifest belongs to which image is not certain
    (source, port) = next(iter(defaults.items()))
    yield from _mapped_ports(subject, source, port)
    for item in kubernetes_objects(subject):
        for container, line in item.containers() if item.kind in ("Deployment", "StatefulSet") else ():
            if compose.BACKING.search(str(container.get("image", ""))):
                continue
            ports = {str(mapping(entry).get("containerPort")) for entry in sequence(container.get("ports"))}
            if ports and not ports & {port, _own_port(container)}:
                message = f"containerPort {', '.join(sorted(ports))}; {source} listens on {port}."
                yield RULES.at("port", item.file, line, message)


def _mapped_ports(subject: Subject, source: str, port: str) -> Iterator[Finding]:
    """Compose services built from the Dockerfile `source` that map another port than the one it listens on."""
    for document in compose_documents(subject):
        for name, value in mapping(mapping(document.value).get("services")).items():
            if compose.dockerfile_of(document, value) != source:
                continue
            for index, item in enumerate(sequence(mapping(value).get("ports"))):
                mapped = str(mapping(item).get("target", "") if isinstance(item, dict) else str(item).split(":")[-1])
                target = mapped.split("/", maxsplit=1)[0]
                if target.isdigit() and target not in (port, _own_port(value)):
                    line = document.line("services", name, "ports", index)
                    message = f"{name} maps port {target}; {source} listens on {port}."
                    yield RULES.at("port", document.file, line, message)


def _own_port(service: object) -> str:
    """The PORT that a compose service or container sets for itself."""
    for key in ("environment", "env"):
        values = lookup(service, key)
        for entry in sequence(values):
            if isinstance(entry, str) and entry.startswith("PORT="):
                return entry.removeprefix("PORT=")
            if mapping(entry).get("name") == "PORT":
                return str(mapping(entry).get("value"))
        if "PORT" in mapping(values):
            return str(mapping(values)["PORT"])
    return ""


def _versions(claims: list[Claim], spec: Spec | None) -> Iterator[Finding]:
    """One major version of each database everywhere, the SPEC's where it states one; an interpreter in a workflow is
    that of one of the images.
    """
    subjects = dict.fromkeys(claim.subject for claim in claims if claim.subject.endswith(" version"))
    for subject in subjects:
        found, what = _of(claims, subject), subject.removesuffix(" version")
        if what in ("python", "node"):
            allowed, judged, rule = [c for c in found if c.scope], [c for c in found if not c.scope], "runtime"
        else:
            told = _spec_version(what, spec)
            allowed, judged, rule = ([told], found, "version") if told else (found[:1], found[1:], "version")
        for claim in judged:
            if allowed and not any(_same_version(claim.value, other.value) for other in allowed):
                message = f"{what} {claim.value} here, {allowed[0].value} in {allowed[0].file}:{allowed[0].line}."
                yield RULES.at(rule, claim.file, claim.line, message)
    for first, later in ((a, b) for a in claims for b in claims if a.subject == b.subject == "python version"):
        if first.file == later.file and first.line < later.line and first.value != later.value:
            message = (
                f"python {later.value} here, {first.value} in line {first.line}: packages do not move between them."
            )
            yield RULES.at("runtime", later.file, later.line, message)


def _spec_version(what: str, spec: Spec | None) -> Claim | None:
    """The version of a database or cache that the SPEC states."""
    for name in ("database", "cache"):
        said = spec.deployment.get(name) if spec else None
        value = mapping(said.value) if said is not None and said.status == "stated" else {}
        if str(value.get("engine", "")).startswith(what) and str(value.get("version", ""))[:1].isdigit():
            where = said.evidence[0] if said is not None and said.evidence else Evidence("the SPEC", 0, "")
            return Claim(f"{what} version", str(value["version"]), where.file, where.line)
    return None


def _same_version(one: str, other: str) -> bool:
    """Equal as far as both are given: 3.13 and 3.13.1, 24 and 24.11."""
    return all(a == b for a, b in zip(one.split("."), other.split("."), strict=False))


def _branches(subject: Subject, claims: list[Claim]) -> Iterator[Finding]:
    default = subject.project.default_branch
    if default is None:
        return
    for claim in _of(claims, "branch"):
        if claim.value != default:
            yield RULES.at(
                "branch", claim.file, claim.line, f"Branch {claim.value[:40]}; the default branch is {default}."
            )
    for job in workflow_jobs(subject):
        named = set(_REF.findall(str(job.body.get("if", ""))))
        if job.deploys and not job.preview and named and default not in named:
            message = f"Job {job.id} deploys from {', '.join(sorted(named))[:60]}; the default branch is {default}."
            yield RULES.at("branch", job.document.file, job.line, message)


def _railway_services(claims: list[Claim]) -> Iterator[Finding]:
    known = {claim.value for claim in _of(claims, "railway service defined")}
    for claim in _of(claims, "railway service"):
        if known and claim.value not in known:
            message = f"There is no service {claim.value[:40]!r}; known: {', '.join(sorted(known))[:100]}."
            yield RULES.at("railway-service", claim.file, claim.line, message)


def _migrations(claims: list[Claim], units: list[DeployUnit]) -> Iterator[Finding]:
    found = _of(claims, "migration")
    for claim in found:
        if claim.value == "start":
            yield RULES.at("migration-in-start", claim.file, claim.line, "The migration runs in the start command.")
    elsewhere = [claim for claim in found if claim.value != "start"]
    # railway.json and .railway/railway.py may describe the same pre-deploy step; two kinds of places may not.
    if len({claim.value for claim in elsewhere}) > 1 or len({c.file for c in elsewhere if c.value == "workflow"}) > 1:
        for claim in elsewhere[1:]:
            message = f"The migration also runs in {elsewhere[0].file}:{elsewhere[0].line}."
            yield RULES.at("migration-twice", claim.file, claim.line, message)
    deployed = any(claim.subject in ("railway service defined", "port") for claim in claims)
    if not found and deployed:
        for unit in units:
            if unit.migrate:
                yield RULES.at("migration-missing", unit.path, 0, f"{unit.migrate[:80]!r} runs nowhere.")


def _regions(subject: Subject, claims: list[Claim]) -> Iterator[Finding]:
    stated = subject.spec.deployment.get("regions") if subject.spec else None
    if stated is None or stated.status != "stated":
        return
    wanted = {str(mapping(item).get("country")) for item in sequence(stated.value)} - {"None"}
    accepted = wanted | (_EU if "EU" in wanted else frozenset())
    for claim in _of(claims, "region"):
        country = _COUNTRY.get(claim.value)
        if wanted and country and country not in accepted:
            message = f"{claim.value} is in {country}; the SPEC names {', '.join(sorted(wanted))}."
            yield RULES.at("region", claim.file, claim.line, message)


GATE = Gate("consistency", RULES, select, check)
