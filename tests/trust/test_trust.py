"""Trust in a project's configuration: what is pinned, what a person is shown, what happens to a damaged store."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.session.journal import state_home
from agent.settings.trust import TrustError, TrustStore, digest, what_would_run

SETTINGS = {
    "hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "./check.sh"}]}]},
    "permissions": {"allow": ["Bash(npm test:*)"], "deny": ["Read(.env)"], "defaultMode": "acceptEdits"},
    "env": {"ANTHROPIC_BASE_URL": "https://other.test"},
    "apiKeyHelper": "./key.sh",
}
AGENT = """---
name: helper
description: Helps.
hooks:
  Stop:
    - hooks: [{type: command, command: ./stop.sh}]
mcpServers: [tracker]
---
Do things.
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in ("agents", "skills/build", "hooks"):
        (root / ".claude" / name).mkdir(parents=True)
    (root / ".claude" / "settings.json").write_text(json.dumps(SETTINGS))
    (root / ".claude" / "agents" / "helper.md").write_text(AGENT)
    (root / ".claude" / "skills" / "build" / "SKILL.md").write_text(
        "---\nallowed-tools: Bash(make:*)\n---\nNow: !`git log`\n"
    )
    (root / ".claude" / "hooks" / "check.sh").write_text("#!/bin/sh\n")
    (root / ".mcp.json").write_text(
        json.dumps({"mcpServers": {"tracker": {"command": "npx", "args": ["-y", "tracker"], "env": {"TOKEN": "x"}}}})
    )
    (root / "src.py").write_text("print()")
    return root


@pytest.fixture
def store() -> TrustStore:
    return TrustStore()


def test_a_directory_is_untrusted_until_it_is_trusted(project: Path, store: TrustStore) -> None:
    assert not store.is_trusted(project)
    store.trust(project)
    assert store.is_trusted(project)
    assert TrustStore().is_trusted(str(project))
    store.forget(project)
    assert not store.is_trusted(project)


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


CHANGES: dict[str, Callable[[Path], object]] = {
    "settings": lambda root: (root / ".claude/settings.json").write_text("{}"),
    "local settings": lambda root: (root / ".claude/settings.local.json").write_text("{}"),
    "servers": lambda root: (root / ".mcp.json").write_text("{}"),
    "servers removed": lambda root: (root / ".mcp.json").unlink(),
    "agent": lambda root: (root / ".claude/agents/helper.md").write_text(AGENT + "more"),
    "new agent": lambda root: (root / ".claude/agents/other.md").write_text(AGENT),
    "nested agent": lambda root: put(root / ".claude/agents/a/b.md"),
    "skill script": lambda root: (root / ".claude/skills/build/run.sh").write_text("x"),
    "hook script": lambda root: (root / ".claude/hooks/check.sh").write_text("#!/bin/sh\nrm x\n"),
    "hook made executable": lambda root: (root / ".claude/hooks/check.sh").chmod(0o755),
    "command": lambda root: put(root / ".claude/commands/go.md"),
    "renamed": lambda root: (root / ".claude/agents/helper.md").rename(root / ".claude/agents/renamed.md"),
    "a pipe": lambda root: os.mkfifo(root / ".claude/agents/pipe.md"),
    "a dangling link": lambda root: (root / ".claude/agents/link.md").symlink_to("nowhere"),
    "a device": lambda root: (root / ".claude/agents/link.md").symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_configuration_is_untrusted_again(project: Path, store: TrustStore, change: str) -> None:
    store.trust(project)
    CHANGES[change](project)
    assert not store.is_trusted(project)


def test_other_changes_keep_the_trust(project: Path, store: TrustStore) -> None:
    store.trust(project)
    (project / "src.py").write_text("other")
    (project / ".claude" / "notes").mkdir()
    (project / "CLAUDE.md").write_text("x")
    assert store.is_trusted(project)


def test_trust_follows_the_directory_not_its_name(project: Path, store: TrustStore, tmp_path: Path) -> None:
    store.trust(project)
    link = tmp_path / "link"
    link.symlink_to(project)
    assert store.is_trusted(link)
    copy = tmp_path / "copy"
    copy.mkdir()
    link.unlink()
    link.symlink_to(copy)
    assert not store.is_trusted(link)
    assert not store.is_trusted(project.parent)
    assert not store.is_trusted(project / ".claude")
    assert not store.is_trusted(tmp_path / "missing")


def test_linked_configuration_is_pinned_by_its_content(project: Path, store: TrustStore, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "SKILL.md").write_text("one")
    (project / ".claude" / "skills" / "shared").symlink_to(shared)
    (project / ".claude" / "skills" / "loop").symlink_to(project / ".claude" / "skills")
    store.trust(project)
    assert store.is_trusted(project)
    (shared / "SKILL.md").write_text("two")
    assert not store.is_trusted(project)


def test_too_much_to_pin_is_refused(project: Path, store: TrustStore) -> None:
    for number in range(2001):
        (project / ".claude" / "hooks" / str(number)).touch()
    with pytest.raises(TrustError, match="too many files"):
        store.trust(project)
    assert not store.is_trusted(project)


def test_too_large_or_too_deep_is_refused(project: Path) -> None:
    with (project / ".mcp.json").open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(TrustError, match="larger than"):
        digest(project)
    (project / ".mcp.json").unlink()
    (project / ".claude" / "hooks" / "/".join("d" * 60)).mkdir(parents=True)
    with pytest.raises(TrustError, match="too deep"):
        digest(project)


# --- what is shown --------------------------------------------------------------------------------------------------


def test_everything_that_would_run_is_named(project: Path) -> None:
    shown = "\n".join(what_would_run(project))
    for expected in (
        ".claude/settings.json: hook PreToolUse (Bash) runs: ./check.sh",
        ".claude/settings.json: runs without asking: Bash(npm test:*)",
        'setting permissions.defaultMode: "acceptEdits"',
        "sets environment variables: ANTHROPIC_BASE_URL",
        'setting apiKeyHelper: "./key.sh"',
        ".mcp.json: MCP server tracker starts: npx -y tracker [env: TOKEN]",
        ".claude/agents/helper.md: agent definition",
        ".claude/agents/helper.md: hook Stop runs: ./stop.sh",
        '.claude/agents/helper.md: mcpServers: ["tracker"]',
        '.claude/skills/build/SKILL.md: allowed-tools: "Bash(make:*)"',
        ".claude/skills/build/SKILL.md: runs when it is used: git log",
        ".claude/hooks/check.sh: script",
    ):
        assert expected in shown
    assert "Read(.env)" not in shown


def test_it_is_said_in_korean(project: Path) -> None:
    shown = "\n".join(what_would_run(project, "ko"))
    assert "훅 PreToolUse (Bash)이(가) 실행합니다: ./check.sh" in shown
    assert "묻지 않고 실행: Bash(npm test:*)" in shown
    assert len(what_would_run(project, "ko")) == len(what_would_run(project))


def test_a_project_without_configuration_has_nothing_to_show(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / "CLAUDE.md").write_text("Be kind.")
    assert what_would_run(tmp_path) == []


@pytest.mark.parametrize(
    "content", ["{", "[]", '"x"', "\xff", "[" * 100_000, '{"hooks": 5}', '{"hooks": {"Stop": "x"}}', '{"env": []}']
)
def test_odd_settings_are_shown_not_hidden(project: Path, content: str) -> None:
    (project / ".claude" / "settings.json").write_text(content, encoding="latin-1")
    assert [line for line in what_would_run(project) if line.startswith(".claude/settings.json: ")]


def test_nothing_shown_can_act_on_a_terminal(project: Path) -> None:
    evil = "\x1b[2J\r\n\u202ereversed\u200b"
    (project / ".mcp.json").write_text(json.dumps({"mcpServers": {evil: {"command": evil}}}))
    (project / ".claude" / "hooks" / "bad\x1b[1m\nname").touch()
    for line in what_would_run(project):
        assert line.isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hooks=JSON, permissions=JSON, servers=JSON, extra=st.dictionaries(st.text(max_size=8), JSON, max_size=3))
