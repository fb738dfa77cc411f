"""A failed CI run by rules: files that this program wrote are worked out anew from the project as it is now."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.models.playbook.script import Script, Turn
from agent.models.playbook.words import say
from tools.github.causes import rewrites

_KNOWN = re.compile(r"^Known causes in the logs: (.*)$", re.MULTILINE)


def is_repair(said: str) -> bool:
    """Whether this is the task of a repair."""
    return said.startswith("Repair the CI of this project:")


def repair_script(said: str, language: str) -> Script:
    """Write again what the known causes name; people's files are left alone, and anything else is for a person."""
    listed = _KNOWN.search(said)
    kinds = {kind for cause, kinds in rewrites().items() if listed and f"{cause} (" in listed[1] for kind in kinds}
    if not kinds:
        return say("no_repair", language)
    (planned,) = yield Turn(say("repairing", language, kinds=", ".join(sorted(kinds))), (("PlanDeployment", {}),))
    plan: Mapping[str, list[Mapping[str, str]]] = planned.json()
    due = [artifact for artifact in plan.get("artifacts", []) if artifact["kind"] in kinds]
    if planned.is_error or not due:
        return planned.text if planned.is_error else say("no_repair", language)
    calls = tuple(("WriteArtifact", {"path": artifact["path"], "kind": artifact["kind"]}) for artifact in due)
    replies = yield Turn("", calls)
    return say("repair_done", language, outcome="; ".join(reply.text.split("\n")[0] for reply in replies))
