"""Structured answers: schemas, repairs, corrections, and that no run completes without the object it owes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

from agent.api import Agent
from agent.hooks import Handler
from agent.hooks.config import callback_handler
from agent.models.playbook import Playbook
from agent.result import Completed, Failed, NeedsInput
from agent.testing import ScriptedModel, broken_call, call
from agent.turn.structured import (
    MOST_CORRECTIONS,
    TOOL_NAME,
    MismatchError,
    OutputSchema,
    SchemaError,
    output_schema,
    parse_schema,
)

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
SEOUL = {"city": "Seoul", "people": 9_400_000}
LIST = {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}


def agent(tmp_path: Path, turns: Any, **more: Any) -> Agent:
    model = turns if not isinstance(turns, list) else ScriptedModel(turns)
    return Agent(cwd=tmp_path, model=model, env={}, **{"output": CITY, "tools": [], **more})


# --- schemas ---


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "objekt"),
        ({"type": "object", "properties": {"a": {"minimum": "x"}}}, "properties/a"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"$ref": "https://example.com/schema.json"}, "leads nowhere"),
        (["type"], "JSON object"),
    ],
)
def test_a_schema_that_cannot_be_used_says_where(schema: Any, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        OutputSchema(schema)


def test_a_schema_comes_as_json_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(CITY))
    assert parse_schema(str(file)).schema == parse_schema(json.dumps(CITY)).schema == CITY
    with pytest.raises(SchemaError, match=r"none\.json is no JSON, and no file"):
        parse_schema("none.json")
    with pytest.raises(SchemaError, match="no JSON"):
        parse_schema('{"type": ')


def test_a_schema_that_is_no_plain_object_is_wrapped_and_its_references_still_lead_somewhere() -> None:
    schema = OutputSchema(LIST)
    tool = OutputSchema(schema.tool_schema)
    assert schema.wrapped
    assert not tool.errors({"result": [1, 2]})
    assert tool.errors({"result": ["x"]})
    assert schema.accept({"result": [1, 2]}) == [1, 2]
    assert OutputSchema(CITY).tool_schema == CITY


# --- values ---


@pytest.mark.parametrize(
    "given",
    [
        SEOUL,
        {"result": SEOUL},
        {"output": {"data": SEOUL}},
        {"result": json.dumps(SEOUL)},
        {"result": f"```json\n{json.dumps(SEOUL)}\n```"},
        json.dumps(SEOUL),
        {"city": "Seoul", "people": "9400000"},
    ],
)
def test_common_wrappings_are_undone(given: Any) -> None:
    assert OutputSchema(CITY).accept(given) == SEOUL


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SEOUL),
        f"Here it is:\n```json\n{json.dumps(SEOUL, indent=2)}\n```\nAnything else?",
        f"The answer is {json.dumps(SEOUL)}.",
        json.dumps({"result": SEOUL}),
    ],
)
def test_an_answer_in_text_is_read(text: str) -> None:
    assert OutputSchema(CITY).read(text) == SEOUL


def test_what_does_not_fit_is_named_place_by_place() -> None:
    with pytest.raises(MismatchError) as caught:
        OutputSchema(CITY).accept({"people": -1, "mayor": "x"})
    said = str(caught.value)
    assert "'city' is a required property" in said
    assert "$.people: -1 is less than the minimum of 0" in said
    assert "'mayor'" in said


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(_VALUES, st.sampled_from([CITY, LIST, {"type": "string"}, {"anyOf": [{"type": "integer"}, CITY]}]))
def test_whatever_is_accepted_fits(value: Any, shape: dict[str, Any]) -> None:
    schema = OutputSchema(shape)
    for take, raw in ((schema.accept, value), (schema.read, json.dumps(value))):
        try:
            assert not schema.errors(take(raw))
        except MismatchError:
            assert schema.errors(value)


@given(st.text(alphabet='{}[]"`\n:,a1 ', max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    schema = OutputSchema(CITY)
    try:
        value = schema.read(text)
    except MismatchError:
        return
    assert not schema.errors(value)


# --- runs ---


async def test_the_run_ends_with_the_object(tmp_path: Path) -> None:
    model = ScriptedModel([["Let me see.", call(TOOL_NAME, **SEOUL)]])
    result = await agent(tmp_path, model).run("Largest city?")
    assert isinstance(result, Completed)
    assert (result.structured_output, result.text) == (SEOUL, "Let me see.")
    assert [tool["name"] for tool in model.requests[0].tools] == [TOOL_NAME]
    model.assert_complete()


async def test_errors_go_back_and_the_correction_counts(tmp_path: Path) -> None:
    model = ScriptedModel(
        [call(TOOL_NAME, city=7), broken_call(TOOL_NAME, '{"city": '), "It is Seoul.", call(TOOL_NAME, **SEOUL)]
    )
    result = await agent(tmp_path, model).run("Largest city?")
    assert result.structured_output == SEOUL
    told = [str(request.messages[-1]["content"]) for request in model.requests[1:]]
    assert "$.city: 7 is not of type 'string'" in told[0]
    assert "not valid JSON" in told[1]
    assert f"calling {TOOL_NAME}" in told[2]


async def test_a_text_that_fits_needs_no_call(tmp_path: Path) -> None:
    result = await agent(tmp_path, [f"```json\n{json.dumps(SEOUL)}\n```"]).run("Largest city?")
    assert isinstance(result, Completed)
    assert result.structured_output == SEOUL


@pytest.mark.parametrize("turn", [call(TOOL_NAME, city=7), "I do not know.", broken_call(TOOL_NAME, '{"city": ')])
async def test_without_a_fitting_answer_the_run_fails(turn: Any, tmp_path: Path) -> None:
    model = ScriptedModel([turn] * (MOST_CORRECTIONS + 1))
    result = await agent(tmp_path, model).run("Largest city?")
    assert isinstance(result, Failed)
    assert (result.kind, result.structured_output) == ("structured_output", None)
    model.assert_complete()


async def test_a_hook_that_ends_the_run_early_makes_no_success(tmp_path: Path) -> None:
    async def stop(_given: Any, _call: Any) -> dict[str, Any]:
        return {"continue": False, "stopReason": "enough"}

    hooks: list[Handler] = [callback_handler("PostToolUse", stop)]
    result = await agent(tmp_path, [call("Glob", pattern="*")], tools=None, hooks=hooks).run("Look.")
    assert isinstance(result, Failed)
    assert (result.kind, "enough" in result.reason) == ("structured_output", True)


async def test_a_stop_hook_still_has_its_say(tmp_path: Path) -> None:
    said: list[str] = []

    async def once(_given: Any, _call: Any) -> dict[str, Any]:
        said.append("asked")
        return {"decision": "block", "reason": "Check the number."} if len(said) == 1 else {}

    other = {**SEOUL, "people": 1}
    turns = [call(TOOL_NAME, **SEOUL), call(TOOL_NAME, **other)]
    result = await agent(tmp_path, turns, hooks=[callback_handler("Stop", once)]).run("Largest city?")
    assert (result.structured_output, len(said)) == (other, 2)


async def test_the_playbook_says_that_it_cannot(tmp_path: Path) -> None:
    result = await agent(tmp_path, Playbook(), tools=None).run("Which city is the largest?")
    assert isinstance(result, Failed)
    assert result.kind == "structured_output"
    assert "not a language model" in result.text


async def test_a_later_turn_may_ask_for_another_shape(tmp_path: Path) -> None:
    first = await agent(tmp_path, ["Hello."], output=None).run("Hi")
    model = ScriptedModel([json.dumps(SEOUL)])
    later = await agent(tmp_path, model).run("Largest city?", resume=first.session_id)
    assert later.structured_output == SEOUL
    assert '"required": ["city", "people"]' in model.requests[0].messages[-1]["content"]


async def test_each_turn_of_a_session_owes_its_own_object(tmp_path: Path) -> None:
    first = await agent(tmp_path, [call(TOOL_NAME, **SEOUL)]).run("Largest city?")
    second = await agent(tmp_path, ["No idea."] * (MOST_CORRECTIONS + 1)).run("And?", resume=first.session_id)
    assert isinstance(second, Failed)
    assert second.structured_output is None


async def test_a_question_nobody_answers_stays_a_question(tmp_path: Path) -> None:
    options = [{"label": label, "description": label} for label in ("a", "b")]
    asked = call("AskUserQuestion", questions=[{"question": "Which?", "header": "W", "options": options}])
    result = await agent(tmp_path, [asked], tools=None).run("Go")
    assert isinstance(result, NeedsInput)


class City(BaseModel):
    city: str
    people: int

    @field_validator("city")
    @classmethod
    def known(cls, value: str) -> str:
        if value != "Seoul":
            raise ValueError("no such city")
        return value


async def test_a_pydantic_class_is_a_shape_and_its_validators_count(tmp_path: Path) -> None:
    model = ScriptedModel([call(TOOL_NAME, city="Atlantis", people=0), call(TOOL_NAME, **SEOUL)])
    result = await agent(tmp_path, model, output=City).run("Largest city?")
    assert City.model_validate(result.structured_output).people == SEOUL["people"]
    assert "no such city" in str(model.requests[1].messages[-1]["content"])


def test_what_is_no_shape_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="int is no pydantic model"):
        output_schema(int)  # type: ignore[arg-type]  # the wrong use under test
