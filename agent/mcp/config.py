"""Which MCP servers a run may use: read from Claude Code's files, expanded, judged, in order of precedence.

Highest first: `--mcp-config`, the agent's own, local scope (`projects[path]` of `.claude.json`), the project's
`.mcp.json`, the user's (`.claude.json`). For equal names the whole entry of the highest wins. Nothing here is fatal: an
entry that cannot be used becomes a line in `problems`. Source: Claude Code documentation on MCP, state of August 2026.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from agent.knowledge.names import fold
from agent.settings import Places, Settings
from tools.text import clean

Scope = Literal["flag", "agent", "local", "project", "user"]

_MOST_BYTES = 1_000_000
_MOST_SERVERS = 100
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HTTP = ("http", "streamable-http")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server. `name` is safe in tool names; a stdio server has `command`, an HTTP server `url`.

    `timeout` limits one tool call, in seconds; None takes the default. `digest` is of the entry as written, before
    variables: what a person trusted.
    """

    name: str
    scope: Scope
    where: str
    digest: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    url: str | None = None
    headers: Mapping[str, str] | None = None
    timeout: float | None = None

    @property
    def kind(self) -> Literal["stdio", "http"]:
        return "stdio" if self.url is None else "http"


@dataclass(frozen=True, slots=True)
class Found:
    """The servers to use, the names of in-process servers (`type: sdk`, the host serves them), and what is wrong."""

    configs: tuple[ServerConfig, ...] = ()
    sdk: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    scope: Scope
    where: str
    value: Any


def find_servers(
    places: Places,
    settings: Settings,
    *,
    flags: Sequence[str] = (),
    agent: Sequence[str | Mapping[str, Any]] = (),
    strict: bool = False,
    env: Mapping[str, str] | None = None,
) -> Found:
    """The servers in force.

    `flags` are values of `--mcp-config` (a path or JSON), `strict` uses only those. `agent` is a definition's
    `mcp_servers`: mappings define servers, names are looked up among the rest. The project's file counts when the
    project is trusted or vouched for. `env` is what `${VAR}` expands from.
    """
    variables = {**(os.environ if env is None else env), **settings.env}
    problems: list[str] = []
    chosen: dict[str, _Entry] = {}
    for entry in _entries(places, flags, agent, strict, problems):
        name = server_name(entry.name)
        if not name:
            problems.append(f"{entry.where}: the server name {clean(entry.name)[:60]!r} has no usable character.")
        elif (winner := chosen.setdefault(fold(name), entry)) is not entry and winner.scope == entry.scope:
            problems.append(f"{entry.where}: two MCP servers are named {name!r}; the first is used.")
    if len(chosen) > _MOST_SERVERS:
        problems.append(f"{len(chosen)} MCP servers are configured; only the first {_MOST_SERVERS} are used.")
    configs, sdk = [], []
    for entry in list(chosen.values())[:_MOST_SERVERS]:
        if isinstance(entry.value, Mapping) and entry.value.get("type") == "sdk":
            sdk.append(entry.name)
            continue
        try:
            config = _config(entry, variables, problems)
            _permit(config, settings)
        except _Unusable as error:
            problems.append(f"{entry.where}: MCP server {clean(entry.name)[:60]!r} is left out: {error}")
        else:
            configs.append(config)
    return Found(tuple(configs), tuple(sdk), tuple(problems))


def server_name(name: str) -> str:
    """`name` as it stands in tool names: `[A-Za-z0-9_-]`, never two `_` in a row nor one at an end.

    A permission rule reads `mcp__SERVER__TOOL`: no server may look like another one's tool.
    """
    return re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9_-]", "_", name)).strip("_")[:60].strip("_")


class _Unusable(Exception):  # noqa: N818 - becomes a line in `problems`
    """This entry cannot be used; the message says why."""


# --- the files, highest first ---


def _entries(
    places: Places,
    flags: Sequence[str],
    agent: Sequence[str | Mapping[str, Any]],
    strict: bool,
    problems: list[str],
) -> Iterator[_Entry]:
    for flag in flags:
        yield from _from_flag(flag, problems)
    if strict:
        return
    for item in agent:
        if isinstance(item, Mapping):
            yield from (_Entry(str(name), "agent", "agent definition", value) for name, value in item.items())
    yield from _from_files(places, problems)


