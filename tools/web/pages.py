"""One page over HTTP: checked addresses, hand-made redirects, limits while reading."""

from __future__ import annotations

import asyncio
import codecs
import re
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.text import clean
from tools.tool import ToolError
from tools.web.address import WebPolicy, parse, resolve

if TYPE_CHECKING:
    from httpx2 import URL, AsyncClient, Response

_CONNECT_SECONDS = 10.0
_TOTAL_SECONDS = 30.0
_MAX_BYTES = 5_000_000
_MAX_REDIRECTS = 5
_HEADERS = {
    "User-Agent": "expert-devops (+reads a page for its user)",
    "Accept": "text/markdown, text/html;q=0.9, text/plain;q=0.8, application/json;q=0.7, */*;q=0.1",
    "Accept-Encoding": "gzip, deflate",
}
_TEXT_TYPE = re.compile(r"text/.+|application/(?:.+\+)?(?:json|xml|yaml|x-yaml|toml|javascript|x-sh|ld\+json)")
_CHARSET = re.compile(r"charset=[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Page:
    """What came back: `text` decoded, `redirect` set instead where another host is pointed to."""

    url: str
    status: int
    reason: str
    media_type: str
    text: str
    bytes: int
    redirect: str = ""


async def fetch(text: str, policy: WebPolicy) -> Page:
    """Fetch a URL. Raises `ToolError` for what is refused, fails, is too large, too slow, or no text."""
    try:
        async with asyncio.timeout(_TOTAL_SECONDS):
            return await _follow(parse(text, policy), policy)
    except TimeoutError:
        raise ToolError(f"The page took longer than {_TOTAL_SECONDS:g} s. Try again later, or another page.") from None


async def _follow(url: URL, policy: WebPolicy) -> Page:
    import httpx2

    trust = httpx2.create_ssl_context(trust_env=False)
    if policy.ca_file is not None:
        trust.load_verify_locations(policy.ca_file)
    for _ in range(_MAX_REDIRECTS + 1):
        addresses = await resolve(url, policy)
        # No proxy, netrc or certificate variables of the environment; no cookies outlive the hop.
        async with httpx2.AsyncClient(
            verify=trust, trust_env=False, follow_redirects=False, timeout=_CONNECT_SECONDS
        ) as client:
            page = await _one_hop(client, url, addresses)
        if not page.redirect:
            return page
        target = _target(url, page.redirect, policy)
        if (target.host, target.port) != (url.host, url.port):
            return Page(str(url), page.status, page.reason, "", "", 0, redirect=str(target))
        if url.scheme == "https" and target.scheme == "http":
            raise ToolError(f"{url.host} redirects from https to http, which is not followed.")
        url = target
    raise ToolError(f"{url.host} redirects more than {_MAX_REDIRECTS} times.")


def _target(url: URL, location: str, policy: WebPolicy) -> URL:
    import httpx2

    try:
        joined = str(url.join(location))
    except (httpx2.InvalidURL, ValueError) as error:
        raise ToolError(f"{url.host} redirects to something that is not a URL.") from error
    return parse(joined, policy)


async def _one_hop(client: AsyncClient, url: URL, addresses: list[str]) -> Page:
    """Request `url` from the first of its checked addresses that answers."""
    import httpx2

    problem: Exception | None = None
    for address in addresses:
        request = client.build_request(
            "GET",
            url.copy_with(host=address),
            headers=_HEADERS | {"Host": url.netloc.decode("ascii")},
            # The certificate must be for the name, although the connection goes to the address.
            extensions={"sni_hostname": url.host},
        )
        try:
            response = await client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            problem = error
            continue
        except httpx2.HTTPError as error:
            raise _failed(url, error) from error
        try:
            return await _page(url, response)
        except httpx2.HTTPError as error:
            raise _failed(url, error) from error
        finally:
            await response.aclose()
    raise _failed(url, problem) from problem


def _failed(url: URL, error: Exception | None) -> ToolError:
    reason = clean(str(error)) or type(error).__name__
    return ToolError(f"{clean(str(url))} cannot be fetched: {reason}.")


async def _page(url: URL, response: Response) -> Page:
    media_type, _, parameters = response.headers.get("content-type", "text/plain").partition(";")
    media_type = media_type.strip().lower()
    if response.status_code in _REDIRECTS and "location" in response.headers:
        return Page(
            str(url), response.status_code, response.reason_phrase, "", "", 0, redirect=response.headers["location"]
        )
    if not _TEXT_TYPE.fullmatch(media_type):
        raise ToolError(f"{clean(str(url))} is {clean(media_type)}, not text. Only text is fetched.")
    content = b"".join([chunk async for chunk in _body(url, response)])
    text = _decoded(parameters, content)
    return Page(str(url), response.status_code, response.reason_phrase, media_type, text, len(content))


async def _body(url: URL, response: Response) -> AsyncIterator[bytes]:
    """The decompressed body in pieces, which never gets to exist beyond the limit."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise ToolError(f"{url.host} answers with an encoding that was not asked for ({clean(encoding)}).")
    # 32 more than the window size: zlib or gzip, as the header says.
    unpack = zlib.decompressobj(wbits=47) if encoding in ("gzip", "x-gzip", "deflate") else None
    room = _MAX_BYTES
    async for raw in response.aiter_raw():
        try:
            piece = unpack.decompress(raw, room + 1) if unpack else raw
        except zlib.error as error:
            raise ToolError(f"{url.host} sent damaged data ({error}).") from error
        room -= len(piece)
        if room < 0:
            raise ToolError(f"{clean(str(url))} is larger than {_MAX_BYTES // 1_000_000} MB. Fetch a smaller page.")
        yield piece


def _decoded(parameters: str, content: bytes) -> str:
    """The text, by byte-order mark, header, or the page's own word; UTF-8 otherwise."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    head = content[:2048].decode("latin-1")
    found = _CHARSET.search(parameters) or _CHARSET.search(head)
    try:
        text = content.decode(found[1] if found else "utf-8", "replace")
    except LookupError:  # an unknown encoding, or none of text
        text = content.decode("utf-8", "replace")
    return text.removeprefix("\ufeff")
