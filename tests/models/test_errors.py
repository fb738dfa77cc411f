"""The error table: what an answer means, whether to try again, when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.errors import ADVICE, advice, from_response, retry_after
from agent.models.port import ErrorKind
from tools.secrets import Redactor

PLAIN = Redactor()


def body(error_type: str = "", message: str = "why", code: str | None = None) -> bytes:
    error: dict[str, Any] = {"type": error_type, "message": message}
    return json.dumps({"type": "error", "error": error | ({"details": {"error_code": code}} if code else {})}).encode()


TABLE: list[tuple[int, bytes, dict[str, str], str, bool]] = [
    (400, body("invalid_request_error"), {}, "invalid_request", False),
    (
        400,
        body("invalid_request_error", "prompt is too long: 210000 > 200000"),
        {},
        "context_too_long",
        False,
    ),
    (400, body("invalid_request_error", "Your credit balance is too low"), {}, "billing", False),
    (
        400,
        body("invalid_request_error", "reached your usage limits. You will regain access"),
        {},
        "spend_limit",
        False,
    ),
    (401, body("authentication_error"), {}, "authentication", False),
    (402, body("billing_error"), {}, "billing", False),
    (403, body("permission_error"), {}, "permission", False),
    (404, body("not_found_error"), {}, "not_found", False),
    (404, b"404 page not found", {}, "not_found", False),
    (404, body("not_found_error", code="thread_not_found"), {}, "not_found", False),
    (408, b"", {}, "timeout", True),
    (409, body("conflict_error"), {}, "server", True),
    (413, body("request_too_large"), {}, "too_large", False),
    (413, b"<html>", {}, "too_large", False),
    (422, b'{"detail": "bad"}', {}, "invalid_request", False),
    (429, body("rate_limit_error"), {"retry-after": "7"}, "rate_limit", True),
    (429, body("rate_limit_error"), {}, "spend_limit", False),
    (429, body("rate_limit_error"), {"x-should-retry": "true"}, "rate_limit", True),
    (429, body("rate_limit_error", code="enforced_spend_limit_reached"), {"retry-after": "7"}, "spend_limit", False),
    (429, body("rate_limit_error", code="contract_spend_limit_reached"), {}, "spend_limit", False),
    (429, body("rate_limit_error", code="ramp_limit_exceeded"), {}, "rate_limit", True),
    (500, body("api_error"), {}, "server", True),
    (500, body("api_error"), {"x-should-retry": "false"}, "server", False),
    (502, b"Bad gateway", {}, "server", True),
    (503, b"", {}, "server", True),
    (504, body("timeout_error"), {}, "timeout", True),
    (529, body("overloaded_error"), {}, "overloaded", True),
    (529, body("overloaded_error", code="compaction_unavailable"), {}, "overloaded", True),
    (418, body("new_error"), {}, "unknown", False),
    (500, b'{"error": {"message": "openai form", "code": 500}}', {}, "server", True),
    (400, b'{"error": "a plain text"}', {}, "invalid_request", False),
    (400, b"[" * 100_000, {}, "invalid_request", False),
]


@pytest.mark.parametrize(("status", "answer", "headers", "kind", "retryable"), TABLE)
def test_the_table(status: int, answer: bytes, headers: dict[str, str], kind: str, retryable: bool) -> None:
    error = from_response(status, headers, answer, redactor=PLAIN)
    assert (error.kind, error.retryable, error.status) == (kind, retryable, status)


def test_other_servers_leave_out_the_time_to_wait() -> None:
    error = from_response(429, {}, b"slow down", redactor=PLAIN, strict_429=False)
    assert (error.kind, error.retryable) == ("rate_limit", True)


def test_the_message_names_status_cause_and_reason() -> None:
    error = from_response(
        429, {"request-id": "req_1"}, body("rate_limit_error", code="ramp_limit_exceeded"), redactor=PLAIN
    )
    assert str(error) == "429 ramp_limit_exceeded: why"
    assert error.request_id == "req_1"


@given(st.integers(400, 599), st.binary(max_size=300))
def test_any_answer_becomes_an_error(status: int, answer: bytes) -> None:
    error = from_response(status, {}, answer, redactor=PLAIN)
    assert error.kind in get_args(ErrorKind)
    assert str(error)


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=30), usegmt=True)}, 0.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({}, None),
    ],
)
def test_time_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=NOW.timestamp()) == seconds


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_every_kind_has_advice_in_both_languages(kind: ErrorKind) -> None:
    assert set(ADVICE[kind]) == {"en", "ko"}
    assert advice(kind, "ko") != advice(kind, "en") == advice(kind, "fr")


def test_kinds_that_are_not_the_service_s_have_no_advice() -> None:
    assert advice("gate") == ""
