"""A Messages API that costs next to nothing: canned answers, no checks, so that a benchmark measures the client."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from types import TracebackType
from typing import Self


def _stream(blocks: list[dict[str, object]], stop: str) -> bytes:
    message = {"id": "msg", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5", "content": []}
    usage = {"input_tokens": 10, "output_tokens": 10}
    events: list[dict[str, object]] = [{"type": "message_start", "message": message | {"usage": usage}}]
    for index, block in enumerate(blocks):
        delta = block.pop("delta")
        events += [
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    events += [{"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage}, {"type": "message_stop"}]
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


_DONE = _stream([{"type": "text", "text": "", "delta": {"type": "text_delta", "text": "Done."}}], "end_turn")


def _call(number: int) -> bytes:
    delta = {"type": "input_json_delta", "partial_json": json.dumps({"pattern": f"*{number}.txt"})}
    block = {"type": "tool_use", "id": f"toolu_{number}", "name": "Glob", "input": {}, "delta": delta}
    return _stream([block], "tool_use")


class CannedServer:
    """Answers `turns` requests with one tool call each and then with a text. `arrived` holds each request's time."""

    def __init__(self, turns: int) -> None:
        self.arrived: list[float] = []
        self._answers = [_call(number) for number in range(turns)]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.base_url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result()
        self.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            self.arrived.append(time.perf_counter())
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            await reader.readexactly(length)
            number = len(self.arrived) - 1
            body = self._answers[number] if number < len(self._answers) else _DONE
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            await writer.drain()
