"""What a failed request means: HTTP answers and mid-stream error events -> `ModelError`, sorted by what one can do.

The cause is read from `error.details.error_code`, else `error.type`, else the HTTP status. Only a 400 is looked at by
its wording, to give a better hint: that never decides whether to retry. Source: the Messages API error reference,
October 2026, and the official SDK 2.12.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

from agent.models.port import ErrorKind, ModelError
from agent.models.sse import BadEventError
from tools.secrets import Redactor

_BY_CODE: Final[Mapping[str, ErrorKind]] = {
    "enforced_spend_limit_reached": "spend_limit",
    "contract_spend_limit_reached": "spend_limit",
    "linked_organization_spend_limit_reached": "spend_limit",
    "linked_organization_billing_unavailable": "billing",
    "organization_on_hold": "billing",
    "ramp_limit_exceeded": "rate_limit",
    "compaction_unavailable": "overloaded",
    "request_body_too_large_after_decoding": "too_large",
    "thread_not_found": "not_found",
    "file_expired": "not_found",
}
_BY_TYPE: Final[Mapping[str, ErrorKind]] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "api_error": "server",
    "conflict_error": "server",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
}
_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    301: "not_found",
    302: "not_found",
    307: "not_found",
    308: "not_found",
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "not_found",
    408: "timeout",
    409: "server",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limit",
    504: "timeout",
    529: "overloaded",
}
_BY_WORDING: Final[tuple[tuple[str, ErrorKind], ...]] = (
    (r"prompt is too long|context (window|length|size|limit)", "context_too_long"),
    (r"credit balance", "billing"),
    (r"usage limits?\b.*\bregain access|spend(ing)? limit", "spend_limit"),
)
_RETRYABLE: Final[frozenset[ErrorKind]] = frozenset(
    {"rate_limit", "overloaded", "server", "timeout", "connection", "stream_cut"}
)

ADVICE: Final[Mapping[ErrorKind, Mapping[str, str]]] = {
    "authentication": {
        "en": "The key was not accepted. Check ANTHROPIC_API_KEY (or ANTHROPIC_AUTH_TOKEN).",
        "ko": "키가 거부되었습니다. ANTHROPIC_API_KEY(또는 ANTHROPIC_AUTH_TOKEN)를 확인하세요.",
    },
    "permission": {
        "en": "This key may not use that model or feature. Use another key, or another model with --model.",
        "ko": "이 키로는 해당 모델이나 기능을 쓸 수 없습니다. 다른 키를 쓰거나 --model로 다른 모델을 지정하세요.",
    },
    "billing": {
        "en": "There is a payment problem. Check the billing page of the account.",
        "ko": "결제에 문제가 있습니다. 계정의 결제 페이지를 확인하세요.",
    },
    "spend_limit": {
        "en": "The account's spend limit is used up. Raise it, or wait until it resets.",
        "ko": "계정의 지출 한도를 모두 썼습니다. 한도를 올리거나 초기화될 때까지 기다리세요.",
    },
    "invalid_request": {
        "en": "The server refused the request as wrong. The message above says which part.",
        "ko": "서버가 요청을 잘못된 것으로 거부했습니다. 어느 부분인지는 위 메시지에 있습니다.",
    },
    "too_large": {
        "en": "The request is too large. Leave out large files or images.",
        "ko": "요청이 너무 큽니다. 큰 파일이나 이미지를 빼세요.",
    },
    "context_too_long": {
        "en": "The conversation no longer fits the model's window. Start a new one, or compact it.",
        "ko": "대화가 모델의 컨텍스트 창을 넘었습니다. 새로 시작하거나 대화를 압축하세요.",
    },
    "not_found": {
        "en": "Model or address unknown. Check --model and ANTHROPIC_BASE_URL (host only, without /v1).",
        "ko": "모델이나 주소를 찾을 수 없습니다. --model과 ANTHROPIC_BASE_URL(/v1 없이 호스트만)을 확인하세요.",
    },
    "rate_limit": {
        "en": "Too many requests for this account. Try again in a while.",
        "ko": "이 계정의 요청이 너무 많습니다. 잠시 뒤에 다시 시도하세요.",
    },
    "overloaded": {
        "en": "The service is overloaded. Try again in a while.",
        "ko": "서비스가 과부하 상태입니다. 잠시 뒤에 다시 시도하세요.",
    },
    "server": {
        "en": "The service failed on its side. Try again in a while.",
        "ko": "서비스 쪽에서 오류가 났습니다. 잠시 뒤에 다시 시도하세요.",
    },
    "timeout": {
        "en": "The service took too long. Try again; API_TIMEOUT_MS sets how long a silence is waited for.",
        "ko": "서비스의 응답이 너무 늦었습니다. 다시 시도하세요. 응답 대기 시간은 API_TIMEOUT_MS로 정합니다.",
    },
    "connection": {
        "en": "The service could not be reached. Check the network, the proxy settings and ANTHROPIC_BASE_URL.",
        "ko": "서비스에 연결할 수 없습니다. 네트워크, 프록시 설정, ANTHROPIC_BASE_URL을 확인하세요.",
    },
    "stream_cut": {
        "en": "The answer broke off. Try again.",
        "ko": "응답이 중간에 끊겼습니다. 다시 시도하세요.",
    },
    "unknown": {
        "en": "The request failed for a reason this version does not know.",
        "ko": "이 버전이 알지 못하는 이유로 요청이 실패했습니다.",
    },
}
"""What a person can do about each kind, by conversation language."""


def advice(kind: str, language: str = "en") -> str:
    """What a person can do about a kind of error; empty for a kind that is not the service's."""
    texts = ADVICE.get(cast(ErrorKind, kind), {})
    return texts.get(language, texts.get("en", ""))


