"""Which addresses may be fetched: the URL as the HTTP client reads it, and every address its host resolves to.

The rules are those against server-side request forgery: only public addresses, whatever their spelling; addresses
inside other addresses (mapped, NAT64, 6to4, Teredo) are unwrapped; what was checked is what is connected to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.text import clean
from tools.tool import ToolError

if TYPE_CHECKING:
    from httpx2 import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_URL = 2048
_RESOLVE_SECONDS = 10.0
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
# `is_global` calls these public.
_ALSO_REFUSED = tuple(
    map(ipaddress.ip_network, ("224.0.0.0/4", "192.0.0.0/24", "fec0::/10", "64:ff9b:1::/48", "ff00::/8"))
)
# Where clouds answer with credentials: refused even for hosts that are allowed to be private.
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"),
    )
)


@dataclass(frozen=True, slots=True)
class WebPolicy:
    """What a run may fetch. Kept in `ctx.state["web"]`.

    `allow_private_hosts` are host names or addresses, exactly as in the URL, that may be private, on any port and
    without https. All other hosts need a public address and one of `ports`. `ca_file` names certificates (PEM) to
    trust besides the usual ones: private hosts often have an authority of their own.
    """

    allow_private_hosts: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset({80, 443})
    ca_file: str | None = None


def parse(text: str, policy: WebPolicy) -> URL:
    """The URL, its host in ASCII, with https for a public host. Raises `ToolError` for what is not fetched."""
    import httpx2

    if len(text) > _MAX_URL or not text.isprintable() or re.search(r"[\s\\]", text):
        raise ToolError("The URL is too long, or contains spaces, backslashes or control characters. Encode them.")
    try:
        url = httpx2.URL(text)
        host = url.raw_host.decode("ascii").lower().removesuffix(".")
        url = url.copy_with(fragment=None)
    except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
        raise ToolError(f"This is not a valid URL: {clean(str(error))}.") from error
    if url.scheme not in ("http", "https"):
        raise ToolError(f"Only http and https URLs can be fetched, not {clean(url.scheme) or 'one without a scheme'}.")
    authority = text.split("://", 1)[-1].split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
    if url.userinfo or "@" in authority or "%" in authority:
        raise ToolError("The URL contains a user name, password or encoded host. Give it without.")
    if not (_HOST.fullmatch(host) and len(host) <= 253) and not _is_ipv6(host):
        raise ToolError(f"{clean(host)!r} is not a host name.")
    url = url.copy_with(host=host)
    if host in policy.allow_private_hosts:
        return url
    if (url.port or {"http": 80, "https": 443}[url.scheme]) not in policy.ports:
        raise ToolError(f"Port {url.port} is not fetched from. Only {sorted(policy.ports)} are.")
    return url.copy_with(scheme="https", port=None if url.port in (80, 443) else url.port)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


async def resolve(url: URL, policy: WebPolicy) -> list[str]:
    """The addresses of the URL's host, each checked. Raises `ToolError` if there is none, or one that is refused."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            answers = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise ToolError(f"{clean(url.host)} cannot be resolved. Check the spelling of the host.") from error
    addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for address in addresses:
        reason = refusal(address, private_allowed=url.host in policy.allow_private_hosts)
        if reason:
            raise ToolError(f"{clean(url.host)} is not fetched: its address {clean(address)} is {reason}.")
    if not addresses:
        raise ToolError(f"{clean(url.host)} has no address.")
    return addresses


def refusal(text: str, *, private_allowed: bool = False) -> str:
    """Why an address is refused; empty if it is not."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "of an unknown form"
    for part in _unwrapped(address):
        if any(part in network for network in _NEVER if network.version == part.version):
            return "a link-local or metadata address"
        if private_allowed:
            continue
        if not part.is_global or any(part in network for network in _ALSO_REFUSED if network.version == part.version):
            return "not a public one"
    return ""


def _unwrapped(address: Address) -> list[Address]:
    """The address itself, or the ones it carries inside where it only wraps others."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.scope_id is not None:
        return [ipaddress.IPv6Address(int(address))]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.teredo is not None:
        return [address, *address.teredo]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address in _NAT64:
        return [low]
    return [address, low] if address in _COMPATIBLE else [address]
