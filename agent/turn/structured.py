"""An answer of a given shape: a JSON Schema, the tool that takes the answer, and the corrections a model gets.

The model answers by calling `StructuredOutput`, whose input is the user's schema (inside `{"result": ...}` where the
schema is no plain object, since a tool's input must be one). What does not fit goes back with precise errors, a few
times. An answer written as text is taken too when it fits. Nothing is invented: a repair only undoes a wrapping (a code
fence, `{"result": ...}`, JSON inside a text), and what it gives must fit the schema. `format` is annotation only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.knowledge.names import fold
from tools.tool import Effect, ToolContext, ToolError, ToolResult

if TYPE_CHECKING:
    from pydantic import BaseModel

Json = dict[str, Any]

TOOL_NAME = "StructuredOutput"
MOST_CORRECTIONS = 5
DEMAND = f"Give the final answer by calling {TOOL_NAME}"
"""How every request for the answer begins; the playbook knows it by this."""

_WRAPPER = "result"
_MOST_ERRORS = 10
_MOST_ERROR_TEXT = 300
_DATA = frozenset({"const", "default", "enum", "examples"})  # keywords whose value is data, not schema
_NOT_AT_TOP = frozenset({"$ref", "allOf", "anyOf", "if", "not", "oneOf"})  # a tool's input schema may not begin so
_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)```", re.DOTALL)
_DESCRIPTION = (
    "Give the final answer of the task in the shape the user asked for. Call it once, when all other work is done: the "
    "task ends with it. An input that does not fit the schema comes back with what is wrong; correct it and call again."
)


class SchemaError(ValueError):
    """A schema that cannot be used; the message says where it is wrong."""


class MismatchError(ValueError):
    """A value does not fit the schema; the message names each place."""


class OutputSchema:
    """A JSON Schema for the answer. Raises `SchemaError` when it is none.

    A schema refers to nothing outside itself. `model` is a pydantic class whose own validators are asked as well.
    """

    def __init__(self, schema: Mapping[str, Any], model: type[BaseModel] | None = None) -> None:
        self.schema = schema
        self._model = model
        self._check()

    def _check(self) -> None:
        from jsonschema import exceptions
        from referencing.exceptions import Unresolvable

        if not isinstance(self.schema, Mapping):
            raise SchemaError("A schema is a JSON object.")
        try:
            self._validator.check_schema(self.schema)
        except exceptions.SchemaError as error:
            where = "/".join(map(str, error.absolute_path)) or "the top"
            raise SchemaError(f"It is no valid JSON Schema: at {where}: {error.message[:_MOST_ERROR_TEXT]}") from error
        except RecursionError as error:
            raise SchemaError("It is nested too deeply.") from error
        resolver = self._validator._resolver  # noqa: SLF001 - the public way looks a reference up only while validating
        for reference in _references(self.schema):
            try:
                resolver.lookup(reference)
            except Unresolvable as error:
                raise SchemaError(f"The reference {reference[:100]!r} leads nowhere in this schema.") from error

    @cached_property
    def _validator(self) -> Any:
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry

        return validator_for(self.schema, default=Draft202012Validator)(self.schema, registry=Registry())

    @cached_property
    def wrapped(self) -> bool:
        """Whether the tool takes `{"result": ...}` around the value."""
        return self.schema.get("type") != "object" or not _NOT_AT_TOP.isdisjoint(self.schema)

    @cached_property
    def tool_schema(self) -> Json:
        """The input schema of the tool."""
        inner = {key: value for key, value in self.schema.items() if key not in ("$schema", "$id")}
        if not self.wrapped:
            return inner
        return {
            "type": "object",
            "properties": {_WRAPPER: _moved(inner)},
            "required": [_WRAPPER],
            "additionalProperties": False,
        }

    def errors(self, value: Any) -> list[str]:
        """What is wrong with `value`, each with its place; empty when it fits."""
        from jsonschema.exceptions import best_match

        try:
            found = [best_match([error]) for error in self._validator.iter_errors(value)]
        except RecursionError:
            return ["$: it is nested too deeply."]
        errors = [f"{error.json_path}: {error.message[:_MOST_ERROR_TEXT]}" for error in found]
        return errors or self._model_errors(value)

    def _model_errors(self, value: Any) -> list[str]:
        if self._model is None:
            return []
        from pydantic import ValidationError

        try:
            self._model.model_validate(value)
        except ValidationError as error:
            return [f"$.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        return []

    def accept(self, given: Any) -> Any:
        """The value in a call's input, its wrappings undone. Raises `MismatchError` when none fits."""
        first = given[_WRAPPER] if self.wrapped and isinstance(given, Mapping) and set(given) == {_WRAPPER} else given
        errors = self.errors(first)
        if not errors:
            return first
        for value in _unwrapped(given):
            if not self.errors(value):
                return value
            parsed = self._with_texts_parsed(value)
            if parsed is not None and not self.errors(parsed):
                return parsed
        more = f" ... and {len(errors) - _MOST_ERRORS} more" if len(errors) > _MOST_ERRORS else ""
        raise MismatchError("; ".join(errors[:_MOST_ERRORS]) + more)

    def read(self, text: str) -> Any:
        """The value that a text answer holds as JSON. Raises `MismatchError`, with the errors of the nearest one."""
        nearest: MismatchError | None = None
        for candidate in _json_in(text):
            try:
                return self.accept(candidate)
            except MismatchError as error:
                nearest = nearest or error
        raise nearest or MismatchError("The text holds no JSON.")

    def _with_texts_parsed(self, value: Any) -> Any:
        """`value` with each text that stands where something else is wanted read as JSON; None when there is none."""
        wrong = [e for e in self._validator.iter_errors(value) if e.validator == "type" and isinstance(e.instance, str)]
        places = [list(error.absolute_path) for error in wrong if error.absolute_path]
        if not places:
            return None
        copy = json.loads(json.dumps(value))
        for place in places:
            holder = copy
            for step in place[:-1]:
                holder = holder[step]
            with suppress(ValueError, RecursionError):
                holder[place[-1]] = json.loads(holder[place[-1]])
        return copy