def from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    redactor: Redactor,
    strict_429: bool = True,
    partial: bool = False,
) -> ModelError:
    """The error of an HTTP answer (`headers` with lower-case names), or of an error event inside a stream.

    With `strict_429` a 429 that names no time to wait is a used-up spend limit, as on the first-party API; other
    servers often leave the header out of ordinary rate limits. `x-should-retry` overrides every other rule.
    """
    kind_text, message, code = _parse(body)
    kind = _kind(status, kind_text, code, message)
    wait = retry_after(headers)
    should = headers.get("x-should-retry")
    if strict_429 and status == 429 and wait is None and should != "true" and code not in _BY_CODE:
        kind = "spend_limit"
    label = " ".join(part for part in (str(status) if status != 200 else "", code or kind_text) if part)
    return ModelError(
        kind,
        redactor.text(f"{label}: {message[:1000]}" if message else label or "The request failed."),
        status=status,
        retryable={"true": True, "false": False}.get(should or "", kind in _RETRYABLE),
        retry_after=wait,
        request_id=headers.get("request-id"),
        partial=partial,
    )


def from_event(event: Mapping[str, Any], request_id: str | None, *, redactor: Redactor, partial: bool) -> ModelError:
    """The error of an `error` event that arrived after HTTP 200."""
    headers = {"request-id": request_id} if request_id else {}
    body = json.dumps(event).encode()
    return from_response(200, headers, body, redactor=redactor, strict_429=False, partial=partial)


def transport_errors() -> tuple[type[Exception], ...]:
    """What can go wrong between here and an answer; `from_transport` sorts them."""
    import httpx2

    return httpx2.HTTPError, httpx2.InvalidURL, BadEventError, OSError


def from_transport(
    error: Exception, where: str, *, redactor: Redactor, partial: bool = False, request_id: str | None = None
) -> ModelError:
    """The error of a request that got no answer, or lost it on the way. `where` is the server's address."""
    import httpx2

    kind: ErrorKind
    retryable = True
    reason = redactor.text(str(error)) or type(error).__name__
    match error:
        case httpx2.ConnectTimeout() | httpx2.ConnectError() | httpx2.ProxyError():
            kind, retryable = "connection", not _bad_certificate(error)
        case httpx2.TimeoutException():
            kind, reason = "timeout", "nothing came for too long"
        case BadEventError():
            kind = "server"
        case httpx2.NetworkError() | httpx2.RemoteProtocolError() | httpx2.DecodingError():
            kind = "stream_cut" if partial else "connection"
        case OSError():  # a certificate file that cannot be read, for one
            kind, retryable = "connection", False
        case _:
            kind, retryable = "invalid_request", False
    return ModelError(kind, f"{where}: {reason}", retryable=retryable, partial=partial, request_id=request_id)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by `retry-after-ms` or `retry-after` (seconds or HTTP date); None when absent or unusable."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        when = parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, when - (time.time() if now is None else now))


def _parse(body: bytes) -> tuple[str, str, str | None]:
    """(`error.type`, message, `error.details.error_code`) of the API's form, OpenAI's form, or plain text."""
    text = body.decode("utf-8", "replace").strip()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "", text, None
    error = data.get("error", data) if isinstance(data, dict) else text
    if not isinstance(error, dict):
        return "", str(error), None
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    message = error.get("message") or error.get("detail") or ""
    return str(error.get("type") or ""), str(message), code if isinstance(code, str) else None


def _kind(status: int, kind_text: str, code: str | None, message: str) -> ErrorKind:
    kind: ErrorKind = (
        _BY_CODE.get(code or "")
        or _BY_TYPE.get(kind_text)
        or _BY_STATUS.get(status)
        or ("server" if status >= 500 else "unknown")
    )
    if kind == "invalid_request":
        return next((better for pattern, better in _BY_WORDING if re.search(pattern, message, re.I | re.S)), kind)
    return kind


def _bad_certificate(error: BaseException) -> bool:
    """Whether the connection failed on the server's certificate, which another try will not change."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
