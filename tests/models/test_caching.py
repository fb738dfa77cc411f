"""Cache markers: never more than four, never in the history, and every turn reads what the last one wrote."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.caching import LOOK_BACK, MAX_MARKERS, with_cache_markers
from agent.testing.history import PromptCache

Json = dict[str, Any]

SYSTEM = [{"type": "text", "text": "You are an expert."}, {"type": "text", "text": "Be brief."}]
TOOLS = [{"name": "Read", "input_schema": {"type": "object"}}, {"name": "Bash", "input_schema": {"type": "object"}}]
BLOCKS = st.sampled_from(
    [
        {"type": "text", "text": "x"},
        {"type": "text", "text": ""},
        {"type": "thinking", "thinking": "", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "tool_use", "id": "t", "name": "Read", "input": {"cache_control": "mine"}},
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [{"type": "text", "text": "r", "cache_control": {"type": "ephemeral"}}],
        },
        {"type": "from_the_future"},
        {"type": "text", "text": "marked before", "cache_control": {"type": "ephemeral"}},
    ]
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system"]),
            "content": st.text(max_size=5) | st.lists(BLOCKS, max_size=5),
        }
    ),
    max_size=12,
)


def markers(*parts: list[Json]) -> int:
    blocks = [*parts[0], *parts[1]]
    for message in parts[2]:
        blocks += message["content"] if isinstance(message["content"], list) else []
        for block in list(blocks):
            blocks += block["content"] if isinstance(block.get("content"), list) else []
    return sum("cache_control" in block for block in {id(block): block for block in blocks}.values())


def bare(parts: tuple[list[Json], ...]) -> str:
    return json.dumps(parts).replace(', "cache_control": {"type": "ephemeral"}', "")


@given(MESSAGES, st.booleans(), st.booleans())
def test_at_most_four_markers_and_nothing_given_is_changed(messages: list[Json], system: bool, tools: bool) -> None:
    given_parts = (SYSTEM if system else [], TOOLS if tools else [], messages)
    before = copy.deepcopy(given_parts)
    sent = with_cache_markers(*given_parts)
    assert given_parts == before
    assert markers(*sent) <= MAX_MARKERS
    for message in sent[2]:
        for block in message["content"] if isinstance(message["content"], list) else []:
            if "cache_control" in block:
                assert block["type"] in {"text", "tool_use", "tool_result"}
                assert block.get("text") != ""


@given(MESSAGES, MESSAGES)
def test_what_was_sent_before_is_sent_again_byte_for_byte(history: list[Json], more: list[Json]) -> None:
    first, second = with_cache_markers(SYSTEM, TOOLS, history), with_cache_markers(SYSTEM, TOOLS, [*history, *more])
    assert bare(second[:2]) == bare(first[:2])
    assert bare((second[2][: len(history)],)) == bare((first[2],))


@pytest.mark.slow
@given(st.lists(st.integers(1, 3 * LOOK_BACK), min_size=1, max_size=6))
def test_every_turn_reads_all_of_the_last_request(calls_per_turn: list[int]) -> None:
    cache = PromptCache()
    messages: list[Json] = [{"role": "user", "content": "go"}]
    size = 0
    for turn, calls in enumerate([*calls_per_turn, 1]):
        system, tools, marked = with_cache_markers(SYSTEM, TOOLS, messages)
        usage = cache.usage_of({"model": "m", "system": system, "tools": tools, "messages": marked})
        assert usage["cache_read_input_tokens"] == size
        assert usage["input_tokens"] == 0
        size = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
        ids = [f"t{turn}-{number}" for number in range(calls)]
        thought = {"type": "thinking", "thinking": "", "signature": "S"}
        uses = [{"type": "tool_use", "id": call, "name": "Read", "input": {}} for call in ids]
        messages.append({"role": "assistant", "content": [thought, *uses]})
        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call} for call in ids]})


def test_without_the_marker_at_the_last_request_many_parallel_calls_would_miss() -> None:
    """The cache model used above is strict enough to see the trap."""
    cache = PromptCache()
    marker = {"cache_control": {"type": "ephemeral"}}
    first = [{"role": "user", "content": [{"type": "text", "text": "go" * 50, **marker}]}]
    cache.usage_of({"model": "m", "messages": first})
    results: list[Json] = [{"type": "tool_result", "tool_use_id": str(number)} for number in range(LOOK_BACK + 1)]
    results[-1] |= marker
    plain = [{"role": "user", "content": [{"type": "text", "text": "go" * 50}]}]
    usage = cache.usage_of({"model": "m", "messages": [*plain, {"role": "user", "content": results}]})
    assert usage["cache_read_input_tokens"] == 0


def test_the_system_prompt_covers_the_tools_and_tools_stand_in_for_it() -> None:
    system, tools, _ = with_cache_markers(SYSTEM, TOOLS, [])
    assert ["cache_control" in block for block in [*system, *tools]] == [False, True, False, False]
    _, tools, _ = with_cache_markers([], TOOLS, [])
    assert ["cache_control" in tool for tool in tools] == [False, True]


def test_a_tools_own_input_is_left_alone() -> None:
    call = {"type": "tool_use", "id": "t", "name": "Write", "input": {"cache_control": {"type": "ephemeral"}}}
    _, _, messages = with_cache_markers([], [], [{"role": "assistant", "content": [call]}])
    assert messages[0]["content"][0]["input"] == call["input"]
