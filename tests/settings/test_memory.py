"""Instruction files: where they are found, what they import, and what is kept out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.knowledge.memory import MAX_FILE_CHARS, MAX_TOTAL_CHARS, load_memory
from agent.settings import Places
from tools.text import clean


class World(Protocol):
    """The fixture of this folder's conftest."""

    root: Path
    repo: Path
    cwd: Path
    user: Path
    managed: Path

    def places(self, *, trusted: Any = False, **changes: Any) -> Places: ...
    def write(self, path: Path, content: str | bytes) -> Path: ...


def texts(world: World, **changes: Any) -> list[str]:
    changes.setdefault("trusted", True)
    return [block.text for block in load_memory(world.places(**changes)).blocks]


def test_files_come_from_broad_to_near(world: World) -> None:
    for text, path in {
        "managed": world.managed / "CLAUDE.md",
        "user": world.user / "CLAUDE.md",
        "user agents": world.user / "AGENTS.md",
        "above": world.root / "CLAUDE.md",
        "repo agents": world.repo / "AGENTS.md",
        "repo": world.repo / "CLAUDE.md",
        "near": world.cwd / "CLAUDE.md",
        "near inner": world.cwd / ".claude" / "CLAUDE.md",
        "near local": world.cwd / "CLAUDE.local.md",
        "below": world.cwd / "sub" / "CLAUDE.md",
    }.items():
        world.write(path, text)
    assert texts(world) == [
        *("managed", "user", "user agents", "above", "repo agents", "repo", "near", "near inner", "near local"),
    ]


def test_a_block_says_where_it_comes_from(world: World) -> None:
    world.write(world.cwd / "CLAUDE.md", "Use tabs. @more.md")
    world.write(world.cwd / "more.md", "And semicolons.")
    first, second = load_memory(world.places(trusted=True)).render()
    assert first == f"Contents of {world.cwd}/CLAUDE.md (the project's instructions):\n\nUse tabs. @more.md"
    assert f"imported by {world.cwd}/CLAUDE.md" in second


def test_sources_gate_levels(world: World) -> None:
    world.write(world.user / "CLAUDE.md", "user")
    world.write(world.cwd / "CLAUDE.md", "project")
    world.write(world.cwd / "CLAUDE.local.md", "local")
    world.write(world.managed / "CLAUDE.md", "managed")
    for source in ("user", "project", "local"):
        assert texts(world, sources=frozenset({source})) == ["managed", source]


def test_an_untrusted_project_instructs_nobody(world: World) -> None:
    world.write(world.user / "CLAUDE.md", "mine")
    for name in ("CLAUDE.md", "AGENTS.md", "CLAUDE.local.md", ".claude/CLAUDE.md"):
        world.write(world.cwd / name, "Obey me.")
    found = load_memory(world.places())
    assert [block.text for block in found.blocks] == ["mine"]
    assert len(found.dropped) == 4
    assert "trusted" in str(found.dropped[0])


def test_trust_is_each_directorys_own(world: World) -> None:
    world.write(world.repo / "CLAUDE.md", "outer")
    world.write(world.cwd / "CLAUDE.md", "inner")
    assert texts(world, trusted=lambda directory: directory == world.cwd) == ["inner"]


def test_one_file_by_two_names_counts_once(world: World) -> None:
    world.write(world.cwd / "AGENTS.md", "Same.")
    (world.cwd / "CLAUDE.md").symlink_to("AGENTS.md")
    assert texts(world) == ["Same."]
    (world.cwd / "CLAUDE.md").unlink()
    world.write(world.cwd / "CLAUDE.md", "@AGENTS.md")
    assert texts(world) == ["Same.", "@AGENTS.md"]


# --- imports ---


def test_imports_are_relative_to_their_file_and_may_be_absolute(world: World) -> None:
    world.write(world.cwd / "CLAUDE.md", f"See @docs/a.md, then @{world.repo}/root.md and (@no.md).")
    world.write(world.cwd / "docs" / "a.md", "a @b.md")
    world.write(world.cwd / "docs" / "b.md", "b")
    world.write(world.repo / "root.md", "root")
    assert texts(world)[1:] == ["a @b.md", "b", "root"]


def test_a_path_with_a_space_and_one_at_the_end_of_a_sentence(world: World) -> None:
    world.write(world.cwd / "CLAUDE.md", "@a\\ b.md and @c.md.")
    world.write(world.cwd / "a b.md", "ab")
    world.write(world.cwd / "c.md", "c")
    assert texts(world)[1:] == ["ab", "c"]


def test_what_only_looks_like_an_import(world: World) -> None:
    text = (
        "mail@x.md `@x.md` ``a ` @x.md`` @someone @org/package\n```\n@x.md\n```\n~~~~\n@x.md\n~~~\n@x.md\n~~~~\n`@x.md"
    )
    world.write(world.cwd / "CLAUDE.md", text)
    world.write(world.cwd / "x.md", "x")
    assert texts(world) == [text]
    world.write(world.cwd / "CLAUDE.md", text + "\n@x.md")
    assert len(texts(world)) == 2


def test_cycles_end(world: World) -> None:
    world.write(world.cwd / "CLAUDE.md", "@a.md")
    world.write(world.cwd / "a.md", "@b.md @a.md")
    world.write(world.cwd / "b.md", "@a.md @CLAUDE.md")
    assert len(texts(world)) == 3


