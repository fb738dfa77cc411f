"""Loops of tool calls: the same call with the same result, and the same call denied again and again.

A call that writes files makes every earlier result worth looking at again. A command does not: had it changed anything
the other call looks at, that result would have changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOLD_AT, REFUSED_AT, DENIED_AT = 3, 5, 3
"""The third identical result is remarked on; the fifth identical call, and the fourth denied one, are not run."""


_MARK = re.compile(rb'(?<=untrusted-data id=\\")[0-9a-f]+')


@dataclass(slots=True)
class _Seen:
    result: str = ""
    times: int = 0
    denials: int = 0


@dataclass(slots=True)
class RepeatGuard:
    """Kept for one conversation. Calls may run in parallel; a call is its tool's name and its input."""

    _seen: dict[str, _Seen] = field(default_factory=dict)

    def before(self, name: str, tool_input: Mapping[str, Any]) -> str | None:
        """Why this call is not run, for the model; None lets it run. Ask before permissions are decided."""
        seen = self._seen.get(_key(name, tool_input))
        if seen is None:
            return None
        if seen.denials >= DENIED_AT:
            return (
                f"Stop: this exact call of {name} was denied {seen.denials} times and is not asked about again. Do "
                "something else that needs no such permission, or end with a message that says what you need and why."
            )
        if seen.times >= REFUSED_AT - 1:
            return (
                f"Not run: this exact call of {name} gave the same result {seen.times} times, and nothing else was "
                "written in between. The result is above. Change the input or a file, or say what you are stuck on."
            )
        return None

    def after(self, name: str, tool_input: Mapping[str, Any], result_digest: str, *, wrote: bool) -> str | None:
        """Note a call that ran. `wrote`: it wrote files. A text is added to the result that the model reads."""
        key = _key(name, tool_input)
        if wrote:
            for other, each in self._seen.items():
                if other != key:
                    each.times = 0  # denials stay: writing does not change what a person or a rule answers
        seen = self._seen.setdefault(key, _Seen())
        seen.times = seen.times + 1 if seen.result == result_digest else 1
        seen.result = result_digest
        if seen.times < TOLD_AT:
            return None
        return (
            f"[This exact call gave this exact result {seen.times} times, with nothing else written in between. "
            f"Repeating it will not help; the {REFUSED_AT}th time it is not run.]"
        )

    def denied(self, name: str, tool_input: Mapping[str, Any]) -> None:
        """Note a call that permissions or a person refused."""
        self._seen.setdefault(_key(name, tool_input), _Seen()).denials += 1

    def reset(self) -> None:
        """The user said something new: what was refused may be wanted now."""
        self._seen.clear()


def digest_of(content: Any) -> str:
    """The digest of a result's content, text or blocks. The random word in data markers does not count."""
    return hashlib.sha256(_MARK.sub(b"", _canonical(content))).hexdigest()


def _key(name: str, tool_input: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical([name, tool_input])).hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, default=repr).encode("ascii")
