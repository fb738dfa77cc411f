"""A secret that the model's answer brings in pieces never reaches a host."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.surfaces.protocol.partial import Partial
from agent.testing import Fault, Turn
from tools.secrets import Redactor

PASSWORD = "correct horse battery"
TOKEN = "ghp_" + "a1B2" * 9


def streamed(text: str, cuts: list[int]) -> list[dict[str, Any]]:
    """What a host sees of `text` that comes in pieces."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    deltas = [{"type": "text_delta", "text": text[start:end]} for start, end in itertools.pairwise(places)]
    block = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [{"type": "content_block_start", "index": 0, "content_block": block}]
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    events.append({"type": "content_block_stop", "index": 0})
    partial = Partial(Redactor([PASSWORD]))
    return [shown for event in events for shown in partial.events(event)]


_WORDS = st.lists(
    st.sampled_from(["the", "key", "is", "\n", PASSWORD, TOKEN, "-----BEGIN", "correct horse"]), max_size=9
)


@given(_WORDS.map(" ".join), st.lists(st.integers(0, 999), max_size=12))
def test_pieces_are_redacted_as_the_whole_is(text: str, cuts: list[int]) -> None:
    shown = streamed(text, cuts)
    said = "".join(event["delta"]["text"] for event in shown if event["type"] == "content_block_delta")
    assert said == Redactor([PASSWORD]).text(text)
    assert shown[-1]["type"] == "content_block_stop"


def test_what_holds_no_secret_does_not_wait_for_long() -> None:
    shown = streamed("word " * 5_000 + "x" * 50_000, list(range(0, 75_000, 100)))
    assert max(len(event["delta"]["text"]) for event in shown if event["type"] == "content_block_delta") < 10_000


def test_a_host_sees_no_piece_of_a_secret(start: Any, served: Any) -> None:
    server = served([Turn([f"It is {PASSWORD}, and {TOKEN}."], fault=Fault(chunk=7))])
    program = start(server, "--model=claude-sonnet-5-5", "--include-partial-messages", env={"DB_PASSWORD": PASSWORD})
    program.user("What is it?")
    program.finish()
    deltas = [frame["event"]["delta"] for frame in program.seen if frame.get("event", {}).get("delta", {}).get("text")]
    assert "".join(delta["text"] for delta in deltas) == "It is [redacted], and [redacted]."
    assert PASSWORD not in json.dumps(program.seen)
