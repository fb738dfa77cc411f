"""Who spent what: by agent and by model, in the result, over a resume, and in the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.api import Agent
from agent.budget import Ledger
from agent.delegation.shares import share_of
from agent.result import Outcome, Usage
from agent.session.journal import state_home
from agent.testing import ScriptedModel, Turn, call

TASK = call("Delegate", to="expert-backend", subject="Look", task="Look around.")
TURNS: list[Any] = [
    Turn([TASK], usage={"input_tokens": 100, "output_tokens": 10}),
    Turn(["Nothing."], usage={"input_tokens": 7, "output_tokens": 3}),
    Turn(["Nothing there."], usage={"input_tokens": 200, "output_tokens": 20}),
]


async def run(tmp_path: Path, turns: list[Any], model_id: str, resume: str | None = None) -> Outcome:
    return await Agent(cwd=tmp_path, model=ScriptedModel(turns, model_id=model_id), env={}).run("go", resume=resume)


def tokens(result: Outcome) -> dict[tuple[str, str], int]:
    spent = result.usage_by_agent.items()
    return {(agent, model): usage.total_tokens for agent, models in spent for model, usage in models.items()}


async def test_each_agent_has_its_own_line(tmp_path: Path) -> None:
    result = await run(tmp_path, TURNS, "claude-sonnet-5-5")
    model = "claude-sonnet-5-5"
    assert tokens(result) == {("expert-devops", model): 330, ("expert-backend", model): 10}
    assert result.usage_by_model[model].total_tokens == result.usage.total_tokens == 340
    lines = [usage.cost_usd or 0.0 for models in result.usage_by_agent.values() for usage in models.values()]
    assert abs(sum(lines) - (result.usage.cost_usd or 0.0)) < 1e-9


async def test_an_unknown_price_makes_the_sum_unknown(tmp_path: Path) -> None:
    result = await run(tmp_path, TURNS, "a-model-of-our-own")
    assert result.usage.cost_usd is None
    assert result.usage_by_agent["expert-backend"]["a-model-of-our-own"].cost_usd is None


async def test_a_resumed_session_keeps_the_lines(tmp_path: Path) -> None:
    assert str(state_home()).startswith(str(Path.home()))
    first = await run(tmp_path, TURNS, "claude-sonnet-5-5")
    again = await run(tmp_path, ["Hello."], "claude-haiku-5-5", resume=first.session_id)
    known = tokens(again)
    assert {key: known[key] for key in tokens(first)} == tokens(first)
    assert known["expert-devops", "claude-haiku-5-5"] > 0


def test_what_a_grandchild_spends_is_its_own_on_every_ledger() -> None:
    top = Ledger(agent="top")
    child = share_of(top, [], 1, agent="child", turns=10, seconds=60)
    assert child is not None
    below = share_of(child, [], 1, agent="below", turns=10, seconds=60)
    assert below is not None
    below.book("claude-sonnet-5-5", {"input_tokens": 5})
    top.book("claude-sonnet-5-5", {"input_tokens": 1})
    assert {agent: models["claude-sonnet-5-5"].input_tokens for agent, models in top.by_agent.items()} == {
        "below": 5,
        "top": 1,
    }
    assert list(child.by_agent) == ["below"]
    assert top.by_model["claude-sonnet-5-5"].input_tokens == 6
    assert isinstance(top.total, Usage)
