"""The planner: from SPEC, project and decisions to a `Plan`.

It follows the same rules every time and writes nothing. The parts: `artifacts` (which files), `environment`
(variables), `services` (databases and the like), `image` (how a unit becomes a container), `cost`, `notes`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tools.devops.plan.artifacts import artifacts_of
from tools.devops.plan.cost import estimate
from tools.devops.plan.environment import environment
from tools.devops.plan.names import decided, deployable, platform_for, stated
from tools.devops.plan.notes import note, notes_of, unsupported_of
from tools.devops.platform import choose_platform, decision_name, language_of, normalise, platform_of, recommended
from tools.devops.types import Decision, Plan, Project, Spec, is_frontend
from tools.ports import Question

__all__ = ["make_plan", "open_questions"]

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_GITHUB = re.compile(r"url\s*=\s*\S*github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?\s*$", re.MULTILINE | re.ASCII)


def make_plan(root: Path, spec: Spec | None, project: Project, decisions: Sequence[Decision]) -> Plan:
    """The deployment design. Same input, same plan: of `root` it reads git metadata and the configured language.

    `decisions` are honoured by name: `platform` or `platform:<unit path>`, `railway_json`, `domain`, `language`. A
    unit without a platform decision gets the one the SPEC or project names, else the recommended one as an assumption.
    """
    settled = _settle(root, spec, project, decisions)
    language = str(decided(settled, "language", language_of(spec, root)))
    language = language if language in ("en", "ko") else "en"
    cost = estimate(project, spec, settled)
    return Plan(
        spec_id=spec.id if spec else "",
        language=language,
        decisions=settled,
        artifacts=artifacts_of(project, spec, settled, language),
        env=environment(project, spec, settled),
        strategy=_strategy(project, settled, language),
        cost=cost,
        unsupported=unsupported_of(project, settled, language),
        notes=notes_of(project, spec, settled, cost, language),
    )


def open_questions(spec: Spec | None, project: Project, decisions: Sequence[Decision]) -> tuple[Question, ...]:
    """What only a user can settle: the platform of each unit that has one by default alone."""
    settled = {d.name: d for d in decisions}
    questions: dict[str, Question] = {}
    for unit in deployable(project):
        decision = settled.get(decision_name(project, unit), settled.get("platform"))
        if decision is not None and decision.source != "default":
            continue
        choice = choose_platform(spec, project, unit, {})
        if isinstance(choice, Question):
            questions[choice.key] = choice
    return tuple(questions.values())


def _settle(root: Path, spec: Spec | None, project: Project, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """The given decisions, completed by those that SPEC, project and defaults make."""
    settled = {d.name: _normalised(d) for d in decisions}
    for unit in deployable(project):
        name = decision_name(project, unit)
        own = is_frontend(unit) and stated(spec, "frontend_platform")
        if name in settled or ("platform" in settled and not own):
            continue
        chosen = choose_platform(spec, project, unit, {})
        if not isinstance(chosen, Decision):
            chosen = Decision(name, recommended(chosen), "default", f"assumed: {chosen.why}")
        settled[name] = chosen
    branches = _branches(root, project)
    settled.setdefault("branches", branches)
    repository = _repository(root)
    if repository:
        settled.setdefault("repository", Decision("repository", repository, "project", ".git/config"))
    return tuple(settled.values())


def _normalised(decision: Decision) -> Decision:
    if not decision.name.startswith("platform"):
        return decision
    return Decision(decision.name, normalise(str(decision.value)), decision.source, decision.evidence)


def _branches(root: Path, project: Project) -> Decision:
    """The branches whose pushes run the pipeline: the default one, and `develop` where it exists."""
    git = root / ".git"
    packed = git / "packed-refs"
    refs = packed.read_text(encoding="utf-8", errors="replace") if packed.is_file() else ""
    develop = any((git / place / "develop").is_file() for place in ("refs/heads", "refs/remotes/origin"))
    develop = develop or bool(re.search(r" refs/(heads|remotes/origin)/develop$", refs, re.MULTILINE))
    default = project.default_branch or ""
    known = bool(_BRANCH.fullmatch(default))
    branches = list(dict.fromkeys([default if known else "main", *(["develop"] if develop else [])]))
    evidence = ".git" if known else "no default branch found; main assumed"
    return Decision("branches", branches, "project" if known else "default", evidence)


def _repository(root: Path) -> str | None:
    """`owner/name` of the GitHub remote, or None."""
    config = root / ".git" / "config"
    if not config.is_file():
        return None
    found = _GITHUB.search(config.read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else None


def _strategy(project: Project, decisions: Sequence[Decision], language: str) -> dict[str, str]:
    """`<platform>`, `<platform>.rollback`, `<platform>.limits` for each platform used, and `database`."""
    texts: dict[str, str] = {}
    for name in dict.fromkeys(platform_for(decisions, unit) for unit in deployable(project)):
        platform = platform_of(name)
        for key, subject in (("", "strategy"), (".rollback", "rollback"), (".limits", "limits")):
            text = platform.text(subject, language)
            if text:
                texts[name + key] = text
    if any(unit.migrate for unit in deployable(project)):
        texts["database"] = note("migrations", language)
    return texts
