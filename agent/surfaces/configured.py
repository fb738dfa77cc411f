"""An agent as this machine, this user and, where trusted, this project configure it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.api import Agent
from agent.budget import Limits
from agent.catalogue import load_catalogue
from agent.hooks import settings_hooks
from agent.memory import load_memory
from agent.settings import Places, load_settings
from agent.surfaces.errors import UsageProblem
from agent.trust import TrustStore, what_would_run
from tools.ports import Asker


def configured_agent(
    directory: Path | str,
    *,
    model: str,
    asker: Asker,
    limits: Limits,
    mode: str | None = None,
    trust: bool = False,
    sandbox: bool = True,
    **more: Any,
) -> Agent:
    """The agent for `directory`. `trust` trusts it from now on; `mode` None takes the settings' mode.

    What an untrusted project configures (hooks, allow rules, agents, skills, servers) is left out and said in the
    notices. Raises `UsageProblem` for a mode that does not exist.
    """
    cwd = Path(directory).resolve()
    store = TrustStore()
    if trust:
        store.trust(cwd)
    places = Places.find(cwd, trusted=store.is_trusted)
    settings = load_settings(places)
    memory = load_memory(places, settings.memory_excludes)
    handlers, remarks = settings_hooks(settings.hooks)
    chosen = mode or settings.mode or "default"
    return Agent(
        cwd=cwd,
        model=settings.model if model == "auto" and settings.model else model,
        rules=settings.rules,
        mode=known_mode(chosen),
        limits=limits,
        asker=asker,
        env=os.environ | dict(settings.env),
        hooks=handlers,
        sandbox=sandbox and settings.sandbox.get("enabled") is not False,  # only a user's own file can say so
        skills=load_catalogue(places).skills,
        instructions=memory.render(),
        directories=settings.directories,
        notices=_notices(settings.problems, settings.dropped, memory.problems, memory.dropped, remarks),
        **more,
    )


def known_mode(mode: str) -> Any:
    """`mode`, when it is one. Raises `UsageProblem`."""
    from agent.permissions import MODES

    if mode not in MODES:
        raise UsageProblem(f"--permission-mode {mode!r} is none of {', '.join(MODES)}.")
    return mode


def ask_for_trust(directory: Path | str) -> bool:
    """Ask on the terminal whether to trust a folder that would run something; no question where there is nothing."""
    cwd = Path(directory).resolve()
    lines = [] if TrustStore().is_trusted(cwd) else what_would_run(cwd)
    if not lines:
        return False
    print(f"{cwd} brings configuration that would run or loosen something:", *lines, sep="\n  ", file=sys.stderr)
    return input("Trust this folder? y = yes, n = go on without it [n]: ").strip().lower() in {"y", "yes", "예"}


def _notices(*groups: Iterable[Any]) -> tuple[str, ...]:
    return tuple(remark if isinstance(remark, str) else remark.text("en") for group in groups for remark in group)


def answers_of(path: str | None) -> Mapping[str, str]:
    """The answers file, or none. Raises `AnswersError`."""
    from agent.askers import read_answers

    return read_answers(Path(path)) if path else {}
