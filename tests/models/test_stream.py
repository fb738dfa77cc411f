"""The message builder: what the API would have sent in one piece, compared with the official SDK's accumulator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.models.port import ModelError
from agent.models.sse import EventReader
from agent.models.stream import MessageBuilder
from agent.testing import call, text, thinking
from agent.testing.script import Turn, events_of, message_of

Json = dict[str, Any]


def started(**message: Any) -> Json:
    usage = {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3}
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-5", "content": []}
    return {"type": "message_start", "message": {**base, "stop_reason": None, "usage": usage, **message}}


def block(index: int, start: Json, *deltas: Json) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ended(stop_reason: str | None = "end_turn", usage: Json | None = None, **delta: Any) -> list[Json]:
    change = {"stop_reason": stop_reason, "stop_sequence": None, **delta}
    return [
        {"type": "message_delta", "delta": change, "usage": {"output_tokens": 9} if usage is None else usage},
        {"type": "message_stop"},
    ]


SEARCH = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "url": "https://example.com",
            "title": "t",
            "encrypted_content": "E",
            "page_age": None,
        }
    ],
}
CITATION = {
    "type": "char_location",
    "cited_text": "x",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 1,
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}


def json_parts(*parts: str) -> list[Json]:
    return [{"type": "input_json_delta", "partial_json": part} for part in parts]


STREAMS: dict[str, list[Json]] = {
    "text": [
        started(),
        *block(
            0,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "Hal"},
            {"type": "text_delta", "text": "lo 한국"},
        ),
        *ended(),
    ],
    "no content": [started(), *ended()],
    "citations": [
        started(),
        *block(
            0,
            {"type": "text", "text": "", "citations": []},
            {"type": "text_delta", "text": "x"},
            {"type": "citations_delta", "citation": CITATION},
            {"type": "citations_delta", "citation": {**CITATION, "start_char_index": 4}},
        ),
        *ended(),
    ],
    "thinking and tool": [
        started(),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "SIG"},
        ),
        *block(1, CALL, *json_parts("", '{"file_', 'path": "SPEC.md"}')),
        *ended("tool_use"),
    ],
    "omitted thinking": [
        started(),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "signature_delta", "signature": "S" * 5000},
        ),
        *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "ok"}),
        *ended(),
    ],
    "redacted thinking": [started(), *block(0, {"type": "redacted_thinking", "data": "OPAQUE"}), *ended()],
    "tool without input": [started(), *block(0, CALL, *json_parts("")), *ended("tool_use")],
    "parallel tools": [
        started(),
        *block(0, CALL, *json_parts('{"a": [1, {"b": null}]}')),
        *block(1, {**CALL, "id": "toolu_2"}, *json_parts('{"a": "', '\\u00e9"}')),
        *ended("tool_use"),
    ],
    "server tool": [
        started(),
        *block(
            0,
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            *json_parts('{"query": "x"}'),
        ),
        *block(1, SEARCH),
        *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "found"}),
        *ended(usage={"output_tokens": 9, "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}}),
    ],
    "mcp tool": [
        started(),
        *block(
            0,
            {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "q", "server_name": "s", "input": {}},
            *json_parts('{"q": 1}'),
        ),
        *block(
            1,
            {
                "type": "mcp_tool_result",
                "tool_use_id": "mcptoolu_1",
                "is_error": False,
                "content": [{"type": "text", "text": "r"}],
            },
        ),
        *ended(),
    ],
    "compaction": [
        started(),
        *block(
            0,
            {"type": "compaction", "content": None, "encrypted_content": None},
            {"type": "compaction_delta", "content": "summary", "encrypted_content": "ENC"},
        ),
        *ended(
            "compaction",
            usage={
                "output_tokens": 0,
                "iterations": [
                    {
                        "type": "compaction",
                        "input_tokens": 900,
                        "output_tokens": 40,
                        "cache_read_input_tokens": 0,
                        "cache_creation_input_tokens": 0,
                    }
                ],
            },
        ),
    ],
    "fallback": [
        started(model="claude-fable-5-2"),
        *block(
            0,
            {
                "type": "fallback",
                "from": {"model": "claude-fable-5-2"},
                "to": {"model": "claude-opus-5-5"},
                "trigger": {"type": "refusal", "category": None},
            },
        ),
        *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "served"}),
        *ended(),
    ],
    "refusal": [
        started(),
        *ended("refusal", stop_details={"type": "refusal", "category": "cyber", "explanation": "no"}),
    ],
    "usage totals": [
        started(),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "output_tokens": 4,
                "input_tokens": 30,
                "cache_read_input_tokens": None,
                "output_tokens_details": {"thinking_tokens": 2},
            },
        },
        {"type": "message_stop"},
    ],
    "container and edits": [started(), *ended(container={"id": "c", "expires_at": "2026-11-24T00:00:00Z"})],
}


def with_pings(events: list[Json]) -> Iterator[Json]:
    for event in events:
        yield event
        yield {"type": "ping"}


def wire(events: list[Json]) -> bytes:
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e, ensure_ascii=False)}\n\n" for e in events).encode()


def build(events: list[Json] | Iterator[Json]) -> MessageBuilder:
    builder = MessageBuilder()
    for event in events:
        builder.feed(event)
    return builder


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


async def sdk_message(pieces: list[bytes]) -> Json:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(pieces))

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
    async with anthropic.AsyncAnthropic(api_key="k", http_client=http, max_retries=0) as client:
        question: list[Any] = [{"role": "user", "content": "x"}]
        async with client.beta.messages.stream(model="claude-opus-5-5", max_tokens=9, messages=question) as stream:
            message = await stream.get_final_message()
    return message.to_dict(mode="json", warnings=False)


def settled(message: Any) -> Any:
    """A message without what the SDK adds to it: a field of its own, and nulls where a field is absent."""
    if isinstance(message, dict):
        return {k: settled(v) for k, v in message.items() if v is not None and k != "parsed_output"}
    return [settled(item) for item in message] if isinstance(message, list) else message


@pytest.mark.parametrize("name", STREAMS)
async def test_same_message_as_the_official_sdk(name: str) -> None:
    events = list(with_pings(STREAMS[name]))
    builder = build(events)
    assert builder.complete
    assert settled(builder.message) == settled(await sdk_message([wire(events)]))


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(STREAMS)), size=st.integers(1, 90))
async def test_same_message_as_the_official_sdk_in_odd_pieces(name: str, size: int) -> None:
    body = wire(STREAMS[name])
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    reader = EventReader()
    builder = build([event for piece in pieces for event in reader.feed(piece)])
    assert settled(builder.message) == settled(await sdk_message(pieces))


TEXTS = st.text(max_size=60)
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, lambda inner: st.lists(inner, max_size=3))
BLOCKS = st.one_of(
    TEXTS.map(text),
    TEXTS.map(thinking),
    st.dictionaries(st.text("abc_", min_size=1), VALUES, max_size=3).map(lambda given: call("Read", **given)),
    st.just({"type": "redacted_thinking", "data": "D"}),
    st.just({"type": "from_the_future", "payload": {"deep": [1, None]}}),
    st.just({"type": "text", "text": "cited", "citations": [CITATION], "new_field": 1}),
)


@given(st.lists(BLOCKS, max_size=5), st.integers(1, 40))
def test_streaming_a_message_and_building_it_is_the_identity(blocks: list[Json], piece: int) -> None:
    message = message_of(Turn(blocks), 1, "m")
    builder = build(events_of(message, piece))
    assert builder.message == message
    assert builder.malformed == {}
    assert builder.complete


def test_not_complete_before_message_stop() -> None:
    assert not build(STREAMS["text"][:-1]).complete


def test_unknown_events_and_deltas_are_ignored_and_unknown_fields_kept() -> None:
    start = {"type": "text", "text": "", "future": {"a": 1}}
    odd = {"type": "future_delta", "value": 1}
    events = [
        started(new=1),
        {"type": "future_event"},
        *block(0, start, odd, {"type": "text_delta", "text": "x"}),
        *ended(),
    ]
    message = build(events).message
    assert message["content"] == [{"type": "text", "text": "x", "future": {"a": 1}}]
    assert message["new"] == 1


@pytest.mark.parametrize("raw", ['{"a": ', "[1]", "7", '{"a": NaN}', "x", '{"a":' * 5000])
def test_malformed_tool_input_is_reported_beside_the_message(raw: str) -> None:
    builder = build([started(), *block(0, {"type": "text", "text": "t"}), *block(1, CALL, *json_parts(raw)), *ended()])
    assert builder.malformed == {1: raw}
    assert builder.message["content"][1] == CALL


def test_compatible_servers_may_send_input_in_the_start_and_leave_fields_out() -> None:
    whole = {"type": "tool_use", "id": "call_1", "name": "Read", "input": {"a": 1}}
    start = {"type": "message_start", "message": {"id": "x", "model": "local"}}
    blocks = [{"type": "content_block_start", "index": 0, "content_block": whole}]
    builder = build(
        [start, *blocks, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    )
    assert builder.message["content"] == [whole]
    assert builder.message["role"] == "assistant"
    assert builder.complete


def test_input_still_open_at_message_stop_is_parsed() -> None:
    events = [started(), *block(0, CALL, *json_parts('{"a": 1}'))[:-1], *ended("tool_use")]
    assert build(events).message["content"][0]["input"] == {"a": 1}


def test_what_a_later_message_delta_leaves_out_stays() -> None:
    first = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 5},
        "extra": {"a": 1},
    }
    later = {
        "type": "message_delta",
        "delta": {"stop_reason": None},
        "usage": {"output_tokens": 7, "input_tokens": None},
    }
    message = build([started(), first, later, {"type": "message_stop"}]).message
    assert (message["stop_reason"], message["extra"]) == ("end_turn", {"a": 1})
    assert message["usage"]["output_tokens"] == 7
    assert message["usage"]["input_tokens"] == 25


def test_events_are_not_changed_by_building() -> None:
    before = json.dumps(STREAMS["thinking and tool"])
    build(STREAMS["thinking and tool"])
    assert json.dumps(STREAMS["thinking and tool"]) == before


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "message_stop"}],
        [{"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}],
        [started(), started()],
        [started(), {"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}}],
        [started(), {"type": "content_block_start"}],
        [started(), {"type": "content_block_start", "index": 0, "content_block": None}],
        [started(), *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": 7})],
        [{"type": "message_start", "message": None}],
    ],
)
def test_a_broken_stream_is_a_retryable_error(events: list[Json]) -> None:
    with pytest.raises(ModelError, match="stream is broken") as caught:
        build(events)
    assert caught.value.retryable
