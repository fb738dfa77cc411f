"""Delegation: a router that starts siblings, or typed requests where somebody else starts them.

The outermost run has a `router.Router`; a run that was itself spawned has `Requests`. Both are the `Delegator` of the
tools. The router's modules are imported where they are used, since most runs start no sibling.
"""

from agent.delegation.requests import DelegationError, Requests, read_results

__all__ = ["DelegationError", "Requests", "read_results"]
