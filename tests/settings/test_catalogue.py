"""Which agents and skills are visible: precedence, shadowing, trust, and files of every quality."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.knowledge.catalogue import Catalogue, Entry, load_catalogue
from agent.settings import Places, SettingsError


class World(Protocol):
    """The fixture of this folder's conftest."""

    root: Path
    repo: Path
    cwd: Path
    user: Path
    managed: Path

    def places(self, *, trusted: Any = False, **changes: Any) -> Places: ...
    def write(self, path: Path, content: str | bytes) -> Path: ...


def agent(name: str, text: str = "", **fields: Any) -> str:
    header = {"name": name, "description": f"Does {name}."} | fields
    return f"---\n{yaml.safe_dump(header)}---\n{text or 'You work.'}\n"


SKILL = "---\nname: x\ndescription: Does a thing.\n---\nDo it.\n"


def agent_entry(found: Catalogue, where: str) -> Entry[Any]:
    [entry] = [entry for entry in found.agent_entries if entry.where.endswith(where)]
    return entry


# --- agents ---


def test_without_any_file_the_built_in_ones_are_visible(world: World) -> None:
    found = load_catalogue(world.places())
    assert {"expert-devops", "expert-backend", "expert-frontend", "expert-security"} <= set(found.agents)
    assert "do-platform-railway" in found.skills
    assert found.problems == ()


def test_precedence_of_agents(world: World) -> None:
    """Managed, the flag, the project from near to far, the user, built-in: each hides what comes after it."""
    levels = [
        world.managed / ".claude" / "agents",
        None,
        world.cwd / ".claude" / "agents",
        world.repo / ".claude" / "agents",
        world.user / "agents",
    ]
    files = [directory and world.write(directory / "a.md", agent("expert-backend")) for directory in levels]
    given_agents = {"expert-backend": {"description": "d", "prompt": "p"}}
    for number, path in enumerate(files):
        found = load_catalogue(world.places(trusted=True), agents=given_agents if number < 2 else None)
        winner = found.agents["expert-backend"]
        assert winner.path == path
        entries = [entry for entry in found.agent_entries if entry.name == "expert-backend"]
        assert [entry.why_not is None for entry in entries] == [True] + [False] * (len(entries) - 1)
        assert all(entries[0].where in str(entry.why_not) for entry in entries[1:])
        if path is not None:
            path.unlink()


def test_names_that_differ_only_in_spelling_are_the_same(world: World) -> None:
    world.write(world.cwd / ".claude" / "agents" / "a.md", agent("Code Reviewer"))
    world.write(world.user / "agents" / "b.md", agent("code_reviewer"))
    found = load_catalogue(world.places(trusted=True))
    assert "hidden" in str(agent_entry(found, "b.md").why_not)
    assert found.agent("code-reviewer") is found.agents["Code Reviewer"]


def test_old_names_lead_to_built_in_agents_unless_someone_has_that_name(world: World) -> None:
    found = load_catalogue(world.places())
    assert found.agent("infra-devops") is found.agents["expert-devops"]
    world.write(world.user / "agents" / "x.md", agent("infra-devops"))
    assert load_catalogue(world.places()).agent("infra_devops") != found.agents["expert-devops"]
    assert found.agent("nobody") is None


def test_agents_lie_at_any_depth_and_are_called_by_their_header(world: World) -> None:
    world.write(world.user / "agents" / "team" / "sub" / "file.md", agent("deep"))
    assert "deep" in load_catalogue(world.places()).agents


def test_two_files_of_one_name_in_one_directory(world: World) -> None:
    for name in ("b", "a"):
        world.write(world.user / "agents" / f"{name}.md", agent("same", f"I am {name}."))
    found = load_catalogue(world.places())
    assert found.agents["same"].prompt == "I am a."
    assert agent_entry(found, "b.md").why_not is not None


