"""Hooks whose code lives in the host: `initialize` announces them, `hook_callback` runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from agent.surfaces.protocol.host import Host
from agent.surfaces.protocol.wire import Json

Callback = Callable[[Mapping[str, Any], str | None], Awaitable[Json]]
"""Called with the hook's input and the id of the tool call; gives the hook's JSON output. Raises `HostError`."""


class HookShapeError(Exception):
    """Hooks that are not understood; the message says where."""


@dataclass(frozen=True, slots=True)
class HostHook:
    """One callback. `matcher` None fits everything; `timeout` in seconds; `on_failure` is `block` or None."""

    event: str
    matcher: str | None
    timeout: float | None
    on_failure: str | None
    call: Callback


def host_hooks(given: Any, host: Host) -> tuple[HostHook, ...]:
    """The hooks of an `initialize` request: `{event: [{matcher, hookCallbackIds, timeout?, onFailure?}]}`, or None.

    Raises `HookShapeError` for another shape: a guard that is not understood may not be dropped silently.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise HookShapeError("hooks must be an object of events.")
    found: list[HostHook] = []
    for event, groups in given.items():
        for group in groups if isinstance(groups, list) else [groups]:
            ids = group.get("hookCallbackIds") if isinstance(group, Mapping) else None
            if not isinstance(ids, list):
                raise HookShapeError(f"hooks.{event} must be a list of objects with hookCallbackIds.")
            failing = group.get("onFailure")
            found += [
                HostHook(
                    event=str(event),
                    matcher=group.get("matcher") or None,
                    timeout=group.get("timeout"),
                    on_failure=None if failing in {None, "continue"} else "block",
                    call=partial(_call, host, str(callback_id)),
                )
                for callback_id in ids
            ]
    return tuple(found)


async def _call(host: Host, callback_id: str, hook_input: Mapping[str, Any], tool_use_id: str | None) -> Json:
    return await host.ask("hook_callback", callback_id=callback_id, input=hook_input, tool_use_id=tool_use_id)
