"""What two services of a compose file have in common: the same code, the same store, the same port of the machine."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

_TAG = re.compile(r"[:@].*$")
_PUBLISHED = re.compile(r"(?:^|:)(\d+):\d+(?:/\w+)?$")


def runs_twice(old: Any, new: Any) -> bool:
    """Whether a service of `new` would do again, under another name, what one of `old` does already.

    Both are the `services` of compose files. A second copy fights for the port, or leaves the first unused.
    """
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return False
    taken = {mark for service in old.values() for mark in _marks(service)}
    return any(mark in taken for name, service in new.items() if name not in old for mark in _marks(service))


def build_context(service: Any) -> str | None:
    """The folder that the service is built from, relative to the compose file; None when nothing is built."""
    build = service.get("build") if isinstance(service, Mapping) else None
    context = build.get("context", ".") if isinstance(build, Mapping) else build
    return posixpath.normpath(str(context)) if context else None


def _marks(service: Any) -> set[tuple[str, str]]:
    """What one service of a file has to itself: a store's image, a published port, the server built from a folder."""
    if not isinstance(service, Mapping):
        return set()
    ports = _published(service.get("ports"))
    marks = {("port", port) for port in ports}
    if (context := build_context(service)) is not None:
        if ports:  # without ports it is a worker or a migration of the same code
            build = service["build"]
            file = build.get("dockerfile", "Dockerfile") if isinstance(build, Mapping) else "Dockerfile"
            marks.add(("build", posixpath.join(context, str(file))))
    elif service.get("image"):
        marks.add(("image", _TAG.sub("", str(service["image"]).rsplit("/", 1)[-1])))
    return marks


def _published(ports: Any) -> set[str]:
    found = set()
    for entry in ports if isinstance(ports, list) else ():
        if isinstance(entry, Mapping):
            found.add(str(entry.get("published", "")))
        elif matched := _PUBLISHED.search(str(entry)):
            found.add(matched[1])
    return found - {""}