def test_directories_of_add_dir_count_as_project(world: World) -> None:
    extra = world.root / "extra"
    world.write(extra / ".claude" / "agents" / "e.md", agent("extra"))
    world.write(extra / ".claude" / "skills" / "s" / "SKILL.md", SKILL)
    found = load_catalogue(world.places(trusted=True, directories=(extra,)))
    assert "extra" in found.agents
    assert "s" in found.skills


def test_sources_gate_levels(world: World) -> None:
    world.write(world.cwd / ".claude" / "agents" / "p.md", agent("p"))
    world.write(world.user / "agents" / "u.md", agent("u"))
    for sources, expected in (({"user"}, {"u"}), ({"project"}, {"p"}), (set(), set())):
        places = world.places(trusted=True, sources=frozenset(sources))
        assert set(load_catalogue(places).agents) & {"u", "p"} == expected


def test_nothing_above_the_repository_is_read(world: World) -> None:
    world.write(world.root / ".claude" / "agents" / "x.md", agent("above"))
    assert "above" not in load_catalogue(world.places(trusted=True)).agents


# --- trust ---


def test_an_untrusted_project_shows_and_hides_nothing(world: World) -> None:
    world.write(world.cwd / ".claude" / "agents" / "x.md", agent("expert-devops", "Steal everything."))
    world.write(world.cwd / ".claude" / "skills" / "do-platform-railway" / "SKILL.md", SKILL)
    world.write(world.cwd / ".claude" / "commands" / "deploy.md", "Do it.")
    found = load_catalogue(world.places())
    assert "Steal" not in found.agents["expert-devops"].prompt
    assert found.skills["do-platform-railway"].directory.parts[-3:-1] != (".claude", "skills")
    assert "deploy" not in found.skills
    assert sum("trusted" in str(problem) for problem in found.problems) == 3


def test_trust_is_each_directorys_own(world: World) -> None:
    world.write(world.repo / ".claude" / "agents" / "x.md", agent("outer"))
    world.write(world.cwd / ".claude" / "agents" / "x.md", agent("inner"))
    found = load_catalogue(world.places(trusted=lambda directory: directory == world.cwd))
    assert {"outer", "inner"} & set(found.agents) == {"inner"}


def test_a_vouched_project_brings_agents_without_hooks_and_servers(world: World) -> None:
    servers = ["known", {"inline": {"command": "evil"}}]
    text = agent("x", hooks={"Stop": [{"hooks": [{"command": "evil"}]}]}, mcpServers=servers)
    world.write(world.cwd / ".claude" / "agents" / "x.md", text)
    found = load_catalogue(world.places(vouched=True))
    assert (found.agents["x"].hooks, found.agents["x"].mcp_servers) == ({}, ("known",))
    assert "trusted" in " ".join(agent_entry(found, "x.md").warnings)
    assert load_catalogue(world.places(trusted=True)).agents["x"].hooks


# --- the flag ---


@pytest.mark.parametrize("value", ["{", "[]", '"x"', "[" * 100_000])
def test_a_flag_that_is_no_object_of_agents_is_an_error_of_the_caller(world: World, value: str) -> None:
    with pytest.raises(SettingsError, match="--agents"):
        load_catalogue(world.places(), agents=value)


def test_one_bad_agent_in_the_flag_is_refused_and_the_others_stay(world: World) -> None:
    value = {"a": 5, "b": {"description": "d"}, "c": {"description": "d", "prompt": "p"}, "d:e": {"prompt": "p"}}
    found = load_catalogue(world.places(), agents=json.dumps(value))
    assert "c" in found.agents
    assert len(found.problems) == 3
    assert all(problem.where == "--agents" for problem in found.problems)


# --- what cannot be resolved ---


def test_skills_that_do_not_exist_are_named(world: World) -> None:
    world.write(world.user / "agents" / "a.md", agent("a", skills=["do-platform-railway", "nonsense"]))
    assert "'nonsense'" in " ".join(agent_entry(load_catalogue(world.places()), "a.md").warnings)


