"""Step files, labels, aliases and fragments are complete in both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from agent.knowledge.definition import load_persona
from agent.knowledge.names import fold, resolve_agent_name
from tools.devops.types import DEPLOYMENT_FIELDS, CheckStatus, FieldStatus, Severity, Source
from tools.frontmatter import load_yaml, parse
from tools.resources import data_root

PROMPTS = data_root() / "prompts"
STEP_FILES = sorted((PROMPTS / "workflow").glob("*.md"))
GATES = {
    1: ["spec_read", "requirements_listed"],
    2: ["platform_decided"],
    3: ["design_recorded"],
    4: [
        "dockerfile",
        "dockerignore",
        "compose",
        "railway",
        "vercel",
        "netlify",
        "kubernetes",
        "terraform",
        "sam",
        "cloudrun",
        "containerapps",
    ],
    5: ["workflow"],
    6: ["env_example", "no_secrets"],
    7: ["health", "json_logging", "runbook"],
    8: ["handovers", "consistency"],
}
GRANTED_BY_THE_WORKFLOW = {
    "ReadSpec",
    "DetectProject",
    "PlanDeployment",
    "WriteArtifact",
    "CheckArtifacts",
    "CompleteStep",
    "AskUserQuestion",
    "Delegate",
}


def labels() -> dict[str, dict[str, dict[str, str]]]:
    table: dict[str, dict[str, dict[str, str]]] = load_yaml((PROMPTS / "labels.yaml").read_text(encoding="utf-8"))
    return table


def korean(text: str) -> bool:
    return any("가" <= char <= "힣" for char in text)


def step(path: Path) -> tuple[dict[str, Any], str]:
    return parse(path.read_text(encoding="utf-8"))


def test_eight_steps_in_order() -> None:
    assert [step(path)[0]["step"] for path in STEP_FILES] == list(range(1, 9))
    assert [path.stem for path in STEP_FILES] == [f"{h['step']}-{h['id']}" for h, _ in map(step, STEP_FILES)]


@pytest.mark.parametrize("path", STEP_FILES, ids=lambda path: path.stem)
def test_step_file(path: Path) -> None:
    header, body = step(path)
    assert set(header) == {"step", "id", "title", "goal", "deliverables", "gates", "tools"}
    assert header["gates"] == GATES[header["step"]]
    for key in ("title", "goal"):
        assert set(header[key]) == {"en", "ko"}
        assert korean(header[key]["ko"])
        assert not korean(header[key]["en"])
    assert header["deliverables"]
    assert all(isinstance(item, str) for item in header["deliverables"])
    assert set(header["tools"]) <= GRANTED_BY_THE_WORKFLOW | set(load_persona().tools or ())
    assert header["tools"][-1] == "CompleteStep"
    assert f"`CompleteStep` step {header['step']}" in " ".join(body.split())


def test_step_titles_are_the_labels() -> None:
    assert {h["id"]: h["title"] for h, _ in map(step, STEP_FILES)} == labels()["step"]


def test_every_label_stands_in_both_languages() -> None:
    for group, entries in labels().items():
        for key, words in entries.items():
            assert set(words) == {"en", "ko"}, f"{group}.{key}"
            assert all(word.strip() for word in words.values()), f"{group}.{key}"
            assert not korean(words["en"]), f"{group}.{key}"


def test_korean_labels_are_korean_except_for_names() -> None:
    same_in_both = {f"{g}.{k}" for g, entries in labels().items() for k, w in entries.items() if not korean(w["ko"])}
    assert same_in_both == {"decision_source.spec", "field.cdn", "report.trust"}


def test_labels_cover_every_value_shown_to_people() -> None:
    table = labels()
    assert set(get_args(FieldStatus)) <= set(table["field_status"])
    assert set(get_args(CheckStatus)) | {"open", "by_hand"} == set(table["check_status"])
    assert set(get_args(Severity)) == set(table["severity"])
    assert set(get_args(Source)) == set(table["decision_source"])
    assert set(DEPLOYMENT_FIELDS) == set(table["field"])
    assert len(table["checklist"]) == 7
    assert len(table["trust"]) == 5
    assert set(table["step_status"]) == {"open", "claimed", "verified"}
    assert len(table["outcome"]) == 6
    readiness = {"health", "liveness", "metrics", "sigterm", "json_logs", "migrations"}
    assert (
        set(table["missing"])
        == set(table["missing_why"])
        == readiness | {"production_server", "port", "database_driver", "syntax"}
    )


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("to", "수신"),
        ("from", "발신"),
        ("subject", "제목"),
        ("deployment_requirements", "배포 요구사항"),
        ("health_check", "헬스 체크"),
        ("start_command", "시작 명령"),
        ("migration", "마이그레이션 (앱 시작 전)"),
        ("required_env", "필요 환경 변수"),
        ("missing_items", "누락 항목"),
        ("next_steps", "다음 단계"),
        ("both_sides", "양측"),
        ("frontend_platform", "프론트엔드 플랫폼"),
        ("graceful_shutdown", "그레이스풀 셧다운"),
        ("metrics_endpoint", "메트릭 엔드포인트"),
        ("zero_downtime", "무중단"),
        ("runbook", "런북"),
        ("delegation_rule", "위임 규칙"),
    ],
)
def test_korean_message_labels(key: str, word: str) -> None:
    assert labels()["message"][key]["ko"] == word


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("code-backend", "expert-backend"),
        ("code_frontend", "expert-frontend"),
        ("Infra DevOps", "expert-devops"),
        ("devops-expert", "expert-devops"),
        ("security-expert", "expert-security"),
        ("workflow-tdd", "manager-tdd"),
        ("tdd-implementer", "manager-tdd"),
        ("expert_backend", "expert-backend"),
        ("core-planner", "manager-strategy"),
        ("data-database", "expert-database"),
        ("someone-else", "someone-else"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert resolve_agent_name(alias) == name


def test_no_alias_points_to_an_alias() -> None:
    table = load_yaml((PROMPTS / "aliases.yaml").read_text(encoding="utf-8"))
    assert {fold(name) for name in table.values()} & {fold(alias) for alias in table} == set()


def test_system_fragments() -> None:
    for name in ("environment", "untrusted-content", "headless"):
        assert (PROMPTS / "system" / f"{name}.md").read_text(encoding="utf-8").startswith("## ")
    environment = (PROMPTS / "system" / "environment.md").read_text(encoding="utf-8")
    filled = environment.format(cwd="/p", root="/p", platform="linux", git="yes", language="ko")
    assert "`/p`" in filled
    honesty, _ = parse((PROMPTS / "system" / "playbook-honesty.md").read_text(encoding="utf-8"))
    assert "not by a language model" in honesty["en"]
    assert korean(honesty["ko"])
