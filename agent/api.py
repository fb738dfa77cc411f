"""The Python API: `Agent`, and a `Run` that is a stream of events with one result at its end.

agent = Agent(cwd="shop", model="playbook")
result = await agent.run("Make this deployable.")

run = agent.start("Make this deployable.")
async for event in run: ...
run.result
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from agent.assembly.configuration import Configuration
from agent.assembly.setup import Setup
from agent.conversation import Conversation
from agent.events import Event
from agent.loop import compact_now, drive
from agent.result import Failed, Interrupted, Result, result_json
from agent.said import Said, checked
from agent.session.journal import SessionError
from agent.session.opening import Opening
from tools.ports import DelegationResult

if TYPE_CHECKING:
    from agent.workflow.run import WorkflowRun


__all__ = ["Agent", "Run", "result_json", "run", "run_sync", "stream"]


class Agent(Configuration):
    """A configured agent that can be started; its fields are those of `Configuration`."""

    def start(
        self,
        prompt: Said,
        *,
        resume: str | None = None,
        session_id: str | None = None,
        workflow: WorkflowRun | None = None,
        delegation_results: Sequence[DelegationResult] = (),
        opening: Opening | None = None,
        prompt_id: str | None = None,
    ) -> Run:
        """Begin a run in the current event loop. `prompt` is a text, or content blocks (text, image, document).

        `resume` is a session to continue, `session_id` the id of a new one (it must not exist yet); `workflow` demands
        verified steps. `delegation_results` answer requests that the resumed session ended with. Raises `SchemaError`
        for an `output` that is no schema, `PromptError` for a block that cannot be sent; what else cannot begin (an
        unknown session, a used id, a result nobody asked for) raises when the run is iterated. `opening` says more on
        the session than the first two can (a fork, an earlier point); `prompt_id` is the name of the prompt's message.
        """
        opening = opening or Opening(resume=resume, session_id=session_id)
        return Run(self, prompt, opening, workflow, delegation_results, prompt_id=prompt_id)

    def compact(self, session: str | Opening, instructions: str = "") -> Run:
        """Begin to summarise a session's conversation, which then goes on from there. The run `Failed` if it cannot be.

        `instructions` say what the summary must hold above all.
        """
        opening = session if isinstance(session, Opening) else Opening(resume=session)
        return Run(self, instructions, opening, work=compact_now)

    async def run(self, prompt: Said, *, resume: str | None = None, workflow: WorkflowRun | None = None) -> Result:
        """Run to the end and return the result."""
        run = self.start(prompt, resume=resume, workflow=workflow)
        async for _event in run:
            pass
        return run.result


class Run:
    """One run: iterate it for its events; afterwards `result` is set. `interrupt()` ends it as `Interrupted`.

    `talk` is the conversation while it goes on, for a surface that changes its mode or rules under way.
    """

    def __init__(
        self,
        agent: Agent,
        prompt: Said,
        opening: Opening,
        workflow: WorkflowRun | None = None,
        results: Sequence[DelegationResult] = (),
        prompt_id: str | None = None,
        work: Callable[[Conversation], Awaitable[Result]] = drive,
    ) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._result: Result | None = None
        self.session_id = opening.session_id or ""
        self.talk: Conversation | None = None
        self._work = work
        self._setup = Setup(agent, workflow, self._queue.put_nowait, results)
        self._task = asyncio.ensure_future(self._drive(self._setup, checked(prompt), opening, prompt_id))
        self._task.add_done_callback(self._ended)

    @property
    def result(self) -> Result:
        """The outcome. Raises `RuntimeError` while the run is going on."""
        if self._result is None:
            raise RuntimeError("The run has not ended; iterate it to its end first.")
        return self._result

    def interrupt(self) -> None:
        """Stop at the next possible point; running tools are cancelled."""
        self._task.cancel()

    async def stop(self, task_id: str) -> bool:
        """End one part alone, a child agent or a background command; the run goes on. False when none of it runs."""
        return self.talk is not None and await self._setup.stop(task_id, self.talk.calls.context)

    async def __aiter__(self) -> AsyncIterator[Event]:
        try:
            while (event := await self._queue.get()) is not None:
                yield event
            if not self._task.cancelled():
                await self._task
        finally:
            if not self._task.done():
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    def _ended(self, task: asyncio.Future[None]) -> None:
        if task.cancelled():  # before it had begun
            self._result = Interrupted(session_id=self.session_id)
            self._setup.finished(self._result)
        self._queue.put_nowait(None)

    async def _drive(self, setup: Setup, prompt: Said, opening: Opening, prompt_id: str | None) -> None:
        try:
            await setup.servers_ready()
            talk = setup.conversation(prompt, opening, prompt_id)
            self.session_id, self.talk = talk.session_id, talk
            try:
                result = await self._work(talk)
            finally:
                await setup.release(talk)
            self._result = setup.conclude(result)
        except SessionError as error:
            self._result = Failed(session_id=setup.session_id, kind="storage", reason=str(error))
        except asyncio.CancelledError:
            self._result = Interrupted(session_id=setup.session_id)
        setup.finished(self._result)


async def run(prompt: Said, **options: Any) -> Result:
    """Run a prompt to its result. `options` are `Agent`'s fields."""
    return await Agent(**options).run(prompt)


async def stream(prompt: Said, **options: Any) -> AsyncIterator[Event]:
    """The events of a run; the last one, `RunFinished`, holds the result as JSON. `options` are `Agent`'s fields."""
    async for event in Agent(**options).start(prompt):
        yield event


def run_sync(prompt: Said, **options: Any) -> Result:
    """`run` for callers without an event loop."""
    return asyncio.run(run(prompt, **options))
