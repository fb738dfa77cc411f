"""Where a value comes from: the order of sources, companions, configuration, and files that are odd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.devops.spec import SpecError, read_spec
from tools.devops.spec.files import MAX_BYTES
from tools.plain import to_json

HOME = ".do/specs/SPEC-A-001"


def _add(root: Path, path: str, text: str | bytes) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("present", "platform"),
    [
        (("metadata", "body", "plan", "tech"), "fly"),
        (("body", "plan", "tech"), "railway"),
        (("plan", "tech"), "netlify"),
        (("tech",), "heroku"),
    ],
)
def test_the_nearer_source_wins(tmp_path: Path, present: tuple[str, ...], platform: str) -> None:
    head = "---\nid: A-001\nplatform: fly\n---\n" if "metadata" in present else ""
    body = "## Deployment\n- Hosting: Railway\n" if "body" in present else ""
    _add(tmp_path, f"{HOME}/spec.md", f"{head}# A\n{body}")
    if "plan" in present:
        _add(tmp_path, f"{HOME}/plan.md", "# Plan\n- Hosting: Netlify\n")
    _add(tmp_path, ".do/project/tech.md", "# Tech\n## Deployment\n- Hosting: Heroku\n")
    spec = read_spec(tmp_path)
    assert spec.deployment["platform"].value == platform
    assert spec.files[0] == f"{HOME}/spec.md"
    assert ".do/project/tech.md" in spec.files


def test_undecided_in_the_spec_is_not_settled_by_a_lower_source(tmp_path: Path) -> None:
    _add(tmp_path, f"{HOME}/spec.md", "# A\n- 배포 플랫폼: 미정\n")
    _add(tmp_path, ".do/project/tech.md", "# Tech\n- 배포 플랫폼: Heroku\n")
    field = read_spec(tmp_path).deployment["platform"]
    assert (field.status, field.value) == ("not_stated", None)
    assert field.evidence[0].text == "- 배포 플랫폼: 미정"


def test_equal_sources_that_disagree_leave_the_value_open(tmp_path: Path) -> None:
    _add(tmp_path, f"{HOME}/spec.md", "# A\n- Hosting: Railway\n- Deployment: Fly.io\n")
    field = read_spec(tmp_path).deployment["platform"]
    assert (field.status, field.value) == ("stated", None)
    assert [(c["value"], c["evidence"].line) for c in field.conflicts] == [("railway", 2), ("fly", 3)]


def test_research_and_progress_are_listed_but_claim_nothing(tmp_path: Path) -> None:
    _add(tmp_path, f"{HOME}/spec.md", "# A\n")
    _add(tmp_path, f"{HOME}/research.md", "# R\n- Hosting: Railway\n")
    _add(tmp_path, f"{HOME}/acceptance.md", "# Acc\n- Availability: 99.5 %\n")
    spec = read_spec(tmp_path)
    assert spec.files == (f"{HOME}/spec.md", f"{HOME}/acceptance.md", f"{HOME}/research.md")
    assert spec.deployment["platform"].status == "not_stated"
    assert spec.deployment["sla"].value == {"availability": 99.5}


BODY = "# A\n- 데이터베이스: PostgreSQL 16\n- Hosting: Railway\n"


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (BODY.replace("\n", "\r\n").encode(), None),
        (b"\xef\xbb\xbf" + BODY.encode(), None),
        (BODY.encode("cp949"), "cp949"),
        (BODY.encode("utf-16"), "utf-16"),
        (BODY.encode() + b"\xff\xfe\x80 broken \x00", "replaced"),
        (BODY.encode() + b"filler line\n" * (MAX_BYTES // 8), "only the beginning"),
        (BODY.encode() + b"x" * 9000, "were cut"),
    ],
)
def test_odd_files_are_read_with_a_note(tmp_path: Path, data: bytes, note: str | None) -> None:
    _add(tmp_path, f"{HOME}/spec.md", data)
    spec = read_spec(tmp_path)
    assert spec.deployment["database"].value == {"engine": "postgresql", "version": "16"}
    assert spec.deployment["platform"].evidence[0].line == 3
    assert spec.deployment["platform"].evidence[0].text == "- Hosting: Railway"
    assert spec.notes == () if note is None else any(note in n for n in spec.notes)


def test_secrets_in_a_spec_do_not_come_out(tmp_path: Path) -> None:
    token = "ghp_" + "a1B2" * 10
    _add(
        tmp_path,
        f"{HOME}/spec.md",
        f"# A\n- Hosting: Railway, token {token}\n- REQ-001: The system shall use {token}.\n",
    )
    spec = read_spec(tmp_path)
    assert spec.deployment["platform"].value == "railway"
    assert token not in json.dumps(to_json(spec))


@pytest.mark.parametrize(
    "place", [".do/config/config.yaml", ".do/config/config.json", ".do/config.json", ".moai/config/config.yaml"]
)
def test_configuration_in_every_place(tmp_path: Path, place: str) -> None:
    settings = {
        "language": {"conversation_language": "ko"},
        "constitution": {"test_coverage_target": 90},
        "llm": {"k": 1},
    }
    _add(tmp_path, f"{HOME}/spec.md", "# A\n")
    _add(tmp_path, place, json.dumps(settings))
    config = read_spec(tmp_path).config
    assert config["files"] == [place]
    assert config["language"] == "ko"
    assert config["settings"] == {"language": settings["language"], "constitution": settings["constitution"]}


def test_sections_are_laid_over_the_base(tmp_path: Path) -> None:
    _add(tmp_path, f"{HOME}/spec.md", "# A\n")
    _add(
        tmp_path,
        ".do/config/config.yaml",
        "language:\n  conversation_language: en\n  code_comments: en\nproject:\n  mode: team\n",
    )
    _add(tmp_path, ".do/config/sections/language.yaml", "language:\n  conversation_language: ko\n")
    _add(tmp_path, ".do/config/sections/git-strategy.yaml", "mode: personal\n")
    _add(tmp_path, ".do/config/sections/user.yaml", "user: [\n: :\n")
    spec = read_spec(tmp_path)
    assert spec.config["settings"]["language"] == {"conversation_language": "ko", "code_comments": "en"}
    assert spec.config["settings"]["project"] == {"mode": "team"}
    assert spec.config["settings"]["git_strategy"] == {"mode": "personal"}
    assert spec.config["language"] == "ko"


def test_a_broken_configuration_is_ignored_with_a_note(tmp_path: Path) -> None:
    _add(tmp_path, f"{HOME}/spec.md", "# A\n")
    _add(tmp_path, ".do/config/config.yaml", "just text without meaning")
    _add(tmp_path, ".do/config/config.json", '{"language": {"conversation": "ja"}}')
    spec = read_spec(tmp_path)
    assert spec.config["files"] == [".do/config/config.json"]
    assert spec.config["language"] == "ja"
    assert any("config.yaml: not a valid configuration" in note for note in spec.notes)


def test_no_configuration_is_normal(tmp_path: Path) -> None:
    _add(tmp_path, f"{HOME}/spec.md", "# A\n")
    spec = read_spec(tmp_path)
    assert spec.config == {"files": [], "language": None, "settings": {}}
    assert spec.notes == ()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("# 주문\n시스템은 항상 주문을 저장해야 한다. The API uses FastAPI.", "ko"),
        ("# Orders\nThe system shall store the orders of customers.", "en"),
        ("# 注文\nシステムは注文を保存しなければならない。", "ja"),
        ("# 订单\n系统必须保存订单。", "zh"),
        ("# Pedidos\nEl sistema debe guardar los pedidos del cliente para que no se pierdan con una caída.", "es"),
        ("# Bestellungen\nDas System muss die Bestellungen speichern und der Kunde ist nicht betroffen.", "de"),
        ("", "en"),
    ],
)
def test_language(tmp_path: Path, text: str, language: str) -> None:
    _add(tmp_path, f"{HOME}/spec.md", text)
    assert read_spec(tmp_path).language == language


def test_a_spec_that_is_a_directory_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / HOME / "spec.md").mkdir(parents=True)
    with pytest.raises(SpecError):
        read_spec(tmp_path, HOME)
