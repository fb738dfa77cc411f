"""The event-stream reader: any chunking, any line ending, any server."""

from __future__ import annotations

import contextlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.sse import MAX_EVENT_BYTES, BadEventError, EventReader

EVENTS = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["a", "ping", "한국어"]), "value": st.text()}),
    min_size=1,
    max_size=6,
)


def read(*chunks: bytes) -> list[dict[str, object]]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)]


def cut(body: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in at)})
    return [body[start:end] for start, end in itertools.pairwise(edges)]


@given(EVENTS, st.sampled_from(["\n", "\r", "\r\n"]), st.booleans(), st.lists(st.integers(0, 10_000)))
def test_events_survive_every_chunking_and_line_end(
    events: list[dict[str, object]], end: str, named: bool, cuts: list[int]
) -> None:
    lines = [
        (f"event: {event['type']}{end}" if named else f": comment{end}")
        + "".join(f"data: {line}{end}" for line in json.dumps(event, indent=1).split("\n"))
        + end
        for event in events
    ]
    assert read(*cut("".join(lines).encode(), cuts)) == events


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_clearly(body: bytes) -> None:
    with contextlib.suppress(BadEventError):
        assert all(isinstance(event["type"], str) for event in read(body))


def test_data_on_several_lines_is_one_event() -> None:
    assert read(b'data: {"type":\ndata: "ping"}\n\n') == [{"type": "ping"}]


def test_type_comes_from_the_event_line_where_data_has_none() -> None:
    assert read(b'event: ping\ndata: {"x": 1}\n\n') == [{"x": 1, "type": "ping"}]


def test_byte_order_mark_other_fields_and_end_mark_are_skipped() -> None:
    body = b'\xef\xbb\xbfdata:{"type":"a"}\nid: 7\nretry: 5\n\ndata: [DONE]\n\n'
    assert read(body) == read(*cut(body, [1, 2])) == [{"type": "a"}]


def test_an_unfinished_event_is_dropped() -> None:
    assert read(b'data: {"type": "message_stop"}\n') == []


def test_line_separators_inside_json_do_not_end_a_line() -> None:
    assert read('data: {"type": "a\u2028\u0085b"}\n\n'.encode()) == [{"type": "a\u2028\u0085b"}]


@pytest.mark.parametrize("data", [b"{", b"[1]", b"7", b"[" * 100_000])
def test_data_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(BadEventError):
        read(b"data: " + data + b"\n\n")


def test_an_endless_event_is_refused_before_it_fills_the_memory() -> None:
    reader = EventReader()
    piece = b"x" * (4 * 1024 * 1024)
    taken = 0

    def fill() -> None:
        nonlocal taken
        while taken <= 2 * MAX_EVENT_BYTES:
            list(reader.feed(piece))
            taken += len(piece)

    with pytest.raises(BadEventError, match="larger"):
        fill()
    assert taken <= MAX_EVENT_BYTES
