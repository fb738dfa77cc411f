"""A sibling asked from outside, without a parent: the hand-over message, grants and gates the router would give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from agent.delegation.messages import task_message
from agent.delegation.rules import grants_of
from agent.delegation.verify import Before, look
from agent.knowledge.definition import AgentDefinition
from agent.result import Completed, Result, failed
from agent.workflow.written import work_of_session
from tools.ports import DelegationRequest

_LONGEST_SUBJECT = 120


@dataclass(frozen=True, slots=True)
class Direct:
    """One task for one sibling: run `agent` with `prompt`, then have its result `verified`."""

    agent: AgentDefinition
    prompt: str
    before: Before

    @classmethod
    async def of(cls, agent: AgentDefinition, task: str, root: Path, sender: str) -> Direct:
        subject = next((line.strip() for line in task.splitlines() if line.strip()), task)[:_LONGEST_SUBJECT]
        message = task_message(DelegationRequest(to=agent.name, subject=subject, task=task), agent, sender, {})
        granted = None if agent.tools is None else (*agent.tools, *grants_of(agent))
        return cls(replace(agent, tools=granted), message, await look(root, agent.name))

    async def verified(self, result: Result, session: Path) -> Result:
        """The result; failed where what it wrote breaks checks that passed before. Raises `SessionError`."""
        if not isinstance(result, Completed):
            return result
        written = work_of_session(session, self.before.root).files
        broken = (await self.before.change(written, ())).broken
        if not broken:
            return result
        named = "; ".join(f"[{f.rule}] {f.file}: {f.message}" for f in broken[:5])
        return failed(result, "gate", f"Its changes broke checks that passed before: {named}")
