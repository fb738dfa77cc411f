"""The backend sibling by rules: add what production needs and the code lacks, look again, and report the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.models.playbook.script import Reply, Script, Turn
from agent.models.playbook.siblings.words import Json, checks_of, say, section, units_of
from tools.devops.handover import Handover, Language
from tools.devops.types import DeployUnit, is_frontend
from tools.labels import label

_SUBJECTS = ("health", "liveness", "metrics", "json_logs", "sigterm")
"""What `InstrumentApp` can add. Other missing items are the developers' to decide, such as a first migration."""

_GATES = ["health", "json_logging", "no_secrets"]


def backend(message: Handover, language: Language) -> Script:
    """Works on every unit that is no front end, whatever the message lists: the code is what counts."""
    (found,) = yield Turn(say("backend_hello", language), (("DetectProject", {}),))
    if found.is_error:
        return say("stopped", language, reason=found.text)
    before = found.json()
    servers = [unit for unit in units_of(before) if not is_frontend(DeployUnit(**unit))]
    lacking = {unit["path"]: _missing(before, unit["path"]) for unit in servers}
    due = {path: [what for what in missing if what in _SUBJECTS] for path, missing in lacking.items()}
    due = {path: subjects for path, subjects in due.items() if subjects}
    replies: Sequence[Reply] = ()
    if due:
        calls = tuple(("InstrumentApp", {"unit": path, "subjects": what}) for path, what in due.items())
        replies = yield Turn(say("backend_adds", language, units=", ".join(due)), calls)
    again, checked = yield Turn(
        say("checks_again", language), (("DetectProject", {}), ("CheckArtifacts", {"kinds": _GATES}))
    )
    after = again.json()
    return "\n\n".join(
        [
            f"# {say('backend_title', language)}: {message.subject}",
            section("analysis", language, _analysis(servers, lacking, language)),
            section("approach", language, [say("backend_approach", language)]),
            section("implementation", language, _added(replies, language)),
            section("verification", language, [*_ready(lacking, after, language), *checks_of(checked, language)]),
            section("facts", language, _facts(after, [unit["path"] for unit in servers], language)),
            section("plan", language, _left(lacking, after, language)),
            say("backend_limits", language),
        ]
    )


def _missing(project: Json, path: str) -> list[str]:
    return [item["what"] for item in project.get("missing", ()) if item["unit"] == path]


def _words(subjects: Sequence[str], language: Language) -> str:
    return ", ".join(label("missing", what, language) for what in subjects) or say("none", language)


def _analysis(servers: Sequence[Json], lacking: Mapping[str, Sequence[str]], language: Language) -> list[str]:
    return [
        say(
            "backend_unit",
            language,
            path=unit["path"],
            stack=", ".join([*unit["frameworks"], unit["language"]]),
            missing=_words(lacking[unit["path"]], language),
        )
        for unit in servers
    ]


def _added(replies: Sequence[Reply], language: Language) -> list[str]:
    """The diffs, as `InstrumentApp` gave them; what it could not add stands there too."""
    if not replies:
        return [f"- {say('backend_nothing', language)}"]
    return [f"```diff\n{reply.text.strip()}\n```" for reply in replies]


def _ready(lacking: Mapping[str, Sequence[str]], after: Json, language: Language) -> list[str]:
    """What was missing and is there now, seen in the code again."""
    lines = []
    for path, missing in lacking.items():
        still = _missing(after, path)
        ready = [what for what in missing if what not in still]
        lines.append(
            say("backend_ready", language, path=path, ready=_words(ready, language), missing=_words(still, language))
        )
    return lines


def _left(lacking: Mapping[str, Sequence[str]], after: Json, language: Language) -> list[str]:
    return [
        say("backend_left", language, path=path, what=label("missing", what, language))
        for path in lacking
        for what in _missing(after, path)
    ]


def _facts(after: Json, paths: Sequence[str], language: Language) -> list[str]:
    """What `expert-devops` builds on: paths, commands and names of variables."""
    return [
        say(
            "backend_facts",
            language,
            path=unit["path"],
            health=unit["health_path"] or "-",
            liveness=unit["liveness_path"] or "-",
            start=unit["start"] or "-",
            migrate=unit["migrate"] or "-",
            env=", ".join(unit["env"]) or "-",
        )
        for unit in units_of(after)
        if unit["path"] in paths
    ]
