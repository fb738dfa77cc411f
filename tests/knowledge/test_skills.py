"""Skill files: both vocabularies, limits as warnings, and what cannot be loaded."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.knowledge.fields import DefinitionError
from agent.knowledge.skills import LISTING_CHARS, Skill, choose_preloaded, find_skills, load_skill, parse_skill


def skill(header: str = "name: s\ndescription: d", body: str = "Do it.", name: str = "s") -> Skill:
    return parse_skill(f"---\n{header}\n---\n{body}", Path("/skills") / name)


def test_all_fields() -> None:
    read = skill(
        "name: s\ndescription: d\nlicense: MIT\ncompatibility: any\nmetadata: {version: '1'}\nwhen_to_use: often\n"
        "allowed-tools: Read Bash(git add *), Write\ndisallowed-tools: [WebFetch]\nargument-hint: [file] [mode]\n"
        "arguments: file mode\ndisable-model-invocation: on\nuser-invocable: no\nmodel: opus\neffort: low\n"
        "context: fork\nagent: Explore\nbackground: false\nhooks: {Stop: []}\npaths: src/**, *.py\nshell: bash"
    )
    assert read.allowed_tools == ("Read", "Bash(git add *)", "Write")
    assert read.disallowed_tools == ("WebFetch",)
    assert read.arguments == ("file", "mode")
    assert (read.model_invocable, read.user_invocable, read.background) == (False, False, False)
    assert (read.context, read.agent, read.shell) == ("fork", "Explore", "bash")
    assert read.paths == ("src/**", "*.py")
    assert read.listing == "d often"
    assert read.metadata == {"version": "1"}


@pytest.mark.parametrize(
    ("hint", "expected"), [("'[a] [b]'", "[a] [b]"), ("[file]", "[file]"), ("<a>", "<a>"), ("3", "3")]
)
def test_argument_hints(hint: str, expected: str) -> None:
    assert skill(f"name: s\ndescription: d\nargument-hint: {hint}").argument_hint == expected


def test_preload_gives_the_whole_body_and_where_its_files_lie() -> None:
    text = skill(body="# Title\n\nSee references/x.md.").preload()
    assert "# Title\n\nSee references/x.md." in text
    assert "Base directory: /skills/s" in text


@pytest.mark.parametrize(
    ("header", "warning"),
    [
        ("name: S\ndescription: d", "a-z, 0-9"),
        ("name: a--b\ndescription: d", "a-z, 0-9"),
        (f"name: {'a' * 65}\ndescription: d", "a-z, 0-9"),
        ("name: other\ndescription: d", "equal the directory"),
        ("description: d", "no 'name'"),
        ("name: s", "first paragraph"),
        (f"name: s\ndescription: {'d' * 1025}", "longer than 1024"),
        (f"name: s\ndescription: d\ncompatibility: {'c' * 501}", "longer than 500"),
        ("name: s\ndescription: d\nallowed_tools: Read", "unknown field 'allowed_tools'"),
        ("name: s\ndescription: d\nuser-invocable: maybe", "should be true or false"),
    ],
)
def test_limits_are_warnings(header: str, warning: str) -> None:
    assert [w for w in skill(header).warnings if warning in w]


def test_a_good_skill_has_no_warnings() -> None:
    assert skill().warnings == ()
    assert [w for w in skill(body="x\n" * 501).warnings if "500 lines" in w]


def test_description_falls_back_to_the_first_paragraph() -> None:
    assert skill("name: s", "# Title\n\nFirst\nparagraph.\n\nSecond.").description == "First paragraph."


def test_listing_is_cut() -> None:
    assert len(skill(f"name: s\ndescription: {'d' * 3000}").listing) == LISTING_CHARS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("---\nname: s\n---\n", "no instructions"),
        ("---\nname: [\n---\nbody", "did not find"),
        ("---\ndescription: d\nallowed-tools: {a: b}\n---\nbody", "'allowed-tools' must be"),
        ("", "no instructions"),
    ],
)
def test_broken(text: str, reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        parse_skill(text, Path("/skills/s"))


def test_find_and_choose(tmp_path: Path) -> None:
    for root, name, header in (
        ("near", "one", "name: one\ndescription: near"),
        ("near", "bad", "name: ["),
        ("far", "one", "name: one\ndescription: far"),
        ("far", "two", "name: two\ndescription: d\ndisable-model-invocation: true"),
    ):
        directory = tmp_path / root / name
        directory.mkdir(parents=True)
        (directory / "SKILL.md").write_text(f"---\n{header}\n---\nbody", encoding="utf-8")
    (tmp_path / "near" / "empty").mkdir()
    skills, problems = find_skills([tmp_path / "near", tmp_path / "far", tmp_path / "absent"])
    assert skills["one"].description == "near"
    assert set(skills) == {"one", "two"}
    assert len(problems) == 1
    chosen, warnings = choose_preloaded(["one", "ONE", "two", "three"], skills)
    assert [s.name for s in chosen][:1] == ["one"]
    assert len(warnings) == 2


def test_missing_skill(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="not a file"):
        load_skill(tmp_path / "absent")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_file_is_read_or_refused(header: str, body: str) -> None:
    for text in (body, f"---\n{header}\n---\n{body}"):
        with suppress(DefinitionError):
            assert parse_skill(text, Path("/skills/s")).preload()
