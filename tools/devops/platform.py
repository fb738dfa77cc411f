"""Platforms: what is known of each, and which one a unit goes to.

Dated facts (prices, limits, regions) come from `skills/*/facts.yaml`, action pins from
`skills/do-workflow-project/actions.yaml`, rules of ours from `platforms.yaml` beside this file. Nothing is invented: an
action without a pin raises, a fact that is absent is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tools.devops.spec.configuration import conversation_language
from tools.devops.types import Decision, DeployUnit, PlatformSign, Project, Source, Spec, is_frontend
from tools.ports import Option, Question
from tools.resources import data_root

Language = Literal["en", "ko"]

_RULES = Path(__file__).with_name("platforms.yaml")
_ACTIONS = "do-workflow-project/actions.yaml"
ARCHITECTURE = "docs/deployment/architecture.md"
"""Where a run records its decisions, for people and for the next run."""

_RECORD = re.compile(r"^\| `(platform(?::[^`\n]+)?)` \| (\S+) \| (\S+) \| (.*) \|$", re.MULTILINE)
_RECORDED: Mapping[str, Source] = {"user": "user", "사용자": "user", "assumption": "default", "가정": "default"}
_NOT_HOSTING = frozenset({"docker", "other", "undecided", ""})
"""Values a SPEC may give that name no place to run."""


class PlatformError(Exception):
    """The platform data lacks something that was asked for. The message names it and the file to complete."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One dated fact. `as_of` is YYYY-MM."""

    id: str
    value: Any
    as_of: str
    source: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Platform:
    """The rules for one platform. `artifacts` empty: portable files only. Texts are keyed `en` and `ko`.

    `runs` says what there is beside servers: `worker`, `cron` (a command at times), `visit` (a request at times);
    `makes` which backing services our files create.
    """

    id: str
    name: str
    artifacts: tuple[str, ...]
    image: bool
    services: bool
    secrets: tuple[str, ...]
    zero_downtime: bool
    suits: Mapping[str, int]
    texts: Mapping[str, Mapping[str, str]]
    runs: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    offered: bool = False
    automatic_rollback: bool = False

    def text(self, key: str, language: str) -> str:
        """`strategy`, `rollback`, `limits`, `option` or `runtime_secrets` in `language` (English when absent)."""
        entry = self.texts.get(key, {})
        return entry.get(language) or entry.get("en", "")


# --- data --------------------------------------------------------------------------------------------------------


def _load(path: Path) -> Any:
    import yaml

    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both loaders are safe


@cache
def _rules() -> Mapping[str, Any]:
    data = _load(_RULES)
    assert isinstance(data, dict)  # noqa: S101 - our own file
    return data


@cache
def platforms() -> Mapping[str, Platform]:
    """Every platform with rules of its own, by id."""
    texts = ("option", "strategy", "rollback", "limits", "runtime_secrets")
    return {
        key: Platform(
            id=key,
            name=entry["name"],
            artifacts=tuple(entry["artifacts"]),
            image=entry["image"],
            services=entry["services"],
            secrets=tuple(entry["secrets"]),
            zero_downtime=entry["zero_downtime"],
            suits=entry["suits"],
            texts={name: entry[name] for name in texts if name in entry},
            runs=tuple(entry["runs"]),
            makes=tuple(entry["makes"]),
            offered=entry.get("offered", False),
            automatic_rollback=entry.get("automatic_rollback", False),
        )
        for key, entry in _rules()["platforms"].items()
    }


def platform_of(value: str) -> Platform:
    """The rules for `value`; a platform unknown here has its name and nothing else."""
    known = platforms().get(value)
    return known or Platform(value, value, (), True, False, (), False, {}, {})


@cache
def facts() -> Mapping[str, Fact]:
    """Every dated fact of the skill packs, by id."""
    found: dict[str, Fact] = {}
    for path in sorted((data_root() / "skills").glob("*/facts.yaml")):
        for key, entry in (_load(path) or {}).get("facts", {}).items():
            found[key] = Fact(key, entry["value"], str(entry["as_of"]), str(entry["source"]), entry.get("unit", ""))
    return found


def fact(key: str) -> Fact | None:
    """The fact called `key`, or None. Unknown is not zero."""
    return facts().get(key)


@cache
def _actions() -> Mapping[str, Mapping[str, str]]:
    path = data_root() / "skills" / _ACTIONS
    if not path.is_file():
        return {}
    actions = _load(path)["actions"]
    assert isinstance(actions, dict)  # noqa: S101 - our own file
    return actions