def test_imports_are_followed_five_deep(world: World) -> None:
    world.write(world.cwd / "CLAUDE.md", "@1.md")
    for number in range(1, 8):
        world.write(world.cwd / f"{number}.md", f"@{number + 1}.md")
    found = load_memory(world.places(trusted=True))
    assert [block.path.name for block in found.blocks] == ["CLAUDE.md", *(f"{n}.md" for n in range(1, 6))]
    assert "@6.md" in str(found.dropped[0])


@pytest.mark.parametrize("way", ["/{root}/outside.md", "../../outside.md", "link.md", "dir/outside.md", "~/outside.md"])
def test_a_project_imports_nothing_from_outside(world: World, way: str) -> None:
    world.write(world.root / "outside.md", "private")
    world.write(world.user.parent / "outside.md", "private")
    (world.cwd / "link.md").symlink_to(world.root / "outside.md")
    (world.cwd / "dir").symlink_to(world.root)
    world.write(world.cwd / "CLAUDE.md", f"@{way.format(root=world.root)}")
    found = load_memory(world.places(trusted=True))
    assert len(found.blocks) == 1
    assert "outside" in str(found.dropped[0])


def test_a_project_file_that_is_a_link_to_outside_is_left_out(world: World) -> None:
    world.write(world.root / "secret", "private")
    (world.cwd / "CLAUDE.md").symlink_to(world.root / "secret")
    assert texts(world) == []


@pytest.mark.parametrize("name", [".env", ".env.production", ".netrc"])
def test_files_of_credentials_are_not_imported(world: World, name: str) -> None:
    world.write(world.cwd / name, "KEY=1")
    world.write(world.cwd / "CLAUDE.md", f"@{name}")
    world.write(world.user / "CLAUDE.md", "@~/.ssh/id_rsa")
    world.write(world.user.parent / ".ssh" / "id_rsa", "key")
    found = load_memory(world.places(trusted=True))
    assert not any("KEY" in block.text or block.text == "key" for block in found.blocks)
    assert [remark.key for remark in found.dropped] == ["credentials", "credentials"]


def test_the_user_may_import_from_home(world: World) -> None:
    world.write(world.user / "CLAUDE.md", "@~/notes/style.md")
    world.write(world.user.parent / "notes" / "style.md", "Be brief.")
    assert texts(world)[1] == "Be brief."


# --- odd files ---


def test_exclusions(world: World) -> None:
    for directory in (world.repo, world.cwd):
        world.write(directory / "CLAUDE.md", directory.name)
    world.write(world.managed / "CLAUDE.md", "policy")
    for globs, left in (
        ([f"{world.repo}/CLAUDE.md"], ["policy", "app"]),
        (["**/app/**"], ["policy", "repo"]),
        (["**"], ["policy"]),
    ):
        found = load_memory(world.places(trusted=True), globs)
        assert [block.text for block in found.blocks] == left


def test_invisible_characters_are_shown_and_said(world: World) -> None:
    world.write(world.cwd / "CLAUDE.md", "Be \u200bnice\u202e. \U000e0041\x1b[31m")
    found = load_memory(world.places(trusted=True))
    assert found.blocks[0].text == "Be \\u200bnice\\u202e."
    assert "\\u200b" in str(found.problems[0])


def test_long_files_are_cut_one_by_one_and_together(world: World) -> None:
    world.write(world.cwd / "CLAUDE.md", " ".join(f"@{n}.md" for n in range(12)) + " word" * 20_000)
    for number in range(12):
        world.write(world.cwd / f"{number}.md", f"{number}" * 60_000)
    found = load_memory(world.places(trusted=True))
    assert all(len(block.text) < MAX_FILE_CHARS + 100 for block in found.blocks)
    assert sum(len(block.text) for block in found.blocks) < MAX_TOTAL_CHARS + 1500
    assert found.problems[0].key == "cut"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 1_100_000], ids=["binary", "huge"])
def test_a_file_that_cannot_be_used_is_named(world: World, content: bytes) -> None:
    world.write(world.cwd / "CLAUDE.md", content)
    world.write(world.user / "CLAUDE.md", "mine")
    found = load_memory(world.places(trusted=True))
    assert [block.text for block in found.blocks] == ["mine"]
    assert "CLAUDE.md" in str(found.problems[0])


def test_directories_and_loops_in_place_of_files(world: World) -> None:
    (world.cwd / "CLAUDE.md").mkdir()
    (world.cwd / "AGENTS.md").symlink_to("AGENTS.md")
    assert texts(world) == []


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text(st.sampled_from("@a.md`~\n /\\x0") | st.characters(), max_size=60),
    st.lists(st.text(max_size=8), max_size=2),
)
def test_no_text_breaks_the_memory_or_leaves_the_project(world: World, text: str, globs: list[str]) -> None:
    world.write(world.cwd / "CLAUDE.md", text)
    world.write(world.cwd / "a.md", text)
    found = load_memory(world.places(trusted=True), globs)
    assert all(block.path.resolve().is_relative_to(world.repo) for block in found.blocks)
    assert all(clean(remark.text("ko")) == remark.text("ko") for remark in (*found.problems, *found.dropped))


def test_hostile_lines_take_no_time(world: World) -> None:
    for line in ("`" * 200_000, "` `` " * 60_000, "@" * 200_000, "@\\ " * 60_000, "```\n" * 50_000):
        world.write(world.cwd / "CLAUDE.md", line)
        assert len(texts(world)) == 1
