"""The plain chat: a line editor, streamed text, prompts for permissions and questions. A reader of the event stream."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.api import Agent, Run
from agent.events import Event, ModelEvent, RetryScheduled
from agent.result import NeedsInput
from agent.session.opening import Opening
from agent.surfaces.configured import agent_of, ask_for_trust, closing
from agent.surfaces.flags import Flags
from agent.surfaces.progress import describe
from agent.surfaces.protocol.partial import Partial
from agent.surfaces.run import summary
from agent.surfaces.sessions import opening_of, sessions_of
from tools.ports import Answers, PermissionAnswer, PermissionRequest, Question
from tools.secrets import Redactor
from tools.text import clean

_HELP = (
    "/help this text · /clear a new conversation · /compact go on from a summary · /exit leave · "
    "Ctrl-C stops the current work · Esc Enter puts a line break"
)


class Terminal:
    """Asks on the terminal. One question at a time; the default answer to a permission is no."""

    def __init__(self) -> None:
        from prompt_toolkit import PromptSession

        self._session: PromptSession[str] = PromptSession()

    async def line(self, text: str) -> str:
        """One line from the user. Raises `EOFError` at end of input, `KeyboardInterrupt` on Ctrl-C."""
        return (await self._session.prompt_async(text)).strip()

    async def questions(self, questions: Sequence[Question]) -> Answers:
        return Answers({question.question: await self._choose(question) for question in questions})

    async def _choose(self, question: Question) -> str:
        print(clean(f"\n{question.question}"))
        for number, option in enumerate(question.options, 1):
            print(clean(f"  {number}. {option.label}  {option.description}"))
        hint = "numbers with commas, or your own words" if question.multi_select else "a number, or your own words"
        while not (given := await self.line(f"{question.header} ({hint}): ")):
            pass
        picked = [part.strip() for part in given.split(",")] if question.multi_select else [given]
        if all(part.isdigit() and 1 <= int(part) <= len(question.options) for part in picked):
            return ", ".join(question.options[int(part) - 1].label for part in picked)
        return given

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        print(clean(f"\n{request.tool} asks to run: {_shown(request.input)}\n  {request.reason}"))
        always = f", a = always allow {request.suggestion}" if request.suggestion else ""
        given = (await self.line(f"y = yes, n = no{always} [n]: ")).lower()
        if given == "a" and request.suggestion:
            return PermissionAnswer("allow", rules=(request.suggestion,))
        if given in {"y", "yes", "예"}:
            return PermissionAnswer("allow")
        return PermissionAnswer("deny", "The user said no.")


def chat(flags: Flags) -> int:
    """Talk until the user leaves. Returns the exit code."""
    terminal = Terminal()
    trust = flags.trust or ask_for_trust(flags.directory)
    agent = agent_of(replace(flags, trust=trust), terminal)
    return asyncio.run(closing(agent, _talk(agent, terminal, flags)))


async def _talk(agent: Agent, terminal: Terminal, flags: Flags) -> int:
    agent.sessions = sessions_of(flags)
    try:
        return await _converse(agent, terminal, opening_of(flags, agent.env), flags.prompt)
    finally:
        await agent.sessions.aclose("prompt_input_exit")


async def _converse(agent: Agent, terminal: Terminal, opening: Opening, text: str | None) -> int:
    screen = _Screen(Redactor.from_environment(agent.env, also=agent.shelter.named()))
    print(f"expert-devops · {_HELP}")
    while True:
        try:
            text = text or await terminal.line("\n> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return 0
        if text in {"/exit", "/quit"}:
            return 0
        if text == "/help":
            print(_HELP)
        elif text == "/clear":
            await agent.sessions.end("clear")
            opening = Opening()
            print("A new conversation begins.")
        elif text and text.split()[0] == "/compact" and opening.resume is None:
            print("There is no conversation yet that could be summarised.")
        elif text and text.split()[0] == "/compact":
            opening = await _turn(agent.compact(opening, text.removeprefix("/compact").strip()), opening, screen)
        elif text:
            opening = await _turn(agent.start(text, opening=opening), opening, screen)
        text = None


async def _turn(going: Run, opening: Opening, screen: _Screen) -> Opening:
    """Show a turn; what the next one opens: the session, once it has begun."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, going.interrupt)
    try:
        async for event in going:
            screen.show(event)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    result = going.result
    if (note := summary(result, "-p")) and not isinstance(result, NeedsInput):
        print(clean(f"\n{note}"))
    return Opening(resume=going.session_id) if going.talk is not None else opening


class _Screen:
    """Prints events as they come; text that may begin a secret waits for what follows."""

    def __init__(self, redactor: Redactor) -> None:
        self._partial = Partial(redactor)

    def show(self, event: Event) -> None:
        match event:
            case ModelEvent(agent_id=None):
                for shown in self._partial.events(event.event):
                    _write(shown)
            case RetryScheduled(discarded=True):
                print(clean(f"\n{describe(event)} (the text above is void)"))
            case _:
                if (line := describe(event)) is not None:
                    print(clean(line))


def _write(event: Mapping[str, Any]) -> None:
    match event:
        case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}}:
            sys.stdout.write(clean(text))
            sys.stdout.flush()
        case {"type": "content_block_stop"}:
            sys.stdout.write("\n")


def _shown(data: Any) -> str:
    if set(data) <= {"command", "description", "timeout", "run_in_background"} and "command" in data:
        return str(data["command"])
    return ", ".join(f"{key}={value!r}" for key, value in data.items())