def _from_flag(flag: str, problems: list[str]) -> Iterator[_Entry]:
    where = "--mcp-config"
    if flag.lstrip().startswith("{"):
        yield from _servers(_parsed(flag, where, problems), "flag", where, problems)
    else:
        path = Path(flag).expanduser()
        if not path.is_file():
            problems.append(f"--mcp-config: {clean(str(path))[:200]} is not a file.")
            return
        yield from _servers(_read(path, problems), "flag", str(path), problems)


def _from_files(places: Places, problems: list[str]) -> Iterator[_Entry]:
    usual = places.user == places.home / ".claude"
    own_file = (places.home if usual else places.user) / ".claude.json"
    own = _read(own_file, problems) if {"user", "local"} & places.sources else None
    if own is not None and "local" in places.sources:
        projects = own.get("projects")
        local = projects.get(str(places.cwd)) if isinstance(projects, Mapping) else None
        yield from _servers(local, "local", str(own_file), problems)
    if "project" in places.sources:
        yield from _from_project(places, problems)
    if own is not None and "user" in places.sources:
        yield from _servers(own, "user", str(own_file), problems)


def _from_project(places: Places, problems: list[str]) -> Iterator[_Entry]:
    path = places.cwd / ".mcp.json"
    found = list(_servers(_read(path, problems), "project", str(path), problems))
    if found and not places.believes(places.cwd):
        names = ", ".join(clean(entry.name)[:60] for entry in found[:10])
        problems.append(f"{path}: this project is not trusted, so its MCP servers are not started: {names}.")
        return
    yield from found


def _read(path: Path, problems: list[str]) -> Mapping[str, Any] | None:
    """A JSON file; None when it is absent or, with a problem, unusable. Pipes and devices are not read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}.")
        return None
    if len(content) > _MOST_BYTES:
        problems.append(f"{path}: is larger than {_MOST_BYTES // 1_000_000} MB and not read.")
        return None
    return _parsed(content.decode("utf-8", "replace"), str(path), problems)


def _parsed(text: str, where: str, problems: list[str]) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        problems.append(f"{where}: is no JSON: {clean(str(error))[:200]}.")
        return None
    if not isinstance(value, Mapping):
        problems.append(f'{where}: should be an object, {{"mcpServers": {{...}}}}.')
        return None
    return value


def _servers(value: Any, scope: Scope, where: str, problems: list[str]) -> Iterator[_Entry]:
    servers = value.get("mcpServers") if isinstance(value, Mapping) else None
    if servers is None:
        if scope == "flag" and value is not None:
            problems.append(f"{where}: there is no 'mcpServers' in it.")
        return
    if not isinstance(servers, Mapping):
        problems.append(f"{where}: 'mcpServers' should be an object of servers by name.")
        return
    for name, entry in servers.items():
        yield _Entry(str(name), scope, where, entry)


# --- one entry ---


def _config(entry: _Entry, variables: Mapping[str, str], problems: list[str]) -> ServerConfig:
    value = entry.value
    if not isinstance(value, Mapping):
        raise _Unusable("it should be an object.")
    kind = _kind(value)
    unset: set[str] = set()

    def expand(text: str) -> str:
        return _expanded(text, variables, unset)

    name = server_name(entry.name)
    digest = hashlib.sha256(json.dumps([name, value], sort_keys=True, default=str).encode()).hexdigest()
    timeout = _timeout(value)
    if kind == "stdio":
        command = expand(_text(value, "command"))
        args = tuple(expand(arg) for arg in _texts(value, "args"))
        own = {key: expand(text) for key, text in _table(value, "env").items()}
        if "\0" in command + "".join((*args, *own, *own.values())):
            raise _Unusable("it holds a NUL character.")
        config = ServerConfig(name, entry.scope, entry.where, digest, command, args, own, timeout=timeout)
    else:
        problems += [
            f"{entry.where}: {field!r} of MCP server {name!r} is not supported; give 'headers'."
            for field in ("oauth", "headersHelper")
            if value.get(field)
        ]
        headers = {key: expand(text) for key, text in _table(value, "headers").items()}
        url = _checked_url(expand(_text(value, "url")), headers)
        config = ServerConfig(name, entry.scope, entry.where, digest, url=url, headers=headers, timeout=timeout)
    if unset:
        problems.append(
            f"{entry.where}: MCP server {name!r} uses variables that are not set: {', '.join(sorted(unset))}."
        )
    return config


def _kind(value: Mapping[str, Any]) -> Literal["stdio", "http"]:
    kind = value.get("type")
    if kind is None and "url" in value and "command" not in value:
        raise _Unusable("it has a 'url' without a 'type'; add \"type\": \"http\".")
    if kind in _HTTP:
        return "http"
    if kind in (None, "stdio"):
        return "stdio"
    if kind in ("sse", "ws"):
        raise _Unusable(f'servers of type {kind!r} are not supported; most also speak "http".')
    raise _Unusable(f"its type {clean(str(kind))[:40]!r} is none of stdio, http.")


def _expanded(text: str, variables: Mapping[str, str], unset: set[str]) -> str:
    """`${VAR}` and `${VAR:-default}`, once: what a variable holds is not expanded again. An unset one stays."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if default is not None:
            return variables.get(name) or str(default)
        if name not in variables:
            unset.add(name)
            return match[0]
        return variables[name]

    return _VARIABLE.sub(value, text)


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not text.strip():
        raise _Unusable(f"it has no {key!r}.")
    return text


