"""The process: flags in, frames in, messages out, exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

from agent.surfaces.errors import UsageProblem
from agent.surfaces.flags import Flags
from agent.surfaces.protocol.wire import Json, OutputLostError, read_lines

_LAST_SECONDS = 4.0  # hosts kill 5 seconds after SIGTERM
_EXIT_CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


def answer(flags: Flags) -> int:
    """Answer one prompt (`-p`), or the frames of a host on stdin, in the format the flags name. Returns the exit code.

    0: the last result was none of an error; 1: it was, or nobody reads the output; 2: wrong use; 143 and 130 after
    SIGTERM and SIGINT. Raises `UsageProblem` for flags that contradict each other.
    """
    from agent.surfaces.setup import check_flags

    _check(flags)
    check_flags(flags)
    frame = None if flags.streams_input else _only_frame(flags)
    try:
        return asyncio.run(_Process(flags).run(frame))
    except OutputLostError as error:
        if str(error):
            print(f"expert-devops: {error}", file=sys.stderr)
        return 1


def _check(flags: Flags) -> None:
    if flags.output_format == "stream-json":
        if not flags.streams_input and not flags.verbose:
            raise UsageProblem("--output-format stream-json needs --verbose with -p.")
        return
    needing = {
        "--input-format stream-json": flags.streams_input,
        "--include-partial-messages": flags.partial,
        "--replay-user-messages": flags.replay,
    }
    for name, given in needing.items():
        if given:
            raise UsageProblem(f"{name} needs --output-format stream-json.")


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

    async def run(self, frame: Json | None) -> int:
        """`frame` is the only prompt; None reads frames from stdin."""
        loop = asyncio.get_running_loop()
        for number in _EXIT_CODES:
            loop.add_signal_handler(number, self._stop, number)
        if frame is None:
            deliver = lambda line: loop.call_soon_threadsafe(self._line, line)  # noqa: E731 - bound to this loop
            threading.Thread(target=read_lines, args=(0, deliver), daemon=True, name="stdin").start()
        else:
            self._queue(frame)
            self._ended()
        error = await self._serve()
        if frame is not None and self.session.exit_code is None:
            self.session.conclude(error)
        elif error is not None:
            raise error
        if self._signal is not None:
            return _EXIT_CODES[signal.Signals(self._signal)]
        return self.session.exit_code or 0

    async def _serve(self) -> Exception | None:
        """Answer until the input has ended. Gives the error that no turn took, a bug of ours."""
        try:
            try:
                while (frame := await self._next()) is not None:
                    await self.session.turn(frame)
                for task in list(self._requests.values()):
                    await asyncio.gather(task, return_exceptions=True)
            finally:
                await self.session.aclose()
        except OutputLostError:
            raise
        except Exception as error:  # noqa: BLE001 - a reader of the output waits for its result, whatever went wrong
            return error
        return None

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
        asyncio.get_running_loop().call_later(_LAST_SECONDS, self._give_up)

    def _give_up(self) -> None:
        """Something does not let itself be stopped: say how it ended and leave."""
        if self.session.busy or (not self._flags.streams_input and self.session.exit_code is None):
            with suppress(OutputLostError):
                self.session.conclude(None)
        os._exit(_EXIT_CODES[signal.Signals(self._signal or signal.SIGTERM)])

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
        except (ValueError, RecursionError):
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


def _only_frame(flags: Flags) -> Json:
    """The prompt of `-p` as a user frame: the argument, and what stdin holds. A session goes on without one, too."""
    from agent.surfaces.protocol.piped import piped
    from agent.surfaces.setup import check_flags

    check_flags(flags)  # before standard input is waited for
    goes_on = flags.resume is not None or flags.continue_last
    given = piped(awaited=not flags.prompt and not goes_on)
    text = "\n".join(part for part in (flags.prompt, given) if part and part.strip())
    if not text and not goes_on:
        raise UsageProblem("There is no prompt. Give it as an argument or on stdin: expert-devops -p 'check this'.")
    return {"type": "user", "message": {"role": "user", "content": text}}


def _own_stdout() -> int:
    """A descriptor of stdout for messages alone; whatever else prints goes to stderr and cannot break a line."""
    sys.stdout.flush()
    own = os.dup(1)
    os.set_inheritable(own, False)
    os.dup2(2, 1)
    return own