def action(name: str) -> str:
    """`owner/repo@<commit> # <tag>` for use in a workflow. Raises `PlatformError` when no commit is on record."""
    pin = _actions().get(name)
    if pin is None:
        raise PlatformError(
            f"No commit is on record for the action {name}; add its tag and commit to skills/{_ACTIONS}."
        )
    return f"{name}@{pin['commit']} # {pin['tag']}"


def version(program: str) -> str:
    """The version of `program` that generated files install. Raises `PlatformError` when none is on record."""
    known = _rules()["versions"].get(program)
    if known is None:
        raise PlatformError(f"No version is on record for {program}; add it to {_RULES.name}.")
    return str(known)


def language_of(spec: Spec | None, root: Path) -> Language:
    """The language of questions and documents: the configured conversation language, else the SPEC's, else English."""
    named = conversation_language(root) if spec is None else spec.config.get("language") or spec.language
    return "ko" if str(named).lower().startswith("ko") else "en"


# --- choosing ----------------------------------------------------------------------------------------------------


def choose_platform(
    spec: Spec | None, project: Project, unit: DeployUnit | None, answers: Mapping[str, str]
) -> Decision | Question:
    """Where `unit` (None: the whole project) goes: SPEC, then project, then the user's answer, else a question.

    `answers` maps question keys (`platform:<unit path>` or `platform`) to an option's label, an id, or free text.
    A choice recorded by an earlier run (see `remembered`) stands for the files that run wrote, until the user answers
    anew. A sign that is only the stack's usual home never decides by itself. The question's `default` is the label that
    a run without a user takes, as an assumption.
    """
    name = decision_name(project, unit)
    stated = _from_spec(spec, unit)
    if stated is not None:
        value, evidence = stated
        return Decision(name, value, "spec", evidence)
    answer = (answers.get(name) or answers.get("platform") or "").strip()
    past = remembered(Path(project.root)).get(name)
    found = {} if past else _from_project(project, unit)
    if len(found) == 1:
        value, evidence = next(iter(found.items()))
        return Decision(name, value, "project", evidence)
    if answer:
        return Decision(name, normalise(answer), "user", f"answer: {answer}")
    if past:
        return past
    return _question(spec, project, unit, found)


def remembered(root: Path) -> Mapping[str, Decision]:
    """Platform choices of the user, or assumptions, that an earlier run recorded in the architecture document.

    Without this the files of that run would be read as the project's own sign and hold the choice for ever.
    """
    path = root / ARCHITECTURE
    if not path.is_file():
        return {}
    found: dict[str, Decision] = {}
    for name, value, source, evidence in _RECORD.findall(path.read_text(encoding="utf-8", errors="replace")):
        if source in _RECORDED:
            found[name] = Decision(name, normalise(value), _RECORDED[source], re.sub(r"\\(.)", r"\1", evidence))
    return found


def recommended(question: Question) -> str:
    """The platform id behind a question's default."""
    return normalise(question.default or question.options[0].label)


def decision_name(project: Project, unit: DeployUnit | None) -> str:
    """`platform` for a project of one unit, `platform:<path>` where there are several."""
    deployable = [u for u in project.units if u.kind != "library"]
    return "platform" if unit is None or len(deployable) <= 1 else f"platform:{unit.path}"


def normalise(answer: str) -> str:
    """The platform id for a label, an id or a few words; unknown words become an id of their own."""
    folded = " ".join(re.findall(r"[\w-]+", answer.lower()))
    for platform in platforms().values():
        if folded in (platform.id, " ".join(re.findall(r"[\w-]+", platform.name.lower()))):
            return platform.id
    alias = _rules()["aliases"].get(folded)
    if isinstance(alias, str):
        return alias
    return re.sub(r"[^a-z0-9]+", "-", answer.lower()).strip("-")[:40] or "other"


def _from_spec(spec: Spec | None, unit: DeployUnit | None) -> tuple[str, str] | None:
    if spec is None:
        return None
    fields = ("frontend_platform", "platform") if unit is not None and is_frontend(unit) else ("platform",)
    for name in fields:
        stated = spec.deployment.get(name)
        if stated is None or stated.status != "stated" or not isinstance(stated.value, str):
            continue
        if stated.value in _NOT_HOSTING:
            continue
        if name == "platform" and unit is not None and platform_of(stated.value).suits.get(unit.kind, 1) == 0:
            continue  # a front-end host named for the project does not run its worker
        where = stated.evidence[0] if stated.evidence else None
        return stated.value, f"{where.file}:{where.line}" if where else ""
    return None


