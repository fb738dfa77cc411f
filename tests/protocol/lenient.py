"""A scripted Messages API that takes whatever it is sent: other programs than ours rewrite their history."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from agent.testing import HttpError, Turn
from agent.testing.script import Script, TurnLike, events_of, message_of


class LenientServer(ThreadingHTTPServer):
    """Answers each request with the next turn of the script; `bodies` are the requests."""

    daemon_threads = True

    def __init__(self, turns: Iterable[TurnLike]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.script: Script[Any] = Script(turns)
        self.bodies: list[dict[str, Any]] = []
        self.numbers = itertools.count(1)
        self.base_url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._send(200, "text/plain", b"")

    def do_POST(self) -> None:
        assert isinstance(self.server, LenientServer)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "count_tokens" in self.path:
            self._send(200, "application/json", b'{"input_tokens": 10}')
            return
        self.server.bodies.append(body)
        turn = self.server.script.next(body)
        if isinstance(turn, HttpError):
            self._send(turn.status, "application/json", turn.body)
            return
        assert isinstance(turn, Turn)
        message = message_of(turn, next(self.server.numbers), body["model"])
        events = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events_of(message))
        self._send(200, "text/event-stream", "".join(events).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
