"""What the planner decides: files, variables, sizes, costs, notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.devops.plan import make_plan
from tools.devops.plan.image import image_of
from tools.devops.plan.names import exec_line, pick_version, replica_range, slug
from tools.devops.plan.services import services_of
from tools.devops.types import Decision, DeployUnit, EnvVar, Project, Spec
from tools.plain import to_json

MakeSpec = Callable[..., Spec]


def plan_for(*units: DeployUnit, spec: Spec | None = None, platform: str = "railway", **more: Any) -> Any:
    project = Project("/nowhere/demo", units, (), more.pop("existing", ()), (), default_branch="main")
    return make_plan(Path("/nowhere"), spec, project, [Decision("platform", platform, "user"), *more.pop("extra", ())])


def variables(plan: Any) -> dict[str, EnvVar]:
    return {v.name: v for v in plan.env}


def test_the_same_input_gives_the_same_plan_and_it_is_json(sample: Any) -> None:
    assert to_json(sample.plan()) == to_json(sample.plan())
    paths = [a.path for a in sample.plan().artifacts]
    assert len(paths) == len(set(paths))


def test_a_platform_without_files_of_its_own_gets_portable_ones_and_says_so(api: DeployUnit) -> None:
    plan = plan_for(api, platform="Fly.io")
    kinds = {a.kind for a in plan.artifacts}
    assert {"dockerfile", "compose", "workflow", "runbook"} <= kinds
    assert not kinds & {"railway", "vercel", "kubernetes", "netlify"}
    assert "fly-io" in plan.unsupported[0]
    assert "rollback" in plan.unsupported[0]


def test_an_unknown_platform_is_an_assumption_and_shown_as_one(api: DeployUnit) -> None:
    project = Project("/nowhere/demo", (api,), (), (), ())
    plan = make_plan(Path("/nowhere"), None, project, [])
    chosen = next(d for d in plan.decisions if d.name == "platform")
    assert (chosen.value, chosen.source) == ("railway", "default")
    assert any("assumption" in note for note in plan.notes)


def test_each_variable_lives_in_one_place(api: DeployUnit) -> None:
    known = variables(plan_for(api))
    assert known["RAILWAY_TOKEN"].lives_in == "ci"
    assert known["DATABASE_URL"].lives_in == "platform"
    assert known["DATABASE_URL"].example == "postgresql://app:app@localhost:5432/app"
    assert known["SECRET_KEY"].secret
    assert known["SECRET_KEY"].example == "replace-me-in-production"
    assert known["PORT"].lives_in == "provided"
    assert not known["CORS_ORIGINS"].secret


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("STRIPE_API_KEY", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("JWT_SECRET", True),
        ("SENTRY_DSN", True),
        ("SMTP_PASSWORD", True),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", False),
        ("JWT_ALGORITHM", False),
        ("SECRET_NAME", False),
        ("NEXT_PUBLIC_API_KEY", False),
        ("LOG_LEVEL", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("MONKEY", False),
    ],
)
def test_secrets_are_told_from_settings(api: DeployUnit, name: str, secret: bool) -> None:
    known = variables(plan_for(replace(api, env=(name,))))
    assert known[name].secret is secret
    assert known[name].example in (("replace-me-in-production",) if secret else ("", "info", "http://localhost:8000"))


def test_a_service_without_a_variable_gets_one_and_parts_are_understood(api: DeployUnit) -> None:
    assert "DATABASE_URL" in variables(plan_for(replace(api, env=())))
    parts = variables(plan_for(replace(api, env=("DB_HOST", "DB_PORT", "DB_PASSWORD"), services=("postgres",))))
    assert "DATABASE_URL" not in parts
    assert (parts["DB_HOST"].example, parts["DB_PORT"].example) == ("localhost", "5432")
    assert parts["DB_PASSWORD"].secret


def test_versions_of_services_come_from_the_spec(api: DeployUnit, make_spec: MakeSpec) -> None:
    old, new = (services_of(api, make_spec(database={"engine": "postgresql", "version": v}))[0] for v in ("17", "18"))
    assert (old.image, old.data) == ("postgres:17-alpine", "/var/lib/postgresql/data")
    assert (new.image, new.data) == ("postgres:18-alpine", "/var/lib/postgresql")
    odd = services_of(api, make_spec(database={"engine": "postgres", "version": "1; rm -rf /"}))[0]
    assert odd.image == "postgres:16-alpine"


def test_the_legacy_railway_file_only_where_present_or_asked(api: DeployUnit) -> None:
    assert "railway_json" not in {a.kind for a in plan_for(api).artifacts}
    present = plan_for(api, existing=("railway.json",))
    assert "railway_json" in {a.kind for a in present.artifacts}
    assert any("2026-12-01" in note for note in present.notes)
    asked = plan_for(api, extra=(Decision("railway_json", True, "user"),))
    assert "railway_json" in {a.kind for a in asked.artifacts}


def test_requirements_are_traced_to_files(api: DeployUnit, make_spec: MakeSpec) -> None:
    plan = plan_for(api, spec=make_spec())
    traced = {a.kind: a.requirements for a in plan.artifacts}
    assert "REQ-1" in traced["workflow"]
    assert "REQ-1" in traced["runbook"]
    assert traced["dockerfile"] == ("REQ-2",)


def test_the_estimate_is_computed_from_facts_and_held_against_the_budget(api: DeployUnit, make_spec: MakeSpec) -> None:
    cost = plan_for(api, spec=make_spec(budget={"amount": 10, "currency": "USD", "period": "month"})).cost
    assert cost["monthly"] == round(sum(i["monthly"] for i in cost["items"]), 2) == 15.5
    assert (cost["budget"], cost["within_budget"]) == (10.0, False)
    assert cost["as_of"]
    yearly = plan_for(api, spec=make_spec(budget={"amount": 240, "currency": "USD", "period": "year"})).cost
    assert (yearly["budget"], yearly["within_budget"]) == (20.0, True)


def test_an_unknown_price_is_not_zero(api: DeployUnit, make_spec: MakeSpec) -> None:
    cost = plan_for(api, platform="fly", spec=make_spec(budget={"amount": 10, "currency": "KRW"})).cost
    assert cost["monthly"] is None
    assert cost["within_budget"] is None
    assert cost["budget"] is None
    assert "prices of fly" in cost["unknown"]


def test_replicas_follow_the_spec_then_its_goal(make_spec: MakeSpec) -> None:
    assert replica_range(None, "railway") == (1, 2)
    assert replica_range(None, "kubernetes") == (2, 4)
    assert replica_range(make_spec(sla={"availability": 99.9}), "railway")[0] == 2
    assert replica_range(make_spec(replicas=3), "kubernetes") == (3, 6)
    assert replica_range(make_spec(autoscaling={"min": 2, "max": 9}), "kubernetes") == (2, 9)
    assert replica_range(make_spec(autoscaling=True, replicas=True), "railway") == (1, 2)
    assert replica_range(make_spec(replicas=10**9), "kubernetes")[0] == 100


def test_branches_come_from_git(api: DeployUnit, tmp_path: Path) -> None:
    project = Project(str(tmp_path), (api,), (), (), (), default_branch="trunk")
    decisions = {d.name: d.value for d in make_plan(tmp_path, None, project, []).decisions}
    assert decisions["branches"] == ["trunk"]
    (tmp_path / ".git/refs/remotes/origin").mkdir(parents=True)
    (tmp_path / ".git/refs/remotes/origin/develop").write_text("x")
    (tmp_path / ".git/config").write_text('[remote "origin"]\n\turl = git@github.com:Acme/Shop.git\n')
    decisions = {d.name: d.value for d in make_plan(tmp_path, None, project, []).decisions}
    assert decisions["branches"] == ["trunk", "develop"]
    assert decisions["repository"] == "Acme/Shop"


def test_gaps_are_named(api: DeployUnit) -> None:
    bare = replace(api, health_path=None, test=None, services=("postgres", "s3"))
    notes = "\n".join(plan_for(bare).notes)
    for word in ("no health endpoint", "no test command", "s3"):
        assert word in notes
    assert image_of(replace(api, start=None)) is None
    assert "no container image" in "\n".join(plan_for(replace(api, start=None)).notes)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (None, "3.13"),
        ("3.12", "3.12"),
        ("3.12.4", "3.12"),
        (">=3.11", "3.13"),
        (">=3.14", "3.14"),
        (">=3.10,<3.12", "3.10"),
        ("~=3.11", "3.11"),
        ("^3.12", "3.13"),
        ("v3.12", "3.12"),
        ("lts/*", "3.13"),
        ("3.12.x", "3.12"),
    ],
)
def test_versions_are_picked_for_tags(stated: str | None, expected: str) -> None:
    assert pick_version(stated, "3.13", 2) == expected


@given(st.text(max_size=30))
def test_any_version_text_gives_a_plain_tag(text: str) -> None:
    assert all(c.isdigit() or c == "." for c in pick_version(text, "24", 1))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uvicorn a:b --port $PORT", "exec uvicorn a:b --port ${PORT:-8000}"),
        ("uv run uvicorn a:b", "exec uvicorn a:b"),
        ("poetry run gunicorn a", "exec gunicorn a"),
        ("a && b --port ${PORT}", "a && exec b --port ${PORT:-8000}"),
        ("cd src; node x.js", "cd src; exec node x.js"),
        ("A=1 B=2 node x", "exec env A=1 B=2 node x"),
        ("exec node x", "exec node x"),
        ("a | b", "a | b"),
        ("java -jar $(ls *.jar | grep -v x | head -n 1)", "exec java -jar $(ls *.jar | grep -v x | head -n 1)"),
        ("a || b", "a || b"),
        ("(a; b)", "(a; b)"),
        ("sh -c 'a && b'", "exec sh -c 'a && b'"),
        ("if a; then b; fi", "if a; then b; fi"),
    ],
)
def test_the_last_program_replaces_the_shell(command: str, expected: str) -> None:
    assert exec_line(command, 8000) == expected


@given(st.text(max_size=60))
def test_any_name_becomes_a_dns_label(text: str) -> None:
    import re

    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", slug(text))


def test_units_of_one_name_get_names_of_their_own(api: DeployUnit) -> None:
    from tools.devops.plan.names import slugs

    units = tuple(replace(api, path=p, name="API") for p in ("a", "b", "c"))
    assert list(slugs(Project("/x", units, (), (), ())).values()) == ["api", "api-2", "api-3"]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_notes_and_strategy_are_in_the_readers_language(api: DeployUnit, make_spec: MakeSpec, language: str) -> None:
    import re

    spec = make_spec(language, budget={"amount": 1, "currency": "USD"}, compliance=["PIPA"], sla={"availability": 99.9})
    plan = plan_for(replace(api, health_path=None), spec=spec)
    for text in (*plan.notes, *plan.strategy.values()):
        assert bool(re.search("[가-힣]", text)) is (language == "ko"), text
