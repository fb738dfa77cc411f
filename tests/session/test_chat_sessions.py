"""The chat on a terminal of its own: one session over its turns, kept, summarised, left and taken up again."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.testing import FakeMessagesServer, Fault, Turn

pytestmark = pytest.mark.slow  # a process with a terminal


class Terminal:
    """The other end of a chat's terminal."""

    def __init__(self, project: Path, server: FakeMessagesServer, *flags: str) -> None:
        self._fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        program = "import sys; from agent.surfaces.cli import main; sys.exit(main(sys.argv[1:]))"
        env = {"ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite", "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "--model=claude-haiku-4-5", *flags],
            cwd=project,
            env=os.environ | env,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self._seen = ""

    def until(self, words: str) -> str:
        """What is shown up to `words`."""
        while words not in self._seen:
            data = os.read(self._fd, 65_536).decode("utf-8", "replace")
            assert data, self._seen
            if "\x1b[6n" in data:
                os.write(self._fd, b"\x1b[1;1R")  # where the cursor is
            self._seen += data
        shown, _, self._seen = self._seen.partition(words)
        return shown

    def say(self, text: str) -> None:
        self.until("\x1b[?2004h")  # the editor is ready: it asks for pasted text to be marked
        os.write(self._fd, text.encode() + b"\r")

    def leave(self) -> int:
        self.say("/exit")
        while True:
            try:
                if not os.read(self._fd, 65_536):
                    break
            except OSError:  # the other side is closed
                break
        return self.process.wait(20)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def begin(server: FakeMessagesServer, *flags: str) -> Terminal:
        opened.append(Terminal(tmp_path, server, *flags))
        return opened[-1]

    yield begin
    for terminal in opened:
        terminal.close()


def said(server: FakeMessagesServer, request: int) -> str:
    return str(server.requests[request].body["messages"])


def test_a_chat_is_one_session_until_it_is_cleared(chat: Any) -> None:
    answers = ["Noted.", "It is Seoul.", "The region is SEOUL.", "Still Seoul.", "I know nothing.", "Nothing, still."]
    with FakeMessagesServer(answers) as server:
        first = chat(server)
        first.say("/compact")
        first.until("no conversation yet")
        first.say("The region is Seoul.")
        first.until("Noted.")
        first.say("Which region?")
        first.until("It is Seoul.")
        first.say("/compact keep the region")
        first.until("summarised: about")
        first.say("And now?")
        first.until("Still Seoul.")
        first.say("/clear")
        first.until("new conversation begins")
        first.say("Which region?")
        first.until("I know nothing.")
        assert first.leave() == 0
        again = chat(server, "--continue")
        again.say("And now?")
        again.until("Nothing, still.")
        assert again.leave() == 0
    server.assert_clean()
    assert "Noted." in said(server, 1)
    assert "keep the region" in said(server, 2)
    assert "SEOUL" in said(server, 3)
    assert "SEOUL" not in said(server, 4)
    assert "I know nothing." in said(server, 5)
    assert len(list(Path(os.environ["HOME"]).rglob("projects/*/*.jsonl"))) == 2


def test_a_secret_that_comes_in_pieces_is_not_shown(chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "correct-horse-battery")
    with FakeMessagesServer([Turn(["It is correct-horse-battery, really."], fault=Fault(chunk=9))]) as server:
        terminal = chat(server)
        terminal.say("Which password?")
        shown = terminal.until("really.")
        assert "[redacted]" in shown
        assert "correct-horse" not in shown
        assert terminal.leave() == 0


def test_a_chat_that_is_not_kept_leaves_nothing(chat: Any) -> None:
    with FakeMessagesServer(["One.", "Two."]) as server:
        terminal = chat(server, "--no-session-persistence")
        for prompt, answer in (("one", "One."), ("two", "Two.")):
            terminal.say(prompt)
            terminal.until(answer)
        assert terminal.leave() == 0
    assert "One." in said(server, 1)
    assert not list(Path(os.environ["HOME"]).rglob("*.jsonl"))
