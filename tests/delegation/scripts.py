"""What the agents of a family say, for the tests of delegation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.models.port import Request
from agent.testing import call


def delegate(to: str, subject: str = "a subtask", task: str = "Do it.", **more: Any) -> dict[str, Any]:
    return call("Delegate", to=to, subject=subject, task=task, **more)


def boss_says(*turns: Any) -> Callable[[Request], Any]:
    """The parent's turns, told apart by how many it has had."""
    return lambda request: turns[sum(m["role"] == "assistant" for m in request.messages)]


def first_words(request: Request) -> str:
    """The message that started the agent."""
    content = request.messages[0]["content"]
    return content if isinstance(content, str) else str(content[0]["text"])
