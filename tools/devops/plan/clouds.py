"""The files of the clouds: AWS Lambda, ECS and EC2, DigitalOcean, Google Cloud Run, Azure Container Apps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tools.devops.plan.image import image_of, runtime_of
from tools.devops.plan.names import joined, serves
from tools.devops.plan.processes import crons_of, migration_of, workers_of
from tools.devops.plan.services import service_id
from tools.devops.platform import platform_of
from tools.devops.types import DeployUnit, Spec

Entry = tuple[str, str, str, str, str]
"""kind, path, template, unit path, why."""

SERVERS = {"aws-ec2": "infra/ec2", "digitalocean": "infra/droplet"}
"""Platforms that are a machine of one's own -> the folder of its files."""

SERVERS_ONLY = frozenset({"aws-lambda", "gcp-cloud-run"})
"""Platforms that run an image only while it answers requests."""

_SERVICE_FILES = {"gcp-cloud-run": ("cloudrun", "service"), "azure-container-apps": ("containerapps", "app")}
"""Platforms that take one declarative file a service or job -> their folder, and the template of a service."""

_FOLDER = "do-workflow-project/templates"
_HANDLER = re.compile(r"[A-Za-z_][\w/-]*(?:\.[A-Za-z_]\w*)+")


def lambda_handler(unit: DeployUnit) -> str:
    """The handler of a function that AWS Lambda runs from its source (Python, Node), or ""."""
    known = runtime_of(unit) in ("python", "node") and image_of(unit) is None
    return unit.entry if known and unit.entry and _HANDLER.fullmatch(unit.entry) else ""


def cloud_files(
    platform: str, units: Sequence[DeployUnit], names: Mapping[str, str], spec: Spec | None
) -> Iterator[Entry]:
    """The files `units` need on `platform`; none for a platform that is not one of these."""
    with_image = [unit for unit in units if image_of(unit) and (serves(unit) or platform not in SERVERS_ONLY)]
    if platform == "aws-lambda":
        yield from _lambda([*with_image, *(unit for unit in units if lambda_handler(unit))])
    if platform == "aws-ecs" and with_image:
        yield from _ecs(with_image, any(crons_of(unit, names[unit.path], spec) for unit in with_image))
    if platform in _SERVICE_FILES:
        for unit in with_image:
            yield from _service(platform, unit, names[unit.path], spec)
    if platform in SERVERS and with_image:
        yield from _server(platform)


def _service(platform: str, unit: DeployUnit, name: str, spec: Spec | None) -> Iterator[Entry]:
    place, service = _SERVICE_FILES[platform]
    folder = f"{_FOLDER}/{platform}"
    yield place, f"{place}/{name}.yaml", f"{folder}/{service}.yaml.j2", unit.path, f"{unit.name} as a service"
    for worker in workers_of(unit, name) if "worker" in platform_of(platform).runs else ():
        why = f"{worker.name} beside {unit.name}"
        yield place, f"{place}/{worker.name}.yaml", f"{folder}/{service}.yaml.j2", unit.path, why
    migration = migration_of(unit, name)
    for job in (*([migration] if migration else []), *crons_of(unit, name, spec)):
        why = f"{job.name} runs and ends"
        yield place, f"{place}/{job.name}.yaml", f"{folder}/job.yaml.j2", unit.path, why


def platform_of_file(path: str, template: str) -> str:
    """The platform a planned file belongs to by its template's folder or its own, "" for one that all share."""
    folder = template.split("/")[2] if template.count("/") > 2 else ""
    return next((name for name, place in SERVERS.items() if path.startswith(f"{place}/")), folder)


def _lambda(units: Sequence[DeployUnit]) -> Iterator[Entry]:
    folder = f"{_FOLDER}/aws-lambda"
    for unit in units:
        why = f"{unit.name} as a function with gradual rollout"
        yield "sam", joined(unit, "template.yaml"), f"{folder}/template.yaml.j2", unit.path, why
        yield "sam", joined(unit, "samconfig.toml"), f"{folder}/samconfig.toml.j2", unit.path, "settings of sam deploy"
    if units:
        path, why = "infra/bootstrap.yaml", "roles and registry, without long-lived keys"
        yield "sam", path, f"{folder}/bootstrap.yaml.j2", ".", why


_ENVIRONMENTS = ("dev", "staging", "prod")


def _ecs(units: Sequence[DeployUnit], scheduled: bool) -> Iterator[Entry]:
    folder = f"{_FOLDER}/aws-ecs"
    files = {
        "versions": "versions, state and provider",
        "variables": "what differs between environments",
        "network": "network and load balancer",
        "service": "the services with circuit breaker and autoscaling",
        "deploy": "registry and roles, without long-lived keys",
    }
    if {service_id(service) for unit in units for service in unit.services} & {"postgres", "mysql", "redis"}:
        files["data"] = "database and cache, private and encrypted"
    if scheduled:
        files["schedules"] = "the times at which jobs start"
    for name, why in files.items():
        yield "terraform", f"infra/{name}.tf", f"{folder}/{name}.tf.j2", ".", why
    for environment in _ENVIRONMENTS:
        path = f"infra/environments/{environment}.tfvars"
        yield "terraform", path, f"{folder}/tfvars.j2", ".", f"the sizes of {environment}"


def _server(platform: str) -> Iterator[Entry]:
    place, own, shared = SERVERS[platform], f"{_FOLDER}/{platform}", f"{_FOLDER}/server"
    yield "terraform", f"{place}/main.tf", f"{own}/main.tf.j2", ".", "the machine, its firewall and who may deploy"
    for environment in _ENVIRONMENTS:
        path = f"{place}/environments/{environment}.tfvars"
        yield "terraform", path, f"{own}/tfvars.j2", ".", f"the size of {environment}"
    files = {
        "cloud-init.yaml": "the first boot: containers, updates, logins by key",
        "compose.yaml": "two slots for each unit behind a proxy",
        "Caddyfile": "TLS and the way to the active slot",
        "switch.sh": "starts the idle slot, moves the traffic, and moves it back",
    }
    for name, why in files.items():
        yield "terraform", f"{place}/server/{name}", f"{shared}/{name}.j2", ".", why
    if platform == "aws-ec2":
        yield "terraform", f"{place}/server/remote.sh", f"{own}/remote.sh.j2", ".", "runs a script on the machine"
