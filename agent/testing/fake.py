"""A Messages API server for tests: scripted, strict about what it is sent, and able to fail in every known way."""

from __future__ import annotations

import itertools
import json
import re
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from agent.models.catalog import facts
from agent.models.port import Json, ModelError
from agent.testing.checks import problems_of
from agent.testing.history import PromptCache, ServedHistory
from agent.testing.script import (
    HttpError,
    Script,
    Turn,
    TurnLike,
    error_event,
    events_of,
    http_error,
    message_of,
    without_raw,
)

_VERTEX_PATH = re.compile(r"/publishers/anthropic/models/([^/:]+):(?:streamRawPredict|rawPredict)$")


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived; header names are lower-case."""

    path: str
    headers: Mapping[str, str]
    body: Json


class FakeMessagesServer:
    """Speaks `POST /v1/messages` (streamed and not), `.../count_tokens`, `GET /v1/models`, and the paths of Vertex AI.

        with FakeMessagesServer([[call("Read", file_path="SPEC.md")], "Done."]) as server:
            model = AnthropicModel("claude-opus-5-5", base_url=server.base_url, api_key="test", profile="full")
            ...
        server.assert_clean()

    Turns are those of `agent.testing.script`; a callable is given the request body. Requests the API would refuse, and
    history that is not what was served before, are answered with 400 and noted in `violations`. It runs in a thread of
    its own on a free port, so it serves synchronous code, any event loop and child processes alike. Usage follows the
    cache markers as the real cache would. `api_key`: every other key gets 401. `seeded`: see `ServedHistory`.
    """

    def __init__(
        self,
        turns: Iterable[TurnLike | Callable[[Json], TurnLike]] | Callable[[Json], TurnLike],
        *,
        api_key: str | None = None,
        seeded: bool = False,
        port: int = 0,
    ) -> None:
        self.requests: list[Received] = []
        self.violations: list[str] = []
        self.failures: list[BaseException] = []
        self.client_left = threading.Event()
        self._script: Script[Json] = Script(turns)
        self._history = ServedHistory(seeded=seeded)
        self._cache = PromptCache()
        self._api_key = api_key
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.closing.set()
        self._http.shutdown()
        self._http.close_connections()
        self._http.server_close()
        self._thread.join()

    @property
    def connections(self) -> int:
        """How many connections clients have opened."""
        return self._http.accepted

    def assert_clean(self) -> None:
        """Raise `AssertionError` on violations, on failures in the script's callables, and unless it was used up."""
        problems = [*self.violations, *map(repr, self.failures)]
        if problems:
            raise AssertionError("; ".join(problems))
        self._script.assert_complete()

    def answer(self, received: Received) -> Turn | HttpError:
        """What to answer; a turn comes with its message already remembered as given. For the handler only."""
        with self._lock:
            self.requests.append(received)
            if self._api_key is not None and self._api_key not in _keys(received.headers):
                return http_error(401, "invalid x-api-key")
            paused = self._history.continues_paused(received.body.get("messages"))
            problems = problems_of(received.body, received.headers, paused=paused)
            problems = problems or [*self._history.problems_of(received.body)]
            if problems:
                self.violations += problems
                return http_error(400, problems[0])
        try:
            planned = self._script.next(received.body)
        except ModelError as error:
            return http_error(400, error.message)
        if isinstance(planned, ModelError):
            return http_error(planned.status or 500, planned.message)
        return planned

    def message_for(self, turn: Turn, body: Json) -> Json:
        """The message of a turn, remembered as served. For the handler only."""
        with self._lock:
            turn = replace(turn, usage={**self._cache.usage_of(body), **(turn.usage or {})})
            message = message_of(turn, next(self._numbers), body["model"])
            content, paused = without_raw(message)["content"], message["stop_reason"] == "pause_turn"
            self._history.remember(body, content, paused=paused)
            return message


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], owner: FakeMessagesServer) -> None:
        super().__init__(address, _Handler)
        self.owner = owner
        self.closing = threading.Event()
        self.accepted = 0
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.accepted += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.owner.failures.append(error)

    def close_connections(self) -> None:
        for connection in list(self._open):
            connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # pieces are sent as they are written

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Say nothing: a test's output is the test's."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/v1/models":
            return self._json({"data": [_model("claude-opus-5-5"), _model("claude-haiku-5-5")], "has_more": False})
        name = path.removeprefix("/v1/models/")
        return self._json(_model(name)) if name != path and facts(name) else self._error(http_error(404, path))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = urlsplit(self.path).path
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return self._error(http_error(400, "The request body is not a valid JSON object"))
        if path.endswith("/v1/messages/count_tokens"):
            return self._json({"input_tokens": len(raw) // 4})
        headers = {name.lower(): value for name, value in self.headers.items()}
        if found := _VERTEX_PATH.search(path):  # model in the path, version in the body
            headers["anthropic-version"] = body.pop("anthropic_version", "")
            body["model"] = found[1]
        elif not path.endswith("/v1/messages"):
            return self._error(http_error(404, path))
        owner = self.server.owner
        answer = owner.answer(Received(path, headers, body))
        if isinstance(answer, HttpError):
            return self._error(answer)
        message = owner.message_for(answer, body)
        return self._stream(answer, message) if body.get("stream") else self._json(without_raw(message))

    def _json(self, value: Json) -> None:
        self._send(200, json.dumps(value).encode(), {"request-id": f"req_{len(self.server.owner.requests):04}"})

    def _error(self, error: HttpError) -> None:
        self._send(error.status, error.body, {"request-id": "req_error", **error.headers})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"content-type": "application/json"} | dict(headers)).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, turn: Turn, message: Json) -> None:
        fault = turn.fault
        payload = stream_bytes(turn, message)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("request-id", f"req_{len(self.server.owner.requests):04}")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        limits = [limit for limit in (fault.cut_after, fault.stall_after) if limit is not None]
        stop = min([len(payload), *limits])
        step = fault.chunk or 4096
        for at in range(0, stop, step):
            piece = payload[at : min(at + step, stop)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if fault.delay and self.server.closing.wait(fault.delay):
                return
        if fault.stall_after is not None:
            self._wait_for_client_to_leave()
        if fault.stall_after is not None or fault.cut_after is not None:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def _wait_for_client_to_leave(self) -> None:
        while not self.server.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                self.server.owner.client_left.set()
                return


def stream_bytes(turn: Turn, message: Json) -> bytes:
    """The body of a streamed answer, with the faults of the stream itself."""
    fault = turn.fault
    lines: list[bytes] = []
    for at, event in enumerate(events_of(message)):
        if fault.error_type is not None and at == fault.after_events:
            lines.append(_sse(error_event(fault.error_type)))
            break
        if event["type"] == "message_stop" and fault.without_stop:
            break
        if fault.bad_json and event["type"] == "content_block_delta":
            lines.append(b'event: content_block_delta\ndata: {"type": "content_block_\n\n')
            continue
        lines.append(_sse(event))
    return b"".join(lines)


def _sse(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _keys(headers: Mapping[str, str]) -> list[str]:
    return [headers.get("x-api-key", ""), headers.get("authorization", "").removeprefix("Bearer ")]


def _model(name: str) -> Json:
    known = facts(name)
    assert known is not None  # noqa: S101 - only listed models are asked for
    limits = {"max_input_tokens": known.window, "max_tokens": known.max_output}
    return {"type": "model", "id": name, "display_name": name, "created_at": known.released, **limits}
