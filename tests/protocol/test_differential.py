"""The same scripted model, settings and host for the reference CLI and ours: the same calls run, the same end.

Compared are what each call came to (ran, failed, denied), the files there are afterwards, which tools are booked as
denied, and how the result ends. Differences that are meant are listed in docs/sdk.md, each with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.testing import Turn, broken_call, call, http_error
from tests.protocol.lenient import LenientServer

pytestmark = pytest.mark.slow  # the reference CLI is downloaded first; two processes for each test


@dataclass(frozen=True)
class Seen:
    """What a run came to, as far as it must be the same. `fates`: `tool:ran`, `tool:failed` or `tool:denied`, sorted
    within an answer by the order of the calls.
    """

    fates: tuple[str, ...]
    files: tuple[str, ...]
    denials: tuple[str, ...]
    subtype: str
    is_error: bool
    terminal: str | None


@dataclass(frozen=True)
class Scenario:
    """One run. `turns` may use `@` for the project's directory. `differs` names members that are meant to differ."""

    turns: Sequence[Any]
    expected: Seen
    options: Mapping[str, Any] = field(default_factory=dict)
    permissions: Mapping[str, Any] = field(default_factory=dict)
    hooks: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    answer: Callable[[Any, dict[str, Any]], Any] | None = None
    differs: tuple[str, ...] = ()


def ends(
    *fates: str,
    files: Sequence[str] = (),
    denials: Sequence[str] = (),
    subtype: str = "success",
    is_error: bool = False,
    terminal: str | None = "completed",
) -> Seen:
    return Seen(fates, tuple(files), tuple(denials), subtype, is_error, terminal)


def write(name: str) -> dict[str, Any]:
    return call("Write", file_path=f"@/{name}", content="x")


def bash(command: str) -> dict[str, Any]:
    return call("Bash", command=command)


def says(**answer: Any) -> str:
    return f"printf %s '{json.dumps(answer)}'"


REWRITE = {"hookEventName": "PreToolUse", "permissionDecision": "allow", "updatedInput": {"command": "touch other"}}
STOP = {"continue": False, "stopReason": "enough"}
BASH = {"allowed_tools": ["Bash"]}

SCENARIOS: dict[str, Scenario] = {
    "text": Scenario(["Hello."], ends()),
    "allow rule": Scenario([[bash("touch made")], "Done."], ends("Bash:ran", files=["made"]), BASH),
    "read-only command": Scenario([[bash("ls")], "Done."], ends("Bash:ran")),
    "deny rule": Scenario(
        [[bash("touch made")], "Done."],
        ends("Bash:denied", denials=["Bash"]),
        BASH,
        permissions={"deny": ["Bash(touch *)"]},
    ),
    "ask rule, nobody there": Scenario(
        [[bash("touch made")], "Done."],
        ends("Bash:denied", denials=["Bash"]),
        BASH,
        permissions={"ask": ["Bash(touch *)"]},
    ),
    "a part of a command is not allowed": Scenario(
        [[bash("echo a && touch made")], "Done."],
        ends("Bash:denied", denials=["Bash"]),
        {"allowed_tools": ["Bash(echo *)"]},
    ),
    "asked, nobody there": Scenario([[write("made")], "Done."], ends("Write:denied", denials=["Write"])),
    "acceptEdits": Scenario(
        [[write("made")], "Done."], ends("Write:ran", files=["made"]), {"permission_mode": "acceptEdits"}
    ),
    "plan": Scenario([[write("made")], "Done."], ends("Write:denied", denials=["Write"]), {"permission_mode": "plan"}),
    "dontAsk": Scenario(
        [[bash("touch made")], "Done."], ends("Bash:denied", denials=["Bash"]), {"permission_mode": "dontAsk"}
    ),
    "turn limit": Scenario(
        [[bash("touch made")]],
        ends("Bash:ran", files=["made"], subtype="error_max_turns", is_error=True, terminal="max_turns"),
        {**BASH, "max_turns": 1},
    ),
    "hook denies": Scenario(
        [[bash("touch made")], "Done."],
        ends("Bash:denied", denials=["Bash"]),
        BASH,
        hooks={"PreToolUse": "echo no >&2; exit 2"},
    ),
    "hook rewrites": Scenario(
        [[bash("touch made")], "Done."],
        ends("Bash:ran", files=["other"]),
        hooks={"PreToolUse": says(hookSpecificOutput=REWRITE)},
    ),
    "hook stops before": Scenario(
        [[bash("touch made")]],
        ends("Bash:denied", denials=["Bash"], terminal="hook_stopped"),
        BASH,
        hooks={"PreToolUse": says(**STOP)},
        differs=("fates", "files", "denials"),
    ),
    "hook stops after": Scenario(
        [[bash("touch made")]],
        ends("Bash:ran", files=["made"], terminal="hook_stopped"),
        BASH,
        hooks={"PostToolUse": says(**STOP)},
    ),
    "batch is blocked": Scenario(
        [[bash("touch made")]],
        ends("Bash:ran", files=["made"], terminal="hook_stopped"),
        BASH,
        hooks={"PostToolBatch": "echo no >&2; exit 2"},
    ),
    "prompt is blocked": Scenario(
        [],
        ends(terminal="hook_stopped"),
        hooks={"UserPromptSubmit": "echo no >&2; exit 2"},
        differs=("terminal",),
    ),
    "hook keeps it from stopping": Scenario(
        ["Done.", "Really."],
        ends(files=["once"]),
        hooks={"Stop": "[ -e once ] && exit 0; touch once; echo more >&2; exit 2"},
    ),
    "tool fails": Scenario([[call("Read", file_path="@/absent")], "Done."], ends("Read:failed")),
    "command fails": Scenario([[bash("false")], "Done."], ends("Bash:failed"), BASH),
    "input is no JSON": Scenario([[broken_call("Bash", '{"command": "touch ma')], "Done."], ends("Bash:failed"), BASH),
    "a parameter is missing": Scenario([[call("Write", file_path="@/made")], "Done."], ends("Write:failed")),
    "a parameter is of another kind": Scenario(
        [[call("Bash", command=["touch", "made"])], "Done."], ends("Bash:failed")
    ),
    "unknown tool": Scenario([[call("Nothing", a=1)], "Done."], ends("Nothing:failed")),
    "disallowed tool": Scenario(
        [[bash("touch made")], "Done."], ends("Bash:failed"), {**BASH, "disallowed_tools": ["Bash"]}
    ),
    "parallel calls": Scenario(
        [[call("Read", file_path="@/a"), write("made"), call("Read", file_path="@/b")], "Done."],
        ends("Read:ran", "Write:denied", "Read:ran", files=["a", "b"], denials=["Write"]),
        files={"a": "1\n", "b": "2\n"},
    ),
    "host denies": Scenario(
        [[write("made")], "Done."],
        ends("Write:denied", denials=["Write"]),
        answer=lambda sdk, _: sdk.PermissionResultDeny(message="No."),
    ),
    "host rewrites": Scenario(
        [[write("made")], "Done."],
        ends("Write:ran", files=["other"]),
        answer=lambda sdk, given: sdk.PermissionResultAllow(
            updated_input={**given, "file_path": given["file_path"].replace("made", "other")}
        ),
    ),
    "wrong key": Scenario([http_error(401)], ends(is_error=True, terminal="api_error")),
    "cut at the limit, then whole": Scenario([Turn(["Half"], stop_reason="max_tokens"), "Whole."], ends()),
}


