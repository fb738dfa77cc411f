"""Hook configuration and hook output of any shape: read, or named, never a crash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.hooks import EVENTS, read_hooks
from agent.hooks.command import Raw
from agent.hooks.config import Handler
from agent.hooks.matching import condition_holds, fits
from agent.hooks.output import BadOutput, judge_output, read_output

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
ENTRY_KEYS = st.sampled_from(
    [
        "type",
        "command",
        "args",
        "url",
        "headers",
        "allowedEnvVars",
        "timeout",
        "if",
        "async",
        "once",
        "onFailure",
        "shell",
    ]
)
ENTRIES = st.dictionaries(ENTRY_KEYS, JSON | st.sampled_from(["command", "http", "block", "Bash(rm *)"]), max_size=6)
GROUPS = st.fixed_dictionaries(
    {}, optional={"matcher": JSON | st.sampled_from(["Bash", "(a+)+$"]), "hooks": JSON | st.lists(ENTRIES, max_size=3)}
)
FILES = st.dictionaries(st.sampled_from([*EVENTS, "Nonsense"]), JSON | st.lists(GROUPS | JSON, max_size=3), max_size=3)


@pytest.mark.slow
@given(FILES)
def test_any_configuration_is_read_or_named(events: dict[str, Any]) -> None:
    handlers, remarks = read_hooks(events, "f")
    assert all(handler.command.strip() or handler.url.strip() for handler in handlers)
    assert all(remark.text("en").isprintable() and remark.text("ko") for remark in remarks)
    written = sum(
        len(group["hooks"])
        for groups in events.values()
        if isinstance(groups, list)
        for group in groups
        if isinstance(group, dict) and isinstance(group.get("hooks"), list)
    )
    assert len(handlers) + len(remarks) >= written or "Nonsense" in events


@pytest.mark.parametrize(
    ("events", "named"),
    [
        ({"Stop": {}}, "hooks.Stop"),
        ({"Stop": ["x"]}, "hooks.Stop.0"),
        ({"Stop": [{"hooks": {}}]}, "hooks.Stop.0"),
        ({"Stop": [{"hooks": ["x"]}]}, "hooks.Stop.0.hooks.0"),
        ({"Stop": [{"hooks": [{"type": "prompt", "prompt": "ok?"}]}]}, "'prompt' are not supported"),
        ({"Stop": [{"hooks": [{"type": "agent"}]}]}, "'agent' are not supported"),
        ({"Stop": [{"hooks": [{"type": "mcp_tool"}]}]}, "'mcp_tool' are not supported"),
        ({"Stop": [{"hooks": [{"command": " "}]}]}, "command"),
        ({"Stop": [{"hooks": [{"type": "http", "url": 5}]}]}, "url"),
        ({"Stop": [{"hooks": [{"command": "x", "timeout": "10"}]}]}, "timeout"),
        ({"Stop": [{"hooks": [{"command": "x", "timeout": 0}]}]}, "timeout"),
        ({"Stop": [{"hooks": [{"command": "x", "args": "a b"}]}]}, "args"),
        ({"Stop": [{"matcher": 5, "hooks": [{"command": "x"}]}]}, "matcher"),
        ({"FileChanged": [{"hooks": [{"command": "x"}]}]}, "never fired"),
    ],
)
def test_what_cannot_be_used_is_named(events: dict[str, Any], named: str) -> None:
    _, remarks = read_hooks(events, "settings.json")
    assert named in str(remarks[0])
    assert str(remarks[0]).startswith("settings.json: ")


OUTPUT_KEYS = st.sampled_from(["continue", "stopReason", "decision", "reason", "systemMessage", "hookSpecificOutput"])
SPECIFIC = st.dictionaries(
    st.sampled_from(["hookEventName", "permissionDecision", "updatedInput", "additionalContext", "decision", "x"]),
    JSON | st.sampled_from(["allow", "deny", "PreToolUse"]),
)


@pytest.mark.slow
@given(st.sampled_from(sorted(EVENTS)), st.dictionaries(OUTPUT_KEYS, JSON | SPECIFIC))
def test_any_json_output_is_understood_or_bad(event: str, given_output: dict[str, Any]) -> None:
    try:
        verdict = read_output(event, given_output)
    except BadOutput:
        return
    assert verdict.decision in (None, "allow", "ask", "defer", "deny")
    assert verdict.updated_input is None or isinstance(verdict.updated_input, dict)


@given(
    event=st.sampled_from(sorted(EVENTS)),
    stdout=st.text(max_size=40) | st.text(max_size=20).map("{".__add__),
    stderr=st.text(max_size=20),
    code=st.sampled_from([None, 0, 1, 2, 127, -9]),
    failure=st.sampled_from(["", "it took longer than 1 s"]),
    must_work=st.booleans(),
)
def test_exit_code_2_and_required_failures_block_wherever_that_is_possible(
    event: str, stdout: str, stderr: str, code: int | None, failure: str, must_work: bool
) -> None:
    handler = Handler(event=event, where="f", command="x", must_work=must_work)
    verdict = judge_output(handler, Raw(stdout, stderr, code, failure))
    kind = EVENTS[event]
    if (kind.blocks or kind.tells) and ((code == 2 and not failure) or (must_work and failure)):
        assert verdict.decision == "deny"
        assert verdict.reason
    if failure and not must_work:
        assert verdict.decision is None


@settings(deadline=None)
@given(matcher=st.text(max_size=30), value=st.text(max_size=30))
def test_any_matcher_can_be_asked(matcher: str, value: str) -> None:
    assert fits(matcher, value) in (True, False)


@settings(deadline=None, max_examples=50)
@given(rule=st.text(max_size=20), tool=st.sampled_from(["Bash", "Edit", "X"]), command=st.text(max_size=20))
def test_any_condition_can_be_asked(rule: str, tool: str, command: str) -> None:
    assert condition_holds(rule, tool, {"command": command}, Path("/"), Path("/root")) in (True, False)
