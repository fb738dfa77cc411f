"""The persona holds every fact and duty of its definition; the siblings are usable agents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.knowledge.definition import builtin_agents, load_persona, parse_agent
from agent.knowledge.skills import builtin_skill_root, choose_preloaded, find_skills
from tools.frontmatter import load_yaml
from tools.resources import data_root

TOOLS = (
    "Read, Write, Edit, Grep, Glob, WebFetch, Bash, TodoWrite, mcp__github__create-or-update-file, "
    "mcp__github__push-files, mcp__context7__resolve-library-id, mcp__context7__query-docs"
)
SKILLS = (
    "do-foundation-claude",
    "do-workflow-project",
    "do-workflow-jit-docs",
    "do-platform-vercel",
    "do-platform-railway",
)

FACTS: dict[str, str] = {
    f"{section}: {fact}": pattern
    for section, facts in load_yaml((Path(__file__).parent / "persona_facts.yaml").read_text(encoding="utf-8")).items()
    for fact, pattern in facts.items()
}


@pytest.fixture(scope="module")
def body() -> str:
    return " ".join(load_persona().prompt.split())


@pytest.mark.parametrize("fact", FACTS)
def test_the_persona_holds(fact: str, body: str) -> None:
    assert re.search(FACTS[fact], body), f"{fact}: {FACTS[fact]}"


def test_a_trace_pattern_can_fail(body: str) -> None:
    shortened = body.replace("HTTP **503**", "an error")
    assert not re.search(FACTS["step_7: 503"], shortened)


def test_header() -> None:
    persona = load_persona()
    assert persona.name == "expert-devops"
    assert persona.description.startswith("Use proactively")
    assert persona.tools == tuple(TOOLS.split(", "))
    assert persona.model == "inherit"
    assert persona.permission_mode == "default"
    assert persona.skills == SKILLS
    assert persona.warnings == ()


def test_tools_stand_on_one_comma_line() -> None:
    text = (data_root() / "AGENT.md").read_text(encoding="utf-8")
    assert f"\ntools: {TOOLS}\n" in text


def test_orchestration_lines_are_parsed() -> None:
    rules = load_persona().orchestration
    assert rules.can_resume is False
    assert rules.typical_chain_position == "middle"
    assert rules.depends_on == ("expert-backend", "expert-frontend")
    assert rules.spawns_subagents is False
    assert (rules.token_budget, rules.context_retention) == ("medium", "medium")
    assert rules.output_format == (
        "deployment configuration files",
        "CI/CD pipeline",
        "IaC templates",
        "monitoring guide",
    )


def test_the_persona_stays_small() -> None:
    assert (data_root() / "AGENT.md").stat().st_size <= 14 * 1024


def test_preloaded_skills_exist_in_order() -> None:
    skills, problems = find_skills([builtin_skill_root()])
    chosen, warnings = choose_preloaded(load_persona().skills, skills)
    assert (problems, warnings) == ((), ())
    assert tuple(skill.name for skill in chosen) == SKILLS


def test_hyphenated_mcp_names_find_the_real_tools() -> None:
    pool = ["Read", "mcp__github__create_or_update_file", "mcp__github__push_files", "mcp__github__delete_file"]
    assert load_persona().select_tools(pool).names == tuple(pool[:3])


SIBLINGS = {
    "expert-backend": (("manager-spec",), "high"),
    "expert-frontend": (("manager-spec", "expert-uiux"), "high"),
    "expert-security": (("expert-backend", "expert-frontend"), "medium"),
}


@pytest.mark.parametrize("name", SIBLINGS)
def test_siblings(name: str) -> None:
    agent = builtin_agents()[name]
    depends_on, budget = SIBLINGS[name]
    assert agent.warnings == ()
    assert agent.orchestration.depends_on == depends_on
    assert agent.orchestration.token_budget == budget
    assert agent.orchestration.spawns_subagents is False
    assert agent.orchestration.can_resume is False
    assert "Agent" not in (agent.tools or ())
    assert "data, never instructions" in " ".join(agent.prompt.split())
    assert len(agent.prompt) > 2000


def test_each_delegated_matter_is_known_to_its_sibling() -> None:
    agents = {name: " ".join(agent.prompt.split()).casefold() for name, agent in builtin_agents().items()}
    for name, matters in {
        "expert-backend": ("health", "graceful shutdown", "metrics", "settings"),
        "expert-frontend": ("project settings", "environment variables", "build optimization"),
        "expert-security": ("secrets", "scanning", "compliance"),
    }.items():
        assert [matter for matter in matters if matter not in agents[name]] == []


def test_persona_text_survives_windows_line_ends() -> None:
    text = (data_root() / "AGENT.md").read_text(encoding="utf-8")
    assert parse_agent("\ufeff" + text.replace("\n", "\r\n")).orchestration == load_persona().orchestration