def test_any_shape_is_described(
    tmp_path: Path, hooks: Any, permissions: Any, servers: Any, extra: dict[str, Any]
) -> None:
    (tmp_path / ".claude").mkdir(exist_ok=True)
    body = {**extra, "hooks": hooks, "permissions": permissions}
    (tmp_path / ".claude" / "settings.json").write_text(json.dumps(body))
    (tmp_path / ".mcp.json").write_text(json.dumps({"mcpServers": servers}))
    for line in what_would_run(tmp_path):
        assert line.isprintable()
    assert digest(tmp_path) == digest(tmp_path)


# --- the store ------------------------------------------------------------------------------------------------------


def path_of_store() -> Path:
    return state_home() / "trust.json"


def test_the_store_is_private(project: Path, store: TrustStore) -> None:
    store.trust(project)
    assert path_of_store().stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in path_of_store().parent.iterdir()) == ["trust.json", "trust.lock"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"directories": []}', '{"directories": {"a": 1}}', "[" * 100_000])
def test_a_damaged_store_trusts_nobody_and_says_so(project: Path, store: TrustStore, content: str) -> None:
    store.trust(project)
    path_of_store().write_text(content)
    assert not store.is_trusted(project)
    with pytest.raises(TrustError, match="damaged"):
        store.trust(project)


def test_a_store_others_can_write_trusts_nobody(project: Path, store: TrustStore) -> None:
    store.trust(project)
    path_of_store().chmod(0o666)
    assert not store.is_trusted(project)
    with pytest.raises(TrustError, match="only you can write"):
        store.trust(project)


def test_a_store_that_is_a_link_trusts_nobody(project: Path, store: TrustStore, tmp_path: Path) -> None:
    store.trust(project)
    path_of_store().rename(tmp_path / "moved")
    path_of_store().symlink_to(tmp_path / "moved")
    assert not store.is_trusted(project)


def test_several_directories_are_kept_apart(project: Path, store: TrustStore, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    store.trust(project)
    TrustStore().trust(other)
    assert store.is_trusted(project)
    assert store.is_trusted(other)
    (project / ".mcp.json").unlink()
    assert store.is_trusted(other)
