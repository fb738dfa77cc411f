"""Asking the host: a control request goes out, its answer comes back on stdin, however long that takes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from agent.surfaces.protocol.wire import Json


class HostError(Exception):
    """The host answered with an error. The message is the host's."""


class HostGoneError(HostError):
    """The host has closed its input, so no answer can come any more."""


class Host:
    """The other side. `send` writes a control message whole."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Json]] = {}
        self._gone = False

    async def ask(self, subtype: str, **fields: Any) -> Json:
        """The payload of the host's answer. There is no time limit: people take breaks.

        Raises `HostError` (or `HostGoneError`), and `LineTooLongError` when the request does not fit a line. Cancelling
        tells the host that its answer is no longer wanted.
        """
        if self._gone:
            raise HostGoneError("The host has closed its input.")
        request_id = f"agent_{next(self._numbers)}"
        request = {"subtype": subtype} | {key: value for key, value in fields.items() if value is not None}
        self._send({"type": "control_request", "request_id": request_id, "request": request})
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            return await answer
        except asyncio.CancelledError:
            if not self._gone:
                self._send({"type": "control_cancel_request", "request_id": request_id})
            raise
        finally:
            self._waiting.pop(request_id, None)

    def answered(self, response: Mapping[str, Any]) -> None:
        """Take a `control_response`. An answer nobody waits for is dropped: it was cancelled meanwhile."""
        waiting = self._waiting.get(str(response.get("request_id")))
        if waiting is None or waiting.done():
            return
        if response.get("subtype") == "success":
            payload = response.get("response")
            waiting.set_result(payload if isinstance(payload, dict) else {})
        else:
            waiting.set_exception(HostError(str(response.get("error") or "The host gave no reason.")))

    def left(self) -> None:
        """The host's input is at its end; whoever waits is told."""
        self._gone = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(HostGoneError("The host closed its input before it answered."))