Shape: TypeAlias = "OutputSchema | Mapping[str, Any] | type[BaseModel]"
"""A JSON Schema, read already or not, or a pydantic class."""


def output_schema(shape: Shape) -> OutputSchema:
    """The schema of a shape. Raises `SchemaError`."""
    if isinstance(shape, OutputSchema):
        return shape
    if isinstance(shape, type):
        from pydantic import BaseModel

        if not issubclass(shape, BaseModel):
            raise SchemaError(f"{shape.__name__} is no pydantic model.")
        return OutputSchema(shape.model_json_schema(), shape)
    return OutputSchema(shape)


@dataclass(slots=True)
class Answer:
    """The structured answer one run owes: a tool to give it with, and how often it was given wrongly."""

    schema: OutputSchema
    value: Any = None
    given: bool = False
    failures: int = 0
    last_error: str = ""
    _fresh: bool = False

    name: str = field(default=TOOL_NAME, init=False)
    description: str = field(default=_DESCRIPTION, init=False)
    effects: frozenset[Effect] = field(default=frozenset(), init=False)

    @property
    def input_schema(self) -> Mapping[str, Any]:
        return self.schema.tool_schema

    @property
    def exhausted(self) -> bool:
        return self.failures > MOST_CORRECTIONS

    @property
    def reason(self) -> str:
        """Why there is no answer."""
        return f"No answer fitted the schema after {self.failures} attempts. The last problem: {self.last_error}"

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:  # noqa: ARG002 - a tool's signature
        try:
            self._take(self.schema.accept(raw))
        except MismatchError as error:
            self.last_error = str(error)
            raise ToolError(f"The answer does not fit the schema. {error}. Correct it and call again.") from error
        return ToolResult("The answer was accepted.")

    def attempted(self, content: Sequence[Json]) -> bool:
        """Whether the calls of a turn tried to give the answer; a try that failed is counted."""
        if not any(block.get("type") == "tool_use" and fold(str(block["name"])) == _FOLDED for block in content):
            return False
        if not self._fresh:
            self.failures += 1
        self._fresh = False
        return True

    def missing(self, text: str) -> str | None:
        """What to tell a model that stops with `text`; None when the answer is there, or the text holds it."""
        if self.given:
            return None
        try:
            self._take(self.schema.read(text))
        except MismatchError as error:
            self.failures += 1
            self.last_error = str(error)
            return f"{DEMAND}. What you wrote does not fit its schema: {error}"
        return None

    def demand(self) -> str:
        """The request for the answer in words, for a conversation whose tools were fixed without this one."""
        schema = json.dumps(self.schema.schema, ensure_ascii=False)
        return f"{DEMAND}, or, where there is no such tool, as JSON alone that fits this schema:\n{schema}"

    def _take(self, value: Any) -> None:
        self.value, self.given, self._fresh = value, True, True


_FOLDED = fold(TOOL_NAME)


def parse_schema(text: str) -> OutputSchema:
    """The schema in `text`: JSON, or the path of a file that holds it. Raises `SchemaError`."""
    from pathlib import Path

    where = "it"
    if not text.lstrip().startswith(("{", "[", '"')):
        where = text
        try:
            text = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SchemaError(f"{where[:200]} is no JSON, and no file that can be read.") from error
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{where[:200]} is no JSON: {error}") from error
    return OutputSchema(schema)


# --- schemas -----------------------------------------------------------------------------------------------------


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            elif key not in _DATA:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _moved(node: Any) -> Any:
    """A schema for use at `#/properties/result`: its references to its own top follow it there."""
    if isinstance(node, Mapping):
        return {
            key: f"#/properties/{_WRAPPER}{value[1:]}"
            if key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/"))
            else value
            if key in _DATA
            else _moved(value)
            for key, value in node.items()
        }
    return [_moved(item) for item in node] if isinstance(node, list) else node


# --- values ------------------------------------------------------------------------------------------------------


def _unwrapped(value: Any, depth: int = 4) -> Iterator[Any]:
    """`value` and what is inside it: the one value of an object with one key, the JSON in a text."""
    yield value
    if depth == 0:
        return
    if isinstance(value, Mapping) and len(value) == 1:
        yield from _unwrapped(next(iter(value.values())), depth - 1)
    elif isinstance(value, str):
        for inner in _json_in(value):
            yield from _unwrapped(inner, depth - 1)


def _json_in(text: str) -> Iterator[Any]:
    """JSON values in a text, the likeliest first: all of it, fenced blocks, from the first brace to the last."""
    candidates = [text, *reversed(_FENCE.findall(text))]
    for opening, closing in ("{}", "[]"):
        start, end = text.find(opening), text.rfind(closing)
        if 0 <= start < end:
            candidates.append(text[start : end + 1])
    for candidate in candidates:
        with suppress(ValueError, RecursionError):
            yield json.loads(candidate)
