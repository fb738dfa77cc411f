"""The front-end sibling by rules: project settings, variables and build output, one edit where a container needs it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.models.playbook.script import Reply, Script, Turn
from agent.models.playbook.siblings.words import Json, checks_of, say, section, units_of
from tools.devops.handover import Handover, Language
from tools.devops.types import DeployUnit, is_frontend
from tools.labels import label

_NUMBER = re.compile(r"^\s*\d+\t", re.MULTILINE)
_NAME = re.compile(r"^#?\s?([A-Z][A-Z0-9_]*)(?:=|$)", re.MULTILINE)
_SECRET = re.compile(r"^(NEXT_PUBLIC|VITE|REACT_APP|PUBLIC|NUXT_PUBLIC)_.*(SECRET|TOKEN|PASSWORD|PRIVATE)")
_CONFIG_OBJECT = re.compile(
    r"(?:(?:const|let|var)\s+\w*[cC]onfig\w*\s*(?::\s*\w+\s*)?=|export default|module\.exports\s*=)\s*\{"
)
_STANDALONE = re.compile(r"\boutput\s*:")
_FILES = "**/{next.config.*,vercel.json,netlify.toml,.env.example,Dockerfile}"
_ROLES = {"vercel.json": "vercel", "netlify.toml": "netlify", ".env.example": "env", "Dockerfile": "image"}
_HOSTED = ("vercel", "netlify")
_GATES = ["vercel", "netlify", "env_example", "no_secrets"]


@dataclass(slots=True)
class _Unit:
    """A front end with the files that speak about its deployment, by name; a missing file has no entry."""

    data: Json
    files: dict[str, str] = field(default_factory=dict)
    config: str = ""

    def path(self, name: str) -> str:
        return name if self.data["path"] == "." else f"{self.data['path']}/{name}"


def frontend(message: Handover, language: Language) -> Script:
    found, listed = yield Turn(say("frontend_hello", language), (("DetectProject", {}), ("Glob", {"pattern": _FILES})))
    if found.is_error:
        return say("stopped", language, reason=found.text)
    units = [_Unit(unit) for unit in units_of(found.json()) if is_frontend(DeployUnit(**unit))]
    paths = [] if listed.is_error else listed.text.splitlines()
    wanted = {path: (unit, name) for unit in units for path in paths if (name := _role(unit, path))}
    if wanted:
        replies = yield Turn("", tuple(("Read", {"file_path": path}) for path in wanted))
        for (unit, name), reply in zip(wanted.values(), replies, strict=True):
            if not reply.is_error:
                unit.files[name] = _NUMBER.sub("", reply.text)
    platforms = message.facts.get(label("message", "frontend_platform", language), "")
    edits = {unit.data["path"]: edit for unit in units if (edit := _standalone(unit, platforms))}
    done: Sequence[Reply] = ()
    if edits:
        done = yield Turn(say("frontend_edits", language), tuple(("Edit", edit) for edit in edits.values()))
    (checked,) = yield Turn(say("checks_again", language), (("CheckArtifacts", {"kinds": _GATES}),))
    settings = [line for unit in units for line in _settings(unit, platforms, language)]
    variables = [line for unit in units for line in _variables(unit, language)]
    return "\n\n".join(
        [
            f"# {say('frontend_title', language)}: {message.subject}",
            section("analysis", language, [_described(unit, platforms, language) for unit in units]),
            section("settings", language, settings),
            section("variables", language, variables),
            section("implementation", language, _edited(edits, done, language)),
            section("build", language, [_output(unit, platforms, edits, done, language) for unit in units]),
            section("verification", language, checks_of(checked, language)),
            section("test_plan", language, [_tests(unit, language) for unit in units]),
            say("frontend_limits", language),
        ]
    )


def _role(unit: _Unit, path: str) -> str | None:
    """What a file is to a front end, None when it belongs to another part of the project."""
    folder, _, name = path.rpartition("/")
    if (folder or ".") == unit.data["path"]:
        if name.startswith("next.config."):
            unit.config = path
            return "config"
        return _ROLES[name]
    return "shared_env" if path == ".env.example" else None


def _standalone(unit: _Unit, platforms: str) -> Json | None:
    """The edit that makes Next.js build what the image copies; None where it is there, or nothing needs it."""
    config = unit.files.get("config", "")
    if not _needs_standalone(unit, platforms) or _STANDALONE.search(config):
        return None
    found = _CONFIG_OBJECT.findall(config)
    if len(found) != 1 or config.count(found[0]) != 1:
        return None
    return {"file_path": unit.config, "old_string": found[0], "new_string": f'{found[0]}\n  output: "standalone",'}


def _needs_standalone(unit: _Unit, platforms: str) -> bool:
    hosted = any(name in platforms.casefold() for name in _HOSTED)
    return not hosted and ".next/standalone" in unit.files.get("image", "")


# --- the report -----------------------------------------------------------------------------------------------------


def _described(unit: _Unit, platforms: str, language: Language) -> str:
    data = unit.data
    stack = ", ".join([*data["frameworks"], data["language"]])
    return say("frontend_unit", language, path=data["path"], stack=stack, platform=platforms or "-")


def _settings(unit: _Unit, platforms: str, language: Language) -> list[str]:
    """What the hosting platform is told, and what it should be told."""
    path = unit.path("vercel.json")
    if "vercel" not in platforms.casefold():
        known = say("frontend_netlify", language, path=unit.path("netlify.toml"))
        return [known] if "netlify" in unit.files else []
    settings = _object(unit.files.get("vercel", ""))
    if settings is None:
        return [say("frontend_no_vercel", language, path=path)]
    lines = [
        say(
            "frontend_vercel",
            language,
            path=path,
            framework=settings.get("framework") or "-",
            build=settings.get("buildCommand") or "-",
            regions=", ".join(map(str, settings.get("regions") or ())) or "-",
        )
    ]
    if not settings.get("regions"):
        lines.append(say("frontend_no_region", language, path=path))
    deployment = settings.get("git")
    if not isinstance(deployment, Mapping) or deployment.get("deploymentEnabled") is not False:
        lines.append(say("frontend_two_deploys", language, path=path))
    return lines


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        data = json.loads(text)
    except ValueError:
        return None
    return data if isinstance(data, Mapping) else None


def _variables(unit: _Unit, language: Language) -> list[str]:
    """Variables the code reads, against those that `.env.example` documents."""
    documented = set(_NAME.findall(f"{unit.files.get('env', '')}\n{unit.files.get('shared_env', '')}"))
    used = set(unit.data["env"])
    lines = [
        say(
            "frontend_env",
            language,
            path=unit.data["path"],
            used=", ".join(sorted(used)) or "-",
            undocumented=", ".join(sorted(used - documented)) or say("none", language),
        )
    ]
    lines += [say("frontend_secret", language, name=name) for name in sorted(used) if _SECRET.match(name)]
    return lines


def _edited(edits: Mapping[str, Json], replies: Sequence[Reply], language: Language) -> list[str]:
    lines = [] if edits else [f"- {say('frontend_nothing', language)}"]
    for edit, reply in zip(edits.values(), replies, strict=True):
        key = "frontend_not_edited" if reply.is_error else "frontend_edited"
        lines.append(say(key, language, path=edit["file_path"], reason=reply.text))
    return lines


def _output(
    unit: _Unit, platforms: str, edits: Mapping[str, Json], replies: Sequence[Reply], language: Language
) -> str:
    path = unit.data["path"]
    done = dict(zip(edits, replies, strict=True))
    if not _needs_standalone(unit, platforms):
        return say("frontend_output", language, path=path, output=unit.data["output_dir"] or "-")
    if _STANDALONE.search(unit.files.get("config", "")) or (path in done and not done[path].is_error):
        return say("frontend_standalone", language, path=path)
    return say("frontend_by_hand", language, path=path, config=unit.config or unit.path("next.config.mjs"))


def _tests(unit: _Unit, language: Language) -> str:
    data = unit.data
    return say("frontend_tests", language, path=data["path"], build=data["build"] or "-", test=data["test"] or "-")
