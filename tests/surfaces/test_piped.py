"""What is piped into `-p`, through the command line as a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.testing import FakeMessagesServer

_PROGRAM = (sys.executable, "-c", "import sys; from agent.surfaces.cli import main; sys.exit(main(sys.argv[1:]))")
Ask = Callable[..., tuple["subprocess.CompletedProcess[bytes]", list[Any]]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Run `-p` once: what it printed, and what the model was told first."""
    with FakeMessagesServer(["Seen."]) as server:
        env = {**os.environ, "ANTHROPIC_BASE_URL": server.base_url, "ANTHROPIC_API_KEY": "sk-test-key-of-the-suite"}

        def run(*flags: str, **how: Any) -> tuple[subprocess.CompletedProcess[bytes], list[Any]]:
            command = [*_PROGRAM, "-p", "--model", "claude-sonnet-5-5", *flags]
            done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False, timeout=60, **how)
            said = [request.body["messages"][0]["content"] for request in server.requests]
            return done, [content[0]["text"] if isinstance(content, list) else content for content in said]

        yield run


def test_what_is_piped_in_follows_the_prompt(ask: Ask) -> None:
    done, said = ask("Review this.", input=b"diff --git a b\n+1\n")
    assert (done.returncode, done.stdout, said) == (0, b"Seen.\n", ["Review this.\ndiff --git a b\n+1\n"])


def test_an_empty_input_leaves_the_prompt_alone(ask: Ask) -> None:
    done, said = ask("Hi", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr, said) == (0, b"", ["Hi"])


def test_a_closed_input_leaves_the_prompt_alone(ask: Ask) -> None:
    done, said = ask("Hi", preexec_fn=lambda: os.close(0))
    assert (done.returncode, said) == (0, ["Hi"]), done.stderr


@pytest.mark.slow
def test_an_open_pipe_that_says_nothing_is_left_alone(ask: Ask) -> None:
    reading, writing = os.pipe()
    try:
        done, said = ask("Hi", stdin=reading)
    finally:
        os.close(reading)
        os.close(writing)
    assert (done.returncode, said) == (0, ["Hi"])
    assert b"/dev/null" in done.stderr


@pytest.mark.parametrize(("given", "why"), [(b"", b"no prompt"), (b"x" * (10 * 2**20 + 1), b"10,485,760 bytes")])
def test_no_prompt_and_too_much_of_it_are_refused(ask: Ask, given: bytes, why: bytes) -> None:
    done, said = ask(input=given)
    assert (done.returncode, said) == (2, [])
    assert why in done.stderr
    assert b"Traceback" not in done.stderr
