"""Which platform is chosen, who said so, and what is asked when nobody did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.devops.platform import (
    PlatformError,
    action,
    choose_platform,
    facts,
    language_of,
    normalise,
    platforms,
    recommended,
    version,
)
from tools.devops.types import Decision, DeploymentField, DeployUnit, PlatformSign, Project, Spec
from tools.ports import Question

MakeSpec = Callable[..., Spec]


def project(*units: DeployUnit, signs: tuple[PlatformSign, ...] = (), root: str = "/nowhere") -> Project:
    return Project(root, units, signs, (), ())


def sign(platform: str, *evidence: str, source: str = "file") -> PlatformSign:
    return PlatformSign(platform, evidence, source)


def asked(outcome: Decision | Question) -> Question:
    assert isinstance(outcome, Question)
    return outcome


def decided(outcome: Decision | Question) -> tuple[Any, str]:
    assert isinstance(outcome, Decision)
    return outcome.value, outcome.source


def test_the_spec_outranks_files_and_answers(api: DeployUnit, make_spec: MakeSpec) -> None:
    spec = make_spec(platform="railway")
    where = project(api, signs=(sign("vercel", "vercel.json"),))
    assert decided(choose_platform(spec, where, api, {"platform": "Vercel"})) == ("railway", "spec")


def test_files_outrank_answers_and_the_stack_default_decides_nothing(api: DeployUnit) -> None:
    where = project(api, signs=(sign("kubernetes", "k8s/"), sign("railway", "app", source="default")))
    assert decided(choose_platform(None, where, api, {"platform": "Railway"})) == ("kubernetes", "project")
    where = project(api, signs=(sign("railway", "fastapi", source="default"),))
    assert isinstance(choose_platform(None, where, api, {}), Question)


def test_the_file_a_run_writes_does_not_change_why_the_platform_was_chosen(api: DeployUnit) -> None:
    package, file = sign("vercel", ".: @sveltejs/adapter-vercel", source="sdk"), sign("vercel", "vercel.json")
    before = choose_platform(None, project(api, signs=(package,)), api, {})
    after = choose_platform(None, project(api, signs=(file, package)), api, {})
    assert isinstance(before, Decision)
    assert before == after


def test_an_answer_decides_by_label_id_or_words(api: DeployUnit) -> None:
    for answer, value in [
        ("Railway", "railway"),
        ("docker + kubernetes", "kubernetes"),
        ("k8s", "kubernetes"),
        ("AWS EC2 / DigitalOcean", "digitalocean"),
        ("aws-ec2", "aws-ec2"),
        ("Fly.io", "fly-io"),
        ("Google Cloud Run", "gcp-cloud-run"),
    ]:
        assert decided(choose_platform(None, project(api), api, {"platform": answer})) == (value, "user")
        assert normalise(value) == value


@pytest.mark.parametrize("field", ["not_stated", "excluded"])
def test_only_a_stated_platform_counts(api: DeployUnit, make_spec: MakeSpec, field: Any) -> None:
    spec = replace(make_spec(), deployment={"platform": DeploymentField(field, "railway")})
    assert isinstance(choose_platform(spec, project(api), api, {}), Question)


def test_a_container_engine_is_no_place_to_run(api: DeployUnit, make_spec: MakeSpec) -> None:
    assert isinstance(choose_platform(make_spec(platform="docker"), project(api), api, {}), Question)


def test_two_signs_are_told_apart_by_what_a_unit_is(api: DeployUnit, node: DeployUnit) -> None:
    back = replace(api, path="backend")
    front = replace(node, path="frontend", kind="frontend")
    where = project(back, front, signs=(sign("railway", "railway.json"), sign("vercel", "vercel.json")))
    assert decided(choose_platform(None, where, back, {})) == ("railway", "project")
    assert decided(choose_platform(None, where, front, {})) == ("vercel", "project")


def test_a_sign_in_a_units_own_folder_is_for_that_unit(api: DeployUnit, node: DeployUnit) -> None:
    one, two = replace(api, path="a"), replace(node, path="b")
    where = project(one, two, signs=(sign("kubernetes", "a/k8s/x.yaml"), sign("railway", "b/railway.json")))
    assert decided(choose_platform(None, where, one, {})) == ("kubernetes", "project")
    assert decided(choose_platform(None, where, two, {})) == ("railway", "project")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_question_offers_four_with_the_best_first_and_says_why(
    api: DeployUnit, make_spec: MakeSpec, language: str
) -> None:
    question = asked(choose_platform(make_spec(language), project(api), api, {}))
    assert question.options[0].label == "Railway"
    assert len(question.options) == 4
    assert question.default == "Railway"
    assert question.key == "platform"
    assert len(question.header) <= 12
    assert all(1 <= len(o.label.split()) <= 5 and o.description for o in question.options)
    assert question.options[0].description.startswith("추천" if language == "ko" else "Recommended")
    assert question.why
    assert recommended(question) == "railway"


def test_a_front_end_gets_other_advice_and_a_key_of_its_own(api: DeployUnit, node: DeployUnit) -> None:
    front = replace(node, path="web", kind="frontend", services=())
    question = asked(choose_platform(None, project(replace(api, path="api"), front), front, {}))
    assert question.options[0].label == "Vercel"
    assert question.key == "platform:web"
    answers = {"platform:web": "Netlify", "platform": "Railway"}
    assert decided(choose_platform(None, project(replace(api, path="api"), front), front, answers)) == (
        "netlify",
        "user",
    )


def test_two_candidates_found_are_both_offered(api: DeployUnit) -> None:
    where = project(api, signs=(sign("fly", "fly.toml"), sign("railway", "railway.json")))
    question = asked(choose_platform(None, where, api, {}))
    assert {o.label for o in question.options[:2]} == {"fly", "Railway"}
    assert "fly" in question.why


def test_an_earlier_choice_stands_until_the_user_answers_anew(api: DeployUnit, tmp_path: Path) -> None:
    record = tmp_path / "docs/deployment/architecture.md"
    record.parent.mkdir(parents=True)
    record.write_text("| `platform` | railway | user | answer: Railway |\n", encoding="utf-8")
    where = project(api, signs=(sign("railway", ".railway/railway.py"),), root=str(tmp_path))
    assert decided(choose_platform(None, where, api, {})) == ("railway", "user")
    assert decided(choose_platform(None, where, api, {"platform": "k8s"})) == ("kubernetes", "user")
    record.write_text("| `platform` | railway | project | railway.json |\n", encoding="utf-8")
    assert decided(choose_platform(None, where, api, {"platform": "k8s"})) == ("railway", "project")


def test_the_six_options_of_the_persona_are_there_in_both_languages() -> None:
    offered = [p for p in platforms().values() if p.offered]
    assert {p.id for p in offered} == {"railway", "vercel", "aws-lambda", "digitalocean", "kubernetes"}
    for platform in platforms().values():
        for key, texts in platform.texts.items():
            assert texts["en"], (platform.id, key)
            assert texts["ko"], (platform.id, key)
        if platform.artifacts:
            assert {"strategy", "rollback", "limits", "runtime_secrets"} <= set(platform.texts)


def test_an_action_has_a_commit_or_is_refused() -> None:
    commit, tag = action("actions/checkout").split(" # ")
    assert len(commit.split("@")[1]) == 40
    assert tag.startswith("v")
    with pytest.raises(PlatformError, match=r"nobody/nothing.*actions\.yaml"):
        action("nobody/nothing")
    with pytest.raises(PlatformError, match=r"platforms\.yaml"):
        version("nothing")


def test_facts_are_dated_and_sourced() -> None:
    assert facts()["railway.ram_usd_per_gb_month"].value == 10
    assert all(f.as_of and f.source for f in facts().values())


@pytest.mark.parametrize(
    ("config", "prose", "expected"),
    [
        ({}, "en", "en"),
        ({}, "ko", "ko"),
        ({"language": "ko"}, "en", "ko"),
        ({"language": "en"}, "ko", "en"),
        ({}, "ja", "en"),
    ],
)
def test_the_configured_language_wins_over_the_prose(
    tmp_path: Path, make_spec: MakeSpec, config: dict[str, str], prose: str, expected: str
) -> None:
    assert language_of(replace(make_spec(prose), config=config), tmp_path) == expected


def test_without_a_spec_the_projects_own_language_counts(tmp_path: Path) -> None:
    assert language_of(None, tmp_path) == "en"
    (tmp_path / ".do" / "config").mkdir(parents=True)
    (tmp_path / ".do" / "config" / "config.yaml").write_text("language:\n  conversation_language: ko\n")
    assert language_of(None, tmp_path) == "ko"
