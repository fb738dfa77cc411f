"""Finding SPECs: both roots, groups, flat files, every spelling of an id, and errors that say what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.devops.spec import NoSpec, SpecError, find_specs, read_spec


def _add(root: Path, path: str, text: str = "") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text or f"---\nid: {file.parent.name}\nstatus: draft\n---\n# A feature\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        (".do/specs/SPEC-AUTH-001/spec.md", "SPEC-AUTH-001"),
        (".moai/specs/SPEC-AUTH-001/spec.md", "SPEC-AUTH-001"),
        (".do/specs/group/SPEC-MAIL-DIGEST/spec.md", "SPEC-MAIL-DIGEST"),
        (".do/specs/SPEC-MAP-002a/spec.md", "SPEC-MAP-002a"),
        (".do/specs/SPEC-001.md", "SPEC-001"),
        (".do/specs/SPEC-001-auth/spec.md", "SPEC-001-auth"),
        (".do/specs/a/b/SPEC-UPDATE-REFACTOR-001/SPEC.md", "SPEC-UPDATE-REFACTOR-001"),
    ],
)
def test_every_place_is_found(tmp_path: Path, path: str, identity: str) -> None:
    _add(tmp_path, path, "# Title here\n")
    (ref,) = find_specs(tmp_path)
    assert (ref.id, ref.path, ref.title) == (identity, path, "Title here")
    assert read_spec(tmp_path).id == identity


@pytest.mark.parametrize(
    "wanted",
    [
        "AUTH-001",
        "SPEC-AUTH-001",
        "spec-auth-001",
        ".do/specs/SPEC-AUTH-001",
        ".do/specs/SPEC-AUTH-001/",
        ".do/specs/SPEC-AUTH-001/spec.md",
    ],
)
def test_every_spelling_names_it(tmp_path: Path, wanted: str) -> None:
    _add(tmp_path, ".do/specs/SPEC-AUTH-001/spec.md")
    _add(tmp_path, ".do/specs/SPEC-SHOP-002/spec.md")
    assert read_spec(tmp_path, wanted).id == "SPEC-AUTH-001"
    assert read_spec(tmp_path, str(tmp_path / ".do/specs/SPEC-AUTH-001")).id == "SPEC-AUTH-001"


def test_id_from_metadata_of_a_plain_file(tmp_path: Path) -> None:
    _add(tmp_path, "docs/hosting.md", "---\nid: AUTH-001\ntitle: Sign-in\nstatus: x\n---\n# Text\n")
    spec = read_spec(tmp_path, "docs/hosting.md")
    assert (spec.id, spec.title) == ("SPEC-AUTH-001", "Sign-in")


def test_do_wins_over_moai(tmp_path: Path) -> None:
    _add(tmp_path, ".moai/specs/SPEC-A-001/spec.md", "# Old\n")
    _add(tmp_path, ".do/specs/SPEC-A-001/spec.md", "# New\n")
    assert [(r.path, r.title) for r in find_specs(tmp_path)] == [(".do/specs/SPEC-A-001/spec.md", "New")]


def test_no_argument_takes_the_only_deployment_spec(tmp_path: Path) -> None:
    _add(tmp_path, ".do/specs/SPEC-SHOP-001/spec.md", "# Cart\n")
    _add(tmp_path, ".do/specs/SPEC-INFRA-001/spec.md", "# Base\n")
    assert read_spec(tmp_path).id == "SPEC-INFRA-001"
    _add(tmp_path, ".do/specs/SPEC-X-002/spec.md", "# 운영 서버 배포\n")
    with pytest.raises(SpecError, match=r"SPEC-INFRA-001.*SPEC-X-002"):
        read_spec(tmp_path)


def test_candidates_are_listed_when_none_is_about_deployment(tmp_path: Path) -> None:
    _add(tmp_path, ".do/specs/SPEC-SHOP-001/spec.md", "# Cart\n")
    _add(tmp_path, ".do/specs/SPEC-SHOP-002/spec.md", "# Basket\n")
    with pytest.raises(SpecError, match=r"SPEC-SHOP-001 \(Cart\), SPEC-SHOP-002 \(Basket\)") as error:
        read_spec(tmp_path)
    assert not isinstance(error.value, NoSpec)


def test_no_spec_at_all(tmp_path: Path) -> None:
    with pytest.raises(NoSpec, match=r"spec\.md in \.do/specs/ and \.moai/specs/"):
        read_spec(tmp_path)
    with pytest.raises(NoSpec):
        read_spec(tmp_path, "AUTH-001")
    assert find_specs(tmp_path) == []


def test_unknown_id_names_what_is_there(tmp_path: Path) -> None:
    _add(tmp_path, ".do/specs/SPEC-SHOP-001/spec.md", "# Cart\n")
    with pytest.raises(SpecError, match=r"SPEC-AUTH-009.*There are: SPEC-SHOP-001 \(Cart\)"):
        read_spec(tmp_path, "AUTH-009")


def test_directory_without_spec_names_its_content(tmp_path: Path) -> None:
    _add(tmp_path, ".do/specs/SPEC-SHOP-001/spec.md")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "readme.txt").write_text("x", encoding="utf-8")
    with pytest.raises(SpecError, match=r"holds no spec\.md; it holds readme\.txt"):
        read_spec(tmp_path, "docs")


@pytest.mark.parametrize("wanted", ["../../etc/passwd", "/etc/passwd", "a\x00b", "x" * 5000, "[", "../.."])
def test_paths_outside_are_refused(tmp_path: Path, wanted: str) -> None:
    _add(tmp_path, ".do/specs/SPEC-SHOP-001/spec.md")
    with pytest.raises(SpecError):
        read_spec(tmp_path, wanted)


def test_links_out_of_the_root_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    _add(outside, "secret.md", "# Secret\n- Platform: Heroku hosting\n")
    root = tmp_path / "project"
    _add(root, ".do/specs/SPEC-A-001/spec.md", "# A\n")
    (root / ".do/specs/SPEC-A-001/plan.md").symlink_to(outside / "secret.md")
    spec = read_spec(root)
    assert spec.files == (".do/specs/SPEC-A-001/spec.md",)
    assert any("outside the project" in note for note in spec.notes)
    assert spec.deployment["platform"].status == "not_stated"
    (root / ".do/specs/SPEC-B-001").symlink_to(outside)
    assert [ref.id for ref in find_specs(root)] == ["SPEC-A-001"]


def test_missing_root() -> None:
    with pytest.raises(SpecError, match="not a directory"):
        read_spec(Path("/nowhere/at/all"))
