"""Which variables there are, whether they are secret, where each lives, and what `.env.example` may show.

`lives_in` is one of: `platform` (the running service's own settings), `build` (read while building, not secret),
`ci` (a GitHub environment secret used to deploy), `provided` (set by the platform itself).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tools.devops.plan.names import NAME, deployable, platform_for, slugs, stated
from tools.devops.plan.services import Service, addresses_of, services_for, services_of
from tools.devops.platform import platform_of
from tools.devops.types import Decision, DeployUnit, EnvVar, Project, Spec

REPLACE = "replace-me-in-production"
"""The value `.env.example` shows for a secret. It is refused by eye and by search, and opens nothing."""

_SECRET = re.compile(
    r"(^|_)(SECRET|TOKEN|PASSWORD|PASSWD|PWD|CREDENTIALS?|DSN|SIGNATURE|SALT|PEPPER)(_|$)"
    r"|SECRET|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|ENCRYPTION_?KEY|SIGNING_?KEY|(^|_)KEY$|(^|_)(JWT|WEBHOOK)_"
)
_NOT_SECRET = re.compile(
    r"(EXPIRES?|EXPIRY|TTL|MINUTES|SECONDS|DAYS|ALGORITHM|ALGO|ISSUER|AUDIENCE|HEADER|NAME|LENGTH|ENABLED|PUBLIC_KEY)(_|$)"
    r"|ACCESS_KEY_ID$"
)
_PUBLIC = re.compile(r"^(NEXT_PUBLIC_|VITE_|REACT_APP_|PUBLIC_|NUXT_PUBLIC_|GATSBY_|EXPO_PUBLIC_|VUE_APP_)")
_PROVIDED = re.compile(r"^(PORT|HOSTNAME|HOME|PATH|PWD|USER|TZ|LANG|CI|KUBERNETES_.*|GITHUB_.*)$")
_PLATFORM_OWN = re.compile(r"^(RAILWAY|VERCEL|NETLIFY|AWS_LAMBDA|K_SERVICE|FLY|RENDER|HEROKU)(_|$)")

# Name -> development value. Only harmless settings; connection addresses come from services.yaml.
_EXAMPLES: Sequence[tuple[str, str]] = (
    (r"^CORS(_ALLOWED|_ALLOW)?_ORIGINS?$|^ALLOWED_ORIGINS?$|^FRONTEND_URL$|^CLIENT_URL$", "http://localhost:3000"),
    (r"^ALLOWED_HOSTS$|^DJANGO_ALLOWED_HOSTS$", "localhost,127.0.0.1"),
    (r"^(\w+_)?DEBUG$", "true"),
    (r"^NODE_ENV$|^(APP_|FLASK_|RAILS_)?ENV(IRONMENT)?$|^RACK_ENV$|^MIX_ENV$|^APP_STAGE$", "development"),
    (r"^(APP_)?LOG_LEVEL$", "info"),
    (r"^PORT$|_PORT$", "8000"),
    (r"^HOST$", "0.0.0.0"),  # noqa: S104 - a development value in an example file
    (r"API_(BASE_)?URL$|BACKEND_URL$", "http://localhost:8000"),
    (r"(SITE|APP|BASE)_URL$", "http://localhost:3000"),
    (r"_TIMEOUT(_SECONDS)?$", "30"),
)


def environment(project: Project, spec: Spec | None, decisions: Sequence[Decision]) -> tuple[EnvVar, ...]:
    """Every variable of the project, sorted: what code reads, what its services need, what the pipeline needs.

    A name no shell accepts is left out; `ignored_names` lists it.
    """
    found: dict[str, EnvVar] = {}
    services = services_for(project, spec)
    for unit in deployable(project):
        for name in _names(unit, spec):
            known = found.get(name)
            units = (*known.units, unit.path) if known else (unit.path,)
            found[name] = _variable(name, unit, units, services)
    names = slugs(project)
    several = sum(platform_for(decisions, unit) == "vercel" for unit in deployable(project)) > 1
    for unit in deployable(project):
        platform = platform_of(platform_for(decisions, unit))
        for wanted in platform.secrets:
            name = wanted
            if wanted == "VERCEL_PROJECT_ID" and several:  # each unit is a Vercel project of its own
                name = f"{wanted}_{names[unit.path].upper().replace('-', '_')}"
            known = found.get(name)
            units = tuple(dict.fromkeys((*(known.units if known else ()), unit.path)))
            found[name] = EnvVar(name, True, "ci", "", units, f"deploys to {platform.name}")
    return tuple(found[name] for name in sorted(found))


def ignored_names(project: Project) -> tuple[str, ...]:
    """Names the scanner reported that are no variable names."""
    return tuple(sorted({n for unit in project.units for n in unit.env if not NAME.fullmatch(n)}))


def is_secret(name: str) -> bool:
    """Whether the name says that the value must not be published."""
    return bool(_SECRET.search(name.upper())) and not _NOT_SECRET.search(name.upper()) and not _PUBLIC.match(name)


def _names(unit: DeployUnit, spec: Spec | None) -> list[str]:
    names = [name for name in unit.env if NAME.fullmatch(name) and name != "GIT_SHA"]  # the image brings that one
    for variable, service in addresses_of(unit, services_of(unit, spec)):
        parts = re.compile(rf"^({'|'.join(service.prefixes)})_?(HOST|SERVER|HOSTNAME)$")
        if not any(name in service.urls or parts.match(name) for name in names):
            names.append(variable)
    return list(dict.fromkeys(names))


def _variable(name: str, unit: DeployUnit, units: tuple[str, ...], services: Sequence[Service]) -> EnvVar:
    needed = [s for s in services if s.id in {x.id for x in services_of(unit, None)}] or list(services)
    for service in needed:
        if name in service.urls:
            return EnvVar(name, True, "platform", service.address("localhost"), units, f"address of {service.id}")
        part = _part(name, service)
        if part is not None:
            secret = name.upper().endswith(("PASSWORD", "PASS", "PASSWD"))
            return EnvVar(name, secret, "platform", part, units, f"{service.id} connection")
    if _PROVIDED.match(name) or _PLATFORM_OWN.match(name):
        return EnvVar(name, False, "provided", _example(name, unit), units, "set by the platform")
    if _PUBLIC.match(name):
        return EnvVar(name, False, "build", _example(name, unit), units, "inlined at build time: visible to everyone")
    if is_secret(name):
        return EnvVar(name, True, "platform", REPLACE, units, "read by the code")
    return EnvVar(name, False, "platform", _example(name, unit), units, "read by the code")


def _part(name: str, service: Service) -> str | None:
    """The development value of a variable that holds one part of a service's address."""
    match = re.fullmatch(
        rf"(?:{'|'.join(service.prefixes)})_?"
        r"(HOST|HOSTNAME|SERVER|PORT|USER|USERNAME|PASSWORD|PASS|PASSWD|NAME|DB|DATABASE)",
        name.upper(),
    )
    if match is None:
        return None
    part = match[1]
    if part in ("HOST", "HOSTNAME", "SERVER"):
        return "localhost"
    if part == "PORT":
        return str(service.port)
    return "0" if service.id == "redis" and part == "DB" else "app"


def _example(name: str, unit: DeployUnit) -> str:
    if name == "PORT":
        return str(unit.port or 8000)
    return next((value for pattern, value in _EXAMPLES if re.search(pattern, name.upper())), "")


def region_of(spec: Spec | None) -> str | None:
    """The first region the SPEC states: its name as written and its country code."""
    value = stated(spec, "regions")
    first = value[0] if isinstance(value, list | tuple) and value else value
    if isinstance(first, Mapping):
        first = " ".join(str(first[key]) for key in ("name", "country") if first.get(key))
    return str(first) if first else None
