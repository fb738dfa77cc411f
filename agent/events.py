"""What a run emits. One stream of typed events; chat, headless output, journal and reports are readers of it.

`to_json` and `from_json` are exact inverses, so a journal line is an event. Events marked *transient* are shown live
and not journaled.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal
from uuid import uuid4

from tools.plain import to_json as plain

Json = dict[str, Any]
_REGISTRY: dict[str, type[Event]] = {}


def new_uuid() -> str:
    """An id for a message, by which hosts and transcripts name it."""
    return str(uuid4())


UNKNOWN_OUTCOME = (
    "The process stopped while this call was running, so its outcome is unknown. It was not repeated. "
    "Look at the current state (read the file, query the service) before you decide whether to do it again."
)
"""The result of a call that may have had effects when the process died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`agent_id` is None for the outermost agent; `parent_call_id` is the tool call that started a child."""

    type: ClassVar[str]
    transient: ClassVar[bool] = False

    agent_id: str | None = None
    parent_call_id: str | None = None
    time: float = field(default_factory=time.time)

    def __init_subclass__(cls) -> None:
        super(Event, cls).__init_subclass__()
        if "type" in cls.__dict__:
            _REGISTRY[cls.type] = cls


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """First event of a run. `prefix` (`system`, `tools`) stays byte-identical for the whole conversation.

    `workflow` holds the options of an eight-step run, so that a resumed one needs none. `sandbox` says what will
    confine commands: `bubblewrap`, tried out before the first one, `none` where it is not installed, `off`, empty
    without a shell.
    """

    type: ClassVar[str] = "run_started"
    session_id: str
    model: str
    agent: str
    cwd: str
    tools: Sequence[str]
    mode: str
    prefix: Mapping[str, Any]
    workflow: Mapping[str, Any] | None = None
    resumed: bool = False
    notices: Sequence[str] = ()
    sandbox: Literal["bubblewrap", "none", "off", ""] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAdded(Event):
    """A message entered the history, exactly as it will be sent from now on."""

    type: ClassVar[str] = "message_added"
    message: Json
    uuid: str = field(default_factory=new_uuid)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionStarted(Event):
    """The history is being summarised (transient)."""

    type: ClassVar[str] = "compaction_started"
    transient: ClassVar[bool] = True
    trigger: Literal["auto", "manual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryCompacted(Event):
    """The history up to here gave way to one message, which holds its summary. Token counts may be estimates."""

    type: ClassVar[str] = "history_compacted"
    message: Json
    trigger: Literal["auto", "manual"]
    tokens_before: int
    tokens_after: int
    seconds: float
    uuid: str = field(default_factory=new_uuid)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRewound(Event):
    """The history ends with its first `kept` messages again; what came after them is left out from here on."""

    type: ClassVar[str] = "history_rewound"
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    type: ClassVar[str] = "turn_started"
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvent(Event):
    """One raw stream event of the model (transient)."""

    type: ClassVar[str] = "model_event"
    transient: ClassVar[bool] = True
    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(Event):
    """A request failed and will be sent again after `delay` seconds. `discarded`: partial output was thrown away."""

    type: ClassVar[str] = "retry_scheduled"
    attempt: int
    max_attempts: int
    delay: float
    kind: str
    status: int | None
    reason: str
    discarded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswered(Event):
    """A complete answer, with its usage and cost (None: price unknown)."""

    type: ClassVar[str] = "model_answered"
    model: str
    usage: Mapping[str, Any]
    cost_usd: float | None
    stop_reason: str | None
    seconds: float
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionDecided(Event):
    """How a call was judged. `decision` is what the engine said, `behavior` what came of it, `by` who settled it:
    `rule`, `hook`, `person`, `nobody` (no one to ask). `part` is the piece of the call that needed a rule, `source`
    where `rule` stands, `input_digest` the SHA-256 of the input (see `digest_of`).
    """

    type: ClassVar[str] = "permission_decided"
    call_id: str
    tool: str
    behavior: Literal["allow", "deny"]
    by: str
    reason: str
    rule: str | None = None
    command_class: str | None = None
    decision: str | None = None
    mode: str | None = None
    part: str | None = None
    source: str | None = None
    input_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(Event):
    """The intent, recorded before the effect."""

    type: ClassVar[str] = "tool_started"
    call_id: str
    tool: str
    input: Mapping[str, Any]
    effects: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolProgress(Event):
    """A line from a running tool (transient)."""

    type: ClassVar[str] = "tool_progress"
    transient: ClassVar[bool] = True
    call_id: str
    tool: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(Event):
    """The outcome, recorded after the effect; `block` is the tool_result the model reads."""

    type: ClassVar[str] = "tool_finished"
    call_id: str
    tool: str
    block: Json
    data: Mapping[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionsAnswered(Event):
    type: ClassVar[str] = "questions_answered"
    answers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationsAnswered(Event):
    """An orchestrator came back with these requests, each with its `status`; the next message has their results."""

    type: ClassVar[str] = "delegations_answered"
    requests: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChanged(Event):
    """A workflow step moved between `open`, `claimed` and `verified`. `record` is the step's whole record."""

    type: ClassVar[str] = "step_changed"
    step: int
    status: Literal["open", "claimed", "verified"]
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something a person should see that changes nothing."""

    type: ClassVar[str] = "notice"
    level: Literal["info", "warning"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRan(Event):
    """One hook began (`outcome` is `started`) or ended (transient). `hook` is what it was run for: `PreToolUse:Bash`.

    `kind` is what it is: a command, an http address, or a callback whose code lives in the host.
    """

    type: ClassVar[str] = "hook_ran"
    transient: ClassVar[bool] = True
    id: str
    event: str
    hook: str
    name: str
    where: str
    kind: Literal["command", "http", "callback"]
    outcome: Literal["started", "success", "error", "cancelled"]
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """Last event of a run: `status` and the whole result as JSON."""

    type: ClassVar[str] = "run_finished"
    status: str
    result: Mapping[str, Any]


def to_json(event: Event) -> Json:
    """The event as JSON-ready data, `type` first, empty defaults left out."""
    data: Json = {"type": event.type}
    for item in fields(event):
        value = getattr(event, item.name)
        if value is not None:
            data[item.name] = plain(value)
    return data


def from_json(data: Mapping[str, Any]) -> Event | None:
    """The event of a journal line; None for a type this version does not know. Unknown keys are dropped."""
    cls = _REGISTRY.get(str(data.get("type")))
    if cls is None:
        return None
    known = {item.name for item in fields(cls)}
    return cls(**{key: value for key, value in data.items() if key in known})
