"""Agent files: every field, the tool-list grammar, orchestration lines, and what is wrong with a file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.knowledge.definition import Orchestration, agent_from_json, find_agents, load_agent, parse_agent
from agent.knowledge.fields import MAX_FILE_BYTES, DefinitionError
from agent.knowledge.names import select_tools, split_list, split_rule

MINIMAL = "---\nname: a\ndescription: d\n{}\n---\n{}"


def agent_text(header: str = "", body: str = "Do it.") -> str:
    return MINIMAL.format(header, body)


def test_all_fields() -> None:
    agent = parse_agent(
        agent_text(
            "tools: Read, Bash(git *), Agent(x, infra_devops)\ndisallowedTools: [Write, 'Bash(rm *)']\nmodel: opus\n"
            "permissionMode: plan\nmaxTurns: 7\nskills: [one, two]\nmcpServers:\n  - github\n"
            "  - local: {command: run}\nhooks: {Stop: []}\nmemory: project\nbackground: yes\neffort: high\n"
            "isolation: worktree\ncolor: red\ninitialPrompt: go"
        )
    )
    assert agent.tools == ("Read", "Bash(git *)", "Agent(x, infra_devops)")
    assert agent.disallowed_tools == ("Write", "Bash(rm *)")
    assert (agent.model, agent.permission_mode, agent.max_turns) == ("opus", "plan", 7)
    assert agent.skills == ("one", "two")
    assert agent.mcp_servers == ("github", {"local": {"command": "run"}})
    assert agent.hooks == {"Stop": []}
    assert (agent.memory, agent.background, agent.effort) == ("project", True, "high")
    assert (agent.isolation, agent.color, agent.initial_prompt) == ("worktree", "red", "go")
    assert agent.spawnable == ("x", "expert-devops")
    assert agent.warnings == ()
    assert agent.prompt == "Do it."


def test_defaults() -> None:
    agent = parse_agent(agent_text())
    assert agent.tools is None
    assert agent.model == "inherit"
    assert agent.permission_mode is None
    assert agent.orchestration == Orchestration()
    assert agent.spawnable is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no header", "no 'name'"),
        ("---\ndescription: d\n---", "no 'name'"),
        ("---\nname: a\n---", "no 'description'"),
        ("---\nname: a:b\ndescription: d\n---", "may not start"),
        ("---\nname: -a\ndescription: d\n---", "may not start"),
        ("---\nname: [a]\ndescription: d\n---", "no 'name'"),
        ("---\nname: a\ndescription: [\n---", "did not find"),
        ("---\nname: a", "never closed"),
        (agent_text("tools: {Read: true}"), "'tools' must be"),
        (agent_text("disallowedTools: 3"), "'disallowedTools' must be"),
    ],
)
def test_broken_files(text: str, reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason) as caught:
        parse_agent(text, Path("x.md"))
    assert str(caught.value).startswith("x.md")


@pytest.mark.parametrize(
    ("header", "warning"),
    [
        ("colour: red", "unknown field 'colour'"),
        ("maxTurns: many", "'maxTurns' should be"),
        ("maxTurns: 0", "'maxTurns' should be"),
        ("background: perhaps", "'background' should be"),
        ("memory: everywhere", "'memory' should be one of"),
        ("hooks: all", "'hooks' should be a mapping"),
        ("mcpServers: 3", "'mcpServers' should be"),
        ("skills: {a: b}", "'skills' should be a list"),
        ("permissionMode: yolo", "read as 'default'"),
    ],
)
def test_odd_fields_are_visible_and_harmless(header: str, warning: str) -> None:
    agent = parse_agent(agent_text(header))
    assert [w for w in agent.warnings if warning in w]
    assert agent.permission_mode in {None, "default"}


def test_manual_is_default() -> None:
    assert parse_agent(agent_text("permissionMode: manual")).permission_mode == "default"


def test_a_number_may_be_a_name() -> None:
    assert parse_agent("---\nname: 7\ndescription: d\n---").name == "7"


# --- tools -----------------------------------------------------------------------------------------------------

POOL = ["Read", "Write", "Bash", "Agent", "mcp__github__push_files", "mcp__github__get_me", "mcp__docs__query-docs"]


@pytest.mark.parametrize(
    ("allowed", "disallowed", "names"),
    [
        (None, (), POOL),
        (("Read", "Nope"), (), ["Read"]),
        (("Task",), (), ["Agent"]),
        (("Bash", "Read"), (), ["Read", "Bash"]),
        (("mcp__github",), (), POOL[4:6]),
        (("mcp__github__*",), (), POOL[4:6]),
        (("mcp__github__push-files", "mcp__docs__query_docs"), (), [POOL[4], POOL[6]]),
        (("Read", "Write"), ("Write",), ["Read"]),
        (("Read", "Bash"), ("Bash(rm *)",), ["Read", "Bash"]),
        (None, ("mcp__*",), POOL[:4]),
        (None, ("Bash(*)", "mcp__github"), ["Read", "Write", "Agent", POOL[6]]),
        (("read",), (), []),
    ],
)
def test_tool_selection(allowed: tuple[str, ...] | None, disallowed: tuple[str, ...], names: list[str]) -> None:
    assert list(select_tools(POOL, allowed, disallowed).names) == names


def test_tool_warnings_and_rules() -> None:
    selection = select_tools(POOL, ("Nope", "Bash(git *)", "Agent(x)"), ("Bash(rm *)",))
    assert selection.deny_rules == ("Bash(rm *)",)
    assert len(selection.warnings) == 2
    assert "unknown tool 'Nope'" in selection.warnings[0]
    assert "grants the whole tool" in selection.warnings[1]


@pytest.mark.parametrize("tools", ["Nope, Nada", "''", "[]"])
def test_an_agent_never_starts_without_tools_by_accident(tools: str) -> None:
    with pytest.raises(DefinitionError, match="no tool is left"):
        parse_agent(agent_text(f"tools: {tools}")).select_tools(POOL)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("Agent(a, b), Read", ("Agent(a, b)", "Read")),
        (" , Read,, Write ,", ("Read", "Write")),
        ("Bash(a(b, c), d), x", ("Bash(a(b, c), d)", "x")),
        ("a), b", ("a)", "b")),
        ("", ()),
    ],
)
def test_split_list(text: str, entries: tuple[str, ...]) -> None:
    assert split_list(text) == entries


def test_split_list_at_blanks() -> None:
    assert split_list("Read  Bash(git add *), Write", spaces=True) == ("Read", "Bash(git add *)", "Write")


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ("Read", ("Read", None)),
        ("Read()", ("Read", None)),
        ("Bash(*)", ("Bash", None)),
        ("Bash( git * )", ("Bash", "git *")),
        ("Task(a, b)", ("Agent", "a, b")),
    ],
)
def test_split_rule(entry: str, parts: tuple[str, str | None]) -> None:
    assert split_rule(entry) == parts


# --- orchestration ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "can_resume: false\ndepends_on: expert-backend, code_frontend\ntoken_budget: HIGH",
        "- **can_resume**: False\n- depends_on: [backend-expert, 'expert-frontend']\n- token_budget: high",
        "can_resume: no\ndepends_on:\n  - expert-backend\n  - expert-frontend\n\ntoken_budget: `high`",
    ],
)
def test_orchestration_spellings(body: str) -> None:
    rules = parse_agent(agent_text(body=body)).orchestration
    assert rules.can_resume is False
    assert rules.depends_on == ("expert-backend", "expert-frontend")
    assert rules.token_budget == "high"
    assert rules.spawns_subagents is None


def test_orchestration_in_the_header_wins() -> None:
    agent = parse_agent(
        agent_text("spawns_subagents: false\ndepends_on: none", "spawns_subagents: true\ncan_resume: true")
    )
    assert agent.orchestration.spawns_subagents is False
    assert agent.orchestration.can_resume is True
    assert agent.orchestration.depends_on == ()
    assert agent.warnings == ()


def test_first_line_wins_and_code_is_no_metadata() -> None:
    body = "```\ncan_resume: true\n```\ncan_resume: false\ncan_resume: true\nHere can_resume: true is prose."
    assert parse_agent(agent_text(body=body)).orchestration.can_resume is False


def test_unclear_rights_read_as_no() -> None:
    agent = parse_agent(agent_text(body="spawns_subagents: sometimes\ntoken_budget: huge\ntypical_chain_position: top"))
    assert agent.orchestration.spawns_subagents is False
    assert agent.orchestration.token_budget is None
    assert len(agent.warnings) == 3


def test_older_words_for_the_first_position() -> None:
    agent = parse_agent(agent_text(body='typical_chain_position: "initial" # first in the chain'))
    assert agent.orchestration.typical_chain_position == "initiator"


def test_servers_as_a_comma_list() -> None:
    assert parse_agent(agent_text("mcpServers: one, two")).mcp_servers == ("one", "two")


# --- JSON, files -----------------------------------------------------------------------------------------------


def test_json_form() -> None:
    agent = agent_from_json("r", {"description": "d", "prompt": "P", "tools": ["Read"], "maxTurns": 3, "observer": "x"})
    assert (agent.name, agent.prompt, agent.tools, agent.max_turns) == ("r", "P", ("Read",), 3)
    assert agent.warnings == ()
    with pytest.raises(DefinitionError, match="no 'prompt'"):
        agent_from_json("r", {"description": "d"})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.md").write_bytes(b"---\nname: \xe4\n---")
    (tmp_path / "big.md").write_bytes(b" " * (MAX_FILE_BYTES + 1))
    (tmp_path / "dir.md").mkdir()
    for name, reason in (
        ("latin.md", "UTF-8"),
        ("big.md", "larger"),
        ("dir.md", "not a file"),
        ("no.md", "not a file"),
    ):
        with pytest.raises(DefinitionError, match=reason):
            load_agent(tmp_path / name)


def test_find_agents(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    (near / "sub").mkdir(parents=True)
    far.mkdir()
    (near / "sub" / "any.md").write_text(agent_text("color: red"), encoding="utf-8")
    (near / "broken.md").write_text("no header", encoding="utf-8")
    (far / "a.md").write_text(agent_text("color: blue"), encoding="utf-8")
    agents, problems = find_agents([near, far, tmp_path / "absent"])
    assert agents["a"].color == "red"
    assert len(problems) == 1
    assert "broken.md" in problems[0]


KEYS = st.sampled_from(
    ["name", "description", "tools", "skills", "hooks", "maxTurns", "mcpServers", "effort", "can_resume"]
)
SOUP = st.text("ab ,:-()[]{}'\"*&!|>\n0.", max_size=20)


@given(st.lists(st.tuples(KEYS, SOUP), max_size=6), st.text(max_size=60))
def test_any_file_is_read_or_refused(pairs: list[tuple[str, str]], body: str) -> None:
    text = "---\n" + "\n".join(f"{key}: {value}" for key, value in pairs) + "\n---\n" + body
    for candidate in (text, body, agent_text(body=body)):
        with suppress(DefinitionError):
            agent = parse_agent(candidate)
            assert agent.name
            assert agent.select_tools(POOL).names


@given(st.lists(st.text("abc*_-()", min_size=1, max_size=8), max_size=4), st.lists(st.sampled_from(POOL), max_size=3))
def test_selection_never_exceeds_pool_nor_survives_denial(allowed: list[str], denied: list[str]) -> None:
    names = select_tools(POOL, [*allowed, "Read"], denied).names
    assert set(names) <= set(POOL) - set(denied)
