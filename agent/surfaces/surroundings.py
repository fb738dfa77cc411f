"""What the machine, the user and the project bring to a session: settings, agents, skills, instructions, hooks.

A host that names setting sources has vouched for the project; without, what an untrusted project brings is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.hooks import Handler, settings_hooks
from agent.knowledge.catalogue import Catalogue, load_catalogue
from agent.knowledge.memory import load_memory
from agent.settings import Places, Settings, load_settings
from agent.settings.places import SettingsError
from agent.settings.trust import TrustStore
from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags


@dataclass(frozen=True, slots=True)
class Surroundings:
    """As found once, when the session begins. `env` is the environment with the settings' variables."""

    places: Places
    settings: Settings
    catalogue: Catalogue
    instructions: tuple[str, ...]
    hooks: tuple[Handler, ...]
    notices: tuple[str, ...]
    env: Mapping[str, str]


def look_around(flags: Flags, agents: Mapping[str, Any], env: Mapping[str, str]) -> Surroundings:
    """Read everything. `agents` are those a host announced, in their JSON form. Raises `UsageProblem`.

    With `--trust` the directory is trusted from now on.
    """
    directory, store = Path(flags.directory), TrustStore()
    if not directory.is_dir():
        raise UsageProblem(f"{directory} is not a directory. Give the project with -C DIR.")
    if flags.trust:
        store.trust(directory.resolve())
    try:
        places = Places.find(
            directory,
            setting_sources=flags.setting_sources,
            trusted=store.is_trusted,
            directories=flags.add_dir,
            env=env,
        )
        settings = load_settings(places, flag=flags.settings)
        catalogue = load_catalogue(places, agents=_agents(flags.agents) | dict(agents))
    except SettingsError as error:
        raise UsageProblem(str(error)) from error
    memory = load_memory(places, settings.memory_excludes)
    handlers, remarks = settings_hooks(settings.hooks)
    absent = [f"--add-dir: {place} is no directory." for place in places.directories if not place.is_dir()]
    told = (absent, settings.problems, settings.dropped, catalogue.problems, memory.problems, memory.dropped, remarks)
    around = {**env, **settings.env}
    return Surroundings(places, settings, catalogue, memory.render(), handlers, _notices(*told), around)


def _agents(flag: str | None) -> dict[str, Any]:
    """The value of `--agents`."""
    import json

    try:
        given = json.loads(flag) if flag else {}
    except ValueError as error:
        raise UsageProblem(f"--agents is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise UsageProblem("--agents must be a JSON object of agents by name.")
    return given


def _notices(*groups: Iterable[Any]) -> tuple[str, ...]:
    return tuple(remark if isinstance(remark, str) else remark.text("en") for group in groups for remark in group)
