"""Backing services: which ones the units need, and how each runs in development and CI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tools.devops.plan.names import deployable, stated
from tools.devops.types import DeployUnit, Project, Spec

_DATA = Path(__file__).parent.with_name("services.yaml")


@dataclass(frozen=True, slots=True)
class Service:
    """One backing service. `urls` are the names code reads its address from; `data` is where its volume is mounted;
    `managed` is the version to ask a cloud for.
    """

    id: str
    name: str
    image: str
    managed: str
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
    return tuple(_service(key, spec, {}) for key in _data()["services"] if key in map(service_id, unit.services))


def services_for(project: Project, spec: Spec | None) -> tuple[Service, ...]:
    """The known services of all units, once each, with names of their own."""
    wanted = {service_id(name) for unit in deployable(project) for name in unit.services}
    found = [_service(key, spec, project.service_images) for key in _data()["services"] if key in wanted]
    names = [s.name for s in found]
    return tuple(_renamed(s, s.id) if names.count(s.name) > 1 else s for s in found)


def addresses_of(unit: DeployUnit, services: Sequence[Service]) -> tuple[tuple[str, Service], ...]:
    """Each service with the variable that holds its address for `unit`: one the code reads, and none for two."""
    found: dict[str, Service] = {}
    for service in services:
        free = [name for name in service.urls if name not in found]
        if name := next((name for name in free if name in unit.env), next(iter(free), None)):
            found[name] = service
    return tuple(found.items())


def unknown_services(project: Project) -> tuple[str, ...]:
    """Services the code needs for which there is no entry (object stores, mail, search...)."""
    names = {service_id(name) for unit in deployable(project) for name in unit.services}
    return tuple(sorted(names - set(_data()["services"]) - {"sqlite"}))


def _renamed(service: Service, name: str) -> Service:
    from dataclasses import replace

    return replace(service, name=name)


def _service(key: str, spec: Spec | None, images: Mapping[str, str]) -> Service:
    """The version is the SPEC's, else that of the image the project itself runs, else the one known to work."""
    entry = _data()["services"][key]
    version = _version(key, spec)
    own = images.get(key, "") if version is None else ""
    if own.split(":")[0] not in entry.get("same_as", ()):
        own = ""
    image = own or entry["image"].format(version=version or entry["version"])
    major = _major(image)
    data = next((path for since, path in entry.get("data_from", {}).items() if major >= since), entry.get("data", ""))
    return Service(
        id=key,
        name=entry["name"],
        image=image,
        managed=version or (str(major) if own and key == "postgres" else entry["version"]),
        port=entry["port"],
        urls=tuple(entry["urls"]),
        url=entry["url"],
        prefixes=tuple(entry["prefixes"]),
        environment=entry["environment"],
        health=entry["health"],
        data=data,
        railway=entry.get("railway", {}),
    )


def _major(image: str) -> int:
    """The major version a tag names: `postgres:18.1` and `pgvector/pgvector:pg18` are 18."""
    found = re.search(r"pg(\d+)|:\D*(\d+)", image)
    return int(found[1] or found[2]) if found else 0


def _version(key: str, spec: Spec | None) -> str | None:
    """The version a SPEC states for `key`, when it is a plain number."""
    for name in ("database", "cache", "queue"):
        value = stated(spec, name)
        if isinstance(value, Mapping) and service_id(str(value.get("engine", ""))) == key:
            version = str(value.get("version") or "")
            if version.replace(".", "", 1).isdigit():
                return version
    return None
