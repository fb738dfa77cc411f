"""How a run ends: exactly one of six outcomes, each with what was done so far.

    Completed     the work is done and, in a workflow, every step is verified
    NeedsInput    somebody must answer first; `questions` is what to ask
    Refused       permissions or the model declined
    Failed        an error, or gates that did not pass; `kind` tells which
    Interrupted   the user or a signal stopped it
    OutOfBudget   a limit on turns, tokens, money, time or disk was reached

Every outcome may carry `delegations`: typed requests that an orchestrator carries out before it continues the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias

from tools.plain import to_json
from tools.ports import DelegationRequest, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money. `cost_usd` is None when a price is unknown: unknown is not zero."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        unknown = self.cost_usd is None or other.cost_usd is None
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cost_usd=None if unknown else (self.cost_usd or 0.0) + (other.cost_usd or 0.0),
        )

    @property
    def total_tokens(self) -> int:
        """All tokens of all requests, cached ones included."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A tool call that permissions or a person refused."""

    tool: str
    call_id: str
    input: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What all six outcomes share. `text` is the agent's last words; `seconds` is wall time of this run.

    `structured_output` is the answer in the shape that was asked for; a run that owes one never completes without it.
    """

    status: ClassVar[str]
    exit_code: ClassVar[int]

    session_id: str
    text: str = ""
    turns: int = 0
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    usage_by_model: Mapping[str, Usage] = field(default_factory=dict)
    usage_by_agent: Mapping[str, Mapping[str, Usage]] = field(default_factory=dict)
    denials: tuple[Denial, ...] = ()
    delegations: tuple[DelegationRequest, ...] = ()
    stop_reason: str | None = None
    report: Mapping[str, Any] | None = None
    structured_output: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(Outcome):
    status: ClassVar[str] = "completed"
    exit_code: ClassVar[int] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsInput(Outcome):
    """`questions` are typed; answer them and continue the session."""

    status: ClassVar[str] = "needs_input"
    exit_code: ClassVar[int] = 3
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Outcome):
    """`by` is who refused: a hook does with `continue: false`, or by blocking the prompt.

    `category` is the model's own word for it, where it gave one.
    """

    status: ClassVar[str] = "refused"
    exit_code: ClassVar[int] = 6
    by: Literal["permissions", "model", "hook"]
    reason: str
    category: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Outcome):
    """`kind` is a `ModelError` kind, `gate` (a step's gates did not pass), `structured_output` (no
    answer fitted the schema), `incomplete`, or `internal`.
    """

    status: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = 1
    kind: str
    reason: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(Outcome):
    status: ClassVar[str] = "interrupted"
    exit_code: ClassVar[int] = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfBudget(Outcome):
    """`limit` is the name of the limit that was reached (`turns`, `tokens`, `cost_usd`, `seconds`, `disk`)."""

    status: ClassVar[str] = "out_of_budget"
    exit_code: ClassVar[int] = 5
    limit: str
    reason: str


Result: TypeAlias = Completed | NeedsInput | Refused | Failed | Interrupted | OutOfBudget


def failed(result: Result, kind: str, reason: str) -> Failed:
    """The same run seen as failed."""
    shared = {item.name: getattr(result, item.name) for item in fields(Outcome)}
    return Failed(**shared, kind=kind, reason=reason)


def exit_code(result: Result) -> int:
    """The process exit code for a result; a failed gate has its own (4)."""
    if isinstance(result, Failed) and result.kind == "gate":
        return 4
    return result.exit_code


def result_json(result: Outcome) -> dict[str, Any]:
    """A result as JSON-ready data, with its `status`."""
    data = to_json(result)
    assert isinstance(data, dict)  # noqa: S101 - a dataclass becomes a mapping
    return {"status": result.status, **data}
