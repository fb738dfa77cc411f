"""Handlers: one thing to do at one event, read from settings files and definition headers, or handed in as a callable.

    {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "./check.sh", "timeout": 10}]}]}

What cannot be read becomes a remark; the rest of the file still counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agent.hooks.events import EVENTS
from agent.hooks.matching import unreadable, unreadable_rule
from agent.settings.remarks import Remark, remark

if TYPE_CHECKING:
    from agent.settings.load import HookSource

Json = Mapping[str, Any]
Callback = Callable[[Json, "str | None"], Awaitable[Json]]
"""Called with the hook's input and the tool call's id; gives JSON output, `{}` for no opinion."""

CALLBACK_SECONDS = 60.0
_MOST_SECONDS = 86_400.0
_TARGETS = {"command": "command", "http": "url"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One handler. `where` names its file or host. Exactly one of `command`, `url` and `callback` is set.

    `args` makes `command` a program run directly instead of a shell text. `seconds` None takes the event's default.
    `must_work`: a failure blocks (`onFailure: block`). `background`: started and not waited for.
    """

    event: str
    where: str
    matcher: str = ""
    condition: str = ""
    seconds: float | None = None
    must_work: bool = False
    command: str = ""
    args: tuple[str, ...] | None = None
    shell: Literal["bash", "powershell"] = "bash"
    background: bool = False
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    header_env: tuple[str, ...] = ()
    callback: Callback | None = None
    once: bool = False

    @property
    def name(self) -> str:
        """What it runs, for people."""
        return self.url or " ".join((self.command, *(self.args or ()))) or f"callback of {self.where}"

    @property
    def kind(self) -> Literal["command", "http", "callback"]:
        if self.callback is not None:
            return "callback"
        return "http" if self.url else "command"

    @property
    def identity(self) -> object:
        """Equal for handlers that would do the same: those run once."""
        if self.callback is not None:
            return id(self.callback), self.matcher
        return self.command, self.args, self.shell, self.url, tuple(sorted(self.headers.items()))


def callback_handler(
    event: str,
    call: Callback,
    *,
    matcher: str | None = None,
    timeout: float | None = None,
    on_failure: str | None = None,
    where: str = "host",
) -> Handler:
    """A handler whose code is an async callable. Raises `ValueError` for an event that is never fired."""
    if event not in EVENTS:
        raise ValueError(f"There is no hook event {event!r}. Known: {', '.join(EVENTS)}.")
    return Handler(
        event=event,
        where=where,
        matcher=matcher or "",
        seconds=timeout or CALLBACK_SECONDS,
        must_work=on_failure == "block",
        callback=call,
    )


def read_hooks(events: Json, where: str, *, once_allowed: bool = False) -> tuple[tuple[Handler, ...], list[Remark]]:
    """The handlers of one `hooks` object, and remarks on what cannot be used. `once` counts in skill headers only."""
    reader = _Reader(where, once_allowed)
    handlers = tuple(handler for event, groups in events.items() for handler in reader.event(event, groups))
    return handlers, reader.remarks


def settings_hooks(sources: Iterable[HookSource]) -> tuple[tuple[Handler, ...], list[Remark]]:
    """The handlers of all settings files, in their order, and remarks on what cannot be used."""
    read = [read_hooks(source.events, source.where) for source in sources]
    return tuple(h for handlers, _ in read for h in handlers), [r for _, remarks in read for r in remarks]


class _Reader:
    """Reads one `hooks` object and collects what is wrong with it."""

    def __init__(self, where: str, once_allowed: bool) -> None:
        self.where = where
        self.once_allowed = once_allowed
        self.remarks: list[Remark] = []

    def wrong(self, place: str, why: str) -> None:
        self.remarks.append(remark("wrong_type", self.where, what=f"hooks.{place}", why=why))

    def event(self, event: str, groups: object) -> Iterator[Handler]:
        if event not in EVENTS:
            self.wrong(event, "this event is never fired here")
        elif not isinstance(groups, list):
            self.wrong(event, "expected a list")
        else:
            for number, group in enumerate(groups):
                yield from self.group(event, group, f"{event}.{number}")

    def group(self, event: str, group: object, place: str) -> Iterator[Handler]:
        if not isinstance(group, Mapping) or not isinstance(group.get("hooks"), list):
            self.wrong(place, "expected an object with a list 'hooks'")
            return
        matcher = self.matcher(group.get("matcher"), place)
        for number, entry in enumerate(group["hooks"]):
            at = f"{place}.hooks.{number}"
            if not isinstance(entry, Mapping):
                self.wrong(at, "expected an object")
            elif (handler := self.handler(event, matcher, entry, at)) is not None:
                yield handler

    def matcher(self, value: object, place: str) -> str:
        """A matcher that cannot be evaluated covers everything: a guard may not fall away unseen."""
        if value is None:
            return ""
        if not isinstance(value, str) or unreadable(value.strip()):
            self.wrong(f"{place}.matcher", "expected names or a pattern of linear time; the hook sees every name")
            return ""
        return value.strip()

    def handler(self, event: str, matcher: str, entry: Json, place: str) -> Handler | None:
        kind = entry.get("type", "command")
        needed = _TARGETS.get(kind) if isinstance(kind, str) else None
        if needed is None:
            self.wrong(f"{place}.type", f"hooks of the type {str(kind)[:40]!r} are not supported; use command or http")
            return None
        target = entry.get(needed)
        if not isinstance(target, str) or not target.strip():
            self.wrong(f"{place}.{needed}", "expected a text")
            return None
        return Handler(
            event=event,
            where=self.where,
            matcher=matcher,
            condition=self.condition(event, entry.get("if"), place),
            seconds=self.seconds(entry.get("timeout"), place),
            must_work=entry.get("onFailure") == "block",
            command=target if needed == "command" else "",
            args=self.texts(entry.get("args"), f"{place}.args"),
            shell="powershell" if entry.get("shell") == "powershell" else "bash",
            background=entry.get("async") is True or entry.get("asyncRewake") is True,
            url=target if needed == "url" else "",
            headers=_headers(entry.get("headers")),
            header_env=self.texts(entry.get("allowedEnvVars"), f"{place}.allowedEnvVars") or (),
            once=self.once_allowed and entry.get("once") is True,
        )

    def condition(self, event: str, value: object, place: str) -> str:
        if value is None or value == "":
            return ""
        why = unreadable_rule(value) if isinstance(value, str) else "expected a permission rule"
        if why is not None:
            self.wrong(f"{place}.if", f"{why}; the hook always runs")
            return ""
        if not EVENTS[event].tool:
            self.wrong(f"{place}.if", "only events about tool calls have conditions; the hook never runs")
        return str(value)

    def seconds(self, value: object, place: str) -> float | None:
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(min(value, _MOST_SECONDS))
        self.wrong(f"{place}.timeout", "expected seconds above 0; the default counts")
        return None

    def texts(self, value: object, place: str) -> tuple[str, ...] | None:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        if value is not None:
            self.wrong(place, "expected a list of texts")
        return None


def _headers(value: object) -> dict[str, str]:
    items = value.items() if isinstance(value, Mapping) else ()
    return {name: text for name, text in items if isinstance(name, str) and isinstance(text, str)}
