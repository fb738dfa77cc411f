"""What the parser says is compared with what bash runs: a PATH of recording programs, in a directory of its own.

The texts are made of a few tokens that name only the recording programs, so that nothing else can run.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from agent.permissions import PermissionEngine, Rules
from agent.permissions.shell import parse

pytestmark = [pytest.mark.slow, pytest.mark.needs("bash"), pytest.mark.timeout(600)]

WORDS = ["pa", "pb", "pa ", "pb ", "pa 1 ", "'pb'", "p", "a", "b", "E", "x=1 ", "0", "1", ",", "in ", "\\x70", "$'"]
SIGNS = [" ", " ", "'", '"', "\\", "\n", ";", "&&", "||", "|", "&", "#", "#x\n", "\\\n", "\t", "(", ")"]
BRACES = ["{", "}", "{ ", "[ ", " ]"]
EXPANSIONS = ["$", "$x", "${x}", "${x:-", "$(", "`", "<<E\n", "\nE\n", "<<'E'\n", "<<-E\n", "<<<"]
REDIRECTS = [">f", ">", "<f", "2>&1", ">&2", "&>f", ">|f"]
KEYWORDS = ["if ", "then ", "fi", "! ", "else "]
TOKENS = st.sampled_from([*WORDS, *SIGNS, *BRACES, *EXPANSIONS, *REDIRECTS, *KEYWORDS])
TEXTS = st.lists(TOKENS, min_size=1, max_size=12).map("".join)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "bin").mkdir()
        (root / "work").mkdir()
        for program in ("pa", "pb"):
            file = root / "bin" / program
            file.write_text(f'#!/bin/sh\nprintf \'%s\\001\' {program} "$@" > "$LOG/$$"\n')
            file.chmod(0o755)
        yield root


def run(sandbox: Path, text: str) -> list[list[str]]:
    """The argument lists of the recording programs that bash started, those in the background included."""
    with tempfile.TemporaryDirectory(dir=sandbox) as log:
        reading, writing = os.pipe()
        process = subprocess.Popen(
            ["/bin/bash", "--noprofile", "--norc", "-c", text],
            cwd=sandbox / "work",
            env={"PATH": str(sandbox / "bin"), "LOG": log},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[writing],
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as ended:
            ended.read()  # until the last process that inherited the other end has gone
        process.wait(timeout=10)
        return [file.read_text().split("\x01")[:-1] for file in Path(log).iterdir()]


@settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TEXTS)
def test_bash_runs_nothing_but_what_a_plain_script_lists(sandbox: Path, text: str) -> None:
    script = parse(text)
    if not script.plain:
        return
    listed = [list(part.texts) for part in script.parts]
    for command in run(sandbox, text):
        assert command in listed, (text, command, listed)


@settings(max_examples=4000, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TEXTS.filter(lambda text: "pb" in text or "b" in text))
def test_bash_never_runs_a_denied_program_in_an_allowed_text(sandbox: Path, text: str) -> None:
    rules = Rules.parse(allow=["Bash"], deny=["Bash(pb:*)"])
    engine = PermissionEngine(rules, cwd=sandbox / "work", home=sandbox)
    if engine.decide("Bash", {"command": text}).behavior == "allow":
        assert not [command for command in run(sandbox, text) if command[0] == "pb"], text
