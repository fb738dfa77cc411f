"""What is known about models: names, limits, prices. The dated facts are in `models.json` beside this file.

A model that is not listed is unknown, not free: its price is None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agent.models.port import ModelError

_DATE_SUFFIX = re.compile(r"-20\d{6}$")
_COUNTS = {"input_tokens": "input", "output_tokens": "output", "cache_read_input_tokens": "read"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model. `prices` are bands in USD per million tokens, the first that fits the whole prompt counts.

    `effort` lists the accepted levels, lowest first. `thinking` lists the accepted explicit `thinking.type` values.
    `system_messages`: takes `role: "system"` inside a conversation. `binds_thinking`: refuses its own thinking blocks
    when the system prompt, the tools or an earlier message have changed since.
    """

    released: str
    window: int
    max_output: int
    prices: tuple[Mapping[str, float], ...]
    effort: tuple[str, ...] = ()
    default_effort: str | None = None
    thinking: tuple[str, ...] = ()
    thinks_by_default: bool = False
    forced_tool_choice: bool = True
    system_messages: bool = False
    binds_thinking: bool = False
    retires: str | None = None


def facts(model_id: str) -> ModelFacts | None:
    """What is known about a model id (a date suffix is ignored), or None."""
    name = _DATE_SUFFIX.sub("", model_id)
    name = _data()["same_as"].get(name, name)
    row = _data()["models"].get(name)
    if row is None:
        return None
    known: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items() if key != "unverified"
    }
    return ModelFacts(**known)


def price(model_id: str, usage: Mapping[str, Any]) -> float | None:
    """What one answer cost in USD by its `usage`; None when the price is not known.

    Server-side compaction is reported beside the totals, in `usage.iterations`, and is added. Unknown are also fast
    mode, server tools with a fee of their own, and answers to which several models contributed.
    """
    known = facts(model_id)
    if known is None or _has_other_fees(usage):
        return None
    iterations: list[Mapping[str, Any]] = usage.get("iterations") or []
    parts = [usage, *(entry for entry in iterations if entry.get("type") == "compaction")]
    discount = 0.5 if usage.get("service_tier") == "batch" else 1.0
    return discount * sum(_cost(known, part) for part in parts)


def resolve_alias(name: str | None, env: Mapping[str, str], *, inherit: str | None = None, cloud: bool = False) -> str:
    """The model id meant by a short name; other names are returned as they are.

    Short names are this client's convention, the API knows only ids: `opus`, `sonnet`, `haiku`, `fable`, `best`,
    `opusplan` (the Opus model), `default`, and `inherit`, which is the caller's model `inherit` or else the default.
    Nothing given means `ANTHROPIC_MODEL`. `ANTHROPIC_DEFAULT_{OPUS,SONNET,HAIKU,FABLE}_MODEL` override. A `[1m]` suffix
    is dropped: the 1M window is the only one of the models that have it. `cloud` picks what other clouds serve.
    """
    wanted = (name or env.get("ANTHROPIC_MODEL") or "default").strip().removesuffix("[1m]").strip()
    key = wanted.lower()
    if key == "inherit":
        return inherit or resolve_alias(None, {k: v for k, v in env.items() if v != "inherit"}, cloud=cloud)
    family = {"best": "fable", "opusplan": "opus", "default": "sonnet"}.get(key, key)
    override = env.get(f"ANTHROPIC_DEFAULT_{family.upper()}_MODEL", "").strip().removesuffix("[1m]")
    if key in _data()["aliases"] and override:
        return override
    aliases = _data()["aliases"] | (_data()["cloud_aliases"] if cloud else {})
    resolved = str(aliases.get(key, wanted))
    if not resolved or not resolved.isprintable():
        raise ModelError("not_found", f"{name!r} is not the name of a model.")
    return resolved


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(__file__).with_name("models.json").read_text("utf-8"))
    return data


def _has_other_fees(usage: Mapping[str, Any]) -> bool:
    iterations = usage.get("iterations") or []
    return (
        usage.get("speed") == "fast"
        or any((usage.get("server_tool_use") or {}).values())
        or any(entry.get("type") not in {"message", "compaction"} for entry in iterations)
    )


def _cost(known: ModelFacts, usage: Mapping[str, Any]) -> float:
    counts = {rate: usage.get(name) or 0 for name, rate in _COUNTS.items()}
    written = usage.get("cache_creation_input_tokens") or 0
    counts["write_1h"] = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    counts["write_5m"] = max(0, written - counts["write_1h"])
    prompt = sum(count for rate, count in counts.items() if rate != "output")
    rates = next(band for band in known.prices if prompt <= band.get("up_to_prompt_tokens", prompt))
    return sum(count * rates[rate] for rate, count in counts.items()) / 1_000_000