async def observe(sdk: Any, cli: Path, scenario: Scenario, place: Path) -> Seen:
    """Run the scenario with one program."""
    (project := place / "project").mkdir(parents=True)
    (home := place / "home").mkdir()
    for name, text in scenario.files.items():
        (project / name).write_text(text)
    hooks = {e: [{"hooks": [{"type": "command", "command": c}]}] for e, c in scenario.hooks.items()}
    turns = [_placed(turn, project) for turn in scenario.turns]
    with LenientServer(turns) as server:
        options = sdk.ClaudeAgentOptions(
            cli_path=cli,
            cwd=project,
            model="claude-sonnet-5-5",
            settings=json.dumps({"permissions": dict(scenario.permissions), "hooks": hooks}),
            setting_sources=[],
            env={
                "ANTHROPIC_BASE_URL": server.base_url,
                "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite",
                "HOME": str(home),
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "CLAUDE_CODE_MAX_RETRIES": "0",
                "DISABLE_AUTOUPDATER": "1",
            },
            **scenario.options,
        )
        if scenario.answer is not None:
            options.can_use_tool = _answering(sdk, scenario.answer)
        messages: list[Any] = []
        try:
            async with sdk.ClaudeSDKClient(options) as client:
                await client.query("Go.")
                async for message in client.receive_response():
                    messages.append(message)  # noqa: PERF401 - kept although the loop may end in an error
        except sdk.ResultError:
            pass
        server.script.assert_complete()
    return _seen(messages, project)


def _placed(turn: Any, project: Path) -> Any:
    if not isinstance(turn, list):
        return turn
    return json.loads(json.dumps(turn).replace("@/", f"{project}/"))


def _answering(sdk: Any, answer: Callable[[Any, dict[str, Any]], Any]) -> Any:
    async def permit(_tool: str, given: dict[str, Any], _context: Any) -> Any:
        return answer(sdk, given)

    return permit


def _seen(messages: list[Any], project: Path) -> Seen:
    blocks = [b for m in messages if isinstance(getattr(m, "content", None), list) for b in m.content]
    calls = [block for block in blocks if type(block).__name__ == "ToolUseBlock"]
    results = {block.tool_use_id: block for block in blocks if type(block).__name__ == "ToolResultBlock"}
    result = messages[-1]
    denied = {denial["tool_use_id"]: denial["tool_name"] for denial in result.permission_denials or []}
    told = {m.data["tool_use_id"] for m in messages if getattr(m, "subtype", "") == "permission_denied"}

    def fate(block: Any) -> str:
        if block.id in denied or block.id in told:
            return "denied"
        return "failed" if results[block.id].is_error else "ran"

    return Seen(
        fates=tuple(f"{block.name}:{fate(block)}" for block in calls),
        files=tuple(sorted(p.name for p in project.iterdir() if not p.name.startswith("."))),
        denials=tuple(denied.values()),
        subtype=result.subtype,
        is_error=result.is_error,
        terminal=result.terminal_reason,
    )


@pytest.mark.parametrize("name", SCENARIOS)
async def test_ours_does_what_the_reference_does(
    sdk: Any, reference_cli: Path, launcher: Path, tmp_path: Path, name: str
) -> None:
    scenario = SCENARIOS[name]
    ours = await observe(sdk, launcher, scenario, tmp_path / "ours")
    theirs = await observe(sdk, reference_cli, scenario, tmp_path / "theirs")
    assert ours == scenario.expected
    differing = {member for member in Seen.__dataclass_fields__ if getattr(ours, member) != getattr(theirs, member)}
    assert differing == set(scenario.differs), theirs


def test_the_meant_differences_are_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text(encoding="utf-8")
    meant = [name for name, scenario in SCENARIOS.items() if scenario.differs]
    assert meant
    assert [name for name in meant if f"| {name} |" not in page] == []
