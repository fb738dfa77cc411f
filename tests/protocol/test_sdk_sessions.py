"""Sessions as Claude's own Python SDK sees them: it lists and reads what we wrote, resumes, copies and cuts by it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from agent.testing import FakeMessagesServer, call
from tests.session.foreign import PARALLEL, SESSION, write

pytestmark = pytest.mark.slow  # the SDK is installed first; a process for each test


async def asked(sdk: Any, prompt: str, options: Any) -> list[Any]:
    return [message async for message in sdk.query(prompt=prompt, options=options)]


async def test_the_sdk_lists_and_reads_our_sessions(sdk: Any, served: Any, options: Any, project: Path) -> None:
    (project / "a.txt").write_text("the text\n")
    reads = [call("Read", file_path=str(project / "a.txt")), call("Glob", pattern="*.txt")]
    messages = await asked(sdk, "What does it say?", options(served([reads, "The text."])))
    session = messages[-1].session_id
    (info,) = sdk.list_sessions(directory=str(project))
    assert (info.session_id, info.summary, info.cwd) == (session, "What does it say?", str(project))
    assert sdk.get_session_info(session).first_prompt == "What does it say?"
    read = sdk.get_session_messages(session, directory=str(project))
    assert [message.type for message in read] == ["user", "assistant", "user", "user", "assistant"]
    assert read[0].message["content"] == "What does it say?"
    assert "the text" in str(read[2].message)
    seen = [message.uuid for message in messages if type(message).__name__ == "AssistantMessage"]
    assert seen == [message.uuid for message in read if message.type == "assistant"]


async def test_the_sdk_reads_child_agents(sdk: Any, served: Any, options: Any, project: Path) -> None:
    reviewer = sdk.AgentDefinition(description="Reviews", prompt="You review.", tools=["Read"])
    start = call("Agent", subagent_type="reviewer", description="Look", prompt="Look at it.")
    server = served([[start], "It is fine.", "Reviewed."])
    given = options(server, agents={"reviewer": reviewer}, allowed_tools=["Agent"], tools=["Agent", "Read"])
    messages = await asked(sdk, "Review.", given)
    session = messages[-1].session_id
    (child,) = sdk.list_subagents(session, directory=str(project))
    read = sdk.get_subagent_messages(session, child, directory=str(project))
    assert [message.type for message in read] == ["user", "assistant"]
    assert "Look at it." in str(read[0].message)
    assert read[0].parent_tool_use_id == "toolu_0001_0"
    assert len(sdk.get_session_messages(session, directory=str(project))) == 4


async def test_the_sdk_resumes_copies_and_cuts(sdk: Any, served: Any, options: Any, project: Path) -> None:
    server = served(["One.", "Two.", "Other two."])
    first = (await asked(sdk, "one", options(server)))[-1].session_id
    second = (await asked(sdk, "two", options(server, resume=first)))[-1].session_id
    assert first == second
    one, one_said, two, _ = sdk.get_session_messages(first, directory=str(project))
    cut = {"resume": first, "fork_session": True, "resume_session_at": one_said.uuid}
    messages = await asked(sdk, "other", options(server, **cut, resume_drops_turn=two.uuid))
    fork = messages[-1].session_id
    assert fork != first
    texts = [str(message.message["content"]) for message in sdk.get_session_messages(fork, directory=str(project))]
    assert texts[0] == "one"
    assert "Other two." in texts[3]
    assert len(sdk.get_session_messages(first, directory=str(project))) == 4
    assert {info.session_id for info in sdk.list_sessions(directory=str(project))} == {first, fork}
    with pytest.raises(Exception, match="Resume rejected by --resume-drops-turn:"):
        await asked(sdk, "other", options(server, **cut, resume_drops_turn=one.uuid))


async def test_a_session_that_the_sdk_copied_is_resumed(sdk: Any, options: Any, project: Path) -> None:
    write(PARALLEL, project, dict(os.environ))
    before = sdk.get_session_messages(SESSION, directory=str(project))
    copy = sdk.fork_session(SESSION, directory=str(project), title="the copy").session_id
    with FakeMessagesServer(["Both, I said."], seeded=True) as server:
        messages = await asked(sdk, "What was seen?", options(server, resume=copy))
    server.assert_clean()
    assert messages[-1].session_id == copy
    sent = server.requests[0].body["messages"]
    assert [block["tool_use_id"] for block in sent[2]["content"]] == ["toolu_a", "toolu_b"]
    after = sdk.get_session_messages(copy, directory=str(project))
    assert len(after) == len(before) + 2
    assert sdk.get_session_info(copy).custom_title == "the copy"


async def test_a_compacted_session_is_read_from_its_summary_on(sdk: Any, served: Any, options: Any) -> None:
    server = served(["Noted.", "THE SUMMARY", "Seoul."])
    async with sdk.ClaudeSDKClient(options(server)) as client:
        for prompt in ("The region is Seoul.", "/compact", "Which region?"):
            await client.query(prompt)
            messages = [message async for message in client.receive_response()]
    read = sdk.get_session_messages(messages[-1].session_id)
    assert "THE SUMMARY" in str(read[0].message)
    assert [message.type for message in read] == ["user", "user", "assistant"]
