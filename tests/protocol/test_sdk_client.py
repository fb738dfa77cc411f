"""`ClaudeSDKClient` against our command line: many turns, callbacks, in-process tools, and control in between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.testing import Fault, Turn, call

pytestmark = pytest.mark.slow  # the SDK is installed first; a process for each test


async def turn(client: Any, prompt: str) -> list[Any]:
    await client.query(prompt)
    return [message async for message in client.receive_response()]


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def results(messages: list[Any]) -> list[Any]:
    """Tool results as the host sees them, in order."""
    return [
        block
        for message in messages
        if type(message).__name__ == "UserMessage" and not isinstance(message.content, str)
        for block in message.content
    ]


async def test_a_conversation_of_several_turns(sdk: Any, served: Any, options: Any) -> None:
    server = served(["First.", "Second.", "Third."])
    async with sdk.ClaudeSDKClient(options(server)) as client:
        answers = [await turn(client, prompt) for prompt in ("One", "Two", "Three")]

    assert [messages[-1].result for messages in answers] == ["First.", "Second.", "Third."]
    assert [messages[0].subtype for messages in answers] == ["init"] * 3
    assert len({messages[-1].session_id for messages in answers}) == 1
    assert [messages[-1].num_turns for messages in answers] == [1, 1, 1]
    costs = [messages[-1].total_cost_usd for messages in answers]
    assert costs == sorted(costs)
    assert costs[0] > 0
    assert len(server.requests[2].body["messages"]) == 5


async def test_initialize_tells_what_there_is(sdk: Any, options: Any) -> None:
    reviewer = sdk.AgentDefinition(description="Reviews", prompt="You review. " * 1000)
    agents = {f"reviewer-{number}": reviewer for number in range(20)}
    async with sdk.ClaudeSDKClient(options(None, model="playbook", agents=agents)) as client:
        info = await client.get_server_info()
        init = (await turn(client, "Hello"))[0]
    names = {agent["name"] for agent in info["agents"]}
    assert {"expert-devops", "expert-backend", "reviewer-19"} <= names
    assert {model["value"] for model in info["models"]} >= {"opus", "playbook"}
    assert set(init.data["agents"]) == names


# --- permissions ---


def asking(*answers: Any) -> Any:
    """A permission callback that gives `answers` in order and keeps what it was asked."""
    left = list(answers)

    async def callback(tool: str, tool_input: dict[str, Any], context: Any) -> Any:
        callback.asked.append((tool, tool_input, context))  # type: ignore[attr-defined]  # kept on the function
        return left.pop(0)

    callback.asked = []  # type: ignore[attr-defined]  # as above
    return callback


async def test_a_callback_denies(sdk: Any, served: Any, options: Any, project: Path) -> None:
    server = served([[call("Bash", command="touch made-by-bash")], "I did not."])
    callback = asking(sdk.PermissionResultDeny(message="Not on a Friday."))
    async with sdk.ClaudeSDKClient(options(server, can_use_tool=callback)) as client:
        messages = await turn(client, "Touch it.")

    (name, tool_input, context), *_ = callback.asked
    assert (name, tool_input["command"]) == ("Bash", "touch made-by-bash")
    assert context.tool_use_id == "toolu_0001_0"
    assert context.suggestions[0].type == "addRules"
    assert not (project / "made-by-bash").exists()
    assert "Not on a Friday." in str(results(messages)[0].content)
    assert messages[-1].is_error is False


async def test_a_callback_allows_another_input(sdk: Any, served: Any, options: Any, project: Path) -> None:
    server = served([[call("Write", file_path=str(project / "a.txt"), content="a")], "Done."])
    other = {"file_path": str(project / "b.txt"), "content": "b"}
    callback = asking(sdk.PermissionResultAllow(updated_input=other))
    async with sdk.ClaudeSDKClient(options(server, can_use_tool=callback)) as client:
        await turn(client, "Write it.")
    assert not (project / "a.txt").exists()
    assert (project / "b.txt").read_text() == "b"


async def test_a_rule_that_denies_also_denies_a_changed_input(
    sdk: Any, served: Any, options: Any, project: Path
) -> None:
    server = served([[call("Write", file_path=str(project / "a.txt"), content="a")], "Denied."])
    callback = asking(sdk.PermissionResultAllow(updated_input={"file_path": str(project / "no.txt"), "content": "b"}))
    given = options(server, can_use_tool=callback, disallowed_tools=["Edit(no.txt)"])
    async with sdk.ClaudeSDKClient(given) as client:
        messages = await turn(client, "Write it.")
    assert names_in(project) == []
    assert results(messages)[0].is_error is True


async def test_what_is_granted_holds_for_later_turns(sdk: Any, served: Any, options: Any, project: Path) -> None:
    commands = [[call("Bash", command=f"touch {name}")] for name in ("one", "two")]
    server = served([commands[0], "Done.", commands[1], "Done."])
    update = sdk.PermissionUpdate(
        type="addRules",
        rules=[sdk.types.PermissionRuleValue(tool_name="Bash", rule_content="touch *")],
        behavior="allow",
        destination="session",
    )
    callback = asking(sdk.PermissionResultAllow(updated_permissions=[update]))
    async with sdk.ClaudeSDKClient(options(server, can_use_tool=callback)) as client:
        await turn(client, "Touch one.")
        await turn(client, "Touch two.")
    assert len(callback.asked) == 1
    assert (project / "two").exists()


async def test_a_denial_with_interrupt_ends_the_turn(sdk: Any, served: Any, options: Any) -> None:
    server = served([[call("Bash", command="touch x")], "Next."])
    callback = asking(sdk.PermissionResultDeny(message="Stop.", interrupt=True))
    async with sdk.ClaudeSDKClient(options(server, can_use_tool=callback)) as client:
        messages = await turn(client, "Touch it.")
        assert messages[-1].subtype == "error_during_execution"
        assert (await turn(client, "And now?"))[-1].result == "Next."


async def test_questions_go_through_the_same_door(sdk: Any, served: Any, options: Any) -> None:
    question = {
        "question": "Which platform?",
        "header": "Platform",
        "options": [{"label": "Railway"}, {"label": "Vercel"}],
    }
    server = served([[call("AskUserQuestion", questions=[question])], "Railway it is."])

    async def choose(tool: str, tool_input: dict[str, Any], context: Any) -> Any:
        assert tool == "AskUserQuestion"
        assert context.tool_use_id == "toolu_0001_0"
        assert [option["label"] for option in tool_input["questions"][0]["options"]] == ["Railway", "Vercel"]
        return sdk.PermissionResultAllow(updated_input={**tool_input, "answers": {"Which platform?": "Railway"}})

    async with sdk.ClaudeSDKClient(options(server, can_use_tool=choose)) as client:
        messages = await turn(client, "Deploy.")
    assert "Railway" in str(results(messages)[0].content)
    assert messages[-1].is_error is False


# --- children ---


@pytest.mark.parametrize("forward", [False, True])
async def test_a_child_agent_is_shown_as_a_task(
    sdk: Any, served: Any, options: Any, project: Path, forward: bool
) -> None:
    (project / "a.txt").write_text("a")
    delegate = call(
        "Delegate", to="expert-backend", subject="Look at the file", task="Read a.txt and say what it holds."
    )
    reading = ["I look.", call("Read", file_path=str(project / "a.txt"))]
    server = served([[delegate], reading, "It holds an a.", "The sibling says: an a."])
    async with sdk.ClaudeSDKClient(options(server, forward_subagent_text=forward)) as client:
        messages = await turn(client, "Ask the backend expert.")

    tasks = [m for m in messages if str(getattr(m, "subtype", "")).startswith("task_")]
    assert [m.subtype for m in tasks] == ["task_started", "task_progress", "task_notification"]
    assert {m.tool_use_id for m in tasks} == {"toolu_0001_0"}
    assert (tasks[0].description, tasks[-1].status) == ("Look at the file", "completed")
    inner = [m for m in messages if getattr(m, "parent_tool_use_id", None) == "toolu_0001_0"]
    blocks = [type(block).__name__ for message in inner for block in message.content]
    shown = ["TextBlock", "ToolUseBlock", "ToolResultBlock", "TextBlock"]
    assert blocks == (shown if forward else shown[1:3])
    assert messages[-1].result == "The sibling says: an a."
    assert messages[-1].num_turns == 2


@pytest.mark.parametrize("forward", [False, True])
async def test_an_agent_the_host_brings_is_started_with_the_usual_tool(
    sdk: Any, served: Any, options: Any, forward: bool
) -> None:
    greeter = sdk.AgentDefinition(description="Greets", prompt="Greet in one sentence.", model="inherit")
    task = call("Agent", description="a greeting", subagent_type="greeter", prompt="Say hi.", run_in_background=False)
    server = served([[task], "Hi there.", "DONE."])
    given = options(server, agents={"greeter": greeter}, allowed_tools=["Agent"], forward_subagent_text=forward)
    async with sdk.ClaudeSDKClient(given) as client:
        messages = await turn(client, "Let the greeter greet.")
    assert "Agent" in messages[0].data["tools"]
    assert "greeter: Greets" in str(server.requests[0].body["tools"])
    inner = [m for m in messages if getattr(m, "parent_tool_use_id", None) == "toolu_0001_0" and m.content]
    texts = [block.text for m in inner for block in m.content if type(block).__name__ == "TextBlock"]
    assert texts == (["Hi there."] if forward else [])
    assert "Hi there." in str(results(messages)[-1].content)
    assert messages[-1].result == "DONE."


# --- in-process MCP servers ---


def shop(sdk: Any, called: list[Any]) -> Any:
    async def price(args: dict[str, Any]) -> dict[str, Any]:
        called.append(args)
        return {"content": [{"type": "text", "text": f"{args['thing']} costs 3"}]}

    async def fail(args: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("the shop is closed")

    tools = [sdk.tool("price", "The price of a thing", {"thing": str})(price), sdk.tool("fail", "Fails", {})(fail)]
    return sdk.create_sdk_mcp_server("shop", tools=tools)


async def test_an_in_process_tool_is_called(sdk: Any, served: Any, options: Any) -> None:
    called: list[Any] = []
    server = served([[call("mcp__shop__price", thing="tea"), call("mcp__shop__fail")], "Three."])
    given = options(server, mcp_servers={"shop": shop(sdk, called)}, allowed_tools=["mcp__shop"])
    async with sdk.ClaudeSDKClient(given) as client:
        messages = await turn(client, "What is tea?")
        status = await client.get_mcp_status()

    assert called == [{"thing": "tea"}]
    price, fail = results(messages)
    assert "tea costs 3" in str(price.content)
    assert fail.is_error is True
    assert "the shop is closed" in str(fail.content)
    assert messages[0].data["mcp_servers"] == [{"name": "shop", "status": "connected"}]
    assert "mcp__shop__price" in messages[0].data["tools"]
    described = status["mcpServers"][0]
    assert (described["status"], [tool["name"] for tool in described["tools"]]) == ("connected", ["price", "fail"])


async def test_an_in_process_tool_needs_permission(sdk: Any, served: Any, options: Any) -> None:
    called: list[Any] = []
    server = served([[call("mcp__shop__price", thing="tea")], "I may not."])
    async with sdk.ClaudeSDKClient(options(server, mcp_servers={"shop": shop(sdk, called)})) as client:
        messages = await turn(client, "What is tea?")
    assert called == []
    assert messages[-1].permission_denials[0]["tool_name"] == "mcp__shop__price"


async def test_a_removed_in_process_tool_is_not_offered(sdk: Any, served: Any, options: Any) -> None:
    server = served(["Fine."])
    given = options(server, mcp_servers={"shop": shop(sdk, [])}, disallowed_tools=["mcp__shop__fail"])
    async with sdk.ClaudeSDKClient(given) as client:
        init = (await turn(client, "Hello"))[0]
    assert [name for name in init.data["tools"] if name.startswith("mcp__shop")] == ["mcp__shop__price"]


async def test_a_server_that_is_switched_off_is_not_called(sdk: Any, served: Any, options: Any) -> None:
    called: list[Any] = []
    calls = [[call("mcp__shop__price", thing=thing)] for thing in ("tea", "milk")]
    server = served(["Hi.", calls[0], "Off.", calls[1], "On."])
    given = options(server, mcp_servers={"shop": shop(sdk, called)}, allowed_tools=["mcp__shop"])
    async with sdk.ClaudeSDKClient(given) as client:
        await turn(client, "Hello")
        await client.toggle_mcp_server("shop", enabled=False)
        assert results(await turn(client, "Tea?"))[0].is_error is True
        await client.reconnect_mcp_server("shop")
        await turn(client, "Again?")
    assert called == [{"thing": "milk"}]


# --- hooks ---


async def test_a_hook_denies_a_call(sdk: Any, served: Any, options: Any, project: Path) -> None:
    seen: list[Any] = []

    async def guard(hook_input: Any, tool_use_id: Any, context: Any) -> Any:
        seen.append((hook_input, tool_use_id))
        decision = {"permissionDecision": "deny", "permissionDecisionReason": "No touching."}
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **decision}}

    server = served([[call("Bash", command="touch x")], "I may not."])
    hooks = {"PreToolUse": [sdk.HookMatcher(matcher="Bash", hooks=[guard])]}
    async with sdk.ClaudeSDKClient(options(server, hooks=hooks, allowed_tools=["Bash"])) as client:
        messages = await turn(client, "Touch it.")
    assert seen[0][0]["tool_input"] == {"command": "touch x"}
    assert seen[0][1] == "toolu_0001_0"
    assert not (project / "x").exists()
    assert "No touching." in str(results(messages)[0].content)


async def test_a_hook_adds_context_after_a_call(sdk: Any, served: Any, options: Any) -> None:
    async def inform(hook_input: Any, tool_use_id: Any, context: Any) -> Any:
        assert hook_input["tool_response"]["stdout"].strip() == "hi"
        return {"hookSpecificOutput": {"hookEventName": "PostToolUse", "additionalContext": "The moon is full."}}

    server = served([[call("Bash", command="echo hi")], "Noted."])
    hooks = {"PostToolUse": [sdk.HookMatcher(matcher="Bash", hooks=[inform])]}
    async with sdk.ClaudeSDKClient(options(server, hooks=hooks, allowed_tools=["Bash"])) as client:
        await turn(client, "Say hi.")
    assert "The moon is full." in str(server.requests[1].body["messages"])


# --- control in between ---


async def test_the_mode_is_changed(sdk: Any, served: Any, options: Any, project: Path) -> None:
    writes = [[call("Write", file_path=str(project / name), content="x")] for name in ("a.txt", "b.txt", "c.txt")]
    server = served([writes[0], "Denied.", writes[1], "Written.", writes[2], "Denied."])
    async with sdk.ClaudeSDKClient(options(server)) as client:
        await turn(client, "Write.")
        await client.set_permission_mode("acceptEdits")
        second = await turn(client, "Write.")
        await client.set_permission_mode("default")
        await turn(client, "Write.")
        with pytest.raises(Exception, match="locked"):
            await client.set_permission_mode("bypassPermissions")
    assert names_in(project) == ["b.txt"]
    assert second[0].data["permissionMode"] == "acceptEdits"


async def test_the_model_is_changed(sdk: Any, served: Any, options: Any) -> None:
    server = served(["One.", "Two.", "Three."])
    async with sdk.ClaudeSDKClient(options(server)) as client:
        await turn(client, "Hello")
        await client.set_model("claude-haiku-5-5")
        second = await turn(client, "Hello")
        await client.set_model(None)
        third = await turn(client, "Hello")
    models = [request.body["model"] for request in server.requests]
    assert models == ["claude-sonnet-5-5", "claude-haiku-5-5", "claude-sonnet-5-5"]
    assert second[0].data["model"] == "claude-haiku-5-5"
    assert set(third[-1].model_usage) == {"claude-sonnet-5-5", "claude-haiku-5-5"}


async def test_a_turn_is_interrupted_and_the_next_one_works(sdk: Any, served: Any, options: Any) -> None:
    server = served([Turn(["Slow " * 50], fault=Fault(stall_after=600)), "Fast."])
    async with sdk.ClaudeSDKClient(options(server, include_partial_messages=True)) as client:
        await client.query("Talk.")
        messages = []
        async for message in client.receive_response():
            messages.append(message)
            if type(message).__name__ == "StreamEvent" and len(messages) == 3:
                await client.interrupt()
        assert server.client_left.wait(10)
        assert messages[-1].subtype == "error_during_execution"
        assert (await turn(client, "And now?"))[-1].result == "Fast."


async def test_an_interrupt_right_after_a_query(sdk: Any, served: Any, options: Any) -> None:
    server = served(lambda _body: Turn(["Slow"], fault=Fault(stall_after=400)), check=False)
    async with sdk.ClaudeSDKClient(options(server)) as client:
        await client.query("Talk.")
        await client.interrupt()
        messages = [message async for message in client.receive_response()]
    assert [type(m).__name__ for m in messages].count("ResultMessage") == 1


async def test_an_interrupt_stops_a_running_tool(sdk: Any, served: Any, options: Any) -> None:
    server = served([[call("Bash", command="sleep 600")], "Fine."])
    async with sdk.ClaudeSDKClient(options(server, allowed_tools=["Bash"])) as client:
        await client.query("Sleep.")
        messages = []
        async for message in client.receive_response():
            messages.append(message)
            if type(message).__name__ == "AssistantMessage":
                await asyncio.sleep(0.3)
                await client.interrupt()
        assert messages[-1].is_error is True
        assert (await turn(client, "And now?"))[-1].result == "Fine."


async def test_the_context_is_accounted_for(sdk: Any, served: Any, options: Any) -> None:
    server = served([Turn(["Hi."], usage={"input_tokens": 50_000, "output_tokens": 1000})])
    async with sdk.ClaudeSDKClient(options(server)) as client:
        await turn(client, "Hello")
        usage = await client.get_context_usage()
    assert usage["totalTokens"] >= 51_000
    assert sum(category["tokens"] for category in usage["categories"]) == usage["totalTokens"]
    assert usage["maxTokens"] == 1_000_000
    assert 5 < usage["percentage"] < 10


async def test_a_child_is_stopped_alone(sdk: Any, options: Any, served: Any) -> None:
    child = sdk.AgentDefinition(description="Sleeps.", prompt="Sleep.", tools=["Bash"])
    turns = [
        [call("Agent", description="Sleep", prompt="Sleep.", subagent_type="sleeper")],
        [call("Bash", command="sleep 100")],
        "Then without it.",
    ]
    given = options(served(turns), agents={"sleeper": child}, allowed_tools=["Agent", "Bash(sleep *)"])
    seen = []
    async with sdk.ClaudeSDKClient(given) as client:
        await client.query("Go")
        async for message in client.receive_response():
            seen.append(message)
            blocks = getattr(message, "content", None)
            if isinstance(blocks, list) and any(getattr(block, "name", "") == "Bash" for block in blocks):
                (started,) = [m for m in seen if type(m).__name__ == "TaskStartedMessage"]
                await client.stop_task(started.task_id)
    (ended,) = [m for m in seen if type(m).__name__ == "TaskNotificationMessage"]
    assert (ended.status, ended.task_id) == ("stopped", started.task_id)
    assert (seen[-1].subtype, seen[-1].result) == ("success", "Then without it.")


async def test_what_is_not_supported_is_said(sdk: Any, options: Any) -> None:
    async with sdk.ClaudeSDKClient(options(None, model="playbook")) as client:
        with pytest.raises(Exception, match="no running task"):
            await client.stop_task("nothing")
        with pytest.raises(Exception, match="no MCP server"):
            await client.reconnect_mcp_server("nothing")
