"""What tools tell of GitHub's answers: the fields that matter, as JSON, marked as data.

Everything on GitHub may have been written by anybody, so all of it is data. JSON keeps a text from posing as a
neighbouring field; every text stands beside its author and the author's association with the repository.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from tools.github.errors import Answer
from tools.github.hub import Hub, has_next
from tools.text import as_data, cap
from tools.tool import ToolResult

Json = dict[str, Any]

_MOST_TEXT = 20_000
_MOST_SHOWN = 60_000
_TRUSTED = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})


def shown(hub: Hub, place: str, value: Any, note: str = "") -> ToolResult:
    """`value` as data from `place` (a path on GitHub), after a line of our own where there is one."""
    text = cap(json.dumps(value, ensure_ascii=False, indent=1), _MOST_SHOWN, note="ask for less, or for the next page")
    marked = as_data(text, f"{hub.web_host}/{place}")
    return ToolResult(f"{note}\n{marked}" if note else marked, data={"github": value})


def shown_page(
    hub: Hub, place: str, answer: Answer, project: Callable[[Json], Json], page: int, key: str = ""
) -> ToolResult:
    """One page of a list, each item through `project`; says whether there is another."""
    found = [project(item) for item in (answer.data[key] if key else answer.data)]
    more = f" There are more: call again with page {page + 1}." if has_next(answer) else ""
    return shown(hub, place, found, f"{len(found)} on page {page}.{more}")


def pick(names: str) -> Callable[[Json], Json]:
    """A projection: the named fields that are there, `a.b` as `a_b`, empty ones left out."""
    paths = [(name.replace(".", "_"), name.split(".")) for name in names.split()]

    def project(item: Json) -> Json:
        return {label: value for label, path in paths if (value := _at(item, path)) not in (None, "", [])}

    return project


def written(item: Json, since: datetime | None = None, fields: str = "") -> Json:
    """Something a person wrote: who, as what, when and the text, with further `fields`.

    Text edited after `since`, when the run began, is withheld: what was approved must not change under way.
    """
    who = pick("user.login author_association created_at updated_at submitted_at")(item)
    association = str(item.get("author_association") or "NONE")
    edited = since is not None and _edited_after(item, since)
    body = "[edited after this run began, so it is not shown]" if edited else cap(item.get("body") or "", _MOST_TEXT)
    return {
        **pick(f"number id {fields}")(item),
        **who,
        "from_a_collaborator": association in _TRUSTED,
        "body": body,
    }


def named(items: Iterable[Mapping[str, Any]], field: str = "name") -> list[str]:
    """One field of each item: labels' names, users' logins."""
    return [str(item.get(field)) for item in items]


def _edited_after(item: Json, since: datetime) -> bool:
    """Whether a text that was there before `since` was changed after it."""
    created, updated = item.get("created_at"), item.get("updated_at")
    if not isinstance(created, str) or not isinstance(updated, str):
        return False
    return datetime.fromisoformat(created) < since < datetime.fromisoformat(updated)


def _at(item: Any, path: list[str]) -> Any:
    for name in path:
        item = item.get(name) if isinstance(item, Mapping) else None
    return item
