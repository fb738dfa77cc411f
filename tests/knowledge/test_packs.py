"""The skill packs are valid, small, dated and free of dead links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from agent.knowledge.skills import builtin_skill_root, load_skill
from tools.frontmatter import load_yaml

PACKS = sorted(path.parent for path in builtin_skill_root().glob("*/SKILL.md"))
FACT_FILES = sorted(builtin_skill_root().glob("*/facts.yaml"))
MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def facts(path: Path) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = load_yaml(path.read_text(encoding="utf-8"))["facts"]
    return table


def all_facts() -> dict[str, dict[str, Any]]:
    return {key: fact for path in FACT_FILES for key, fact in facts(path).items()}


def flaws(key: str, fact: dict[str, Any]) -> list[str]:
    found = [f"no {name}" for name in ("value", "as_of", "source") if fact.get(name) in (None, "")]
    if not MONTH.fullmatch(str(fact.get("as_of"))):
        found.append("as_of is not YYYY-MM")
    if not re.fullmatch(r"[a-z][a-z0-9]*\.[a-z0-9_]+", key):
        found.append("key is not subject.name")
    if "_usd" in key and not isinstance(fact.get("value"), int | float):
        found.append("a price is a number")
    if extra := set(fact) - {"value", "unit", "as_of", "source"}:
        found.append(f"unknown {extra}")
    return found


@pytest.mark.parametrize("pack", PACKS, ids=lambda path: path.name)
def test_pack_is_valid_and_small(pack: Path) -> None:
    skill = load_skill(pack)
    assert skill.warnings == ()
    assert (pack / "SKILL.md").stat().st_size <= 6 * 1024
    assert "Use when" in skill.description or "Use before" in skill.description
    assert skill.model_invocable
    assert skill.body in skill.preload()


def test_the_five_packs_are_there() -> None:
    assert {pack.name for pack in PACKS} >= {
        "do-foundation-claude",
        "do-workflow-project",
        "do-workflow-jit-docs",
        "do-platform-vercel",
        "do-platform-railway",
    }


@pytest.mark.parametrize("pack", PACKS, ids=lambda path: path.name)
def test_links_resolve_and_references_are_reachable(pack: Path) -> None:
    targets = {link for link in LINK.findall(load_skill(pack).body) if "://" not in link}
    assert [target for target in targets if not (pack / target).is_file()] == []
    references = {path.relative_to(pack).as_posix() for path in pack.glob("references/*.md")}
    assert references - targets == set()


def test_every_fact_is_complete() -> None:
    assert {key: found for key, fact in all_facts().items() if (found := flaws(key, fact))} == {}


@pytest.mark.parametrize(
    ("key", "fact"),
    [
        ("railway.x_usd", {"value": 5, "as_of": "2026-08"}),
        ("railway.x_usd", {"value": 5, "as_of": "August", "source": "docs"}),
        ("railway.x_usd", {"value": "$5", "as_of": "2026-08", "source": "docs"}),
        ("price", {"value": 5, "as_of": "2026-08", "source": "docs"}),
    ],
)
def test_an_incomplete_fact_is_noticed(key: str, fact: dict[str, Any]) -> None:
    assert flaws(key, fact)


def test_fact_keys_are_unique_over_all_packs() -> None:
    keys = [key for path in FACT_FILES for key in facts(path)]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("railway.plan_hobby_usd_per_month", 5),
        ("railway.plan_pro_usd_per_month", 20),
        ("railway.ram_usd_per_gb_month", 10),
        ("railway.cpu_usd_per_vcpu_month", 20),
        ("railway.egress_usd_per_gb", 0.05),
        ("railway.volume_usd_per_gb_month", 0.15),
        ("railway.config_file_read_until", "2026-12-01"),
        ("railway.cron_min_interval_minutes", 5),
        ("vercel.function_max_seconds_hobby", 300),
        ("vercel.function_max_seconds_pro", 800),
        ("vercel.plan_pro_usd_per_seat_month", 20),
        ("netlify.function_sync_seconds", 60),
        ("aws.lambda_max_seconds", 900),
        ("postgres.data_path_from_18", "/var/lib/postgresql"),
    ],
)
def test_figures_that_files_and_estimates_depend_on(key: str, value: object) -> None:
    assert all_facts()[key]["value"] == value


def test_action_pins_are_full_commits_with_versions() -> None:
    table = load_yaml((builtin_skill_root() / "do-workflow-project" / "actions.yaml").read_text(encoding="utf-8"))
    assert MONTH.fullmatch(table["as_of"])
    assert table["source"]
    assert len(table["actions"]) >= 17
    for name, pin in table["actions"].items():
        assert re.fullmatch(r"[\w-]+/[\w-]+", name)
        assert re.fullmatch(r"v\d+\.\d+\.\d+", pin["tag"]), name
        assert re.fullmatch(r"[0-9a-f]{40}", pin["commit"]), name
    assert len({pin["commit"] for pin in table["actions"].values()}) == len(table["actions"])


def test_the_railway_sample_is_understood_by_the_sdk() -> None:
    sdk = pytest.importorskip("railway_sdk")
    text = (builtin_skill_root() / "do-platform-railway" / "references" / "configuration.md").read_text(
        encoding="utf-8"
    )
    sample = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert sample is not None
    names: dict[str, Any] = {}
    exec(compile(sample[1], "configuration.md", "exec"), names)
    assert isinstance(names["main"](sdk.createRailwayContext({})), sdk.Project)
