"""One process, one conversation: user frames queue, each becomes a turn, each turn ends in exactly one result."""

from __future__ import annotations

import sys
import traceback
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from agent.api import Agent, Run
from agent.delegation import read_results
from agent.events import Event, RunStarted
from agent.result import Completed, Failed, Interrupted, Result
from agent.said import Said, checked, joined, text_of
from agent.session.journal import new_session_id, session_directory
from agent.session.opening import Opening
from agent.surfaces.errors import USAGE, UsageProblem
from agent.surfaces.errors import explain as explain_known
from agent.surfaces.flags import Flags
from agent.surfaces.protocol.assembly import Assembly
from agent.surfaces.protocol.host import Host
from agent.surfaces.protocol.messages import Shown, Translator
from agent.surfaces.protocol.partial import Partial
from agent.surfaces.protocol.printed import Printed
from agent.surfaces.protocol.result import api_error, api_error_text, result_message, synthetic_answer
from agent.surfaces.protocol.wire import Json, OutputLostError, Wire
from agent.surfaces.sessions import is_uuid, opening_of, sessions_of
from tools.secrets import Redactor


class Session:
    """What lasts as long as the process: the parts, the conversation's id, and the frames that wait for their turn."""

    def __init__(self, flags: Flags, stdout: int, env: Mapping[str, str]) -> None:
        self.wire = self._output(flags, stdout)
        self.host = Host(self.wire.send_whole)
        self.parts = Assembly(flags, env, self.host, current_call=self._current_call, interrupt=self.interrupt)
        self.parts.grants.changed = self._permissions_changed
        self.sessions = sessions_of(flags)
        self.frames: deque[Json] = deque()
        self.session_id = ""
        self.started: RunStarted | None = None
        self.last_usage: Mapping[str, Any] = {}
        self.exit_code: int | None = None
        self._redactor = Redactor.from_environment(env)
        self._run: Run | None = None
        self._turn: Translator | None = None
        self._interrupted = False
        self._held: list[Said] = []
        self._env = env
        self._opening: Opening | None = None

    @property
    def busy(self) -> bool:
        return self._turn is not None

    def interrupt(self) -> None:
        """End the turn that is going on; without one, nothing happens."""
        self._interrupted = self.busy
        if self._run is not None:
            self._run.interrupt()

    async def stop_task(self, task_id: str) -> bool:
        """End a child agent or a background command of the turn that is going on. False when none of that id runs."""
        return self._run is not None and await self._run.stop(task_id)

    def _output(self, flags: Flags, stdout: int) -> Wire | Printed:
        if flags.output_format == "stream-json":
            return Wire(stdout, self._spill_directory)
        return Printed(stdout, as_json=flags.output_format == "json", verbose=flags.verbose)

    def conclude(self, error: Exception | None) -> None:
        """Write the result that is still owed: no turn was begun, or it ended in a bug of ours."""
        result = Interrupted(session_id=self._known_id()) if error is None else self._failed(error)
        self._finish(self._turn or Translator(self.parts.init_message), result, {})

    def show(self, message: Json) -> None:
        """Write a message of the session itself."""
        self._write({**message, "uuid": str(uuid4()), "session_id": self.session_id})

    async def turn(self, frame: Mapping[str, Any]) -> None:
        """Answer one user frame. Whatever happens, one result is written (none for a frame that is only kept)."""
        flags = self.parts.flags
        shown = Shown(
            partial=Partial(self._redactor) if flags.partial else None,
            child_text=flags.forward_subagent_text or self.parts.announced.child_text,
            hooks=flags.hook_events,
            replay=frame if flags.replay else None,
        )
        self._interrupted = False
        turn = self._turn = Translator(self.parts.init_message, shown, self.session_id)
        try:
            result = await self._respond(turn, frame)
        except OutputLostError:
            raise  # nobody is left that waits
        except Exception as error:  # noqa: BLE001 - a host waits for its result, whatever went wrong
            result = self._failed(error)
        finally:
            self._turn = self._run = None
        if result is not None:
            self._finish(turn, result, frame)

    async def _respond(self, turn: Translator, frame: Mapping[str, Any]) -> Result | None:
        said = prompt_of(frame)
        if frame.get("shouldQuery") is False:
            self._held.append(said)
            return None
        typed = isinstance(said, str) and not frame.get("client_composed")
        command = text_of(said).strip().partition(" ") if typed else None
        if command == ("/clear", "", ""):
            return await self._clear()
        agent = await self.parts.ready()
        agent.sessions = self.sessions
        if self._stopped():
            return Interrupted(session_id=self._known_id())
        if command and command[0] == "/compact":
            run = self._run = self._compact(agent, command[2].strip())
        else:
            run = self._run = self._start(agent, joined(*self._held, said), frame)
            self._held.clear()
        async for event in run:
            self._event(turn, event)
        return run.result

    def _start(self, agent: Agent, prompt: Said, frame: Mapping[str, Any]) -> Run:
        prompt_id = frame.get("uuid") if is_uuid(frame.get("uuid")) else None
        path = None if self.session_id else self.parts.flags.delegation_results  # they belong to the first turn
        results = read_results(Path(path)) if path else ()
        return agent.start(prompt, opening=self._first_opening(), prompt_id=prompt_id, delegation_results=results)

    def _compact(self, agent: Agent, instructions: str) -> Run:
        opening = self._first_opening()
        if opening.resume is None:
            raise UsageProblem("There is no conversation yet that could be summarised.")
        return agent.compact(opening, instructions)

    def _first_opening(self) -> Opening:
        """The session of the next turn: the one that goes on, else what the flags ask for."""
        if self.session_id:
            return Opening(resume=self.session_id)
        if self._opening is None:
            self._opening = opening_of(self.parts.flags, self._env)
        return self._opening

    def _event(self, turn: Translator, event: Event) -> None:
        if isinstance(event, RunStarted) and event.agent_id is None:
            self.session_id, self.started = event.session_id, event
        for message in turn.messages(event):
            self._write(message)
        self.last_usage = turn.last_usage or self.last_usage

    async def aclose(self) -> None:
        """The host has left: the session ends, connections are closed, servers stopped."""
        await self.sessions.aclose("other")
        await self.parts.aclose()

    async def _clear(self) -> Result:
        """`/clear`: the conversation stays as it is on disk, and a new one begins."""
        await self.sessions.end("clear")
        old, self.session_id, new = self._known_id(), "", new_session_id()
        self._opening = Opening(session_id=new)
        reset = {"type": "conversation_reset", "new_conversation_id": new, "trigger": "clear"}
        self._write({**reset, "uuid": str(uuid4()), "session_id": old})
        return Completed(session_id=new)

    def _failed(self, error: Exception) -> Result:
        """A turn that could not run. A known problem is told; a bug also leaves its traceback on stderr."""
        known = explain_known(error)
        if known is not None:
            return Failed(session_id=self._known_id(), kind="usage", reason=known[0])
        traceback.print_exception(error, file=sys.stderr)
        return Failed(session_id=self._known_id(), kind="internal", reason=f"{type(error).__name__}: {error}")

    def _finish(self, turn: Translator, result: Result, frame: Mapping[str, Any]) -> None:
        turn.session_id = result.session_id or self._known_id()
        for message in turn.ending():
            self._write(message)
        if isinstance(result, Failed) and (name := api_error(result)) is not None:
            self._write(turn.stamped(synthetic_answer(api_error_text(result), name)))
        echo = {"origin": frame.get("origin"), "user_message_uuid": frame.get("uuid")}
        known = {key: value for key, value in echo.items() if value is not None}
        message = turn.stamped(result_message(result, turn.totals, known))
        usage = isinstance(result, Failed) and result.kind == "usage"
        self.exit_code = 0 if not message["is_error"] else USAGE if usage else 1
        self.wire.end(self._redactor.json(message), result)

    def _known_id(self) -> str:
        """The conversation's id, also before it has one of its own."""
        asked = self._opening or Opening(session_id=self.parts.flags.session_id)
        return self.session_id or asked.session_id or (None if asked.fork else asked.resume) or str(uuid4())

    def _permissions_changed(self) -> None:
        """Carry new rules and a new mode into the next turns, and into the one that is going on."""
        grants = self.parts.grants
        if self.parts.agent is not None:
            self.parts.agent.rules, self.parts.agent.mode = grants.rules, grants.in_force
        if self._run is not None and (talk := self._run.talk) is not None:
            judge = talk.calls.judge
            judge.permissions = replace(judge.permissions.with_rules(grants.added), mode=grants.in_force)
        if self.busy:
            self.show({"type": "system", "subtype": "status", "status": None, "permissionMode": grants.in_force})

    def _stopped(self) -> bool:
        """Whether this turn was interrupted; it changes while the turn waits."""
        return self._interrupted

    def _current_call(self) -> str:
        running = self._turn.running if self._turn else {}
        return next(reversed(running), "")

    def _write(self, message: Json) -> None:
        self.wire.send(self._redactor.json(message))

    def _spill_directory(self) -> Path:
        """Where texts too long for a line go: beside the session's journal."""
        where = Path(self.parts.flags.directory).resolve()
        directory = session_directory(where, self._known_id(), self.sessions.store)
        directory /= "tool-results"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory


def prompt_of(frame: Mapping[str, Any]) -> Said:
    """What a user frame says: a text or content blocks. Raises `UsageProblem` and `PromptError`."""
    message = frame.get("message")
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, str | list):
        raise UsageProblem("A user frame needs message.content: a text or a list of blocks.")
    return checked(content)
