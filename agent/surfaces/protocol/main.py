"""The process: flags in, frames in, messages out, exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from agent.surfaces.errors import UsageProblem, explain
from agent.surfaces.flags import Flags, parse_flags
from agent.surfaces.protocol.wire import Json, read_lines

_MOST_STDIN = 10 * 1024 * 1024
_LAST_SECONDS = 4.0  # hosts kill 5 seconds after SIGTERM
_EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


def main_stream_json(argv: Sequence[str]) -> int:
    """Answer in stream-JSON: one prompt (`-p`), or the frames of a host on stdin. Returns the exit code.

    0: the last result was none of an error; 1: it was, or the flags are wrong; 143 and 130 after SIGTERM and SIGINT.
    """
    try:
        flags = parse_flags(argv)
        _check(flags)
        return asyncio.run(_serve(flags))
    except BrokenPipeError:
        return 1  # nobody reads any more
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        print(f"expert-devops: {known[0]}", file=sys.stderr)
        return 1


def _check(flags: Flags) -> None:
    if flags.output_format != "stream-json":
        raise UsageProblem("--input-format stream-json needs --output-format stream-json.")
    if not flags.streams_input and not flags.verbose:
        raise UsageProblem("--output-format stream-json needs --verbose with -p.")


async def _serve(flags: Flags) -> int:
    process = _Process(flags)
    return await process.run()


class _Process:
    """Reads frames while turns run, and ends when the input has ended and every turn has its result."""

    def __init__(self, flags: Flags) -> None:
        from agent.surfaces.protocol.session import Session

        self._flags = flags
        self.session = Session(flags, _own_stdout(), os.environ)
        self._more = asyncio.Event()
        self._input_ended = False
        self._signal: int | None = None
        self._requests: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in _EXIT_CODES:
            loop.add_signal_handler(number, self._stop, number)
        if self._flags.streams_input:
            deliver = lambda line: loop.call_soon_threadsafe(self._line, line)  # noqa: E731 - bound to this loop
            threading.Thread(target=read_lines, args=(0, deliver), daemon=True, name="stdin").start()
        else:
            self._queue(_only_frame(self._flags))
            self._ended()
        while (frame := await self._next()) is not None:
            await self.session.turn(frame)
        for task in list(self._requests.values()):
            await asyncio.gather(task, return_exceptions=True)
        await self.session.aclose()
        if self._signal is not None:
            return _EXIT_CODES[signal.Signals(self._signal)]
        return 1 if self.session.last_is_error else 0

    async def _next(self) -> Json | None:
        while not self.session.frames:
            if self._input_ended or self._signal is not None:
                return None
            self._more.clear()
            await self._more.wait()
        return self.session.frames.popleft() if self._signal is None else None

    def _stop(self, number: int) -> None:
        """A signal: the turn that is going on ends with its result, what is queued is dropped."""
        self._signal = number
        self.session.interrupt()
        self._more.set()
        asyncio.get_running_loop().call_later(_LAST_SECONDS, os._exit, _EXIT_CODES[signal.Signals(number)])

    # --- frames ---

    def _line(self, line: bytes | None) -> None:
        import json

        if line is None:
            self._ended()
            return
        if not line.strip():
            return
        try:
            frame = json.loads(line)
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            self._complain("A line on stdin was no JSON object and is ignored.")
            return
        self._frame(frame)

    def _frame(self, frame: Json) -> None:
        match frame.get("type"):
            case "user":
                self._queue(frame)
            case "control_request":
                self._request(frame)
            case "control_response":
                response = frame.get("response")
                self.session.host.answered(response if isinstance(response, Mapping) else {})
            case "control_cancel_request":
                task = self._requests.get(str(frame.get("request_id")))
                if task is not None:
                    task.cancel()
            case "keep_alive":
                pass
            case kind:
                self._complain(f"A frame of the type {kind!r} is not known here and is ignored.")

    def _request(self, frame: Json) -> None:
        from agent.surfaces.protocol.control import answer

        request_id = str(frame.get("request_id"))
        task = asyncio.ensure_future(answer(self.session, frame))
        self._requests[request_id] = task
        task.add_done_callback(lambda _task: self._requests.pop(request_id, None))

    def _queue(self, frame: Json) -> None:
        self.session.frames.append(frame)
        self._more.set()

    def _ended(self) -> None:
        self._input_ended = True
        self.session.host.left()
        self._more.set()

    def _complain(self, text: str) -> None:
        self.session.show({"type": "system", "subtype": "informational", "content": text, "level": "warning"})


def _only_frame(flags: Flags) -> dict[str, Any]:
    """The prompt of `-p` as a user frame: the argument, else what stdin holds."""
    text = flags.prompt
    if text is None and not sys.stdin.isatty():
        text = sys.stdin.read(_MOST_STDIN)
    if not text:
        raise UsageProblem("There is no prompt. Give it as an argument or on stdin.")
    return {"type": "user", "message": {"role": "user", "content": text}}


def _own_stdout() -> int:
    """A descriptor of stdout for messages alone; whatever else prints goes to stderr and cannot break a line."""
    sys.stdout.flush()
    own = os.dup(1)
    os.set_inheritable(own, False)
    os.dup2(2, 1)
    return own
