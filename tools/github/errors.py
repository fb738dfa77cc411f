"""What GitHub's refusals mean and what to do about them.

Statuses and headers as described in GitHub's REST documentation (troubleshooting, rate limits, best practices; state of
2026-11). A 403 is told apart by its headers: a rate limit, single sign-on, or a missing permission.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.text import clean
from tools.tool import ToolError

_SECONDARY_WAIT = 60.0
"""GitHub asks for at least a minute where a secondary limit names no time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response: `headers` with lower-case names, `data` parsed where it is JSON, else text."""

    status: int
    headers: Mapping[str, str]
    data: Any

    @property
    def message(self) -> str:
        """What GitHub says about it, with its field errors; foreign text, cleaned and short."""
        if not isinstance(self.data, Mapping):
            return ""
        found = [str(self.data.get("message") or "")]
        errors = self.data.get("errors")
        found += [_field_error(error) for error in errors[:10]] if isinstance(errors, list) else []
        return clean("; ".join(filter(None, found)))[:500].rstrip(". ")


class GitHubError(ToolError):
    """GitHub refused. `status` is the HTTP status; 0 when no answer came. `unsure`: it may have been done."""

    def __init__(self, message: str, status: int = 0, *, unsure: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.unsure = unsure


def rate_limit_wait(answer: Answer, now: float | None = None) -> float | None:
    """Seconds to wait before the same request may be sent again; None when this is no rate limit.

    A request refused by a limit was not carried out, so a write may be repeated as well.
    """
    if answer.status not in (403, 429):
        return None
    after = _number(answer.headers.get("retry-after"))
    if after is not None:
        return after
    if answer.headers.get("x-ratelimit-remaining") == "0":
        reset = _number(answer.headers.get("x-ratelimit-reset"))
        return max(1.0, (reset or 0) - (time.time() if now is None else now) + 1)
    if answer.status == 429 or "secondary rate limit" in answer.message.lower():
        return _SECONDARY_WAIT
    return None


def refused(answer: Answer, doing: str, *, write: bool) -> GitHubError:
    """The error for a response of 300 and above. `doing` is `METHOD path`."""
    said = f" GitHub says: {answer.message}." if answer.message else ""
    unsure = write and answer.status >= 500
    return GitHubError(f"{doing}: {_meaning(answer, doing, write=write)}{said}", answer.status, unsure=unsure)


def limited(wait: float, doing: str) -> GitHubError:
    """The error for a limit that lasts longer than a call may wait."""
    until = time.strftime("%H:%M:%S UTC", time.gmtime(time.time() + wait))
    return GitHubError(
        f"{doing}: GitHub's rate limit is reached and lasts until {until} ({wait:.0f} s). Nothing was done by this "
        "request. Go on with other work, or try again then.",
        429,
    )


def unanswered(error: Exception, doing: str, *, write: bool) -> GitHubError:
    """The error for a request without an answer. Only the kind of failure is told, its text may hold addresses."""
    kind = type(error).__name__
    cause = "did not answer in time" if "Timeout" in kind else f"could not be reached ({kind})"
    advice = _UNSURE if write else "Try again later, or check the network and GITHUB_API_URL."
    return GitHubError(f"{doing}: GitHub {cause}. {advice}", unsure=write)


_UNSURE = "Whether it was done is unknown and it was not repeated: read the current state before you try again."


def _meaning(answer: Answer, doing: str, *, write: bool) -> str:
    if answer.status == 401:
        return "the token was rejected. The user must set a valid, unexpired GITHUB_TOKEN."
    if answer.status == 403:
        return _forbidden(answer)
    if answer.status == 404:
        return f"not found, or the token may not see it.{_workflow_hint(doing) if write else ''} Check the names."
    if answer.status == 409:
        return "it changed, or its state does not allow this. Read it again and redo your change on what is there now."
    if answer.status == 422:
        return "GitHub did not accept the values. Correct them and call again."
    if answer.status >= 500:
        return f"GitHub failed with {answer.status}. {_UNSURE if write else 'Try again later.'}"
    if answer.status < 400:
        return "the answer is a redirect, which is not followed. The repository may have moved; use its present name."
    return {
        405: "not allowed in its present state.",
        410: "this is switched off or gone.",
        413: "too large.",
        451: "blocked for legal reasons.",
    }.get(answer.status, f"refused with {answer.status}.")


def _forbidden(answer: Answer) -> str:
    headers = answer.headers
    if "x-github-sso" in headers:
        return (
            "the organisation requires single sign-on. The user must authorise the token for it in GitHub's settings."
        )
    needed = headers.get("x-accepted-github-permissions") or headers.get("x-accepted-oauth-scopes")
    has = headers.get("x-oauth-scopes")
    text = "the token lacks a permission."
    if needed:
        text += f" Accepted: {clean(needed)[:200]}."
    if has is not None:
        text += f" The token's scopes: {clean(has)[:200] or 'none'}."
    return f"{text} The user must give the token that permission; do not look for another way."


def _workflow_hint(doing: str) -> str:
    """GitHub answers 404 to classic tokens that change workflow files without the `workflow` scope."""
    hint = (
        " A token that changes files in .github/workflows needs the `workflow` scope (fine-grained: Workflows, write)."
    )
    return hint if "/git/" in doing or "/contents/" in doing else ""


def _field_error(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    place = ".".join(str(error[key]) for key in ("resource", "field") if error.get(key))
    return f"{place}: {error.get('message') or error.get('code') or ''}".strip(": ")


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None
