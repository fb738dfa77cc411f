"""Recorded turns: record what a model answered, and play it back without one.

A recording is a file of JSON lines, one model call a line:
`{"v": 1, "request": {...}, "events": [...], "error": null | {"kind", "message", "status", "retryable", ...}}`.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.models.port import Json, Model, ModelError, Request

FORMAT_VERSION = 1
_ERROR_FIELDS = ("kind", "message", "status", "retryable", "retry_after", "request_id", "partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTurn:
    """One model call: the events that came, the error it ended with if any, and the request where it is known."""

    events: Sequence[Mapping[str, Any]] = ()
    error: ModelError | None = None
    request: Json | None = None


class ReplayModel:
    """Answers with recorded turns, in order.

    A call beyond the last turn, and with `exact` a request that differs from the recorded one, ends in a `ModelError`
    that is not retried. `assert_complete` fails when that happened or turns are left.
    """

    def __init__(self, turns: Sequence[RecordedTurn], *, model_id: str = "replay", exact: bool = False) -> None:
        self.id = model_id
        self.requests: list[Request] = []
        self._turns = list(turns)
        self._exact = exact
        self._problems: list[str] = []

    @classmethod
    def from_file(cls, path: Path, *, exact: bool = False) -> ReplayModel:
        """The recording in `path`. Raises `ModelError` that names the line which cannot be read."""
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError("invalid_request", f"The recording {path} cannot be read: {error}") from error
        numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
        return cls([_parse(line, f"{path}:{number}") for number, line in numbered], exact=exact)

    async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        self.requests.append(request)
        number = len(self.requests)
        if number > len(self._turns):
            raise self._refuse(f"The recording holds {len(self._turns)} turns; the run asked for turn {number}.")
        turn = self._turns[number - 1]
        if self._exact and turn.request is not None and turn.request != request_to_json(request):
            raise self._refuse(f"Request {number} differs from the recorded one{_difference(turn.request, request)}.")
        for event in turn.events:
            yield copy.deepcopy(event)
        if turn.error is not None:
            raise turn.error

    async def aclose(self) -> None:
        """Nothing to free."""

    def assert_complete(self) -> None:
        """Raise `AssertionError` unless every turn was played, once, to a fitting request."""
        left = len(self._turns) - len(self.requests)
        problems = self._problems + ([f"{left} recorded turns were not asked for."] if left > 0 else [])
        if problems:
            raise AssertionError(" ".join(problems))

    def _refuse(self, reason: str) -> ModelError:
        self._problems.append(reason)
        return ModelError("invalid_request", reason)


class RecordingModel:
    """Any model, with every call appended to a file. The file holds whole conversations: it is readable by its owner
    only.
    """

    def __init__(self, model: Model, path: Path) -> None:
        self._model = model
        self._path = path

    @property
    def id(self) -> str:
        return self._model.id

    async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        events: list[Mapping[str, Any]] = []
        failure: ModelError | None = None
        stream = self._model.stream(request)
        try:
            async for event in stream:
                events.append(copy.deepcopy(event))
                yield event
        except ModelError as error:
            failure = error
            raise
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
            self._append(RecordedTurn(events=events, error=failure, request=request_to_json(request)))

    async def aclose(self) -> None:
        await self._model.aclose()

    def _append(self, turn: RecordedTurn) -> None:
        error = {name: getattr(turn.error, name) for name in _ERROR_FIELDS} if turn.error else None
        row = {"v": FORMAT_VERSION, "request": turn.request, "events": list(turn.events), "error": error}
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def request_to_json(request: Request) -> Json:
    """A request as plain data, equal for equal requests."""
    row: Json = {f.name: getattr(request, f.name) for f in dataclasses.fields(request)}
    plain: Json = json.loads(json.dumps(row, default=dict))
    return plain


def _parse(line: str, where: str) -> RecordedTurn:
    try:
        row = json.loads(line)
        if row["v"] != FORMAT_VERSION:
            raise ModelError("invalid_request", f"{where}: recording format {row['v']!r} is not known.")
        failed = row.get("error")
        error = ModelError(**failed) if failed else None
        return RecordedTurn(events=list(row["events"]), error=error, request=row.get("request"))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError("invalid_request", f"{where}: not a recorded turn ({error}).") from error


def _difference(recorded: Json, request: Request) -> str:
    """Where the two first differ, as ` in messages.3`."""
    now = request_to_json(request)
    for part in recorded:
        if recorded[part] != now.get(part):
            if part != "messages":
                return f" in {part}"
            pairs = zip(recorded[part], now[part], strict=False)
            at = next((i for i, (old, new) in enumerate(pairs) if old != new), min(len(recorded[part]), len(now[part])))
            return f" in messages.{at}"
    return ""
