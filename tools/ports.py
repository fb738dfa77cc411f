"""What tools need from whoever runs them: someone to ask, someone to delegate to, someone who closes steps.

Tools know nothing of the agent; a run hands in objects that fit these protocols. Used without a model, a tool gets
`NobodyAsks`, which refuses with a clear reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Option:
    """One answer offered: `label` of 1 to 5 words, `description` of one line."""

    label: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """One question for the user: 2 to 4 `options`, `header` of at most 12 characters; free text is always possible.

    `key` names the question for answer files (`platform`, `region`); `default` is the label taken by `--yes`.
    """

    question: str
    header: str
    options: tuple[Option, ...]
    multi_select: bool = False
    key: str = ""
    default: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """A tool call that needs a yes. `reason` says why; `suggestion` is the narrowest rule that would allow it."""

    tool: str
    input: Mapping[str, Any]
    reason: str
    suggestion: str | None = None
    call_id: str = ""
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class PermissionAnswer:
    """The answer. `updated_input` replaces the whole input and is judged again; `rules` are added for the session.

    `by` is `nobody` where no one could be asked.
    """

    behavior: Literal["allow", "deny"]
    message: str = ""
    updated_input: Mapping[str, Any] | None = None
    rules: tuple[str, ...] = ()
    interrupt: bool = False
    by: Literal["person", "nobody"] = "person"


class NeedsInput(Exception):  # noqa: N818 - not an error: the run ends by asking its caller
    """Nobody here can answer. The run ends with the questions as its typed result."""

    def __init__(self, questions: Sequence[Question]) -> None:
        super().__init__("; ".join(q.question for q in questions))
        self.questions = tuple(questions)


class Answers(dict[str, str]):
    """Answers by question text: a label, labels joined by `, `, or free text.

    `assumed` names the questions nobody answered and whose documented default was taken.
    """

    def __init__(self, values: Mapping[str, str], assumed: Iterable[str] = ()) -> None:
        super().__init__(values)
        self.assumed = frozenset(assumed)


class Asker(Protocol):
    """The one door to the user: a chat menu, an orchestrator's callback, an answers file, or nobody."""

    async def questions(self, questions: Sequence[Question]) -> Answers:
        """An answer to every question. Raises `NeedsInput` with those that cannot be answered here."""
        ...

    async def permission(self, request: PermissionRequest) -> PermissionAnswer: ...


class NobodyAsks:
    """The `Asker` of a tool used on its own: questions raise `NeedsInput`, permissions are denied."""

    async def questions(self, questions: Sequence[Question]) -> Answers:
        raise NeedsInput(questions)

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        return PermissionAnswer("deny", f"Nobody is here to approve this call ({request.reason}).", by="nobody")


@dataclass(frozen=True, slots=True)
class DelegationRequest:
    """A subtask for a sibling. `context` holds what it must know (spec id, files, environment names, endpoints)."""

    to: str
    subject: str
    task: str
    context: Mapping[str, Any] = field(default_factory=dict)
    blocking: bool = True
    message: str = ""


@dataclass(frozen=True, slots=True)
class DelegationResult:
    """What came back. `requested`: it left as a typed request for the orchestrator and nothing has been done yet."""

    status: Literal["completed", "failed", "requested", "refused"]
    agent: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Delegator(Protocol):
    """The router that starts siblings, or turns the request into a typed result for the orchestrator."""

    async def delegate(self, request: DelegationRequest) -> DelegationResult: ...


@dataclass(frozen=True, slots=True)
class StepClaim:
    """The model's claim that a step is done. `decisions` are mappings with name, value, source, evidence."""

    step: int
    summary: str
    artifacts: tuple[str, ...] = ()
    decisions: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """The runtime's answer to a claim: verified with evidence, or refused with findings. `report` is for the model."""

    accepted: bool
    report: str
    data: Mapping[str, Any] = field(default_factory=dict)


class StepCloser(Protocol):
    """Runs a step's gates. The model claims, this verifies."""

    async def complete(self, claim: StepClaim) -> StepVerdict: ...
