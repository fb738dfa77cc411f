"""People who answer in tests."""

from __future__ import annotations

from agent.askers import Headless
from tools.ports import PermissionAnswer, PermissionRequest


class Yes(Headless):
    """Approves everything, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[PermissionRequest] = []

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        self.asked.append(request)
        return PermissionAnswer("allow")
