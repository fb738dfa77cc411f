"""A model that says what the test tells it to, and insists on being used up."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from agent.models.errors import from_event
from agent.models.port import ModelError, Request
from agent.testing.script import HttpError, Script, TurnLike, error_event, events_of, message_of
from tools.secrets import Redactor


class ScriptedModel:
    """Plays turns behind the `Model` port, without a network.

        model = ScriptedModel([[call("Read", file_path="SPEC.md")], "Done."])
        ...
        model.assert_complete()

    See `agent.testing.script` for what a turn can be; a callable is given the `Request`. `requests` holds every request
    as it was when it was made. An unplanned call raises `UnplannedCallError` and fails `assert_complete` as well, since
    an agent may turn the error into a result.
    """

    def __init__(
        self,
        turns: Iterable[TurnLike | Callable[[Request], TurnLike]] | Callable[[Request], TurnLike],
        *,
        model_id: str = "scripted",
    ) -> None:
        self.id = model_id
        self.requests: list[Request] = []
        self.closed = False
        self._script: Script[Request] = Script(turns)

    async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        self.requests.append(copy.deepcopy(request))
        turn = self._script.next(request)
        if isinstance(turn, ModelError):
            raise turn
        if isinstance(turn, HttpError):
            raise TypeError("An HTTP error needs FakeMessagesServer; give ScriptedModel a ModelError.")
        fault = turn.fault
        if fault.cut_after or fault.stall_after or fault.chunk or fault.bad_json:
            raise TypeError("Faults of the connection need FakeMessagesServer.")
        for at, event in enumerate(events_of(message_of(turn, self._script.played, self.id))):
            if fault.error_type is not None and at == fault.after_events:
                raise from_event(error_event(fault.error_type), None, redactor=Redactor(), partial=at > 0)
            if event["type"] == "message_stop" and fault.without_stop:
                return
            yield event

    async def aclose(self) -> None:
        self.closed = True

    def assert_complete(self) -> None:
        """Raise `AssertionError` unless exactly the scripted turns were asked for."""
        self._script.assert_complete()
