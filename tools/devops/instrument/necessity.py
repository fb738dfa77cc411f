"""Which dependencies a service can do without: what the SPEC says, then how the code handles their failure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping

from tools.devops.instrument.python_code import parse
from tools.devops.project.tree import Folder
from tools.devops.types import Spec

_ROLE = {
    "database": r"\b(?:database|db|postgres\w*|mysql|mongo\w*)\b|데이터베이스|디비",
    "cache": r"\b(?:cache|redis|valkey)\b|캐시|레디스",
}
_AWAY = (  # a role, then that it is away; or the other way round
    r"(?:{0})(?: (?:server|service|cluster))? (?:is|are|becomes|goes) (?:\w+ )?"
    r"(?:unreachable|unavailable|down|away|offline|lost|not (?:available|reachable))\b"
    r"|(?:{0}) (?:fails|outage)\b|\b(?:without|outage of|loss of)(?: the| a)? (?:{0})"
    r"|(?:{0})[^,.;]{{0,8}}(?:연결할 수 없|접속할 수 없|사용할 수 없|응답하지 않|장애|중단|끊[겨기]|없어도|없이)"
)
_GOES_ON = (
    r"\b(?:still|continues?|continue to|keeps?|remains?|anyway|nevertheless|degraded?)\b"
    r"|계속|여전히|그대로|정상적으로|유지|동작해야|처리해야|처리한다|동작한다"
)
_REFUSES = r"\b(?:shall|must|should|may|can)\s?not\b|\bstop\b|\breject|\brefuse|않아야|중지|거부|차단"
_OPTIONAL = r"\b(?:{0})[^.\n]{{0,20}} (?:is|are) (?:an? )?optional\b|(?:{0})(?:은|는|이|가)? ?(?:선택 ?사항|선택적)"
_CACHE_ERROR = re.compile(r"\b(?:RedisError|redis\.exceptions\.\w+|redis\.\w*Error)\b")
_IGNORED = re.compile(
    r"IGNORE_EXCEPTIONS[\"']?\s*[:=]\s*True"
)  # of django-redis: a failed cache answers like an empty one


def optional_roles(folder: Folder, spec: Spec | None) -> Mapping[str, str]:
    """Each of `database` and `cache` that the service goes on without, with where that is said."""
    found = dict(_in_spec(spec)) if spec else {}
    for place in _in_code(folder):
        found.setdefault("cache", place)
    return found


def notes_on(optional: Mapping[str, str], roles: Iterable[str]) -> list[str]:
    """What a reader must know of each dependency that `/health` asks. That a database is needed goes without saying."""
    notes = []
    for role in roles:
        if role in optional:
            notes.append(f"/health reports the {role} and answers 200 without it: {optional[role]}.")
        elif role != "database":
            notes.append(
                f"Assumption: the service cannot do without the {role}, so /health answers 503 when it is away. "
                "Neither the SPEC nor the code says; a requirement that calls it optional changes that."
            )
    return notes


def _in_spec(spec: Spec) -> Iterator[tuple[str, str]]:
    for requirement in spec.requirements:
        text = requirement.text.lower()
        for role, words in _ROLE.items():
            goes_on = re.search(_GOES_ON, text) and not re.search(_REFUSES, text)
            if (goes_on and re.search(_AWAY.format(words), text)) or re.search(_OPTIONAL.format(words), text):
                yield role, f"{requirement.id} ({requirement.file}:{requirement.line})"


def _in_code(folder: Folder) -> Iterator[str]:
    for name, source in folder.sources(".py"):
        if ignored := _IGNORED.search(source):
            yield f"{name}:{source.count(chr(10), 0, ignored.start()) + 1}"
        if _CACHE_ERROR.search(source):
            try:
                tree = parse(source.removeprefix("\ufeff"))
            except SyntaxError:
                continue
            handlers = (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler))
            yield from (f"{name}:{handler.lineno}" for handler in handlers if _is_survived(handler))


def _is_survived(handler: ast.ExceptHandler) -> bool:
    """Whether it catches an error of the cache, and neither raises nor answers with an error."""
    if handler.type is None or not _CACHE_ERROR.search(ast.unparse(handler.type)):
        return False
    body = "\n".join(map(ast.unparse, handler.body))
    return not any(isinstance(part, ast.Raise) for part in ast.walk(handler)) and not re.search(
        r"\b5\d\d\b|\bexit\(", body
    )
