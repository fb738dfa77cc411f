"""`claude_agent_sdk.query` against our command line: texts, tools, prompts, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.testing import Fault, Turn, call, http_error, thinking

pytestmark = pytest.mark.slow  # the SDK is installed first; a process for each test
MODEL = "claude-sonnet-5-5"  # of the `options` fixture


async def ask(sdk: Any, prompt: Any, options: Any) -> list[Any]:
    return [message async for message in sdk.query(prompt=prompt, options=options)]


async def failing(sdk: Any, prompt: str, options: Any) -> tuple[list[Any], Any]:
    """What came before the error that the SDK raises for an error result, and the error."""
    messages: list[Any] = []
    try:
        async for message in sdk.query(prompt=prompt, options=options):
            messages.append(message)  # noqa: PERF401 - kept although the loop ends in an error
    except sdk.ResultError as error:
        return messages, error
    raise AssertionError(f"no error after {messages}")


def of(messages: list[Any], name: str) -> list[Any]:
    return [message for message in messages if type(message).__name__ == name]


def texts(messages: list[Any]) -> list[str]:
    blocks = [block for message in of(messages, "AssistantMessage") for block in message.content]
    return [block.text for block in blocks if type(block).__name__ == "TextBlock"]


async def test_a_text_with_its_usage_and_cost(sdk: Any, served: Any, options: Any) -> None:
    server = served([Turn(["Two."], usage={"input_tokens": 1000, "output_tokens": 100})])
    lines: list[str] = []
    messages = await ask(sdk, "One and one?", options(server, stderr=lines.append))

    assert type(messages[0]).__name__ == "SystemMessage"
    assert messages[0].subtype == "init"
    assert messages[0].data["model"] == MODEL
    assert messages[0].data["apiKeySource"] == "ANTHROPIC_API_KEY"
    assert texts(messages) == ["Two."]
    result = messages[-1]
    assert (result.subtype, result.is_error, result.result, result.num_turns) == ("success", False, "Two.", 1)
    assert result.usage["output_tokens"] == 100
    assert result.total_cost_usd == pytest.approx(0.003)
    assert result.session_id == messages[0].data["session_id"]
    assert lines == []


async def test_tools_run_and_their_results_are_structured(sdk: Any, served: Any, options: Any, project: Path) -> None:
    (project / "SPEC.md").write_text("deploy to Railway\n")
    server = served([[thinking("look"), call("Read", file_path=str(project / "SPEC.md"))], "Railway."])
    messages = await ask(sdk, "Where to?", options(server))

    assistant, user = of(messages, "AssistantMessage")[0], of(messages, "UserMessage")[0]
    assert [type(block).__name__ for block in assistant.content] == ["ThinkingBlock", "ToolUseBlock"]
    assert assistant.message_id == "msg_0001"
    assert user.content[0].tool_use_id == assistant.content[1].id
    assert "Railway" in str(user.content[0].content)
    assert messages[-1].num_turns == 2
    assert messages[-1].usage["output_tokens"] > 0


async def test_nothing_is_permitted_that_nobody_allowed(sdk: Any, served: Any, options: Any, project: Path) -> None:
    server = served([[call("Write", file_path=str(project / "new.txt"), content="x")], "Not allowed."])
    messages = await ask(sdk, "Write it.", options(server))

    denied = [m for m in of(messages, "SystemMessage") if m.subtype == "permission_denied"]
    assert [m.data["tool_name"] for m in denied] == ["Write"]
    assert not (project / "new.txt").exists()
    assert messages[-1].permission_denials[0]["tool_name"] == "Write"
    assert messages[-1].is_error is False


async def test_allowed_tools_and_modes_permit(sdk: Any, served: Any, options: Any, project: Path) -> None:
    write, other = (call("Write", file_path=str(project / name), content="x") for name in ("a.txt", "b.txt"))
    server = served([[write], "Done."])
    await ask(sdk, "Write it.", options(server, permission_mode="acceptEdits"))
    assert (project / "a.txt").read_text() == "x"

    server = served([[other], "Done."])
    await ask(sdk, "Write it.", options(server, allowed_tools=["Write", "Bash(npm test:*)"]))
    assert (project / "b.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"tools": []}, []),
        ({"tools": ["Read", "Bash"]}, ["Bash", "Read"]),
        ({"tools": ["Read", "Bash"], "disallowed_tools": ["Bash", "Write(/etc/**)"]}, ["Read"]),
    ],
)
async def test_tool_lists(sdk: Any, served: Any, options: Any, given: dict[str, Any], expected: list[str]) -> None:
    server = served(["Fine."])
    messages = await ask(sdk, "What have you got?", options(server, **given))
    assert messages[0].data["tools"] == expected
    assert [tool["name"] for tool in server.requests[0].body.get("tools", [])] == expected


async def test_the_default_tools_are_all_built_in_ones(sdk: Any, served: Any, options: Any) -> None:
    server = served(["Fine."])
    preset = {"type": "preset", "preset": "claude_code"}
    messages = await ask(sdk, "What have you got?", options(server, tools=preset))
    assert {"Read", "Write", "NotebookEdit", "TaskStop"} <= set(messages[0].data["tools"])


@pytest.mark.parametrize(
    ("given", "contains", "lacks"),
    [
        (None, "DevOps Expert", "pirate"),
        ("You are a pirate.", "You are a pirate.", "DevOps Expert"),
        ("-a leading dash, as in a list", "-a leading dash, as in a list", "DevOps Expert"),
        ({"type": "preset", "preset": "claude_code", "append": "Be brief, pirate."}, "Be brief, pirate.", None),
    ],
)
async def test_system_prompts(
    sdk: Any, served: Any, options: Any, given: Any, contains: str, lacks: str | None
) -> None:
    server = served(["Fine."])
    await ask(sdk, "Who are you?", options(server, system_prompt=given))
    system = str(server.requests[0].body["system"])
    assert contains in system
    assert lacks is None or lacks not in system


async def test_a_system_prompt_from_a_file(sdk: Any, served: Any, options: Any, tmp_path: Path) -> None:
    (tmp_path / "prompt.md").write_text("You are a pirate.")
    server = served(["Fine."])
    await ask(sdk, "?", options(server, system_prompt={"type": "file", "path": str(tmp_path / "prompt.md")}))
    assert "You are a pirate." in str(server.requests[0].body["system"])


async def test_the_turn_limit_is_an_error_result(sdk: Any, served: Any, options: Any, project: Path) -> None:
    (project / "a.txt").write_text("a")
    server = served([[call("Read", file_path=str(project / "a.txt"))]])
    messages, error = await failing(sdk, "Go on.", options(server, max_turns=1))
    assert "1 turns" in str(error)
    assert (messages[-1].subtype, messages[-1].is_error, messages[-1].num_turns) == ("error_max_turns", True, 1)


async def test_the_money_limit_is_an_error_result(sdk: Any, served: Any, options: Any, project: Path) -> None:
    (project / "a.txt").write_text("a")
    turn = Turn([call("Read", file_path=str(project / "a.txt"))], usage={"input_tokens": 900_000})
    server = served([turn])
    with pytest.raises(sdk.ResultError) as caught:
        await ask(sdk, "Go on.", options(server, max_budget_usd=0.5))
    assert caught.value.subtype == "error_max_budget_usd"


async def test_an_unknown_model_is_told_as_an_api_error(sdk: Any, served: Any, options: Any) -> None:
    server = served([http_error(404, "model: no-such-model")])
    messages, error = await failing(sdk, "Hello", options(server, model="no-such-model"))
    assert "no-such-model" in str(error)
    result = messages[-1]
    assert (result.subtype, result.is_error, result.api_error_status) == ("success", True, 404)
    assert of(messages, "AssistantMessage")[-1].error == "model_not_found"


async def test_overload_and_a_dropped_stream_are_survived(sdk: Any, served: Any, options: Any) -> None:
    server = served([http_error(529), Turn(["Never whole, never whole."], fault=Fault(cut_after=700)), "Whole."])
    messages = await ask(sdk, "Hello", options(server, include_partial_messages=True))

    retries = [m.data for m in of(messages, "SystemMessage") if m.subtype == "api_retry"]
    assert [(r["attempt"], r["error"], r["error_status"]) for r in retries] == [
        (1, "overloaded", 529),
        (2, "server_error", None),
    ]
    assert all(r["retry_delay_ms"] > 0 for r in retries)
    assert texts(messages) == ["Whole."]
    assert messages[-1].result == "Whole."


async def test_partial_messages_are_the_stream_itself(sdk: Any, served: Any, options: Any) -> None:
    script = [[thinking("hm"), "A text that takes several pieces to stream."]]
    server = served(script)
    messages = await ask(sdk, "Hello", options(server, include_partial_messages=True))

    events = [message.event for message in of(messages, "StreamEvent")]
    kinds = [event["type"] for event in events]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert {"content_block_start", "content_block_delta", "content_block_stop", "message_delta"} <= set(kinds)
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == script[0][1]
    assert type(messages[0]).__name__ == "SystemMessage"
    assert all(message.session_id and message.uuid for message in of(messages, "StreamEvent"))

    server = served(script)
    assert of(await ask(sdk, "Hello", options(server)), "StreamEvent") == []


@pytest.mark.parametrize("size", [5_000_000])
async def test_a_huge_tool_output_stays_within_a_line(
    sdk: Any, served: Any, options: Any, project: Path, size: int
) -> None:
    (project / "big.log").write_text("".join(f"line {number:08}\n" for number in range(size // 14)))
    server = served([[call("Bash", command="cat big.log")], [call("Read", file_path=str(project / "big.log"))], "Big."])
    messages = await ask(sdk, "Show it.", options(server, allowed_tools=["Bash"]))
    assert len(of(messages, "UserMessage")) == 2
    assert messages[-1].result == "Big."


async def test_a_session_is_continued_by_its_id(sdk: Any, served: Any, options: Any) -> None:
    server = served(["My name is Kim.", "Kim.", "Still Kim."])
    first = (await ask(sdk, "Who are you?", options(server)))[-1]
    second = (await ask(sdk, "Your name?", options(server, resume=first.session_id)))[-1]
    third = (await ask(sdk, "Again?", options(server, continue_conversation=True)))[-1]

    assert second.session_id == first.session_id
    assert second.num_turns == 1
    assert [m["role"] for m in server.requests[1].body["messages"]] == ["user", "assistant", "user"]
    assert third.session_id == first.session_id


async def test_resuming_what_does_not_exist_is_told(sdk: Any, options: Any) -> None:
    with pytest.raises(sdk.ResultError, match="no session"):
        await ask(sdk, "Go on", options(None, model="playbook", resume="00000000-0000-4000-8000-000000000000"))


async def test_a_prompt_may_be_a_stream_of_frames(sdk: Any, served: Any, options: Any) -> None:
    async def prompts() -> Any:
        for text in ("One", "Two"):
            content = [{"type": "text", "text": text}]
            yield {"type": "user", "message": {"role": "user", "content": content}, "origin": {"kind": text}}

    server = served(["First.", "Second."])
    messages = await ask(sdk, prompts(), options(server))
    assert [message.result for message in of(messages, "ResultMessage")] == ["First.", "Second."]
    assert len({message.session_id for message in of(messages, "ResultMessage")}) == 1


async def test_the_playbook_answers_without_a_key(sdk: Any, options: Any) -> None:
    messages = await ask(sdk, "Hello, what can you do?", options(None, model=None))
    assert messages[0].data["model"] == "playbook"
    assert messages[-1].total_cost_usd == 0
    assert "playbook" in messages[-1].result


async def test_a_session_takes_the_id_it_is_given(sdk: Any, served: Any, options: Any) -> None:
    wanted = "6f1c0f6e-52a4-4b3f-9f5c-0d8a64c8f0a1"
    messages = await ask(sdk, "Hello", options(served(["Hi."]), session_id=wanted))
    assert messages[-1].session_id == wanted


async def test_output_format_gives_a_structured_result(sdk: Any, options: Any, served: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    server = served([call("Glob", pattern="*.py"), call("StructuredOutput", n=0)])
    given = options(server, output_format={"type": "json_schema", "schema": schema})
    messages = [message async for message in sdk.query(prompt="How many Python files?", options=given)]
    assert messages[-1].structured_output == {"n": 0}
    assert messages[-1].is_error is False


async def test_settings_deny_what_the_host_allows(sdk: Any, served: Any, options: Any, project: Path) -> None:
    server = served([[call("Bash", command="touch made")], "Denied."])
    settings = '{"permissions": {"deny": ["Bash(touch *)"]}}'
    messages = await ask(sdk, "Touch it.", options(server, settings=settings, allowed_tools=["Bash"]))
    assert [denial["tool_name"] for denial in messages[-1].permission_denials] == ["Bash"]
    assert list(project.iterdir()) == []  # noqa: ASYNC240 - a glance


async def test_skills_are_named_and_limited(sdk: Any, served: Any, options: Any) -> None:
    server = served(["Fine.", "Fine."])
    everything = await ask(sdk, "Hello", options(server))
    await ask(sdk, "Hello", options(server, skills=[]))
    assert everything[0].data["skills"]
    with_all, with_none = (str(request.body["system"]) for request in server.requests)
    assert len(with_none) < len(with_all)


async def test_what_a_child_spends_is_its_own_and_part_of_the_sum(sdk: Any, served: Any, options: Any) -> None:
    task = call("Delegate", to="expert-backend", subject="Look", task="Look around.")
    usages = [{"input_tokens": tokens, "output_tokens": 1} for tokens in (100, 10, 1)]
    turns = [Turn([task], usage=usages[0]), Turn(["Nothing."], usage=usages[1]), Turn(["Done."], usage=usages[2])]
    result = (await ask(sdk, "Go.", options(served(turns))))[-1]
    assert result.usage["output_tokens"] == 2  # of the outermost agent alone
    assert result.model_usage[MODEL]["outputTokens"] == 3
    assert result.model_usage[MODEL]["costUSD"] == pytest.approx(result.total_cost_usd)


async def test_an_unknown_price_is_null(sdk: Any, served: Any, options: Any) -> None:
    result = (await ask(sdk, "Go.", options(served(["Done."]), model="a-model-of-our-own")))[-1]
    assert result.total_cost_usd is None
    assert result.model_usage["a-model-of-our-own"]["costUSD"] is None
