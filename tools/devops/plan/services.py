"""Backing services: which ones the units need, and how each runs in development and CI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tools.devops.plan.names import deployable, stated
from tools.devops.types import DeployUnit, Project, Spec

_DATA = Path(__file__).parent.with_name("services.yaml")


@dataclass(frozen=True, slots=True)
class Service:
    """One backing service. `urls` are the names code reads its address from; `data` is where its volume is mounted."""

    id: str
    name: str
    image: str
    port: int
    urls: tuple[str, ...]
    url: str
    prefixes: tuple[str, ...]
    environment: Mapping[str, str]
    health: str
    data: str
    railway: Mapping[str, str]

    def address(self, host: str) -> str:
        """The connection URL for development with the service on `host`."""
        return self.url.replace("{host}", host)

    def variable(self, unit: DeployUnit) -> str:
        """The variable that holds the address for `unit`."""
        return next((name for name in self.urls if name in unit.env), self.urls[0])


@cache
def _data() -> Mapping[str, Any]:
    import yaml

    data = yaml.safe_load(_DATA.read_text(encoding="utf-8"))
    assert isinstance(data, dict)  # noqa: S101 - our own file
    return data


def service_id(name: str) -> str:
    """The id used here for a service a scanner or a SPEC names."""
    folded = name.lower()
    return str(_data()["aliases"].get(folded, folded))


def services_of(unit: DeployUnit, spec: Spec | None) -> tuple[Service, ...]:
    """The known services `unit` needs, in a fixed order."""
    return tuple(_service(key, spec) for key in _data()["services"] if key in map(service_id, unit.services))


def services_for(project: Project, spec: Spec | None) -> tuple[Service, ...]:
    """The known services of all units, once each, with names of their own."""
    wanted = {service_id(name) for unit in deployable(project) for name in unit.services}
    found = [_service(key, spec) for key in _data()["services"] if key in wanted]
    names = [s.name for s in found]
    return tuple(_renamed(s, s.id) if names.count(s.name) > 1 else s for s in found)


def unknown_services(project: Project) -> tuple[str, ...]:
    """Services the code needs for which there is no entry (object stores, mail, search...)."""
    names = {service_id(name) for unit in deployable(project) for name in unit.services}
    return tuple(sorted(names - set(_data()["services"]) - {"sqlite"}))


def _renamed(service: Service, name: str) -> Service:
    from dataclasses import replace

    return replace(service, name=name)


def _service(key: str, spec: Spec | None) -> Service:
    entry = _data()["services"][key]
    version = _version(key, spec) or entry["version"]
    major = int(version.split(".")[0])
    data = next((path for since, path in entry.get("data_from", {}).items() if major >= since), entry.get("data", ""))
    return Service(
        id=key,
        name=entry["name"],
        image=entry["image"].format(version=version),
        port=entry["port"],
        urls=tuple(entry["urls"]),
        url=entry["url"],
        prefixes=tuple(entry["prefixes"]),
        environment=entry["environment"],
        health=entry["health"],
        data=data,
        railway=entry.get("railway", {}),
    )


def _version(key: str, spec: Spec | None) -> str | None:
    """The version a SPEC states for `key`, when it is a plain number."""
    for name in ("database", "cache", "queue"):
        value = stated(spec, name)
        if isinstance(value, Mapping) and service_id(str(value.get("engine", ""))) == key:
            version = str(value.get("version") or "")
            if version.replace(".", "", 1).isdigit():
                return version
    return None
