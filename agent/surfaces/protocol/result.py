"""How a turn ends: the one `result` message, and the synthetic answer that stands for a failed request.

Field meanings: the stream-JSON contract, with `status`, `questions` and `delegations` of our own beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from agent.models.catalog import facts
from agent.models.port import ERROR_NAMES
from agent.result import Completed, Failed, Interrupted, NeedsInput, OutOfBudget, Refused, Result, Usage
from agent.surfaces.protocol.wire import Json
from tools.plain import to_json

_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(slots=True)
class TurnTotals:
    """What one turn of the outermost agent used."""

    turns: int = 0
    api_seconds: float = 0.0
    usage: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))

    def add(self, usage: Mapping[str, Any]) -> None:
        for name in _COUNTS:
            self.usage[name] += usage.get(name) or 0


def result_message(result: Result, totals: TurnTotals, echo: Mapping[str, Any]) -> Json:
    """The `result` without `uuid`. `echo` holds what of the user's frame comes back with it."""
    subtype, is_error, reason = _verdict(result)
    message: Json = {
        "type": "result",
        "subtype": subtype,
        "is_error": is_error,
        "duration_ms": round(result.seconds * 1000),
        "duration_api_ms": round(totals.api_seconds * 1000),
        "num_turns": totals.turns,
        "session_id": result.session_id,
        "stop_reason": result.stop_reason,
        "terminal_reason": reason,
        "total_cost_usd": result.usage.cost_usd,
        "usage": dict(totals.usage),
        "modelUsage": {model: _model_usage(model, usage) for model, usage in result.usage_by_model.items()},
        "usageByAgent": {
            agent: {model: _model_usage(model, usage) for model, usage in models.items()}
            for agent, models in result.usage_by_agent.items()
        },
        "permission_denials": [
            {"tool_name": denial.tool, "tool_use_id": denial.call_id, "tool_input": to_json(denial.input)}
            for denial in result.denials
        ],
        "status": result.status,
        **echo,
    }
    if subtype == "success":
        message["result"] = _said(result)
    else:
        message["errors"] = [explain(result)]
    if result.structured_output is not None:
        message["structured_output"] = result.structured_output
    if isinstance(result, Failed) and result.http_status is not None:
        message["api_error_status"] = result.http_status
    if isinstance(result, NeedsInput):
        message["questions"] = to_json(result.questions)
    if result.delegations:
        message["delegations"] = to_json(result.delegations)
    return message


def _said(result: Result) -> str:
    match result:
        case Failed():
            return api_error_text(result)
        case Refused():
            return f"{result.text}\n\nA hook stopped the run: {result.reason}".lstrip()
        case _:
            return result.text


def api_error(result: Result) -> str | None:
    """The contract's name for the failed request that ended the turn; None when it ended otherwise."""
    if not isinstance(result, Failed):
        return None
    return ERROR_NAMES.get(result.kind) or ("unknown" if result.http_status is not None else None)


def api_error_text(result: Failed) -> str:
    return f"API Error: {result.reason}"


def synthetic_answer(text: str, error: str) -> Json:
    """The assistant message that stands for a failed request. `error` is the contract's name for it."""
    message = {
        "id": f"msg_{uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": "<synthetic>",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "stop_sequence",
        "usage": dict.fromkeys(_COUNTS, 0),
    }
    return {"type": "assistant", "message": message, "parent_tool_use_id": None, "error": error}


def explain(result: Result) -> str:
    """Why it did not complete, in a sentence."""
    match result:
        case Failed(reason=reason) | Refused(reason=reason) | OutOfBudget(reason=reason):
            return reason
        case NeedsInput(questions=questions):
            return "Answers are needed: " + " ".join(question.question for question in questions)
        case Interrupted():
            return "Interrupted."
        case Completed():
            return ""


def _verdict(result: Result) -> tuple[str, bool, str | None]:
    """Subtype, is_error and terminal reason. A failed request is `success` with `is_error`, as the contract has it."""
    match result:
        case Completed():
            return "success", False, "completed"
        case OutOfBudget(limit="turns"):
            return "error_max_turns", True, "max_turns"
        case OutOfBudget(limit="cost_usd"):
            return "error_max_budget_usd", True, "budget_exhausted"
        case OutOfBudget():
            return "error_during_execution", True, "budget_exhausted"
        case Interrupted():
            return "error_during_execution", True, "aborted_tools"
        case Failed(kind="context_too_long"):
            return "success", True, "prompt_too_long"
        case Failed() if api_error(result):
            return "success", True, "api_error"
        case Refused(by="hook"):  # what a host's own hook wants is no error to it
            return "success", False, "hook_stopped"
        case Failed(kind="structured_output"):
            return "error_max_structured_output_retries", True, "structured_output_retry_exhausted"
        case Refused(by="model"):
            return "error_during_execution", True, "model_error"
        case Failed():  # none of the contract's reasons says so
            return "error_during_execution", True, None
        case _:
            return "error_during_execution", True, "completed"


def _model_usage(model: str, usage: Usage) -> Json:
    known = facts(model)
    return {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheCreationInputTokens": usage.cache_write_tokens,
        "webSearchRequests": 0,
        "costUSD": usage.cost_usd,
        "contextWindow": known.window if known else 0,
        "maxOutputTokens": known.max_output if known else 0,
    }
