"""Runbook and monitoring guide of every platform, in both languages: commands that parse, alerts from stated goals."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render.conftest import API, Sample, spec
from tools.devops.plan.goals import goals_of
from tools.devops.plan.said import said
from tools.devops.platform import platforms

PLATFORMS = [name for name, platform in platforms().items() if platform.artifacts and platform.image]
PROGRAMS = {
    "railway": "railway",
    "kubernetes": "kubectl",
    "aws-lambda": "aws",
    "aws-ecs": "aws",
    "aws-ec2": "aws",
    "digitalocean": "ssh",
    "gcp-cloud-run": "gcloud",
    "azure-container-apps": "az",
}


def documents(platform: str, language: str, **stated: Any) -> dict[str, str]:
    """Kind -> text."""
    sample = Sample((replace(API, liveness_path="/livez"),), (platform,), spec(language, **stated))
    return {path.rpartition("/")[2]: text for path, text in sample.files("runbook", "monitoring_doc").items()}


def section(text: str, *titles: str) -> str:
    """The text under the first heading of level two that holds one of the words."""
    return next(part for part in re.split(r"(?m)^## ", text)[1:] if any(t in part.splitlines()[0] for t in titles))


def commands(text: str) -> str:
    return "\n".join(re.findall(r"(?ms)^```sh\n(.*?)^```", text))


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_commands_are_the_platforms_own_and_parse(platform: str, language: str) -> None:
    runbook = documents(platform, language)["runbook.md"]
    done = subprocess.run(["bash", "-n"], input=commands(runbook), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    program = PROGRAMS[platform]
    assert re.search(rf"(?m)\b{program} ", commands(section(runbook, "Incident", "장애 대응")))
    rotating = commands(section(runbook, "Rotate", "교체"))
    assert re.search(rf"\b{program if platform != 'digitalocean' else 'scp'} ", rotating)
    assert "pg_restore" in commands(section(runbook, "restore", "복구"))
    others = {name for name in PROGRAMS.values() if name not in (program, "ssh")} - {"aws"}
    assert not re.findall(rf"(?m)^(?:{'|'.join(others)}) ", commands(runbook))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_alerts_follow_from_the_goal_that_the_spec_states(language: str) -> None:
    stated = {"sla": {"availability": 99.5, "latency": [{"percentile": "p95", "ms": 300.0}]}}
    text = documents("kubernetes", language, **stated)["monitoring.md"]
    assert "99.5 %" in text
    assert "99.9" not in text
    assert "216" in text
    (block,) = re.findall(r"(?ms)^```yaml\n(.*?)^```", text)
    (group,) = yaml.safe_load(block)["groups"]
    rules = {rule["alert"]: rule["expr"] for rule in group["rules"]}
    assert rules["ErrorBudgetBurnsFast"].count("> 0.072") == 2
    assert rules["ErrorBudgetBurnsSlowly"].count("> 0.03") == 2
    assert rules["SlowResponses"].strip().endswith("> 0.3")


def test_a_goal_that_nobody_states_is_called_an_assumption() -> None:
    assert "99.9 % is an assumption" in documents("railway", "en")["monitoring.md"]
    assert "99.9 %를 가정했습니다" in documents("railway", "ko")["monitoring.md"]


@given(st.floats(min_value=0.1, max_value=99.999))
def test_thresholds_grow_with_the_budget(availability: float) -> None:
    goals = goals_of(spec(sla={"availability": availability}))
    assert goals.availability_stated
    assert 0 < float(goals.slow) <= float(goals.fast) <= 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.sampled_from(["sla", "cron", "budget", "regions", "rpo", "database_backup", "compliance"]), VALUES)
def test_any_value_is_said_without_breaking(field: str, value: Any) -> None:
    for language in ("en", "ko"):
        said(spec(language, **{field: value}), language)


@pytest.mark.parametrize(
    ("field", "value", "english", "korean"),
    [
        ("sla", {"availability": 99.9}, "99.9 %", "99.9 %"),
        ("rpo", 15, "15 min", "15분"),
        ("rto", 240, "4 h", "4시간"),
        ("database_backup", {"frequency": "daily", "retention_days": 14}, "daily, kept 14 days", "매일, 14일 보관"),
        ("budget", {"amount": 80000, "currency": "KRW", "period": "month"}, "80,000 KRW a month", "월 80,000 KRW"),
        ("regions", [{"name": "Seoul", "country": "KR"}], "Seoul", "Seoul"),
        ("cron", [{"schedule": "0 1 * * *", "text": "Clean up."}], "0 1 * * * (UTC): Clean up.", None),
        ("cdn", True, "yes", "예"),
        ("queue", None, "", ""),
    ],
)
def test_values_are_said_as_people_write_them(field: str, value: Any, english: str, korean: str | None) -> None:
    assert said(spec(**{field: value}), "en")[field] == english
    assert said(spec(**{field: value}), "ko")[field] == (english if korean is None else korean)