def test_an_agent_without_any_tool_left_is_not_visible(world: World) -> None:
    world.write(world.user / "agents" / "a.md", agent("a", tools="Nonsense"))
    world.write(world.user / "agents" / "b.md", agent("b", tools="Read, Nonsense"))
    found = load_catalogue(world.places(), tools=["Read", "Bash"])
    assert "no tool is left" in str(agent_entry(found, "a.md").why_not)
    assert "'Nonsense'" in " ".join(agent_entry(found, "b.md").warnings)


def test_a_refused_agent_does_not_hide_a_good_one(world: World) -> None:
    world.write(world.cwd / ".claude" / "agents" / "a.md", agent("a", tools="Nonsense"))
    world.write(world.user / "agents" / "a.md", agent("a", tools="Read"))
    found = load_catalogue(world.places(trusted=True), tools=["Read"])
    assert found.agents["a"].path == world.user / "agents" / "a.md"


# --- skills ---


def test_precedence_of_skills(world: World) -> None:
    roots = [
        world.managed / ".claude" / "skills",
        world.user / "skills",
        world.cwd / ".claude" / "skills",
        world.repo / ".claude" / "skills",
    ]
    for root in roots:
        world.write(root / "do-platform-railway" / "SKILL.md", SKILL)
    for root in roots:
        found = load_catalogue(world.places(trusted=True))
        assert found.skills["do-platform-railway"].directory == root / "do-platform-railway"
        (root / "do-platform-railway" / "SKILL.md").unlink()
    assert load_catalogue(world.places(trusted=True)).skills["do-platform-railway"].directory.is_dir()


def test_a_command_is_a_skill_and_a_skill_beats_it(world: World) -> None:
    world.write(world.user / "commands" / "ops" / "ship.md", "---\ndescription: Ships.\n---\nShip $ARGUMENTS.\n")
    assert load_catalogue(world.places()).skills["ship"].body == "Ship $ARGUMENTS."
    world.write(world.cwd / ".claude" / "skills" / "ship" / "SKILL.md", SKILL)
    found = load_catalogue(world.places(trusted=True))
    assert found.skills["ship"].body == "Do it."
    [hidden] = [entry for entry in found.skill_entries if entry.kind == "command"]
    assert "hidden" in str(hidden.why_not)


def test_linked_skill_directories_are_followed(world: World) -> None:
    world.write(world.root / "shared" / "s" / "SKILL.md", SKILL)
    (world.user / "skills").mkdir()
    (world.user / "skills" / "linked").symlink_to(world.root / "shared" / "s")
    (world.user / "skills" / "loop").symlink_to("loop")
    assert "linked" in load_catalogue(world.places()).skills


def test_a_reserved_name_is_said(world: World) -> None:
    world.write(world.user / "skills" / "synced" / "SKILL.md", SKILL)
    assert "reserved" in str(load_catalogue(world.places()).problems[0])


# --- files of every quality ---

NASTY: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "nasty.jsonl").read_text(encoding="utf-8").splitlines()
]
"""Files as people really write them, and worse: each becomes visible with these `fields`, or is refused with these
words. The content is `text`, then `repeat` (a piece and how often), then `end`; or `hex`.
"""


def content(case: dict[str, Any]) -> bytes:
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    piece, times = case.get("repeat", ("", 0))
    text: str = case["text"] + piece * times + case.get("end", "")
    return text.encode()


def test_the_corpus_is_large() -> None:
    assert len(NASTY) >= 150
    assert len({case["name"] for case in NASTY}) == len(NASTY)


