"""Secrets: known values from the environment and known shapes, replaced before anything is stored or shown.

Shapes follow the vendors' published token formats. Hashes, UUIDs and bare prefixes are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "[redacted]"

TOKEN_SHAPES: Mapping[str, str] = {
    "anthropic-key": r"sk-ant-[A-Za-z0-9_-]{20,}",
    "openai-key": r"sk-(?:proj-)?[A-Za-z0-9_-]{32,}",
    "github-token": r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
    "aws-access-key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "google-api-key": r"\bAIza[A-Za-z0-9_-]{35}",
    "slack-token": r"xox[abprs]-[A-Za-z0-9-]{10,}",
    "stripe-key": r"\b[sr]k_live_[A-Za-z0-9]{16,}",
    "npm-token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "gitlab-token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "jwt": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "private-key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
}
"""Rule name -> regular expression of a token whose shape alone gives it away. Linear-time patterns only."""

_URL_PASSWORD = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"]{1,128}:)(?P<secret>[^\s@/'\"]{3,256})@(?P<host>[^\s/'\":]+)"
)
_AUTHORIZATION = re.compile(
    r"(?i)(\bauthorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic|token)\s+)[A-Za-z0-9._~+/=-]{8,}"
)
_SECRET_NAME = re.compile(r"(?i)(?:^|_)(?:key|token|secret|password|passwd|(?<=_)pwd|credentials?)(?:$|_)")
_SHAPES = re.compile("|".join(f"(?:{shape})" for shape in TOKEN_SHAPES.values()))
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "db", "postgres", "redis", "mysql", "mongo", "[::1]")


class Redactor:
    """Replaces secrets in text and JSON. `values` are exact secrets; shapes are always looked for."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = sorted({value for value in values if len(value) >= 8}, key=len, reverse=True)
        self._known = re.compile("|".join(re.escape(value) for value in known)) if known else None

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Redactor:
        """Knows the values of variables whose names say they hold a secret."""
        return cls(value for name, value in env.items() if _SECRET_NAME.search(name))

    def text(self, text: str) -> str:
        """`text` with every secret replaced by `[redacted]`."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _SHAPES.sub(MASK, text)
        if "://" in text:
            text = _URL_PASSWORD.sub(_mask_password, text)
        return _AUTHORIZATION.sub(rf"\1{MASK}", text) if "uthorization" in text or "UTHORIZATION" in text else text

    def json(self, value: Any) -> Any:
        """The same structure with every string redacted. Thinking blocks pass unchanged: they are signed."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            if value.get("type") in ("thinking", "redacted_thinking"):  # a schema may have a property named type
                return value
            return {key: self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        return value


def _mask_password(match: re.Match[str]) -> str:
    """Development placeholders on local hosts stay readable; everything else is masked."""
    if match["host"].lower() in _LOCAL_HOSTS or match["secret"].startswith(("$", "{", "<")):
        return match[0]
    return f"{match['head']}{MASK}@{match['host']}"
