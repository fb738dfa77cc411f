"""Failures a user can act on: one line each, and the exit code they stand for."""

from __future__ import annotations

import errno

USAGE = 2
_FAILED = 1

_KNOWN: dict[str, int] = {
    "agent.askers.AnswersError": USAGE,
    "agent.delegation.requests.DelegationError": USAGE,
    "agent.knowledge.definition.DefinitionError": USAGE,
    "agent.models.choose.ModelChoiceError": USAGE,
    "agent.models.port.ModelError": _FAILED,
    "agent.said.PromptError": USAGE,
    "agent.permissions.rules.RuleError": USAGE,
    "agent.session.journal.SessionError": _FAILED,
    "agent.settings.places.SettingsError": USAGE,
    "agent.surfaces.errors.UsageProblem": USAGE,
    "tools.devops.project.tree.ProjectError": USAGE,
    "tools.devops.spec.files.SpecError": USAGE,
}
"""Exception, by full name so that nothing is imported to know it -> exit code. Subclasses count."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What writing to a standard stream fails with when its file or device takes no more."""


class UsageProblem(Exception):  # noqa: N818 - what the user asked for cannot be done as said
    """A request that makes no sense as given; the message says what to change."""


def explain(error: BaseException) -> tuple[str, int] | None:
    """The message and exit code of a known failure, or None for a bug, which keeps its traceback."""
    for cls in type(error).__mro__:
        code = _KNOWN.get(f"{cls.__module__}.{cls.__qualname__}")
        if code is not None:
            return str(error), code
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}", _FAILED
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"The output cannot be written: {error.strerror}.", _FAILED
    return None
