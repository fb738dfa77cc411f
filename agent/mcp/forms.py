"""Elicitation forms and our questions, each as the other.

A server asks with a flat JSON schema and wants values of its types; a person here answers `Question`s with labels or
free text. As a server we ask the other way round. Source: Model Context Protocol, elicitation, form mode (2025-06-18 to
2026-07-28).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tools.ports import Answers, Option, PermissionRequest, Question
from tools.text import clean

Json = dict[str, Any]
Language = Literal["en", "ko"]
Value = str | int | float | bool | list[str] | None

_MOST_FIELDS = 20
_MOST_TEXT = 500
_SECRET = re.compile(
    r"pass(word|phrase|wd)|secret|token|api[-_ ]?key|credential|private[-_ ]?key|비밀번호|토큰", re.IGNORECASE
)
_SECRET_NAME = re.compile(r"\b(pin|otp|cvv)\b", re.IGNORECASE)

_WORDS: Mapping[str, Mapping[Language, str]] = {
    "asks": {"en": "The MCP server {server} asks: {message}", "ko": "MCP 서버 {server}의 질문: {message}"},
    "yes": {"en": "Yes", "ko": "예"},
    "no": {"en": "No", "ko": "아니요"},
    "decline": {"en": "Decline", "ko": "거절"},
    "decline_why": {"en": "Give the server no answer", "ko": "서버에 답하지 않음"},
    "skip": {"en": "Leave out", "ko": "비워 두기"},
    "skip_why": {"en": "Answer without this value", "ko": "이 값 없이 답함"},
    "write": {"en": "Own answer", "ko": "직접 입력"},
    "write_why": {"en": "Answer in your own words", "ko": "직접 답을 씀"},
    "other": {"en": "In your own words, instead of an option", "ko": "선택지 대신 직접 입력"},
    "permission": {
        "en": "Allow this call of {tool}? {reason}",
        "ko": "{tool} 호출을 허용할까요? {reason}",
    },
}


def word(key: str, language: Language, **details: str) -> str:
    """A phrase in the conversation's language."""
    return _WORDS[key][language].format(**details)


class Declined(Exception):  # noqa: N818 - an answer, not an error
    """The form is not answered: the person declined, or it asks for what is never given."""


# --- a server's form, asked here ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a form, and the question it becomes. `values` maps a label to the value it stands for."""

    name: str
    schema: Mapping[str, Any]
    question: Question
    values: Mapping[str, Value]
    required: bool


