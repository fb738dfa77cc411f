"""Loops of tool calls are noticed, told about and ended; work that makes progress is left alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.calls.limits import DENIED_AT, REFUSED_AT, TOLD_AT, RepeatGuard, digest_of
from tools.text import as_data


def call(
    guard: RepeatGuard, name: str = "Bash", result: Any = "same", *, wrote: bool = False, **tool_input: Any
) -> str:
    """One call as the loop makes it: "ran", "told" or "refused"."""
    if guard.before(name, tool_input) is not None:
        return "refused"
    return "told" if guard.after(name, tool_input, digest_of(result), wrote=wrote) else "ran"


def test_the_third_identical_result_is_told_and_the_fifth_call_refused() -> None:
    guard = RepeatGuard()
    assert [call(guard, command="ls") for _ in range(6)] == ["ran", "ran", "told", "told", "refused", "refused"]


def test_another_result_begins_anew() -> None:
    guard = RepeatGuard()
    assert [call(guard, result=n // 2, command="date") for n in range(8)] == ["ran"] * 8


def test_another_input_or_tool_is_another_call() -> None:
    guard = RepeatGuard()
    assert {call(guard, command=f"ls {n}") for n in range(9)} == {"ran"}
    assert {call(guard, name=f"Tool{n}", command="ls") for n in range(9)} == {"ran"}


def test_the_order_of_fields_does_not_matter() -> None:
    guard = RepeatGuard()
    found = [call(guard, a=1, b=2), call(guard, b=2, a=1), call(guard, a=1, b=2)]
    assert found == ["ran", "ran", "told"]


def test_writing_makes_it_worth_looking_again() -> None:
    guard = RepeatGuard()
    for n in range(10):
        assert call(guard, command="pytest") == "ran"
        assert call(guard, name="Edit", wrote=True, file_path="a", new_string=str(n)) == "ran"


def test_writing_the_same_again_and_again_is_a_loop_too() -> None:
    guard = RepeatGuard()
    found = []
    for _ in range(5):
        found.append(call(guard, name="Write", wrote=True, file_path="a", content="b"))
        call(guard, command="pytest")
    assert found == ["ran", "ran", "told", "told", "refused"]


def test_alternating_calls_are_seen_through() -> None:
    guard = RepeatGuard()
    found = [call(guard, command=name) for _ in range(5) for name in ("a", "b")]
    assert found[-2:] == ["refused", "refused"]


def test_a_call_denied_three_times_is_stopped_whatever_is_written() -> None:
    guard = RepeatGuard()
    for _ in range(DENIED_AT):
        assert guard.before("Bash", {"command": "rm -rf /"}) is None
        guard.denied("Bash", {"command": "rm -rf /"})
        guard.after("Write", {"file_path": "a"}, "x", wrote=True)
    refusal = guard.before("Bash", {"command": "rm -rf /"})
    assert refusal is not None
    assert refusal.startswith("Stop")
    assert guard.before("Bash", {"command": "rm -rf x"}) is None
    guard.reset()
    assert guard.before("Bash", {"command": "rm -rf /"}) is None


def test_the_random_word_around_web_pages_does_not_hide_a_loop() -> None:
    first, second = as_data("page", "https://a.test/"), as_data("page", "https://a.test/")
    assert first != second
    assert digest_of(first) == digest_of(second)
    assert digest_of([{"type": "text", "text": first}]) == digest_of([{"type": "text", "text": second}])
    assert digest_of(as_data("other", "https://a.test/")) != digest_of(first)


def test_values_that_are_no_json_are_told_apart() -> None:
    assert digest_of({"a": {1, 2}}) != digest_of({"a": {1, 3}})
    assert digest_of("\ud800") == digest_of("\ud800")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.booleans()), max_size=60))
def test_no_order_of_calls_gets_past_the_limit(calls: list[tuple[str, str, bool]]) -> None:
    """By the definition itself: a call is refused exactly after four equal results with no other write in between."""
    guard = RepeatGuard()
    runs: dict[str, list[str]] = {}
    for name, result, wrote in calls:
        equal = runs.setdefault(name, [])
        outcome = call(guard, name=name, result=result, wrote=wrote)
        assert (outcome == "refused") == (len(equal) >= REFUSED_AT - 1)
        if outcome == "refused":
            continue
        if wrote:
            runs = {name: equal}
        if equal and equal[-1] != result:
            equal.clear()
        equal.append(result)
        assert (outcome == "told") == (len(equal) >= TOLD_AT)
