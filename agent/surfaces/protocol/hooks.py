"""Hooks whose code lives in the host: `initialize` announces them, `hook_callback` runs them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from agent.hooks.config import Handler, callback_handler
from agent.hooks.events import EVENTS
from agent.surfaces.protocol.host import Host
from agent.surfaces.protocol.wire import Json


class HookShapeError(Exception):
    """Hooks that are not understood; the message says where."""


def host_hooks(given: Any, host: Host) -> tuple[tuple[Handler, ...], tuple[str, ...]]:
    """The handlers of an `initialize` request, and a line for each event that is never fired here.

    The shape is `{event: [{matcher, hookCallbackIds, timeout?, onFailure?}]}`, or None. Raises `HookShapeError` for
    another one, and for a guard that must work on an event that never comes: it may not be dropped silently.
    """
    handlers: list[Handler] = []
    unfired: list[str] = []
    if given is not None and not isinstance(given, Mapping):
        raise HookShapeError("hooks must be an object of events.")
    for event, groups in (given or {}).items():
        for group in groups if isinstance(groups, list) else [groups]:
            ids = group.get("hookCallbackIds") if isinstance(group, Mapping) else None
            if not isinstance(ids, list):
                raise HookShapeError(f"hooks.{event} must be a list of objects with hookCallbackIds.")
            must_work = group.get("onFailure") not in {None, "continue"}
            if event not in EVENTS:
                if must_work:
                    raise HookShapeError(f"Hooks on {event} cannot block on failure: the event is never fired here.")
                unfired.append(f"Hooks on {event} are never called: the event is not fired here.")
                continue
            handlers += [
                callback_handler(
                    event,
                    partial(_call, host, str(callback_id)),
                    matcher=group.get("matcher"),
                    timeout=group.get("timeout"),
                    on_failure="block" if must_work else None,
                )
                for callback_id in ids
            ]
    return tuple(handlers), tuple(unfired)


async def _call(host: Host, callback_id: str, hook_input: Mapping[str, Any], tool_use_id: str | None) -> Json:
    return await host.ask("hook_callback", callback_id=callback_id, input=dict(hook_input), tool_use_id=tool_use_id)