def fields_of(message: str, schema: Mapping[str, Any], server: str, language: Language = "en") -> list[Field]:
    """The questions of a form. Raises `Declined` for forms that ask for secrets, or that are no flat form."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or len(properties) > _MOST_FIELDS:
        raise Declined("The form has no readable fields, or too many.")
    required = schema.get("required")
    needed = set(map(str, required)) if isinstance(required, list) else set()
    asked = word("asks", language, server=server, message=_plain(message))
    fields = []
    for name, spec in properties.items():
        if not isinstance(spec, Mapping):
            raise Declined(f"The field {name!r} cannot be read.")
        title, about = str(spec.get("title") or name), str(spec.get("description") or "")
        if _SECRET.search(f"{name} {title} {about}") or _SECRET_NAME.search(f"{name} {title}"):
            raise Declined(f"The field {_plain(title)!r} asks for a secret.")
        text = f"{asked}\n{_plain(title)}: {_plain(about)}"
        fields.append(_field(str(name), spec, text, str(name) in needed, language))
    return fields


def _field(name: str, spec: Mapping[str, Any], text: str, required: bool, language: Language) -> Field:
    values = _choices(spec, language)
    shown = list(values)[:3] if len(values) > 3 else list(values)
    if len(values) > len(shown):
        text = f"{text}\n{', '.join(values)}"
    decline = word("decline", language)
    options = [Option(label) for label in shown]
    if not required and len(options) < 3:
        options.append(Option(word("skip", language), word("skip_why", language)))
    options.append(Option(decline, word("decline_why", language)))
    given = _plain(str(spec["default"])) if isinstance(spec.get("default"), str | int | float) else ""
    if not values:
        options.insert(0, Option(given) if given else Option(word("write", language), word("write_why", language)))
        default = given or decline
    else:
        default = next((label for label, value in values.items() if value == spec.get("default")), decline)
    question = Question(
        question=text.strip(" :"),
        header=_plain(str(spec.get("title") or name))[:12] or "-",
        options=tuple(options),
        multi_select=spec.get("type") == "array",
        key=f"mcp:{name}",
        default=default if any(option.label == default for option in options) else decline,
    )
    return Field(name, spec, question, values, required)


def _choices(spec: Mapping[str, Any], language: Language) -> dict[str, Value]:
    """Label to value for a field with fixed values; empty for free text and numbers."""
    if spec.get("type") == "boolean":
        return {word("yes", language): True, word("no", language): False}
    items = spec.get("items") if spec.get("type") == "array" else spec
    if not isinstance(items, Mapping):
        return {}
    titled = items.get("oneOf") or items.get("anyOf")
    if isinstance(titled, list):
        found = [item for item in titled if isinstance(item, Mapping) and isinstance(item.get("const"), str)]
        return {_plain(str(item.get("title") or item["const"])): item["const"] for item in found}
    names, values = items.get("enumNames"), items.get("enum")
    listed = [item for item in values if isinstance(item, str)] if isinstance(values, list) else []
    labels = names if isinstance(names, list) and len(names) == len(listed) else listed
    return {_plain(str(label)): value for label, value in zip(labels, listed, strict=True)}


def content_of(fields: Sequence[Field], answers: Mapping[str, str], language: Language = "en") -> dict[str, Value]:
    """The values of a form, of the types it asks for. Raises `Declined` when an answer declines or does not fit."""
    content: dict[str, Value] = {}
    for field in fields:
        answer = answers.get(field.question.question, "").strip()
        if answer == word("decline", language):
            raise Declined("The person declined.")
        if answer in ("", word("write", language), word("skip", language)):
            if field.required:
                raise Declined(f"{field.name} was left out.")
            continue
        content[field.name] = _value(field, answer)
    return content


def _value(field: Field, answer: str) -> Value:
    kind = field.schema.get("type")
    try:
        if kind == "array":
            parts = [part.strip() for part in answer.split(",") if part.strip()]
            return [str(field.values[part]) for part in parts]
        if field.values:
            return field.values[answer]
        if kind == "integer":
            return int(answer)
        return float(answer) if kind == "number" else answer
    except (KeyError, ValueError) as error:
        raise Declined(f"{answer[:60]!r} does not fit {field.name}.") from error


def _plain(text: str) -> str:
    """One line of a server's text, short, with nothing invisible in it."""
    return " ".join(clean(text).split())[:_MOST_TEXT]


# --- our questions, as a form ---------------------------------------------------------------------------------------


def form_of(questions: Sequence[Question], language: Language = "en") -> tuple[str, Json]:
    """Message and schema for our questions: a choice each, and next to it a free text."""
    properties: Json = {}
    for number, question in enumerate(questions, 1):
        choices = [
            {"const": option.label, "title": f"{option.label}: {option.description}".removesuffix(": ")}
            for option in question.options
        ]
        title = question.header or question.question[:40]
        field: Json = {"title": title, "description": question.question}
        if question.multi_select:
            field |= {"type": "array", "items": {"anyOf": choices}}
        else:
            field |= {"type": "string", "oneOf": choices}
            if question.default is not None:
                field["default"] = question.default
        properties[f"answer{number}"] = field
        properties[f"other{number}"] = {"type": "string", "title": title, "description": word("other", language)}
    message = "\n\n".join(f"{question.question} {question.why}".strip() for question in questions)
    return message, {"type": "object", "properties": properties}


def answers_of(questions: Sequence[Question], content: Mapping[str, Any]) -> Answers:
    """Answers from an accepted form; a question without an answer is missing from it."""
    answers = {}
    for number, question in enumerate(questions, 1):
        given = content.get(f"other{number}") or content.get(f"answer{number}")
        if given:
            answers[question.question] = ", ".join(map(str, given)) if isinstance(given, list) else str(given)
    return Answers(answers)


def permission_form(request: PermissionRequest, language: Language = "en") -> tuple[str, Json]:
    """Message and schema to ask for one call; what it would do is shown whole up to a limit."""
    shown = clean(json.dumps(dict(request.input), ensure_ascii=False))[:2_000]
    message = word("permission", language, tool=clean(request.tool), reason=clean(request.reason))
    allow: Json = {"type": "boolean", "title": word("yes", language), "default": False}
    return f"{message}\n{shown}", {"type": "object", "properties": {"allow": allow}, "required": ["allow"]}
