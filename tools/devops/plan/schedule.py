"""Scheduled programs: the ones the project schedules itself, and those of its code whose time the SPEC states."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tools.devops.plan.names import fields, stated
from tools.devops.types import DeployUnit, Spec

Job = Mapping[str, str]


def jobs_of(unit: DeployUnit, spec: Spec | None) -> tuple[Job, ...]:
    """The entries of the unit's `cron` that have a time: their own, else that of the SPEC's job they do.

    A program does the job whose requirement it names, or, where it names none, whose text has the program's name.
    """
    asked = _asked(spec)
    found = []
    for entry in unit.cron:
        if fields(entry, "schedule", "cron"):
            found.append(entry)
        elif job := next((job for job in asked if job["schedule"] and _does(entry, job["text"])), None):
            found.append({**entry, "schedule": job["schedule"]})
    return tuple(found)


def unserved(units: Sequence[DeployUnit], spec: Spec | None) -> tuple[tuple[str, str], ...]:
    """(schedule or "", text) of each of the SPEC's jobs for which no unit has a program or a schedule of its own."""
    entries = [entry for unit in units for entry in unit.cron]
    own = {fields(entry, "schedule", "cron") for entry in entries} - {""}
    return tuple(
        (str(job["schedule"] or ""), str(job["text"]))
        for job in _asked(spec)
        if job["schedule"] not in own and not any(job["schedule"] and _does(entry, job["text"]) for entry in entries)
    )


def requirements_of(units: Sequence[DeployUnit], spec: Spec | None) -> tuple[str, ...]:
    """Ids of the SPEC's requirements that a scheduled program of these units serves."""
    if spec is None:
        return ()
    schedules = {fields(job, "schedule", "cron") for unit in units for job in jobs_of(unit, spec)}
    texts = [str(job["text"]) for job in _asked(spec) if job["schedule"] in schedules]
    return tuple(
        requirement.id
        for requirement in spec.requirements
        if any(_names(text, requirement.id) or requirement.text in text for text in texts)
    )


def _asked(spec: Spec | None) -> list[Mapping[str, Any]]:
    value = stated(spec, "cron")
    return [job for job in value if isinstance(job, Mapping)] if isinstance(value, list | tuple) else []


def _does(entry: Job, text: str) -> bool:
    ids = entry.get("requirements", "").split()
    if ids:
        return any(_names(text, one) for one in ids)
    words = re.findall(r"[a-z]{4,}", entry.get("name", "").lower())
    return any(word.removesuffix("s") in text.lower() for word in words)


def _names(text: str, requirement: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(requirement)}(?![\w-])", text) is not None
