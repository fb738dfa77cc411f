"""The rules of delegation: who does what, in which order, with which share, and one writer a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.budget import Ledger, Limits
from agent.delegation.claims import Claims
from agent.delegation.order import Order
from agent.delegation.rules import gates_of, grants_of, is_elsewhere, missing_parts, pick_sibling
from agent.delegation.shares import KEPT_BACK, Share, share_of
from agent.knowledge.definition import builtin_agents
from agent.knowledge.names import resolve_agent_name
from tools.catalogue import builtin_tools
from tools.devops.checks.registry import GATES
from tools.tool import ToolError


@pytest.mark.parametrize(
    ("task", "sibling"),
    [
        ("Implement the health endpoint", "expert-backend"),
        ("A graceful-shutdown handler for SIGTERM", "expert-backend"),
        ("Add a metrics endpoint for Prometheus", "expert-backend"),
        ("Environment variable handling in the settings object", "expert-backend"),
        ("Check the Vercel project settings", "expert-frontend"),
        ("Environment variable settings for production and preview", "expert-frontend"),
        ("Build optimization and bundle size", "expert-frontend"),
        ("Secret management review", "expert-security"),
        ("Set up vulnerability scanning", "expert-security"),
        ("Verify the compliance requirements", "expert-security"),
        ("헬스 엔드포인트를 구현해 주세요", "expert-backend"),
        ("Prometheus 메트릭 엔드포인트 추가", "expert-backend"),
        ("Vercel 설정을 확인", "expert-frontend"),
        ("프론트엔드 빌드 최적화", "expert-frontend"),
        ("시크릿 관리 검토", "expert-security"),
        ("개인정보 규정 준수를 확인해 주세요", "expert-security"),
        ("Read DATABASE_URL from the environment instead of hard-coding it", "expert-backend"),
        ("Make the worker finish its jobs before shutting down", "expert-backend"),
        ("Return 503 from the health route when Postgres is down", "expert-backend"),
        ("Crash early if SECRET_KEY is not set", "expert-backend"),
        ("Handle the environment variables of the API", "expert-backend"),
        ("Set the environment variables of the frontend", "expert-frontend"),
        ("netlify.toml redirects for the single page app", "expert-frontend"),
        ("Our bundle is 3 MB; split it and shrink the build", "expert-frontend"),
        ("Set NEXT_PUBLIC_API_URL for preview deployments", "expert-frontend"),
        ("Which secrets does the backend API need, and where do we keep them?", "expert-security"),
        ("Set up a trivy scan in CI", "expert-security"),
        ("Is the GitHub workflow open to script injection?", "expert-security"),
        ("Review the team's old Dockerfile", "expert-security"),
        ("환경 변수를 시작할 때 검증해 주세요", "expert-backend"),
        ("SIGTERM을 받으면 우아하게 종료하도록 해 주세요", "expert-backend"),
        ("프론트엔드 환경 변수를 설정해 주세요", "expert-frontend"),
        ("넷리파이 배포 설정", "expert-frontend"),
        ("의존성에 알려진 취약점이 있는지 점검", "expert-security"),
        ("API 키가 유출되었어요", "expert-security"),
        ("Write the Dockerfile for the FastAPI backend", None),
        ("GitHub Actions 파이프라인을 만들어 주세요", None),
        ("Rename the README", None),
        ("Write a poem about clouds", None),
        ("", None),
    ],
)
def test_tasks_go_where_the_persona_sends_them(task: str, sibling: str | None) -> None:
    assert pick_sibling(task) == sibling


def test_only_an_agent_that_is_there_is_picked() -> None:
    assert pick_sibling("health endpoint", ["expert-security"]) is None


@given(st.text())
def test_any_text_is_sent_to_a_sibling_or_nowhere(text: str) -> None:
    assert pick_sibling(text) in (None, "expert-backend", "expert-frontend", "expert-security")


def test_the_data_names_only_what_exists() -> None:
    agents, tools, gates = builtin_agents(), builtin_tools(), {gate.name for gate in GATES}
    for name in ("expert-backend", "expert-frontend", "expert-security"):
        assert set(grants_of(agents[name])) <= set(tools)
        assert set(gates_of(name)) <= gates
        assert missing_parts(agents[name], "")
    assert not grants_of(agents["expert-devops"])
    assert is_elsewhere(resolve_agent_name("workflow-tdd"))
    assert not is_elsewhere("expert-backend")


def test_a_definition_of_a_project_gets_no_grants_by_taking_a_name() -> None:
    from dataclasses import replace

    agent = builtin_agents()["expert-backend"]
    assert grants_of(agent)
    assert not grants_of(replace(agent, path=Path("/project/.claude/agents/expert-backend.md")))
    assert not grants_of(replace(agent, path=None))


# --- order ----------------------------------------------------------------------------------------------------------

_names = st.sampled_from("abcde")


@given(st.lists(st.tuples(_names, st.sets(_names)), max_size=8))
def test_whatever_depends_on_whatever_everyone_gets_a_turn_in_order(requests: list[tuple[str, set[str]]]) -> None:
    async def run() -> list[str]:
        order, ended = Order(), []

        async def one(name: str, depends_on: set[str]) -> None:
            entry = await order.enter(name, depends_on)
            ended.append(name)
            order.leave(entry)

        await asyncio.wait_for(asyncio.gather(*(one(*request) for request in requests)), 5)
        assert len(order) == 0
        return ended

    ended = asyncio.run(run())
    assert sorted(ended) == sorted(name for name, _ in requests)
    needs = dict(requests)
    if len(needs) == len(requests) and not _circular(needs):
        for name, depends_on in requests:
            for other in depends_on & set(needs):
                assert ended.index(other) < ended.index(name)


def _circular(needs: dict[str, set[str]]) -> bool:
    def reaches(start: str, goal: str, seen: frozenset[str]) -> bool:
        return any(
            n == goal or (n not in seen and reaches(n, goal, seen | {n})) for n in needs.get(start, ()) if n in needs
        )

    return any(reaches(name, name, frozenset()) for name in needs)


async def test_who_is_cancelled_while_waiting_leaves_the_line() -> None:
    order = Order()
    first = await order.enter("a", ())
    waiting = asyncio.ensure_future(order.enter("b", ("a",)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(order) == 1
    order.leave(first)


# --- shares ---------------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 10**7),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 5)), max_size=10),
)
def test_shares_never_reach_into_what_is_kept_for_the_parent(tokens: int, children: list[tuple[int, int]]) -> None:
    parent = Ledger(Limits(turns=None, tokens=tokens))
    running: list[Share] = []
    for spends, waiting in children:
        share = share_of(parent, running, waiting, agent="child", turns=5, seconds=60)
        if share is None:
            continue
        running.append(share)
        assert share.limits.tokens is not None
        share.book("playbook", {"input_tokens": min(spends, share.limits.tokens)})
    given_out = sum(share.limits.tokens or 0 for share in running)
    assert given_out <= tokens * (1 - KEPT_BACK)
    assert parent.total.total_tokens == sum(share.total.total_tokens for share in running)


def test_what_a_child_did_not_use_is_free_again() -> None:
    parent = Ledger(Limits(turns=None, tokens=1_000))
    first = share_of(parent, [], 2, agent="child", turns=5, seconds=60)
    assert first is not None
    assert first.limits.tokens == 450
    first.book("playbook", {"input_tokens": 50})
    assert (share_of(parent, [first], 1, agent="child", turns=5, seconds=60) or first).limits.tokens == 450
    assert (share_of(parent, [], 1, agent="child", turns=5, seconds=60) or first).limits.tokens == 850


def test_a_grandchild_is_booked_on_every_ledger_above_it() -> None:
    top = Ledger(Limits(turns=100))
    child = share_of(top, [], 1, agent="child", turns=10, seconds=60)
    assert child is not None
    below = share_of(child, [], 1, agent="child", turns=10, seconds=60)
    assert below is not None
    assert below.limits.turns == 9
    for _ in range(9):
        below.turns += 1
        below.book("playbook", {"input_tokens": 1})
    assert (top.turns, child.turns) == (9, 9)
    assert below.exceeded() is not None
    assert top.total.total_tokens == 9
    top.turns = 100
    assert child.exceeded() == ("turns", "The limit of 100 turns was reached.")


# --- claims ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [
        ("/p/app.py", "/p/app.py", False),
        ("/p", "/p/app.py", False),
        ("/p/app.py", "/p", False),
        ("/p/app", "/p/app2", True),
        ("/p/a.py", "/p/b.py", True),
    ],
)
def test_one_writer_for_a_file_or_what_holds_it(held: str, wanted: str, free: bool) -> None:
    claims = Claims(names={"one": "first"})
    claims.take("one", Path(held))
    claims.take("one", Path(held))
    if free:
        claims.take("two", Path(wanted))
    else:
        with pytest.raises(ToolError, match="being written by first"):
            claims.take("two", Path(wanted))
    claims.release("one")
    claims.take("two", Path(held))
