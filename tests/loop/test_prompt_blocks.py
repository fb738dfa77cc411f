"""A prompt with an image or a document: to the model as it is, to hooks as text, kept in journal and transcript."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import Agent, Completed, PromptError
from agent.hooks import callback_handler
from agent.said import checked
from agent.session.opening import Opening
from agent.session.sessions import Sessions
from agent.session.transcript import transcript_path
from agent.testing import ScriptedModel
from agent.turn.compaction import in_short

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # 1 by 1
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PIXEL}}
PDF = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(b"%PDF-1.7 ...").decode()}
TEXT = {"type": "text", "text": "What does it show?"}


def image(data: str, media_type: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


async def test_blocks_reach_the_model_and_survive_a_resume(tmp_path: Path) -> None:
    heard = []

    async def hook(payload: Any, _call: str | None) -> dict[str, Any]:
        heard.append(payload["prompt"])
        return {"hookSpecificOutput": {"hookEventName": "UserPromptSubmit", "additionalContext": "It is Tuesday."}}

    env = {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude")}
    model = ScriptedModel(["A dot.", "Still a dot."])
    hooks = [callback_handler("UserPromptSubmit", hook)]
    agent = Agent(cwd=tmp_path, model=model, tools=[], env=env, hooks=hooks, sessions=Sessions(transcripts=True))
    first = await agent.run([IMAGE, TEXT])
    assert isinstance(first, Completed)
    await agent.run("And now?", resume=first.session_id)

    reminder = {"type": "text", "text": "<system-reminder>\nIt is Tuesday.\n</system-reminder>"}
    for request in model.requests:
        assert request.messages[0]["content"] == [IMAGE, TEXT, reminder]
    assert heard == ["What does it show?", "And now?"]

    lines = [json.loads(line) for line in transcript_path(tmp_path, first.session_id, env).read_text().splitlines()]
    prompt, added = (line for line in lines[:2])
    assert prompt["message"]["content"] == [IMAGE, TEXT]
    assert (added["isMeta"], added["message"]["content"]) == (True, [reminder])

    copy = ScriptedModel(["Fine."])
    elsewhere = Sessions(store=tmp_path / "elsewhere")  # so that the transcript is all there is
    fork = Agent(cwd=tmp_path, model=copy, tools=[], env=env, sessions=elsewhere)
    run = fork.start("Go on.", opening=Opening(resume=first.session_id))
    async for _event in run:
        pass
    assert copy.requests[0].messages[0]["content"][:2] == [IMAGE, TEXT]


async def test_a_wrong_name_of_the_format_is_put_right(tmp_path: Path) -> None:
    model = ScriptedModel(["A dot."])
    await Agent(cwd=tmp_path, model=model, tools=[], env={}).run([image(_PIXEL, "image/jpeg")])
    assert model.requests[0].messages[0]["content"] == [IMAGE]


async def test_the_embedded_rules_say_that_they_see_nothing(tmp_path: Path) -> None:
    run = Agent(cwd=tmp_path, model="playbook", env={}).start([IMAGE, TEXT])
    (started, *_rest) = [event async for event in run]
    assert any("not looked at" in notice for notice in started.notices)  # type: ignore[attr-defined]  # RunStarted
    assert run.result.status == "completed"


def test_text_blocks_are_one_text() -> None:
    assert checked([TEXT, {"type": "text", "text": "Say it."}]) == "What does it show?\n\nSay it."
    assert checked([{"type": "document", "source": PDF, "title": "Plan", "cache_control": {}}]) == [
        {"type": "document", "source": PDF, "title": "Plan"}
    ]


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        (7, "a text or a list"),
        (["hello"], "a text or a list"),
        ([{"type": "tool_result", "tool_use_id": "x"}], "'tool_result'"),
        ([{"type": "text"}], "`text` must be a text"),
        ([TEXT, {"type": "image"}], "Block 2 of the prompt: an image needs a `source`"),
        ([image("not base64!")], "base64 with valid `data`"),
        ([image(base64.b64encode(b"plain text").decode())], "no PNG, JPEG, GIF or WebP"),
        ([image(base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 4_000_000).decode())], "4000008 bytes"),
        ([{"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}}], "https://"),
        ([{"type": "document", "source": {**PDF, "data": _PIXEL}}], "a PDF in base64"),
    ],
)
async def test_what_the_api_would_refuse_never_gets_into_a_history(blocks: Any, said: str, tmp_path: Path) -> None:
    model = ScriptedModel(["unused"])
    with pytest.raises(PromptError, match=said):
        Agent(cwd=tmp_path, model=model, tools=[], env={}).start(blocks)
    assert not model.requests


_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["image", "text", "base64", _PIXEL]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "source", "data", "url", "title"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(_ANYTHING)
def test_anything_is_a_prompt_or_a_prompt_error(given_: Any) -> None:
    try:
        told = checked(given_)
    except PromptError:
        return
    assert isinstance(told, str) or all(block["type"] in ("text", "image", "document") for block in told)


def test_a_conversation_in_short_says_where_an_image_was() -> None:
    assert "[image]\nWhat does it show?" in in_short([{"role": "user", "content": [IMAGE, TEXT]}], 10_000)
