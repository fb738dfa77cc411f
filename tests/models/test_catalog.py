"""Model names, facts and prices."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models.catalog import facts, price, resolve_alias
from agent.models.port import ModelError

DATA = json.loads(resources.files("agent.models").joinpath("models.json").read_text("utf-8"))
TOKENS = st.integers(0, 10**7)


@pytest.mark.parametrize("model_id", DATA["models"])
def test_every_listed_model_is_complete(model_id: str) -> None:
    known = facts(model_id)
    assert known is not None
    assert known.window >= 200_000 >= known.max_output >= 64_000
    for band in known.prices:
        assert 0 < band["read"] < band["input"] < band["write_5m"] < band["write_1h"] < band["output"]
    assert known.default_effort in {*known.effort, None}


def test_short_names_lead_to_listed_models() -> None:
    assert all(facts(model_id) for model_id in [*DATA["aliases"].values(), *DATA["cloud_aliases"].values()])
    assert all(facts(model_id) for model_id in DATA["same_as"])


def test_names_are_found_with_a_date_and_not_by_likeness() -> None:
    assert facts("claude-haiku-4-5-20251001") == facts("claude-haiku-4-5")
    assert facts("claude-opus-4") is None
    assert facts("gpt-x") is None


@pytest.mark.parametrize(
    ("model_id", "usage", "cost"),
    [
        ("claude-opus-5-5", {"input_tokens": 1_000_000, "output_tokens": 100_000}, 6.0),
        ("claude-opus-5-5", {"cache_creation_input_tokens": 1_000_000}, 5.0),
        ("claude-opus-5-5", {"cache_read_input_tokens": 1_000_000, "output_tokens": None}, 0.2),
        (
            "claude-opus-5-5",
            {"cache_creation_input_tokens": 1_000_000, "cache_creation": {"ephemeral_1h_input_tokens": 400_000}},
            0.6 * 5 + 0.4 * 8,
        ),
        ("claude-haiku-5-5", {"input_tokens": 100_000, "output_tokens": 1_000_000}, 0.51),
        (
            "claude-haiku-5-5",
            {"input_tokens": 60_000, "cache_read_input_tokens": 40_001},
            (60_000 * 0.5 + 40_001 * 0.05) / 1e6,
        ),
        ("claude-sonnet-5-5", {"input_tokens": 1_000_000, "service_tier": "batch"}, 1.0),
        (
            "claude-opus-5-5",
            {"input_tokens": 0, "iterations": [{"type": "compaction", "output_tokens": 1_000_000}]},
            20.0,
        ),
        ("claude-mythos-5-2", {"output_tokens": 1_000_000}, 40.0),
        ("claude-opus-5-5", {}, 0.0),
    ],
)
def test_prices(model_id: str, usage: dict[str, Any], cost: float) -> None:
    assert price(model_id, usage) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("model_id", "usage"),
    [
        ("local", {"input_tokens": 1}),
        ("claude-opus-5-5", {"speed": "fast"}),
        ("claude-opus-5-5", {"server_tool_use": {"web_search_requests": 1}}),
        ("claude-opus-5-5", {"iterations": [{"type": "fallback_message"}]}),
    ],
)
def test_an_unknown_price_is_not_zero(model_id: str, usage: dict[str, Any]) -> None:
    assert price(model_id, usage) is None


@given(st.sampled_from(sorted(DATA["models"])), TOKENS, TOKENS, TOKENS, TOKENS)
def test_more_tokens_never_cost_less(model_id: str, fresh: int, written: int, read: int, output: int) -> None:
    usage = {"input_tokens": fresh, "cache_creation_input_tokens": written, "cache_read_input_tokens": read}
    less, more = (
        price(model_id, usage | {"output_tokens": output}),
        price(model_id, usage | {"output_tokens": output + 1}),
    )
    assert less is not None
    assert more is not None
    assert 0 <= less < more


@pytest.mark.parametrize(
    ("name", "env", "options", "model_id"),
    [
        ("opus", {}, {}, "claude-opus-5-5"),
        ("Sonnet", {}, {}, "claude-sonnet-5-5"),
        ("haiku", {}, {}, "claude-haiku-5-5"),
        ("haiku", {}, {"cloud": True}, "claude-haiku-4-5"),
        ("fable", {}, {}, "claude-fable-5-2"),
        ("opus[1m]", {}, {}, "claude-opus-5-5"),
        ("claude-opus-5[1m]", {}, {}, "claude-opus-5"),
        ("my-own/model:7b", {}, {}, "my-own/model:7b"),
        ("opus", {"ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-5"}, {}, "claude-opus-5"),
        ("opusplan", {"ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-5"}, {}, "claude-opus-5"),
        ("claude-opus-5-5", {"ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-5"}, {}, "claude-opus-5-5"),
        (None, {}, {}, "claude-sonnet-5-5"),
        (None, {"ANTHROPIC_MODEL": "opus"}, {}, "claude-opus-5-5"),
        ("haiku", {"ANTHROPIC_MODEL": "opus"}, {}, "claude-haiku-5-5"),
        ("inherit", {}, {"inherit": "claude-opus-4-8"}, "claude-opus-4-8"),
        ("inherit", {"ANTHROPIC_MODEL": "opus"}, {}, "claude-opus-5-5"),
        ("inherit", {"ANTHROPIC_MODEL": "inherit"}, {}, "claude-sonnet-5-5"),
    ],
)
def test_short_names(name: str | None, env: dict[str, str], options: dict[str, Any], model_id: str) -> None:
    assert resolve_alias(name, env, **options) == model_id


@pytest.mark.parametrize("name", ["[1m]", "a\nb", " \t"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="not the name"):
        resolve_alias(name, {})
