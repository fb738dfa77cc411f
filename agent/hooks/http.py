"""An http hook: the input is POSTed, a 2xx answer is the output. No proxy, no redirects, bounded, never to metadata."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping

from agent.hooks.command import Raw
from agent.hooks.config import Handler
from tools.text import clean
from tools.tool import ToolError
from tools.web.address import WebPolicy, parse, resolve

_KEPT_BYTES = 1_000_000
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


async def post(handler: Handler, payload: str, seconds: float) -> Raw:
    """Send the input. A time-out is the caller's matter."""
    import httpx2

    started = time.monotonic()
    try:
        host = httpx2.URL(handler.url).host.lower()
        policy = WebPolicy(allow_private_hosts=frozenset({host}))
        await resolve(url := parse(handler.url, policy), policy)
        headers = {"Content-Type": "application/json"} | _headers(handler, os.environ)
        async with (
            httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=seconds) as client,
            client.stream("POST", url, content=payload.encode(), headers=headers) as response,
        ):
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _KEPT_BYTES:
                    return Raw(failure="its answer is too long", seconds=time.monotonic() - started)
    except (ToolError, httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return Raw(failure=clean(str(error) or type(error).__name__), seconds=time.monotonic() - started)
    text = body.decode("utf-8", "replace")
    failure = "" if response.is_success else f"it answered with status {response.status_code}"
    return Raw(text, exit_code=None if failure else 0, failure=failure, seconds=time.monotonic() - started)


def _headers(handler: Handler, env: Mapping[str, str]) -> dict[str, str]:
    """Headers with `$NAME` filled in for the variables the handler names; others become empty."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return env.get(name, "") if name in handler.header_env else ""

    return {name: _VARIABLE.sub(value, text) for name, text in handler.headers.items()}
