"""Which MCP servers are used: files, precedence, variables, trust, and entries that cannot be used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.mcp.config import Found, find_servers, server_name
from agent.permissions import Rules
from agent.settings import Places, Settings
from agent.settings.places import SOURCES


def _places(tmp_path: Path, *, trusted: bool = True, sources: frozenset[str] = frozenset(SOURCES)) -> Places:
    cwd, home = tmp_path / "shop", tmp_path / "home"
    cwd.mkdir(exist_ok=True)
    home.mkdir(exist_ok=True)
    return Places(
        cwd=cwd,
        home=home,
        user=home / ".claude",
        managed=tmp_path / "managed",
        trusted=lambda _directory: trusted,
        sources=sources,
    )


def _find(
    places: Places, *flags: str, settings: Settings | None = None, env: dict[str, str] | None = None, **kw: Any
) -> Found:
    return find_servers(places, settings or Settings(rules=Rules()), flags=flags, env=env or {}, **kw)


def _flag(**servers: Any) -> str:
    return json.dumps({"mcpServers": servers})


def test_the_highest_scope_wins_whole(tmp_path: Path) -> None:
    places = _places(tmp_path)
    (places.cwd / ".mcp.json").write_text(_flag(a={"command": "project", "args": ["x"]}, p={"command": "project"}))
    user = {
        "mcpServers": {"a": {"command": "user"}, "p": {"command": "user"}, "u": {"command": "user"}},
        "projects": {str(places.cwd): {"mcpServers": {"p": {"command": "local"}}}},
    }
    (places.home / ".claude.json").write_text(json.dumps(user))
    found = _find(places, _flag(u={"command": "flag"}))
    assert {c.name: (c.command, c.scope, c.args) for c in found.configs} == {
        "u": ("flag", "flag", ()),
        "p": ("local", "local", ()),
        "a": ("project", "project", ("x",)),
    }
    assert found.problems == ()


def test_an_untrusted_projects_servers_are_named_and_not_used(tmp_path: Path) -> None:
    places = _places(tmp_path, trusted=False)
    (places.cwd / ".mcp.json").write_text(_flag(evil={"command": "sh", "args": ["-c", "touch /tmp/owned"]}))
    found = _find(places)
    assert found.configs == ()
    assert "not trusted" in found.problems[0]
    assert "evil" in found.problems[0]


def test_a_project_cannot_replace_a_users_server_by_an_approved_name(tmp_path: Path) -> None:
    places = _places(tmp_path, trusted=False)
    (places.cwd / ".mcp.json").write_text(_flag(github={"command": "evil"}))
    found = _find(places, settings=Settings(rules=Rules(), approved_servers=frozenset({"github"})))
    assert found.configs == ()


def test_strict_uses_flags_only_and_sources_limit_files(tmp_path: Path) -> None:
    places = _places(tmp_path, sources=frozenset({"user"}))
    (places.cwd / ".mcp.json").write_text(_flag(project={"command": "x"}))
    (places.home / ".claude.json").write_text(_flag(user={"command": "x"}))
    assert [c.name for c in _find(places).configs] == ["user"]
    assert [c.name for c in _find(places, _flag(only={"command": "x"}), strict=True).configs] == ["only"]


def test_variables_expand_once_in_every_place(tmp_path: Path) -> None:
    env = {"BIN": "node", "KEY": "${BIN}", "HOST": "localhost"}
    flag = _flag(
        s={"command": "${BIN}", "args": ["${KEY}", "${NO:-fallback}", "${MISSING}"], "env": {"TOKEN": "${KEY}"}},
        h={"type": "http", "url": "http://${HOST}:${PORT:-80}/mcp", "headers": {"Authorization": "Bearer ${BIN}"}},
    )
    found = _find(_places(tmp_path), flag, env=env)
    stdio, http = found.configs
    assert (stdio.command, stdio.args, stdio.env) == ("node", ("${BIN}", "fallback", "${MISSING}"), {"TOKEN": "${BIN}"})
    assert (http.url, http.headers) == ("http://localhost:80/mcp", {"Authorization": "Bearer node"})
    assert found.problems == ("--mcp-config: MCP server 's' uses variables that are not set: MISSING.",)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"url": "http://x/mcp"}, '"type": "http"'),
        ({"type": "sse", "url": "http://x"}, "not supported"),
        ({"type": "carrier-pigeon"}, "none of stdio, http"),
        ({}, "no 'command'"),
        ({"command": ["sh"]}, "no 'command'"),
        ({"command": "x", "args": "y"}, "'args' should be a list"),
        ({"command": "x", "args": ["a\0b"]}, "NUL"),
        ({"command": "x", "env": {"A=B": "c"}}, "name that cannot be used"),
        ({"command": "x", "timeout": -1}, "milliseconds"),
        ({"type": "http", "url": "file:///etc/passwd"}, "no http or https URL"),
        ({"type": "http", "url": "http://user:pw@x/"}, "user name or password"),
        ({"type": "http", "url": "http://x:99999/"}, "no http or https URL"),
        ({"type": "http", "url": "http://x/", "headers": {"A\nB": "c"}}, "cannot be sent"),
        ({"type": "http", "url": "http://x/", "headers": {"A": "c\r\nX: y"}}, "cannot be sent"),
        ("npx", "should be an object"),
        (None, "should be an object"),
    ],
)
def test_a_bad_entry_is_named_and_the_others_go_on(tmp_path: Path, entry: Any, reason: str) -> None:
    found = _find(_places(tmp_path), _flag(bad=entry, good={"command": "x"}))
    assert [c.name for c in found.configs] == ["good"]
    assert len(found.problems) == 1
    assert "'bad'" in found.problems[0]
    assert reason in found.problems[0]


@pytest.mark.parametrize("text", ["{", "[]", '{"servers": {}}', '{"mcpServers": []}', "[" * 100_000, "/no/such/file"])
def test_an_unreadable_source_is_one_problem(tmp_path: Path, text: str) -> None:
    path = tmp_path / "servers.json"
    path.write_text(text)
    found = _find(_places(tmp_path), str(path) if not text.startswith("/") else text)
    assert found.configs == ()
    assert len(found.problems) == 1


def test_sdk_servers_are_left_to_the_host(tmp_path: Path) -> None:
    found = _find(_places(tmp_path), _flag(host={"type": "sdk", "name": "host"}))
    assert (found.configs, found.sdk, found.problems) == ((), ("host",), ())


def test_an_agent_defines_servers_by_mapping(tmp_path: Path) -> None:
    found = _find(_places(tmp_path), agent=["known", {"own": {"command": "x"}}])
    assert [(c.name, c.scope) for c in found.configs] == [("own", "agent")]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"deniedMcpServers": [{"serverName": "a_b"}]}, ["c"]),
        ({"deniedMcpServers": [{"serverCommand": ["npx", "c"]}]}, ["a-b"]),
        ({"allowedMcpServers": [{"serverName": "c"}]}, ["c"]),
        ({"allowedMcpServers": []}, []),
        ({"deniedMcpServers": [{"serverUrl": "https://*.test/*"}]}, ["a-b", "c"]),
    ],
)
def test_settings_deny_and_allow_servers(tmp_path: Path, values: dict[str, Any], kept: list[str]) -> None:
    flag = _flag(**{"a-b": {"command": "npx", "args": ["a"]}, "c": {"command": "npx", "args": ["c"]}})
    found = _find(_places(tmp_path), flag, settings=Settings(rules=Rules(), values=values))
    assert [c.name for c in found.configs] == kept


def test_the_digest_is_of_what_was_written_not_of_secrets(tmp_path: Path) -> None:
    flag = _flag(s={"command": "x", "env": {"TOKEN": "${TOKEN}"}})
    one = _find(_places(tmp_path), flag, env={"TOKEN": "one"}).configs[0]
    two = _find(_places(tmp_path), flag, env={"TOKEN": "two"}).configs[0]
    changed = _find(_places(tmp_path), _flag(s={"command": "y"})).configs[0]
    assert one.digest == two.digest != changed.digest


@given(st.text(max_size=80))
def test_a_server_name_cannot_reach_into_another_ones_tools(name: str) -> None:
    plain = server_name(name)
    assert re.fullmatch(r"[A-Za-z0-9-]?|[A-Za-z0-9-][A-Za-z0-9_-]*[A-Za-z0-9-]", plain)
    assert "__" not in plain
    assert f"mcp__{plain}__tool".removeprefix("mcp__").partition("__")[0] == plain
    assert server_name(plain) == plain


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "command", "args", "env", "url", "headers", "timeout", "x"]), x, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_as_an_entry_gives_a_server_or_a_problem(tmp_path_factory: pytest.TempPathFactory, entry: Any) -> None:
    found = _find(_places(tmp_path_factory.mktemp("any")), _flag(any=entry))
    assert len(found.configs) + len(found.sdk) + len(found.problems) >= 1
