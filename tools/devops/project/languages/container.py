"""A folder that says how it runs only by its Dockerfile."""

from __future__ import annotations

from tools.devops.project.languages.language import Found, Language, Sign
from tools.devops.project.told import dockerfile_start
from tools.devops.project.tree import Folder
from tools.devops.types import DeployUnit


def detect(folder: Folder) -> Found | None:
    if not folder.first("Dockerfile"):
        return None
    unit = DeployUnit(
        folder.path, folder.name, "backend", "container", start=dockerfile_start(folder), files=("Dockerfile",)
    )
    return Found(unit, Sign.TOOLING)


CONTAINER = Language("container", detect, hints=("Dockerfile",))
