"""Hooks: programs, web addresses and callables that are asked or told at certain moments of a run.

handlers, remarks = read_hooks(settings_hooks, "settings.json")
hooks = Hooks(runner=HookRunner(handlers=handlers, root=cwd, scratch=scratch), common=lambda: {...})
outcome = await hooks.pre_tool(call)
decision = judge(engine, call.name, outcome.updated_input or call.input, outcome, cwd)
"""

from agent.hooks.config import Callback, Handler, callback_handler, read_hooks, settings_hooks
from agent.hooks.events import EVENTS
from agent.hooks.facade import Hooks, judge, replaced_output
from agent.hooks.runner import HookOutcome, HookRunner

__all__ = [
    "EVENTS",
    "Callback",
    "Handler",
    "HookOutcome",
    "HookRunner",
    "Hooks",
    "callback_handler",
    "judge",
    "read_hooks",
    "replaced_output",
    "settings_hooks",
]
