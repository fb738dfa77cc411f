"""Secrets: known values from the environment and known shapes, replaced before anything is stored or shown.

Shapes follow the vendors' published token formats. Hashes, UUIDs and bare prefixes are left alone.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

MASK = "[redacted]"

TOKEN_SHAPES: Mapping[str, str] = {
    "AWS access key id": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Stripe key": r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9+/=]{24,}",
    "Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "OpenAI key": r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32,}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|https://hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{16,}",
    "Google API key": r"\bAIza[A-Za-z0-9_-]{35}",
    "SendGrid key": r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,}",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "PyPI token": r"\bpypi-[A-Za-z0-9_-]{50,}",
    "Docker token": r"\bdckr_pat_[A-Za-z0-9_-]{20,}",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "DigitalOcean token": r"\bdo[opr]_v1_[a-f0-9]{64}\b",
    "private key": (
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\s\S]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)?"
    ),
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
}
"""What a token is -> the regular expression of its shape, which alone gives it away: the one table for redaction and
for checks of files. Linear-time patterns without groups, for `re` and for RE2.
"""

_URL_PASSWORD = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"]{1,128}:)(?P<secret>[^\s@/'\"]{3,256})@(?P<host>[^\s/'\":]+)"
)
_AUTHORIZATION = re.compile(
    r"(?i)(\bauthorization['\"]?\s*[:=]\s*['\"]?(?:bearer|basic|token)\s+)[A-Za-z0-9._~+/=-]{8,}"
)
_SECRET_NAME = re.compile(r"(?i)(?:^|_)(?:key|token|secret|password|passwd|(?<=_)pwd|credentials?)(?:$|_)")
_SHAPES = re.compile("|".join(f"(?:{shape})" for shape in TOKEN_SHAPES.values()))
_SIGNS = (
    *("AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "k_live_", "k_test_", "whsec_"),
    *("xox", "hooks.slack.com", "AIza", "SG.", "npm_", "pypi-", "dckr_pat_", "hf_", "_v1_", "-----BEGIN", "eyJ"),
)
_SK = re.compile(r"sk-(?<=\bsk-)")  # a sign by itself would be in every "task-"
"""Each token shape has one of these in it. To look for them first is many times faster on a long text."""
_UNFINISHED = (
    re.compile(r"\S+\Z"),
    re.compile(r"(?i)\bauthorization\S*(?:\s+\S*){0,3}\Z"),
    re.compile(r"-----BEGIN(?![\s\S]*-----END [A-Z ]*PRIVATE KEY-----)[\s\S]*\Z"),
)
"""Ends of a text that may go on to be a secret."""
_MOST_OPEN = 8_192  # the longest end that waits; token shapes are far shorter
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "db", "postgres", "redis", "mysql", "mongo", "[::1]")


class Redactor:
    """Replaces secrets in text and JSON. `values` are exact secrets, found in base64 and percent-encoded, too; shapes
    are always looked for.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        spelled = {form for value in values if len(value) >= 8 for form in (value, *_encoded(value))}
        known = sorted(spelled, key=len, reverse=True)
        self._values = known
        self._known = re.compile("|".join(re.escape(value) for value in known)) if known else None

    @classmethod
    def from_environment(cls, env: Mapping[str, str], also: Container[str] = ()) -> Redactor:
        """Knows the values of variables whose names say they hold a secret, and of those in `also`."""
        return cls(value for name, value in env.items() if name in also or _SECRET_NAME.search(name))

    def text(self, text: str) -> str:
        """`text` with every secret replaced by `[redacted]`."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if any(sign in text for sign in _SIGNS) or _SK.search(text):
            text = _SHAPES.sub(MASK, text)
        if "://" in text:
            text = _URL_PASSWORD.sub(_mask_password, text)
        return _AUTHORIZATION.sub(rf"\1{MASK}", text) if "uthorization" in text or "UTHORIZATION" in text else text

    def open_end(self, text: str) -> int:
        """Where the end of `text` begins that may be the beginning of a secret; its length when there is none.

        For text that comes in pieces: what stands before can be redacted and shown, the rest has to wait.
        """
        starts = [match.start() for shape in _UNFINISHED if (match := shape.search(text))]
        for value in self._values:
            longest = min(len(value) - 1, len(text))
            starts += [len(text) - size for size in range(longest, 0, -1) if text.endswith(value[:size])][:1]
        start = min(starts, default=len(text))
        if len(text) - start > _MOST_OPEN:
            start = len(text) - _MOST_OPEN // 2
        patterns = (_SHAPES, self._known) if self._known is not None else (_SHAPES,)
        cut = [m.start() for pattern in patterns for m in pattern.finditer(text) if m.start() < start < m.end()]
        return min(cut, default=start)

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


def _encoded(value: str) -> Iterator[str]:
    """`value` percent-encoded, and in base64 of both alphabets, at each place in a longer text it may have."""
    data = value.encode("utf-8", "surrogateescape")
    percent = "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in data)
    yield from (percent, re.sub("%..", lambda code: code[0].lower(), percent))
    for before, cut in ((0, 0), (1, 2), (2, 3)):  # bytes before it, and characters that hold bits of them
        text = base64.b64encode(b"\0" * before + data).decode()
        whole = text[cut : (before + len(data)) * 8 // 6]
        yield from (whole, whole.translate(_URL_ALPHABET))


_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_URL_ALPHABET = str.maketrans("+/", "-_")


def _mask_password(match: re.Match[str]) -> str:
    """Development placeholders on local hosts stay readable; everything else is masked."""
    if match["host"].lower() in _LOCAL_HOSTS or match["secret"].startswith(("$", "{", "<")):
        return match[0]
    return f"{match['head']}{MASK}@{match['host']}"
