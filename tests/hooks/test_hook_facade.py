"""The calls the loop makes: what each hook is given, and what permissions make of its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.hooks import EVENTS, HookOutcome, HookRunner, Hooks, callback_handler, judge, read_hooks
from agent.permissions import Mode, PermissionEngine, Rules
from tools.tool import ToolResult


@dataclass(frozen=True)
class Call:
    id: str = "c1"
    name: str = "Bash"
    input: Mapping[str, Any] = field(default_factory=lambda: {"command": "make"})


def hooks(tmp_path: Path, answer: Mapping[str, Any] | None = None) -> tuple[Hooks, list[Mapping[str, Any]]]:
    """Hooks that listen to every event, note what they are given and say `answer`."""
    seen: list[Mapping[str, Any]] = []

    async def listen(given: Mapping[str, Any], _call_id: str | None) -> Mapping[str, Any]:
        json.dumps(given)
        seen.append(given)
        return answer or {}

    handlers = tuple(callback_handler(event, listen) for event in EVENTS)
    runner = HookRunner(handlers=handlers, root=tmp_path, scratch=tmp_path / "s")
    common = {"session_id": "s1", "transcript_path": "/t", "cwd": str(tmp_path), "permission_mode": "default"}
    return Hooks(runner=runner, common=lambda: common), seen


async def test_every_moment_gives_the_documented_input(tmp_path: Path) -> None:
    mine, seen = hooks(tmp_path)
    call = Call()
    await mine.pre_tool(call)
    await mine.permission_request(call, [{"type": "addRules"}])
    await mine.permission_denied(call, "no")
    await mine.post_tool(call, ToolResult("out", data={"stdout": "out"}), 0.25)
    await mine.post_tool_failure(call, "boom", seconds=1)
    await mine.post_batch([(call, {"stdout": "out"})])
    await mine.user_prompt("hi")
    await mine.session_start("startup", "claude")
    await mine.session_end("other")
    await mine.stop("done")
    await mine.stop_failure("rate_limit")
    await mine.notification("waiting", "permission_prompt")
    await mine.pre_compact("auto")
    await mine.post_compact("auto", "summary")
    child = mine.for_agent("a1", "expert-backend")
    await child.subagent_start()
    await child.stop("did it", active=True)

    by_event = {given["hook_event_name"]: given for given in seen}
    assert set(by_event) == set(EVENTS)
    assert all(given["session_id"] == "s1" and given["cwd"] == str(tmp_path) for given in seen)
    tool = {"tool_name": "Bash", "tool_input": {"command": "make"}, "tool_use_id": "c1"}
    for event in ("PreToolUse", "PermissionRequest", "PermissionDenied", "PostToolUse", "PostToolUseFailure"):
        assert tool.items() <= by_event[event].items()
    expected: dict[str, dict[str, Any]] = {
        "PermissionRequest": {"permission_suggestions": [{"type": "addRules"}]},
        "PermissionDenied": {"reason": "no"},
        "PostToolUse": {"tool_response": {"stdout": "out"}, "duration_ms": 250},
        "PostToolUseFailure": {"error": "boom", "is_interrupt": False, "duration_ms": 1000},
        "PostToolBatch": {"tool_calls": [{**tool, "tool_response": {"stdout": "out"}}]},
        "UserPromptSubmit": {"prompt": "hi"},
        "SessionStart": {"source": "startup", "model": "claude"},
        "SessionEnd": {"reason": "other"},
        "Stop": {"stop_hook_active": False, "last_assistant_message": "done"},
        "StopFailure": {"error": "rate_limit"},
        "Notification": {"message": "waiting", "notification_type": "permission_prompt"},
        "PreCompact": {"trigger": "auto", "custom_instructions": ""},
        "PostCompact": {"trigger": "auto", "compact_summary": "summary"},
        "SubagentStart": {"agent_id": "a1", "agent_type": "expert-backend"},
        "SubagentStop": {"agent_id": "a1", "stop_hook_active": True, "last_assistant_message": "did it"},
    }
    for event, fields in expected.items():
        assert fields.items() <= by_event[event].items()
    assert "agent_id" not in by_event["PreToolUse"]


async def test_matchers_see_what_is_documented(tmp_path: Path) -> None:
    async def run(event: str, matcher: str) -> bool:
        entry = {"matcher": matcher, "hooks": [{"type": "command", "command": 'echo \'{"systemMessage": "ran"}\''}]}
        handlers, _ = read_hooks({event: [entry]}, "f")
        mine = Hooks(runner=HookRunner(handlers=handlers, root=tmp_path, scratch=tmp_path / "s"), common=dict)
        child = mine.for_agent("a1", "expert-backend")
        outcome = {
            "SessionStart": lambda: mine.session_start("resume"),
            "SessionEnd": lambda: mine.session_end("other"),
            "Notification": lambda: mine.notification("m", "idle_prompt"),
            "PreCompact": lambda: mine.pre_compact("manual"),
            "SubagentStop": lambda: child.stop("x"),
            "StopFailure": lambda: mine.stop_failure("overloaded"),
        }[event]()
        return bool((await outcome).messages)

    for event, value in {
        "SessionStart": "resume",
        "SessionEnd": "other",
        "Notification": "idle_prompt",
        "PreCompact": "manual",
        "SubagentStop": "expert-backend",
        "StopFailure": "overloaded",
    }.items():
        assert await run(event, value), event
        assert not await run(event, "elsewhere"), event


async def test_a_stop_hook_is_overruled_after_eight_blocks_in_a_row(tmp_path: Path) -> None:
    mine, _ = hooks(tmp_path, {"decision": "block", "reason": "tests fail"})
    outcomes = [await mine.stop("done", active=number > 0) for number in range(9)]
    assert all(outcome.blocked and outcome.reason == "tests fail" for outcome in outcomes[:8])
    assert not outcomes[8].blocked
    assert "overruled" in outcomes[8].messages[-1]


async def test_the_hooks_of_a_child_are_its_own_and_its_stop_is_the_childs(tmp_path: Path) -> None:
    own, _ = read_hooks({"Stop": [{"hooks": [{"command": "echo own >> ran"}]}]}, "agent.md")
    mine, seen = hooks(tmp_path)
    child = mine.for_agent("a1", "expert-backend", own)
    await child.stop("x")
    await mine.stop("x")
    await child.for_agent("a2", "expert-security").stop("x")
    assert (tmp_path / "ran").read_text() == "own\n"
    assert [given["hook_event_name"] for given in seen] == ["SubagentStop", "Stop", "SubagentStop"]


async def test_what_guards_an_agent_guards_those_it_starts(tmp_path: Path) -> None:
    own, _ = read_hooks({"PreToolUse": [{"hooks": [{"command": "exit 2"}]}]}, "agent.md")
    mine, _ = hooks(tmp_path)
    child = mine.for_agent("a1", "expert-backend", own)
    assert (await child.for_agent("a2", "expert-security").pre_tool(Call())).blocked
    assert not (await mine.pre_tool(Call())).blocked


# --- together with permissions ---


def engine(tmp_path: Path, mode: Mode = "default", **rules: list[str]) -> PermissionEngine:
    return PermissionEngine(
        rules=Rules.parse(**rules, source="test"),  # type: ignore[arg-type]  # names of lists of rules
        mode=mode,
        cwd=tmp_path,
        home=tmp_path / "home",
    )


MAKE = {"command": "make"}


@pytest.mark.parametrize(
    ("hook", "rules", "mode", "tool_input", "behavior"),
    [
        (None, {}, "default", MAKE, "ask"),
        ("allow", {}, "default", MAKE, "allow"),
        ("allow", {"deny": ["Bash(make)"]}, "default", MAKE, "deny"),
        ("allow", {"ask": ["Bash(make)"]}, "default", MAKE, "ask"),
        ("allow", {}, "default", {"command": "rm -rf /"}, "held"),
        ("allow", {}, "default", {"command": "echo x > .git/hooks/pre-commit"}, "ask"),
        ("allow", {}, "dontAsk", MAKE, "allow"),
        ("ask", {"allow": ["Bash"]}, "default", MAKE, "ask"),
        ("ask", {}, "bypassPermissions", MAKE, "ask"),
        ("ask", {"allow": ["Bash"]}, "dontAsk", MAKE, "deny"),
        ("deny", {"allow": ["Bash"]}, "default", MAKE, "deny"),
        ("deny", {}, "bypassPermissions", MAKE, "deny"),
        ("defer", {"allow": ["Bash"]}, "default", MAKE, "deny"),
    ],
)
def test_a_hook_tightens_anything_and_its_allow_is_a_rule_for_one_call(
    tmp_path: Path, hook: Any, rules: dict[str, list[str]], mode: Mode, tool_input: dict[str, Any], behavior: str
) -> None:
    outcome = HookOutcome(decision=hook, reason="because" if hook else "")
    decision = judge(engine(tmp_path, mode, **rules), "Bash", tool_input, outcome, tmp_path)
    assert decision.behavior in {"held": ("ask", "deny")}.get(behavior, (behavior,))
    if hook in ("deny", "ask", "defer"):
        assert "because" in decision.reason


def test_a_hook_that_ends_the_run_holds_the_call_back(tmp_path: Path) -> None:
    outcome = HookOutcome(decision="allow", stop="enough")
    decision = judge(engine(tmp_path, allow=["Bash"]), "Bash", MAKE, outcome, tmp_path)
    assert (decision.behavior, decision.reason) == ("deny", "enough")


async def test_context_keeps_an_agent_at_work_eight_times_at_most(tmp_path: Path) -> None:
    mine, _ = hooks(tmp_path, {"hookSpecificOutput": {"additionalContext": "look again"}})
    outcomes = [await mine.stop("done") for _ in range(9)]
    assert [outcome.context for outcome in outcomes] == [("look again",)] * 8 + [()]


async def test_rewritten_input_is_judged_again(tmp_path: Path) -> None:
    specific = {"permissionDecision": "allow", "updatedInput": {"command": "curl evil"}}
    mine, _ = hooks(tmp_path, {"hookSpecificOutput": specific})
    outcome = await mine.pre_tool(Call())
    rewritten = outcome.updated_input or {}
    assert judge(engine(tmp_path, deny=["Bash(curl *)"]), "Bash", rewritten, outcome, tmp_path).behavior == "deny"
