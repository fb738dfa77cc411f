"""Progress of a run for people: a live line on a terminal, plain lines elsewhere. A reader of the event stream."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from agent.events import (
    CompactionStarted,
    Event,
    HistoryCompacted,
    ModelAnswered,
    ModelEvent,
    Notice,
    PermissionDecided,
    RetryScheduled,
    RunFinished,
    RunStarted,
    StepChanged,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from agent.telemetry.observers import logs_json
from agent.workflow.steps import load_steps
from tools.text import clean


class Progress(Protocol):
    """Shows events while a run goes on; used as a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, event: Event) -> None: ...


def describe(event: Event) -> str | None:
    """One line for an event worth a line of its own, or None. What a child agent does stands after its id."""
    line = _line(event)
    return line if line is None or event.agent_id is None else f"  [{event.agent_id}] {line.strip()}"


def _line(event: Event) -> str | None:
    match event:
        case RunStarted(agent_id=str()):
            return "\n".join([f"started with {event.model}", *(f"  note: {notice}" for notice in event.notices)])
        case RunFinished(agent_id=str()):
            return event.status
        case RunStarted():
            resumed = " (resumed)" if event.resumed else ""
            cage = {"none": ", no sandbox", "off": ", sandbox off", "bubblewrap": ", commands sandboxed"}
            first = (
                f"{event.agent} with {event.model}, session {event.session_id}{resumed}{cage.get(event.sandbox, '')}"
            )
            return "\n".join([first, *(f"  note: {notice}" for notice in event.notices)])
        case ToolStarted():
            return f"  {event.tool} {brief(event.input)}".rstrip()
        case ToolFinished() if event.block.get("is_error"):
            return f"  {event.tool}: {_first_line(event.block.get('content'))}"
        case StepChanged() if event.status != "claimed":
            step = load_steps()[event.step - 1]
            refused = " (refused)" if event.status == "open" else ""
            return f"step {event.step}/8 {step.title['en']}: {event.status}{refused}"
        case PermissionDecided() if event.behavior == "deny":
            return f"  denied: {event.tool}: {event.reason}"
        case RetryScheduled():
            return f"  retry {event.attempt}/{event.max_attempts} in {event.delay:.1f} s: {event.reason}"
        case CompactionStarted():
            return "  the conversation is being summarised"
        case HistoryCompacted():
            return f"  summarised: about {event.tokens_before:,} tokens became {event.tokens_after:,}"
        case Notice():
            return f"  {event.level}: {event.text}"
        case _:
            return None


class Plain:
    """Plain lines, for logs and pipes."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.flush()

    def show(self, event: Event) -> None:
        line = describe(event)
        if line is not None:
            print(clean(line), file=self._out, flush=True)


class Silent:
    """Nothing: another reader of the events writes to standard error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: Event) -> None:
        pass


class Live:
    """Lines above, and below them one status line that is redrawn: current tool, elapsed, tokens, cost."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.status import Status

        self._console = Console(stderr=True, highlight=False)
        self._status = Status("starting", console=self._console)
        self._started = time.monotonic()
        self._doing = "starting"
        self._tokens = 0
        self._cost: float | None = 0.0

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def show(self, event: Event) -> None:
        from rich.text import Text

        line = describe(event)
        if line is not None:
            style = "bold" if isinstance(event, StepChanged) else ""
            self._console.print(Text(clean(line), style=style))
        match event:
            case ToolStarted():
                self._doing = event.tool if event.agent_id is None else f"{event.agent_id}: {event.tool}"
            case ToolProgress():
                self._doing = f"{event.tool}: {event.line[:60]}"
            case ModelEvent():
                self._doing = "thinking"
            case ModelAnswered():
                self._tokens += sum(int(event.usage.get(name) or 0) for name in ("input_tokens", "output_tokens"))
                self._cost = None if event.cost_usd is None or self._cost is None else self._cost + event.cost_usd
            case _:
                pass
        cost = "cost unknown" if self._cost is None else f"{self._cost:.4f} USD"
        elapsed = time.monotonic() - self._started
        self._status.update(Text(clean(f"{self._doing} · {elapsed:.0f} s · {self._tokens:,} tokens · {cost}")))


def progress_for(stream: TextIO) -> Progress:
    """A live display when `stream` is a terminal, plain lines otherwise; nothing beside a log in JSON."""
    if logs_json(os.environ):
        return Silent()
    return Live() if stream.isatty() else Plain(stream)


def brief(data: Any) -> str:
    """The input field that says most, shortened."""
    for name in ("command", "file_path", "path", "kind", "pattern", "url", "subject", "step", "spec"):
        if data.get(name):
            text = str(data[name]).replace("\n", " ")
            return text if len(text) <= 90 else text[:87] + "..."
    return ""


def _first_line(content: Any) -> str:
    text = content if isinstance(content, str) else str((content or [{}])[0].get("text", ""))
    return text.strip().split("\n")[0][:200]
