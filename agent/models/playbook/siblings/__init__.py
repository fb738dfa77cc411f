"""How the playbook plays the siblings: a hand-over message to one of them starts its script."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.knowledge.names import resolve_agent_name
from agent.models.playbook.script import Script
from agent.models.playbook.siblings.backend import backend
from agent.models.playbook.siblings.frontend import frontend
from agent.models.playbook.siblings.security import security
from tools.devops.handover import Handover, HandoverError, Language, language_of, parse

_SCRIPTS: Mapping[str, Callable[[Handover, Language], Script]] = {
    "expert-backend": backend,
    "expert-frontend": frontend,
    "expert-security": security,
}


def sibling_script(said: str) -> Script | None:
    """The script of the sibling that `said` hands a task to; None when it is no such message."""
    try:
        message = parse(said)
    except HandoverError:
        return None
    script = _SCRIPTS.get(resolve_agent_name(message.to))
    return script(message, language_of(said)) if script else None
