"""Without a command: a chat on a terminal, or one prompt with `-p` (text or JSON), as Claude Code's users know it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from agent.api import Agent
from agent.askers import Headless
from agent.budget import Limits
from agent.events import RunStarted
from agent.result import Completed, Failed, Interrupted, NeedsInput, OutOfBudget, Refused, Result, Usage
from agent.surfaces.configured import answers_of, configured_agent
from agent.surfaces.errors import UsageProblem
from agent.surfaces.run import interrupt_on_signals, summary
from tools.text import clean

_MOST_STDIN = 10 * 1024 * 1024


def configure_prompt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "text", nargs="?", metavar="PROMPT", help="what to do; read from stdin when it is not a terminal"
    )
    parser.add_argument("-p", "--print", action="store_true", help="answer once and exit")
    parser.add_argument("-C", "--directory", default=".", metavar="DIR", help="where to work (default: here)")
    parser.add_argument("--model", default="auto", help="auto, playbook, or a model id")
    parser.add_argument("--output-format", choices=("text", "json"), default="text")
    parser.add_argument("--permission-mode", metavar="MODE", help="default, acceptEdits, plan, dontAsk, ...")
    parser.add_argument("--trust", action="store_true", help="trust this folder's own hooks, rules, agents and servers")
    parser.add_argument("--max-turns", type=int, default=200, metavar="N")
    parser.add_argument("--max-budget-usd", type=float, metavar="USD")
    parser.add_argument("--answers", metavar="FILE", help="YAML or JSON file with answers to questions")
    parser.add_argument("-r", "--resume", metavar="SESSION", help="continue a session")


def prompt(args: argparse.Namespace) -> int:
    text = args.text
    if not args.print and sys.stdin.isatty() and sys.stdout.isatty():
        from agent.surfaces.chat import chat

        return chat(args)
    if text is None and not sys.stdin.isatty():
        text = sys.stdin.read(_MOST_STDIN)
    if not text and not args.resume:
        raise UsageProblem("There is no prompt. Give it as an argument or on stdin: expert-devops -p 'check this'.")
    agent = configured_agent(
        args.directory,
        model=args.model,
        mode=args.permission_mode,
        limits=Limits(turns=args.max_turns, cost_usd=args.max_budget_usd),
        asker=Headless(answers_of(args.answers)),
        trust=args.trust,
    )
    result = asyncio.run(_answer(agent, text or "", args.resume))
    if args.output_format == "json":
        print(json.dumps(result_object(result), ensure_ascii=False))
    else:
        if result.text:
            print(result.text)
        if note := summary(result):
            print(note, file=sys.stderr)
    return 0 if isinstance(result, Completed) else 1


async def _answer(agent: Agent, text: str, resume: str | None) -> Result:
    going = agent.start(text, resume=resume)
    interrupt_on_signals(going)
    async for event in going:
        if isinstance(event, RunStarted):
            for notice in event.notices:
                print(clean(notice), file=sys.stderr)
    return going.result


def result_object(result: Result) -> dict[str, Any]:
    """The result as Claude Code's `result` object: seven required keys and what else is known."""
    subtype, is_error, reason = _verdict(result)
    data: dict[str, Any] = {
        "type": "result",
        "subtype": subtype,
        "is_error": is_error,
        "duration_ms": round(result.seconds * 1000),
        "duration_api_ms": round(result.seconds * 1000),
        "num_turns": result.turns,
        "session_id": result.session_id,
        "stop_reason": result.stop_reason,
        "terminal_reason": reason,
        "total_cost_usd": result.usage.cost_usd,
        "usage": _usage(result.usage),
        "modelUsage": {model: _model_usage(usage) for model, usage in result.usage_by_model.items()},
        "permission_denials": [
            {"tool_name": d.tool, "tool_use_id": d.call_id, "tool_input": dict(d.input)} for d in result.denials
        ],
    }
    if subtype == "success":
        data["result"] = result.text if not is_error else summary(result) or result.text
    else:
        data["errors"] = [summary(result)]
    return data


def _verdict(result: Result) -> tuple[str, bool, str]:
    """Subtype, is_error and terminal reason. An API failure is `success` with `is_error`, as the protocol has it."""
    match result:
        case Completed():
            return "success", False, "completed"
        case OutOfBudget(limit="turns"):
            return "error_max_turns", True, "max_turns"
        case OutOfBudget():
            return "error_max_budget_usd", True, "budget_exhausted"
        case Interrupted():
            return "error_during_execution", True, "aborted_tools"
        case Failed(http_status=int()) | Failed(kind="connection" | "timeout" | "stream_cut"):
            return "success", True, "api_error"
        case Failed() | NeedsInput() | Refused():
            return "error_during_execution", True, "model_error" if isinstance(result, Refused) else "completed"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
    }


def _model_usage(usage: Usage) -> dict[str, Any]:
    return {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheCreationInputTokens": usage.cache_write_tokens,
        "costUSD": usage.cost_usd,
    }
