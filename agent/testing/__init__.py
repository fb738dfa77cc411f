"""For tests of agents and of programs around them: a scripted model, a fake Messages API, and a network switch."""

from agent.testing.fake import FakeMessagesServer, Received
from agent.testing.model import ScriptedModel
from agent.testing.network import NetworkBlockedError, block_network
from agent.testing.script import (
    Fault,
    HttpError,
    Turn,
    UnplannedCallError,
    broken_call,
    call,
    http_error,
    text,
    thinking,
)

__all__ = [
    "FakeMessagesServer",
    "Fault",
    "HttpError",
    "NetworkBlockedError",
    "Received",
    "ScriptedModel",
    "Turn",
    "UnplannedCallError",
    "block_network",
    "broken_call",
    "call",
    "http_error",
    "text",
    "thinking",
]
