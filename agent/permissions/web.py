"""Whether an address may be fetched: how it is spelled, whether its host is a public name, which rule covers it.

This judges the text of an address before anything is resolved. The fetcher has to check again what the name
resolves to, on every hop: a name that passes here may still point at a private address.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from agent.permissions.rules import Rule, wildcard

MAX_URL = 2048
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.DOTALL)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LOCAL = ("localhost", "local", "internal", "localdomain", "lan", "home.arpa", "intranet", "corp", "private")
_LOCAL_HOSTS = frozenset(
    {
        "ip6-localhost",
        "ip6-loopback",
        "broadcasthost",
        "metadata",
        "instance-data",
        "kubernetes",
        "host.docker.internal",
    }
)
# Public by `is_global`, yet ways to reach private addresses or nobody: NAT64, 6to4, IPv4-compatible, site-local,
# multicast.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "2002::/16",
        "::/96",
        "fec0::/10",
        "224.0.0.0/4",
        "ff00::/8",
        "192.0.0.0/24",
        "2001::/32",
        "100::/64",
        "100.64.0.0/10",
        "192.88.99.0/24",
    )
)


class RefusedUrl(ValueError):  # noqa: N818 - it is refused, not broken
    """The address must not be fetched in any mode. The message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed address: `host` in ASCII, lower case, one trailing dot stripped. `unusual` needs a person's yes."""

    scheme: str
    host: str
    port: int | None
    is_address: bool = False
    unusual: str | None = None


def parse_url(url: str) -> Target:
    """The target of an address. Raises `RefusedUrl` for anything that two parsers could read differently."""
    if any(char <= " " or "\x7f" <= char <= "\xa0" or char == "\\" or not char.isprintable() for char in url):
        raise RefusedUrl("it holds spaces, control characters or a backslash")
    found = _URL.fullmatch(url)
    if not found or found["scheme"].lower() not in ("http", "https"):
        raise RefusedUrl("only http and https addresses are fetched")
    scheme, authority = found["scheme"].lower(), found["authority"]
    if "@" in authority:
        raise RefusedUrl("it holds a user name before the host")
    if "%" in authority:
        raise RefusedUrl("its host is percent-encoded")
    host, port = _split_port(authority)
    host, is_address = (_address(host[1:-1]), True) if host.startswith("[") else _name(host)
    unusual = None
    if port is not None and port != (443 if scheme == "https" else 80):
        unusual = f"port {port}"
    if len(url) > MAX_URL:
        unusual = f"longer than {MAX_URL} characters"
    return Target(scheme, host, port, is_address, unusual)


def _split_port(authority: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?", authority)
    if not found or not found[1]:
        raise RefusedUrl("its host cannot be read")
    port = int(found[2]) if found[2] else None
    if port is not None and not 0 < port < 65536:
        raise RefusedUrl("its port is no port")
    return found[1], port


def _name(host: str) -> tuple[str, bool]:
    """A host name in its ASCII form, or a public IPv4 address written plainly."""
    if not host.isascii():
        host = _to_ascii(host)
    host = host.lower()
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise RefusedUrl("its host is not a host name")
    # The resolver takes decimal, octal, hexadecimal and shortened forms: a last label like that is an address.
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        return _address(host), True
    if host in _LOCAL_HOSTS or any(host == name or host.endswith(f".{name}") for name in _LOCAL):
        raise RefusedUrl(f"{host} is not a public host")
    return host, False


def _to_ascii(host: str) -> str:
    import unicodedata

    if unicodedata.normalize("NFKC", host).isascii() or any(dot in host for dot in "。．｡"):
        raise RefusedUrl("its host only looks like another one")
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise RefusedUrl("its host is not a host name") from error


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise RefusedUrl("its host is an address in an unusual notation") from error
    if not is_public(address):
        raise RefusedUrl(f"{address} is not a public address")
    return str(address)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address, also one a resolver gave, lies on the public internet. Use it on every resolved answer."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def host_rule_matches(rule: Rule, target: Target) -> bool:
    """`domain:HOST`: whole labels, case aside; `*.x` is subdomains of x, another `*` stays within one label, `*` is
    every name.

    A port other than the scheme's own must be spelled (`domain:example.com:8443`). Allow rules never cover an
    address by text.
    """
    if rule.specifier is None:
        return True
    wanted = rule.specifier.removeprefix("domain:").lower().removesuffix(".")
    wanted, _, port = wanted.partition(":")
    wanted = wanted.removesuffix(".")
    if port and port != str(target.port):
        return False
    if target.is_address:
        return rule.kind != "allow" and wanted in ("*", target.host)
    return name_matches(wanted, target.host)


def names_port(rule: Rule, target: Target) -> bool:
    """Whether the rule spells the target's port."""
    return rule.specifier is not None and rule.specifier.endswith(f":{target.port}")


def name_matches(pattern: str, host: str) -> bool:
    """Whether a host pattern covers a host name, label by label."""
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        wanted, labels = pattern[2:].split("."), host.split(".")
        return len(labels) > len(wanted) and _labels_match(wanted, labels[len(labels) - len(wanted) :])
    return _labels_match(pattern.split("."), host.split("."))


def _labels_match(patterns: list[str], labels: list[str]) -> bool:
    return len(patterns) == len(labels) and all(wildcard(p, label) for p, label in zip(patterns, labels, strict=True))
