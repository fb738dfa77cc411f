"""Anything may stand in a SPEC: nothing but `SpecError` comes out, evidence stays true, and reading stays fast."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.devops.spec import SpecError, read_spec
from tools.devops.spec.markdown import mask, parse
from tools.devops.spec.metadata import load_yaml, read_metadata
from tools.devops.tools import read_spec as ReadSpec  # noqa: N812 - the tool's own name
from tools.devops.types import DEPLOYMENT_FIELDS, Spec
from tools.plain import to_json
from tools.tool import ToolContext, ToolError

ORDINARY = """\
# SPEC-A-001: Deploy
## Out of Scope
## Environment (환경)
- Database: PostgreSQL 16, managed
- CDN
- 배포: Vercel 예정
| a | b |
|---|---|
| CDN | 없음 |
```yaml
deployment:
  platform: fly
```
---
id: A-001
author: @x
Move from Heroku to Railway.
예산: 월 10만 원 이내
No Kubernetes, Redis or CDN.
WHEN it is 03:00 KST, the system shall import.
REQ-1: The system shall not deploy to AWS.
RPO: 15m
  - nested: Redis 7
매일 오전 3시(KST)에 정리해야 한다.
> quote: x
1. **AWS ECS Fargate**
0 3 * * *
$1,000,000/month budget
(
)
`
**
|
:"""
PIECES = [*ORDINARY.splitlines(), "", "\t", "\r", "\ufeff", "\x00"]
texts = st.one_of(st.text(max_size=400), st.lists(st.sampled_from(PIECES), max_size=30).map("\n".join))


def _spec(text: str) -> Spec:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / ".do/specs/SPEC-A-001"
        place.mkdir(parents=True)
        (place / "spec.md").write_bytes(text.encode("utf-8", errors="surrogatepass"))
        return read_spec(Path(name))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(texts)
def test_any_text_is_read_and_evidence_is_true(text: str) -> None:
    spec = _spec(text)
    assert set(spec.deployment) == set(DEPLOYMENT_FIELDS)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd").removeprefix("\ufeff").split("\n")
    for field in spec.deployment.values():
        assert field.value is None or field.status == "stated"
        for evidence in field.evidence:
            assert evidence.text in lines[evidence.line - 1]
    for requirement in spec.requirements:
        assert 1 <= requirement.line <= len(lines)
    json.dumps(to_json(spec), ensure_ascii=False)


@given(st.text(max_size=300))
def test_masking_keeps_the_length(text: str) -> None:
    assert len(mask(text)) == len(text)


@given(texts)
def test_statements_lead_back_to_their_lines(text: str) -> None:
    document = parse("spec.md", text)
    for statement in document.statements:
        for offset, char in enumerate(statement.text):
            if not char.isspace():
                assert char in document.lines[statement.line_at(offset) - 1]


@given(st.text(max_size=300))
@settings(deadline=None)
def test_yaml_and_metadata_never_raise(text: str) -> None:
    load_yaml(text)
    read_metadata(f"---\n{text}\n---\n")


@given(st.text(max_size=60))
@settings(deadline=None)
def test_any_name_gives_a_spec_error_or_the_spec(wanted: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / ".do/specs/SPEC-A-001"
        place.mkdir(parents=True)
        (place / "spec.md").write_text("# A\n", encoding="utf-8")
        try:
            read = read_spec(Path(name), wanted).id
        except SpecError as error:
            read = str(error)
    assert read


HOSTILE = [
    "a" * 60_000,
    "(" * 60_000,
    "- " + "no " * 20_000 + "Redis",
    "| " * 30_000,
    "**" * 30_000,
    "from Heroku to " * 4_000 + "Railway",
    "\n".join("- Database: PostgreSQL 16, " + "x, " * 40 for _ in range(400)),
    "1 2 3 4 5 " * 6_000,
    "`" * 60_000,
    "[" * 30_000 + "](" * 15_000,
    "매일 " * 20_000,
    "\n".join("  " * (n % 40) + "- item: value" for n in range(4_000)),
]


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_read_in_bounded_time(text: str) -> None:
    started = time.process_time()
    _spec(text)
    assert time.process_time() - started < 10


@pytest.mark.slow
def test_a_large_ordinary_spec_is_read_quickly() -> None:
    section = (
        "## Requirements {n}\n- REQ-A-{n}: WHEN an order arrives, the system shall store it in PostgreSQL 16 and "
        "answer within 200 ms.\n- **REQ-B-{n}**: 시스템은 항상 변경 이력을 남겨야 한다. 캐시는 Redis 7을 사용한다.\n"
        "| Item | Value |\n|---|---|\n| Timeout | 30 s |\n\nSome prose about users, screens and colours.\n\n"
    )
    text = "".join(section.replace("{n}", str(n)) for n in range(1, 200))
    assert len(text.encode()) > 60_000
    _spec(text)
    started = time.process_time()
    spec = _spec(text)
    assert time.process_time() - started < 5
    assert spec.deployment["cache"].value == {"engine": "redis", "version": "7"}


async def test_the_tool_returns_json(tmp_path: Path) -> None:
    place = tmp_path / ".do/specs/SPEC-A-001"
    place.mkdir(parents=True)
    (place / "spec.md").write_text("# 주문\n- 데이터베이스: MySQL 8\n", encoding="utf-8")
    result = await ReadSpec.invoke(ToolContext.at(tmp_path), {"spec": "A-001"})
    assert isinstance(result.content, str)
    data = json.loads(result.content)
    assert data == json.loads(json.dumps(result.data))
    assert data["deployment"]["database"]["evidence"] == [
        {"file": ".do/specs/SPEC-A-001/spec.md", "line": 2, "text": "- 데이터베이스: MySQL 8"}
    ]
    assert "데이터베이스" in result.content
    assert ReadSpec.effects == {"reads"}
    assert (await ReadSpec(ToolContext.at(tmp_path))).data["id"] == "SPEC-A-001"


async def test_the_tool_explains_a_miss(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="No SPEC was found"):
        await ReadSpec(ToolContext.at(tmp_path))
    with pytest.raises(ToolError, match="wrong input"):
        await ReadSpec.invoke(ToolContext.at(tmp_path), {"spec": 7})
