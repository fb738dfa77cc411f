"""From a model's name to the model that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from agent.models.port import Model


class ModelChoiceError(Exception):
    """A model name that cannot be used here; says what is missing and what to try."""


def has_key(env: Mapping[str, str]) -> bool:
    """Whether a credential for Claude is set."""
    return any(env.get(name) for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"))


def choose_model(name: str, env: Mapping[str, str]) -> Model:
    """The model for a name.

    `auto`: Claude when a credential is set, else the playbook. `playbook`: the embedded rules. `replay:FILE`: recorded
    turns. `bedrock/...`, `vertex/...`, `foundry/...`: the vendor's SDK. Anything else is a model id or alias, which
    needs a credential or a base URL.
    """
    from agent.models.sdk import cloud_of

    if name == "auto":
        usable = has_key(env) or cloud_of("", env)
        name = env.get("ANTHROPIC_MODEL", "sonnet") if usable else "playbook"
    if name == "playbook":
        from agent.models.playbook import Playbook

        return Playbook()
    if name.startswith("replay:"):
        from agent.models.replay import ReplayModel

        return ReplayModel.from_file(Path(name.removeprefix("replay:")))
    if cloud_of(name, env):
        from agent.models.sdk import sdk_model

        return sdk_model(name, env)
    if not has_key(env) and not env.get("ANTHROPIC_BASE_URL"):
        raise ModelChoiceError(
            f"The model {name!r} needs a key: set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN "
            "(or ANTHROPIC_BASE_URL for a compatible server), or use --model playbook, which needs none."
        )
    from agent.models.anthropic import AnthropicModel

    return AnthropicModel.from_environment(env, model=name)


@runtime_checkable
class Chosen(Protocol):
    """A model that stands for one chosen by name, so that others can be chosen beside it."""

    def choose(self, name: str) -> Model:
        """The model of another name, for its owner to close. Raises `ModelChoiceError`."""
        ...


def chooser(model: Model | str, env: Mapping[str, str]) -> Callable[[str], Model] | None:
    """What makes further models by name where `model` came by name; None where it was handed in as it is."""
    if isinstance(model, str):
        return partial(choose_model, env=env)
    return model.choose if isinstance(model, Chosen) else None
