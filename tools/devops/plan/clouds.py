"""The files of the clouds: AWS Lambda, ECS and EC2, DigitalOcean, Google Cloud Run, Azure Container Apps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.devops.plan.image import image_of, runtime_of
from tools.devops.plan.names import joined
from tools.devops.types import DeployUnit

Entry = tuple[str, str, str, str, str]
"""kind, path, template, unit path, why."""

_FOLDER = "do-workflow-project/templates"
_HANDLER = re.compile(r"[A-Za-z_][\w/-]*(?:\.[A-Za-z_]\w*)+")


def lambda_handler(unit: DeployUnit) -> str:
    """The handler of a function that AWS Lambda runs from its source (Python, Node), or ""."""
    known = runtime_of(unit) in ("python", "node") and image_of(unit) is None
    return unit.entry if known and unit.entry and _HANDLER.fullmatch(unit.entry) else ""


def cloud_files(platform: str, units: Sequence[DeployUnit]) -> Iterator[Entry]:
    """The files `units` need on `platform`; none for a platform that is not one of these."""
    if platform == "aws-lambda":
        yield from _lambda(units)


def _lambda(units: Sequence[DeployUnit]) -> Iterator[Entry]:
    folder = f"{_FOLDER}/aws-lambda"
    runnable = [unit for unit in units if image_of(unit) or lambda_handler(unit)]
    for unit in runnable:
        why = f"{unit.name} as a function with gradual rollout"
        yield "sam", joined(unit, "template.yaml"), f"{folder}/template.yaml.j2", unit.path, why
        yield "sam", joined(unit, "samconfig.toml"), f"{folder}/samconfig.toml.j2", unit.path, "settings of sam deploy"
    if runnable:
        path, why = "infra/bootstrap.yaml", "roles and registry, without long-lived keys"
        yield "sam", path, f"{folder}/bootstrap.yaml.j2", ".", why
