"""Recognising secrets by their form, and, for assigned values, by their randomness.

Only the kind and the line are reported, never the value. Patterns run on RE2, whose time is linear in the text.
Forms: the vendors' published token formats, as of 2026.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tools.secrets import TOKEN_SHAPES

PATTERNS: dict[str, str] = {
    **TOKEN_SHAPES,
    "password in a URL": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"<>]{0,100}:[^\s@/'\"<>]{1,200}@[^\s/'\"<>:]{1,200}",
    "assigned secret": (
        r"(?i)[\w.-]*(?:secret|passw(?:or)?d|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|auth[_-]?key)"
        r"[\w.-]*[\"']?\s*(?::=|=>|=|:)\s*[\"']?[^\s\"'`,;<>]{12,}"
    ),
}

_PLACEHOLDER = re.compile(
    r"change|replace|example|placeholder|dummy|sample|insert|your|todo|xxx|\.\.\.|dev(elopment)?[-_]|local|tests?([-_]|\b)|ci[-_]|[-_]only|dummy"
    r"|not[-_]?(a|for)[-_]|in[-_]production|fake|redacted|generated|<|>|\*\*\*",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"\$\{|\$\(|\{\{|%\(|^\$|^!|process\.env|os\.environ|getenv|secrets\.|^vault|^ref\+|^arn:|^sha\d+[:-]|//"
)
_LOCAL_HOSTS = re.compile(
    r"@(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1\]|host\.docker\.internal|host|hostname|[\w-]+|[\w.-]*\bexample\.(com|org|net)"
    r"|[\w.-]+\.(local|test|example|internal|invalid))$"
)
_AWS_EXAMPLE = re.compile(r"EXAMPLE\b")


@dataclass(frozen=True, slots=True)
class Secret:
    what: str
    line: int


@cache
def _compiled() -> Any:
    """One RE2 alternation with a group per kind: a text without any secret costs one pass."""
    import re2

    options = re2.Options()
    options.log_errors = False
    return re2.compile("|".join(f"({pattern})" for pattern in PATTERNS.values()), options)


def find_secrets(text: str) -> Iterator[Secret]:
    """What looks like a usable secret. Placeholders, references and passwords of local hosts are left out."""
    kinds = tuple(PATTERNS)
    line, position = 1, 0
    for found in _compiled().finditer(text):
        index = found.lastindex - 1
        value = found.group(0)
        line, position = line + text.count("\n", position, found.start()), found.start()
        if _usable(kinds[index], value):
            yield Secret(kinds[index], line)


def is_placeholder(value: str) -> bool:
    """True for values that say themselves that they are no secret (`change-me`, `test-only`, `<your key>`)."""
    return bool(_PLACEHOLDER.search(value))


def _usable(kind: str, value: str) -> bool:
    if kind == "assigned secret":
        assigned = re.split(r":=|=>|=|:", value, maxsplit=1)[1].strip().strip("\"'")
        return not _PLACEHOLDER.search(assigned) and not _REFERENCE.search(assigned) and _random(assigned)
    if kind == "password in a URL":
        return _real_url(value)
    if kind == "private key":
        return True
    return not _AWS_EXAMPLE.search(value) and "xxxx" not in value.lower() and len(set(value[-12:])) > 3


def _real_url(url: str) -> bool:
    """A URL with a password, unless the host is local or the password a placeholder or reference."""
    authority = url.split("://", 1)[1]
    password = authority.rsplit("@", 1)[0].partition(":")[2]
    if _LOCAL_HOSTS.search("@" + authority.rsplit("@", 1)[1]):
        return False
    return not (_PLACEHOLDER.search(password) or _REFERENCE.search(password) or password.lower() in _DULL)


_DULL = {"password", "pass", "pwd", "secret", "user", "postgres", "root", "admin", "token", "app"}


def _random(value: str) -> bool:
    """True for values that only a generator writes: long, mixed, close to random."""
    if len(value) < 16 or not re.fullmatch(r"[A-Za-z0-9+/=_.~-]+", value):
        return False
    if not (re.search(r"\d", value) and re.search(r"[A-Za-z]", value)):
        return False
    counts = Counter(value)
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
    words = re.findall(r"[a-z]{4,}|[A-Z][a-z]{3,}", value)
    return entropy > (3.0 if re.fullmatch(r"[0-9a-f]+", value) else 3.6) and sum(map(len, words)) < len(value) * 0.6
