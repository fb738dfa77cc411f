"""The fake Messages API: it must be at least as strict as the real one."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.port import Request
from agent.testing import (
    FakeMessagesServer,
    Turn,
    broken_call,
    call,
    text,
    thinking,
)
from agent.testing.checks import problems_of

Json = dict[str, Any]
ASK = Request([{"role": "user", "content": "go"}])
READ: Json = {"name": "Read", "description": "d", "input_schema": {"type": "object"}}
HEADERS = {"anthropic-version": "2026-10-21", "content-type": "application/json", "x-api-key": "k"}


def user(*content: Any) -> Json:
    return {"role": "user", "content": content[0] if len(content) == 1 else list(content)}


def assistant(*content: Any) -> Json:
    return {"role": "assistant", "content": list(content)}


def result(call_id: str, content: str = "ok") -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def body(*messages: Json, **fields: Any) -> Json:
    return {"model": "claude-opus-5-5", "max_tokens": 100, "messages": list(messages), **fields}


def post(server: FakeMessagesServer, sent: Json, **headers: str) -> tuple[int, Json]:
    """Status and parsed JSON of one request without streaming."""
    response = httpx2.post(f"{server.base_url}/v1/messages", json=sent, headers=HEADERS | headers)
    parsed: Json = response.json()
    return response.status_code, parsed


# --- what the server refuses ---------------------------------------------------------------------------------------

CALL = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
BAD: dict[str, tuple[Json, str]] = {
    "no model": ({"max_tokens": 1, "messages": [user("x")]}, "model: Field required"),
    "no tokens": (body(user("x"), max_tokens=0), "max_tokens"),
    "no messages": (body(), "messages"),
    "unknown field": (body(user("x"), betas=["b"]), "betas: Extra inputs"),
    "sampling": (body(user("x"), temperature=1), "temperature"),
    "first is assistant": (body(assistant(text("x")), user("y")), "first message"),
    "prefill": (body(user("x"), assistant(text("y"))), "prefill"),
    "role": (body({"role": "tool", "content": "x"}), "role"),
    "empty text": (body(user([text("")])), "non-empty"),
    "empty content": (body(user([])), "content"),
    "empty answer": (body(user("x"), assistant(), user("y")), "content"),
    "no block type": (body(user([{"text": "x"}])), "type"),
    "ends in thinking": (
        body(user("x"), assistant({"type": "thinking", "thinking": "", "signature": "s"}), user("y")),
        "final block",
    ),
    "unanswered call": (body(user("x"), assistant(CALL), user("y")), "without `tool_result`"),
    "call at the end": (body(user("x"), assistant(CALL)), "messages"),
    "answered late": (body(user("x"), assistant(CALL), user("y"), user([result("t1")])), "without `tool_result`"),
    "answered twice": (body(user("x"), assistant(CALL), user([result("t1"), result("t1")])), "single result"),
    "text before result": (body(user("x"), assistant(CALL), user([text("y"), result("t1")])), "first"),
    "answer to nothing": (body(user([result("t9")])), "unexpected `tool_use_id`"),
    "call of the user": (body(user([CALL])), "assistant messages only"),
    "call without input": (body(user("x"), assistant({**CALL, "input": "x"}), user([result("t1")])), "dictionary"),
    "tool name": (body(user("x"), tools=[{**READ, "name": "a b"}]), "tools.0.name"),
    "same tools": (body(user("x"), tools=[READ, READ]), "unique"),
    "tool schema type": (body(user("x"), tools=[{**READ, "input_schema": {"type": "array"}}]), "input_schema"),
    "tool schema": (
        body(user("x"), tools=[{**READ, "input_schema": {"type": "object", "required": 3}}]),
        "JSON schema",
    ),
    "system block": (body(user("x"), system=[{"type": "image"}]), "system.0"),
    "empty system": (body(user("x"), system=[text("")]), "system.0"),
    "system message first": (body({"role": "system", "content": "x"}, user("y")), "first message"),
    "system message placed wrong": (body(user("x"), {"role": "system", "content": "s"}, user("y")), "system message"),
    "system message unsupported": (
        body(user("x"), {"role": "system", "content": "s"}, model="claude-haiku-4-5"),
        "not supported",
    ),
    "forced tool": (body(user("x"), tools=[READ], tool_choice={"type": "any"}), "tool_choice"),
    "thinking type": (body(user("x"), thinking={"type": "disabled"}), "thinking.type"),
    "effort": (body(user("x"), output_config={"effort": "huge"}), "effort"),
    "too many tokens": (body(user("x"), max_tokens=128_001), "max_tokens"),
    "five markers": (body(user([{**text("x"), "cache_control": {"type": "ephemeral"}}] * 5)), "maximum of 4"),
    "citations of the user": (body(user([text("x", citations=[{"type": "char_location"}])])), "citations"),
    "document of the assistant": (body(user("x"), assistant({"type": "document"}), user("y")), "document"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_api_refuses_is_refused_and_noted(name: str) -> None:
    sent, reason = BAD[name]
    with FakeMessagesServer(["never"], seeded=True) as server:
        status, answer = post(server, sent)
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert any(reason in violation for violation in server.violations), server.violations
    with pytest.raises(AssertionError):
        server.assert_clean()


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.sampled_from(["", "x", "user", "assistant", "text", "tool_use"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "id", "name", "input_schema"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["model", "max_tokens", "messages", "system", "tools", "tool_choice", "thinking", "output_config"]
)


@pytest.mark.slow
@given(st.dictionaries(FIELDS, JUNK | st.lists(JUNK, max_size=4), max_size=5))
def test_any_request_is_judged(fields: Json) -> None:
    sent = body(user("x")) | fields
    problems = problems_of(sent, HEADERS)
    assert all(isinstance(problem, str) for problem in problems)
    assert problems_of(body(user("x")), HEADERS) == []


GOOD: dict[str, Json] = {
    "plain": body(user("x")),
    "tools": body(user("x"), assistant(text("y"), CALL), user([result("t1"), text("and")]), tools=[READ], system="S"),
    "system message": body(user("x"), {"role": "system", "content": "s"}),
    "four markers": body(user([{**text("x"), "cache_control": {"type": "ephemeral"}}] * 4)),
    "effort and thinking": body(user("x"), output_config={"effort": "max"}, thinking={"type": "adaptive"}),
    "unknown model": body(user("x"), model="local", tool_choice={"type": "any"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_the_api_takes_is_taken(name: str) -> None:
    with FakeMessagesServer(["ok"], seeded=True) as server:
        status, answer = post(server, GOOD[name])
    assert status == 200
    assert answer["content"] == [text("ok")]
    server.assert_clean()


def test_keys() -> None:
    with FakeMessagesServer(["ok"], api_key="right") as server:
        assert post(server, body(user("x")))[0] == 401
        assert post(server, body(user("x")), **{"x-api-key": "right", "authorization": "Bearer right"})[0] == 400
        assert post(server, body(user("x")), **{"x-api-key": "right"})[0] == 200


# --- history -------------------------------------------------------------------------------------------------------


def talk(server: FakeMessagesServer, *, change: Any = None) -> Sequence[str]:
    """Two turns; `change` may spoil the second request. Gives the violations."""
    first = body(user("go"), system=[text("S")], tools=[READ])
    _, answer = post(server, first)
    content = answer["content"]
    ids = [block["id"] for block in content if block["type"] == "tool_use"]
    second = body(user("go"), assistant(*content), user([result(i) for i in ids]), system=[text("S")], tools=[READ])
    if change is not None:
        change(second)
    post(server, second)
    return server.violations


TURNS: list[Any] = [[thinking("hm"), text("I read."), call("Read", file_path="a")], "done"]


def test_an_honest_history_is_clean() -> None:
    with FakeMessagesServer(TURNS) as server:
        assert talk(server) == []
    server.assert_clean()


def spoil_system(sent: Json) -> None:
    sent["system"] = [text("S today")]


def spoil_tools(sent: Json) -> None:
    sent["tools"] = [{**READ, "description": "other"}]


def spoil_tool_order_of_keys(sent: Json) -> None:
    sent["tools"] = [dict(reversed(READ.items()))]


def spoil_question(sent: Json) -> None:
    sent["messages"][0] = user("go!")


def spoil_form(sent: Json) -> None:
    sent["messages"][0] = user([text("go")])


def spoil_thinking(sent: Json) -> None:
    sent["messages"][1]["content"][0]["thinking"] = "hm!"


def drop_thinking(sent: Json) -> None:
    del sent["messages"][1]["content"][0]


def spoil_answer(sent: Json) -> None:
    sent["messages"][1]["content"][1]["text"] = "I wrote."


def spoil_call(sent: Json) -> None:
    sent["messages"][1]["content"][2]["input"] = {"file_path": "b"}


def insert_message(sent: Json) -> None:
    sent["messages"].insert(0, user("before"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (spoil_system, "system has changed"),
        (spoil_tools, "tools have changed"),
        (spoil_tool_order_of_keys, "tools have changed"),
        (spoil_question, "messages.0 has changed"),
        (spoil_form, "messages.0 has changed"),
        (spoil_thinking, "cannot be modified"),
        (drop_thinking, "cannot be modified"),
        (spoil_answer, "cannot be modified"),
        (spoil_call, "cannot be modified"),
        (insert_message, "messages.0 has changed"),
    ],
)
@pytest.mark.parametrize("seeded", [False, True])
def test_an_edited_history_is_seen(change: Any, reason: str, seeded: bool) -> None:
    with FakeMessagesServer(TURNS, seeded=seeded) as server:
        violations = talk(server, change=change)
    assert any(reason in violation for violation in violations), violations


def test_markers_may_move() -> None:
    def mark(sent: Json) -> None:
        sent["messages"][1]["content"][1]["cache_control"] = {"type": "ephemeral"}
        sent["messages"][0] = user("go")

    with FakeMessagesServer(TURNS) as server:
        assert talk(server, change=mark) == []


def test_history_from_elsewhere() -> None:
    foreign = body(user("x"), assistant(text("from elsewhere")), user("y"))
    signed = body(user("x"), assistant({"type": "thinking", "thinking": "", "signature": "s"}, text("z")), user("y"))
    with FakeMessagesServer(["ok"]) as server:
        assert post(server, foreign)[0] == 400
    with FakeMessagesServer(["ok"], seeded=True) as server:
        assert post(server, foreign)[0] == 200
        assert post(server, signed)[0] == 400


def test_a_paused_turn_may_be_continued_and_only_that() -> None:
    with FakeMessagesServer([Turn(["searching"], stop_reason="pause_turn"), "found", "on"]) as server:
        _, paused = post(server, body(user("x")))
        status, found = post(server, body(user("x"), assistant(*paused["content"])))
        assert (status, found["content"]) == (200, [text("found")])
        history = [user("x"), assistant(*paused["content"]), assistant(*found["content"])]
        assert post(server, body(*history, user("more")))[0] == 200
        assert post(server, body(*history))[0] == 400


def test_an_interrupted_answer_may_stay_without_its_calls() -> None:
    with FakeMessagesServer([*TURNS[:1], "on"]) as server:
        _, answer = post(server, body(user("go")))
        status, _ = post(server, body(user("go"), assistant(*answer["content"][:2]), user("stop, do this instead")))
    assert status == 200


# --- the rest of the server ----------------------------------------------------------------------------------------


def test_other_paths() -> None:
    with FakeMessagesServer([]) as server:
        counted = httpx2.post(f"{server.base_url}/v1/messages/count_tokens", json=body(user("x" * 400)))
        assert counted.json()["input_tokens"] > 100
        listed = httpx2.get(f"{server.base_url}/v1/models").json()["data"]
        model = httpx2.get(f"{server.base_url}/v1/models/{listed[0]['id']}").json()
        assert model["max_input_tokens"] == 1_000_000
        for path in ("/v1/models/none", "/else"):
            assert httpx2.get(f"{server.base_url}{path}").status_code == 404
        assert httpx2.post(f"{server.base_url}/else", json={}).status_code == 404
        broken = httpx2.post(f"{server.base_url}/v1/messages", content=b"{", headers=HEADERS)
        assert broken.status_code == 400


def test_a_script_played_to_its_end_refuses_and_fails() -> None:
    with FakeMessagesServer([]) as server:
        assert post(server, body(user("x")))[0] == 400
    with pytest.raises(AssertionError, match="more than the script holds"):
        server.assert_clean()


def test_an_exception_in_a_scripts_function_is_not_lost() -> None:
    def broken(_body: Json) -> str:
        raise LookupError("bug in the test")

    with FakeMessagesServer(broken) as server, pytest.raises(httpx2.RemoteProtocolError):
        post(server, body(user("x")))
    with pytest.raises(AssertionError, match="bug in the test"):
        server.assert_clean()


def test_a_malformed_call_is_streamed_as_it_is() -> None:
    with FakeMessagesServer([[broken_call("Read", '{"a')]]) as server:
        response = httpx2.post(f"{server.base_url}/v1/messages", json=body(user("x"), stream=True), headers=HEADERS)
    assert '"partial_json": "{\\"a"' in response.text
    assert "__raw" not in response.text


def run_server(script: Path, *requests: Json) -> tuple[int, list[Json], str]:
    command = [sys.executable, "-m", "agent.testing.server", str(script)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        assert server.stderr
        line = server.stdout.readline()
        lines = [json.loads(line)] if line else []
        for sent in requests:
            request = urllib.request.Request(f"{lines[0]['base_url']}/v1/messages", json.dumps(sent).encode(), HEADERS)
            try:
                urllib.request.urlopen(request).close()
            except urllib.error.HTTPError as error:
                error.close()
        server.stdin.close()
        lines += [json.loads(rest) for rest in server.stdout]
        errors = server.stderr.read()
    return server.returncode, lines, errors


def test_the_server_as_a_program(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    turns = ["a", {"blocks": ["b"], "stop_reason": "max_tokens", "fault": {"delay": 0.0}}, {"status": 529}, [text("c")]]
    script.write_text(json.dumps(turns), "utf-8")
    code, lines, errors = run_server(script, *[body(user("x"))] * 4)
    assert (code, errors) == (0, "")
    assert lines[1] == {"requests": 4, "violations": [], "problem": None}
    code, lines, _ = run_server(script, body(user("x"), temperature=1))
    assert code == 1
    assert "temperature" in lines[1]["problem"]


@pytest.mark.parametrize("content", ["{", "{}", "[7]", '[{"blocks": [], "speed": 1}]', '[{"status": 1, "x": 2}]'])
def test_a_bad_script_is_a_clear_error(tmp_path: Path, content: str) -> None:
    script = tmp_path / "script.json"
    script.write_text(content, "utf-8")
    code, lines, errors = run_server(script)
    assert (code, lines) == (2, [])
    assert errors.startswith(str(script))
    assert "Traceback" not in errors
