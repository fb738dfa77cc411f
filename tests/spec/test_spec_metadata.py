"""The five metadata shapes, lenient YAML, and hostile YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.devops.spec import read_spec
from tools.devops.spec.metadata import load_yaml, read_metadata

FRONT = "---\nid: AUTH-001\nversion: 0.10\nstatus: draft\ncreated: 2026-01-02\n---\n# T\n"
AFTER_TITLE = (
    "# SPEC-AUTH-001: T\n\n---\nid: AUTH-001\nversion: 0.10\nstatus: draft\ncreated: 2026-01-02\n---\n\n## X\n"
)
FENCED = "# SPEC-AUTH-001: T\n\n```yaml\nid: AUTH-001\nversion: 0.10\nstatus: draft\ncreated: 2026-01-02\n```\n"
TABLE = (
    "# T\n\n## Metadata\n\n| Field | Value |\n|---|---|\n| SPEC ID | AUTH-001 |\n| Version | 0.10 |\n"
    "| Status | draft |\n| Created | 2026-01-02 |\n"
)
KOREAN_TABLE = (
    "# T\n\n## 메타데이터\n\n| 항목 | 내용 |\n|---|---|\n| SPEC ID | AUTH-001 |\n| 버전 | 0.10 |\n"
    "| 상태 | draft |\n| 생성일 | 2026-01-02 |\n"
)
BULLETS = "# T\n\n- ID: AUTH-001\n- **Version**: 0.10\n- Status: draft\n- Created: 2026-01-02\n\n## X\n"
QUOTES = "# T\n> **ID**: AUTH-001\n> **Version**: 0.10\n> **Status**: draft\n> **Created**: 2026-01-02\n"


@pytest.mark.parametrize("text", [FRONT, AFTER_TITLE, FENCED, TABLE, KOREAN_TABLE, BULLETS, QUOTES])
def test_every_shape_gives_the_same(text: str) -> None:
    values = read_metadata(text).values
    assert {key: values[key] for key in ("id", "version", "status", "created")} == {
        "id": "AUTH-001",
        "version": "0.10",
        "status": "draft",
        "created": "2026-01-02",
    }


def test_none_is_a_shape_too() -> None:
    assert read_metadata("# Title\n\nProse: with a colon.\n\n## Requirements\n- Status: shown on screen\n").values == {}


@pytest.mark.parametrize(
    ("yaml", "key", "value"),
    [
        ("author: @lumen", "author", "@lumen"),
        ("a: 1\na: 2", "a", 2),
        ("a:\t1", "a", 1),
        ("depends_on: [SPEC-A-001, SPEC-B-002]", "depends_on", ["SPEC-A-001", "SPEC-B-002"]),
        ("issue: null", "issue", None),
        ("title: 'a: b'", "title", "a: b"),
        ("title: broken: yaml: here\nstatus: draft", "status", "draft"),
        ("tags:\n- a\n- b\nbad: [", "tags", ["a", "b"]),
    ],
)
def test_lenient_yaml(yaml: str, key: str, value: object) -> None:
    assert load_yaml(yaml)[key] == value


def test_an_alias_bomb_stays_small() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 8)}]\n" for n in range(9)
    )
    assert len(str(load_yaml(bomb))) < 5000


def test_deep_nesting_does_not_crash() -> None:
    assert load_yaml("a: " + "[" * 5000) is not None
    assert load_yaml("- " * 3000 + "x") is not None


def test_linked_specs_give_platform_facts_one_level_deep(tmp_path: Path) -> None:
    for name, text in {
        "SPEC-A-001": "---\nid: A-001\ndepends_on: [SPEC-B-001]\n---\n# A\n",
        "SPEC-B-001": "---\nid: B-001\ndepends_on: [SPEC-C-001]\n---\n# B\n- Hosting: Railway\n- Cron: nightly job\n",
        "SPEC-C-001": "---\nid: C-001\n---\n# C\n- Database: MySQL 8\n",
    }.items():
        place = tmp_path / ".do/specs" / name
        place.mkdir(parents=True)
        (place / "spec.md").write_text(text, encoding="utf-8")
    spec = read_spec(tmp_path, "A-001")
    assert spec.deployment["platform"].value == "railway"
    assert spec.deployment["platform"].evidence[0].file == ".do/specs/SPEC-B-001/spec.md"
    assert spec.deployment["cron"].status == "not_stated"
    assert spec.deployment["database"].status == "not_stated"