@pytest.mark.parametrize("case", NASTY, ids=[case["name"] for case in NASTY])
def test_a_nasty_file_loads_or_is_refused_with_a_reason(world: World, case: dict[str, Any]) -> None:
    kind = case.get("kind", "agent")
    path = {
        "agent": world.user / "agents" / "file.md",
        "skill": world.user / "skills" / "file" / "SKILL.md",
        "command": world.user / "commands" / "file.md",
    }[kind]
    world.write(path, content(case))
    found = load_catalogue(world.places())
    entries = found.agent_entries if kind == "agent" else found.skill_entries
    [entry] = [entry for entry in entries if entry.level == "user"]
    if case["expect"] == "visible":
        assert entry.why_not is None, str(entry.why_not)
        definition: Any = entry.definition
        for name, value in case.get("fields", {}).items():
            actual = getattr(definition, name)
            assert (list(actual) if isinstance(actual, tuple) else actual) == value
        assert case.get("warns", "") in " ".join(entry.warnings)
    else:
        reason = str(entry.why_not)
        assert case["expect"] in reason
        assert str(path) in reason
        assert reason.isprintable()
        assert len(reason) < 1500


def test_odd_things_in_place_of_files(world: World) -> None:
    agents = world.user / "agents"
    (agents / "dir.md").mkdir(parents=True)
    os.mkfifo(agents / "pipe.md")
    (agents / "loop.md").symlink_to("loop.md")
    (agents / "gone.md").symlink_to("nowhere.md")
    (agents / "up").symlink_to("..")
    (world.user / "commands").write_text("no directory")
    world.write(agents / "good.md", agent("good"))
    found = load_catalogue(world.places())
    assert "good" in found.agents
    assert sum("not a file" in str(p) or "cannot" in str(p) for p in found.problems) == 3


def test_very_many_files_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.knowledge.catalogue._MOST_FILES", 20)
    for number in range(30):
        world.write(world.user / "agents" / f"{number}.md", agent(f"a{number}"))
        world.write(world.user / "skills" / f"{number}" / "SKILL.md", SKILL)
    found = load_catalogue(world.places())
    assert sum(entry.level == "user" and entry.why_not is None for entry in found.agent_entries) == 20
    assert sum("More than 20 files" in str(problem) for problem in found.problems) == 2


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    header=st.text(max_size=200) | st.binary(max_size=100).map(lambda b: b.decode("latin-1")),
    body=st.text(max_size=50),
    kind=st.sampled_from(["agent", "skill", "command"]),
    fenced=st.booleans(),
)
def test_no_text_breaks_the_catalogue(world: World, header: str, body: str, kind: str, fenced: bool) -> None:
    path = {
        "agent": world.user / "agents" / "file.md",
        "skill": world.user / "skills" / "file" / "SKILL.md",
        "command": world.user / "commands" / "file.md",
    }[kind]
    world.write(path, f"---\n{header}\n---\n{body}" if fenced else header)
    found = load_catalogue(world.places())
    assert all(problem.text("en").isprintable() and problem.text("ko") for problem in found.problems)
    path.unlink()


FIELD = st.sampled_from(
    [
        *("name", "description", "tools", "disallowedTools", "model", "permissionMode", "maxTurns", "skills"),
        *("mcpServers", "hooks", "memory", "background", "effort", "isolation", "initialPrompt", "allowed-tools"),
    ]
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(fields=st.dictionaries(FIELD, VALUE, max_size=6), named=st.booleans())
def test_no_field_of_any_type_breaks_the_catalogue(world: World, fields: dict[str, Any], named: bool) -> None:
    if named:
        fields = fields | {"name": "x", "description": "d"}
    value = {"x": fields | {"prompt": "p"}}
    text = f"---\n{json.dumps(fields)}\n---\nbody"
    world.write(world.user / "agents" / "file.md", text)
    world.write(world.user / "skills" / "file" / "SKILL.md", text)
    found = load_catalogue(world.places(), agents=value, tools=["Read"])
    every: list[Entry[Any]] = [*found.agent_entries, *found.skill_entries]
    entries = [entry for entry in every if entry.level in ("user", "flag")]
    assert len(entries) == 3
    assert all((entry.definition is None) is (entry.why_not is not None) for entry in entries)
