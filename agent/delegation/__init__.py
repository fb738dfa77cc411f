"""Delegation: a router that starts siblings, or typed requests where somebody else starts them.

The outermost run has a `Router`; a run that was itself spawned has `Requests`. Both are the `Delegator` of the tools.
"""

from agent.delegation.child import Setting, TreeLimits
from agent.delegation.requests import DelegationError, Requests
from agent.delegation.router import Router
from agent.delegation.rules import pick_sibling
from agent.delegation.tool import agent_tool

__all__ = ["DelegationError", "Requests", "Router", "Setting", "TreeLimits", "agent_tool", "pick_sibling"]