def _texts(value: Mapping[str, Any], key: str) -> Iterable[str]:
    items = value.get(key) or []
    if not isinstance(items, list) or not all(isinstance(item, str | int | float) for item in items):
        raise _Unusable(f"{key!r} should be a list of texts.")
    return [str(item) for item in items]


def _table(value: Mapping[str, Any], key: str) -> Mapping[str, str]:
    table = value.get(key) or {}
    if not isinstance(table, Mapping) or not all(isinstance(item, str | int | float) for item in table.values()):
        raise _Unusable(f"{key!r} should be an object of texts.")
    names = [str(name) for name in table]
    if any(not name or "=" in name or "\0" in name for name in names):
        raise _Unusable(f"{key!r} has a name that cannot be used.")
    return {str(name): str(item) for name, item in table.items()}


def _timeout(value: Mapping[str, Any]) -> float | None:
    """`timeout` is in milliseconds."""
    timeout = value.get("timeout")
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        raise _Unusable("'timeout' should be a number of milliseconds.")
    return float(timeout) / 1000


def _checked_url(url: str, headers: Mapping[str, str]) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and url.isprintable() and " " not in url
        _ = parts.port
    except ValueError:
        usable = None
    if not usable:
        raise _Unusable("its 'url' is no http or https URL.")
    if parts.username is not None or parts.password is not None:
        raise _Unusable("its 'url' holds a user name or password; send them in 'headers'.")
    for name, text in headers.items():
        if not _HEADER.fullmatch(name) or not (text.isprintable() and text.isascii()):
            raise _Unusable(f"the header {clean(name)[:40]!r} cannot be sent.")
    return url


# --- what settings forbid ---


def _permit(config: ServerConfig, settings: Settings) -> None:
    """Refuse what is disabled or denied by name, command or URL; an allow list, where one is set, must name it."""
    if config.scope == "project" and fold(config.name) in {fold(server_name(n)) for n in settings.disabled_servers}:
        raise _Unusable("settings disable it (disabledMcpjsonServers).")
    denied, allowed = settings.values.get("deniedMcpServers"), settings.values.get("allowedMcpServers")
    if isinstance(denied, list) and any(_matches(rule, config) for rule in denied):
        raise _Unusable("settings deny it (deniedMcpServers).")
    if isinstance(allowed, list) and not any(_matches(rule, config) for rule in allowed):
        raise _Unusable("settings do not list it (allowedMcpServers).")


def _matches(rule: Any, config: ServerConfig) -> bool:
    if not isinstance(rule, Mapping):
        return False
    if isinstance(name := rule.get("serverName"), str):
        return fold(server_name(name)) == fold(config.name)
    if isinstance(command := rule.get("serverCommand"), list):
        return config.command is not None and list(map(str, command)) == [config.command, *config.args]
    if isinstance(url := rule.get("serverUrl"), str):
        return config.url is not None and fnmatchcase(config.url, url)
    return False
