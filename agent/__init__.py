"""The public API of the expert-devops runtime.

    from agent import Agent, run, stream

    result = await run("Make this deployable.", cwd="shop")

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.api import Agent as Agent
    from agent.api import Run as Run
    from agent.api import run as run
    from agent.api import run_sync as run_sync
    from agent.api import stream as stream
    from agent.budget import Limits as Limits
    from agent.events import Event as Event
    from agent.knowledge.definition import AgentDefinition as AgentDefinition
    from agent.models.port import Model as Model
    from agent.models.port import ModelError as ModelError
    from agent.result import Completed as Completed
    from agent.result import Failed as Failed
    from agent.result import Interrupted as Interrupted
    from agent.result import NeedsInput as NeedsInput
    from agent.result import OutOfBudget as OutOfBudget
    from agent.result import Refused as Refused
    from agent.result import Result as Result
    from agent.result import Usage as Usage
    from agent.said import PromptError as PromptError

_HOMES = {
    "Agent": "agent.api",
    "AgentDefinition": "agent.knowledge.definition",
    "Completed": "agent.result",
    "Event": "agent.events",
    "Failed": "agent.result",
    "Interrupted": "agent.result",
    "Limits": "agent.budget",
    "Model": "agent.models.port",
    "ModelError": "agent.models.port",
    "NeedsInput": "agent.result",
    "OutOfBudget": "agent.result",
    "PromptError": "agent.said",
    "Refused": "agent.result",
    "Result": "agent.result",
    "Run": "agent.api",
    "Usage": "agent.result",
    "run": "agent.api",
    "run_sync": "agent.api",
    "stream": "agent.api",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a list, built from the one table


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agent' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
