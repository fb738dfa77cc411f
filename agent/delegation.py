"""Delegation as typed requests: what leaves a run for an orchestrator to carry out."""

from __future__ import annotations

from tools.ports import DelegationRequest, DelegationResult


class Requests:
    """Collects requests. Nothing is started here; the result of the run carries them to whoever can start siblings."""

    def __init__(self) -> None:
        self.requests: list[DelegationRequest] = []

    async def delegate(self, request: DelegationRequest) -> DelegationResult:
        if request not in self.requests:
            self.requests.append(request)
        text = (
            f"Recorded as a typed request to {request.to}; the orchestrator carries it out. Nothing has been done yet."
        )
        return DelegationResult("requested", request.to, text)
