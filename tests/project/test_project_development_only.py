"""What serves developers is no production start command, and what starts other projects for them is no deploy unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tools.devops.types import Project

Scan = Callable[[Mapping[str, Any]], Project]
WEB = '<Project Sdk="Microsoft.NET.Sdk.Web"></Project>'


def angular(**scripts: str) -> dict[str, Any]:
    package = {"name": "ui", "scripts": scripts, "dependencies": {"@angular/core": "^21.1.5"}}
    architect = {"build": {"builder": "@angular/build:application"}}
    return {"package.json": package, "angular.json": {"projects": {"ui": {"architect": architect}}}}


@pytest.mark.parametrize("end", ["linux", "nix", "default"])
def test_a_development_server_behind_a_choice_of_systems_is_none_of_production(scan: Scan, end: str) -> None:
    scripts = {"start": "run-script-os", f"start:{end}": "ng serve --port $PORT", "start:windows": "ng serve"}
    (unit,) = scan(angular(build="ng build", **scripts)).units
    assert (unit.kind, unit.start) == ("frontend", None)


def test_a_server_of_its_own_behind_such_a_choice_is_kept(scan: Scan) -> None:
    scripts = {"start": "run-script-os", "start:default": "serve -s dist/browser", "start:windows": "serve.cmd"}
    (unit,) = scan(angular(build="ng build", **scripts)).units
    assert unit.start == "npm run start"


@pytest.mark.parametrize(
    "host",
    [
        '<Project Sdk="Aspire.AppHost.Sdk/13.4.6">'
        "<PropertyGroup><OutputType>Exe</OutputType></PropertyGroup></Project>",
        '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType>'
        "<IsAspireHost>true</IsAspireHost></PropertyGroup></Project>",
    ],
)
def test_an_aspire_host_is_not_deployed_and_a_program_is(scan: Scan, host: str) -> None:
    program = '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType></PropertyGroup></Project>'
    files = {"src/AppHost/AppHost.csproj": host, "src/Web/Web.csproj": WEB, "src/Jobs/Jobs.csproj": program}
    kinds = {unit.path: unit.kind for unit in scan(files).units}
    assert kinds.get("src/AppHost", "library") == "library"
    assert kinds["src/Web"] == "backend"
    assert kinds["src/Jobs"] == "worker"