def _from_project(project: Project, unit: DeployUnit | None) -> dict[str, str]:
    """Platform -> evidence of the strongest kind of sign that speaks of `unit`: file, then workflow, then SDK."""
    for source in ("file", "workflow", "sdk"):
        signs = [s for s in project.platforms if s.source == source and s.platform not in _NOT_HOSTING]
        # A package names the platform before and after a run that writes its configuration file.
        packages = {s.platform: s.evidence for s in project.platforms if s.source == "sdk"}
        found = {s.platform: ", ".join(packages.get(s.platform, s.evidence)) for s in _nearest(signs, unit)}
        if len(found) > 1 and unit is not None:
            fitting = {p: e for p, e in found.items() if _specialist(p) == is_frontend(unit)}
            found = fitting or found
        if found:
            return found
    return {}


def _nearest(signs: Sequence[PlatformSign], unit: DeployUnit | None) -> list[PlatformSign]:
    """Signs inside the unit's folder if there are any, else those outside every unit's own folder."""
    if unit is None or unit.path == ".":
        return list(signs)
    inside = [s for s in signs if any(e.startswith(f"{unit.path}/") for e in s.evidence)]
    return inside or [s for s in signs if any("/" not in e or e.startswith(".") for e in s.evidence)]


def _specialist(platform: str) -> bool:
    """Whether a platform is mainly for front ends."""
    suits = platform_of(platform).suits
    return suits.get("frontend", 0) > suits.get("backend", 0)


def _score(platform: Platform, unit: DeployUnit | None, found: Mapping[str, str], project: Project) -> int:
    kinds = [unit.kind] if unit else [u.kind for u in project.units if u.kind != "library"] or ["backend"]
    services = unit.services if unit else tuple(s for u in project.units for s in u.services)
    score = sum(platform.suits.get(kind, 0) for kind in kinds) * 10 // len(kinds)
    score += 20 if services and platform.services else 0
    score += 1000 if platform.id in found else 0
    usual = [s.platform for s in project.platforms if s.source == "default"]
    return score + (15 if platform.id in usual else 0)


_ASK: Mapping[str, Mapping[str, str]] = {
    "en": {
        "header": "Platform",
        "question": "Where should {what} be deployed?",
        "project": "this project",
        "best": "Recommended. ",
        "two": "The project points at several platforms: {found}.",
        "none": "Neither the SPEC nor the project names a platform.",
    },
    "ko": {
        "header": "플랫폼",
        "question": "{what}을(를) 어디에 배포할까요?",
        "project": "이 프로젝트",
        "best": "추천. ",
        "two": "프로젝트가 여러 플랫폼을 가리킵니다: {found}.",
        "none": "SPEC과 프로젝트 어디에도 플랫폼이 명시되어 있지 않습니다.",
    },
}


def _ruled_out(spec: Spec | None) -> set[str]:
    """Platforms that the SPEC excludes: never chosen, never offered."""
    fields = [spec.deployment.get(name) for name in ("platform", "frontend_platform")] if spec else []
    conflicts = (conflict for field in fields if field is not None for conflict in field.conflicts)
    return {str(c["value"]) for c in conflicts if c.get("status") == "excluded"}


def _question(spec: Spec | None, project: Project, unit: DeployUnit | None, found: Mapping[str, str]) -> Question:
    language = language_of(spec, Path(project.root))
    words = _ASK[language]
    offered = {p.id: p for p in platforms().values() if p.offered} | {name: platform_of(name) for name in found}
    candidates = {name: p for name, p in offered.items() if name not in _ruled_out(spec)}
    ranked = sorted(candidates.values(), key=lambda p: -_score(p, unit, found, project))[:4]
    options = tuple(
        Option(p.name, (words["best"] if i == 0 else "") + p.text("option", language)) for i, p in enumerate(ranked)
    )
    what = words["project"] if unit is None or len(project.units) <= 1 else f"{unit.name} ({unit.path})"
    why = words["two"].format(found=", ".join(found)) if found else words["none"]
    return Question(
        question=words["question"].format(what=what),
        header=words["header"],
        options=options,
        key=decision_name(project, unit),
        default=options[0].label,
        why=why,
    )
