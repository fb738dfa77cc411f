"""Known causes of failed runs: each is found in a real message, and in nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.github.causes import causes_of, rewrites

_MESSAGES = {
    "missing_secret": [
        "##[error]Input required and not supplied: token",
        "Error: Username and password required",
        "Invalid railway token",
    ],
    "permission": [
        "##[error]Resource not accessible by integration",
        "denied: installation not allowed to Create package",
    ],
    "action_not_found": [
        "Unable to resolve action `actions/chekout@v4`, repository not found",
        "##[error]This request has been automatically failed because it uses a deprecated version of `cache: v1`",
    ],
    "lockfile": [
        "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync",
        " ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with frozen-lockfile",
        "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.",
        "pyproject.toml changed significantly since poetry.lock was last generated. Run `poetry lock` to fix it",
    ],
    "version": [
        "ERROR: Package 'shop' requires a different Python: 3.11.9 not in '>=3.12'",
        "npm error code EBADENGINE",
        "Error: The version '3.99' with architecture 'x64' was not found for Ubuntu 24.04.",
    ],
    "wrong_command": [
        "/home/runner/work/_temp/1.sh: line 1: pytset: command not found",
        'npm error Missing script: "tset"',
        "ERROR: Could not open requirements file: [Errno 2] No such file or directory: 'r.txt'",
    ],
    "lint": ["Found 3 errors.", "would reformat app/main.py", "src/a.ts(3,1): error TS2304: Cannot find name 'x'."],
    "test": [
        "FAILED tests/test_a.py::test_b - assert 1 == 2",
        "--- FAIL: TestX (0.00s)",
        "Tests:       1 failed, 3 passed",
    ],
    "cache": ["Failed to restore: Cache service responded with 503"],
    "network": ["npm error network request failed, reason: getaddrinfo EAI_AGAIN registry.example.com"],
}


@pytest.mark.parametrize(("cause", "line"), [(cause, line) for cause, lines in _MESSAGES.items() for line in lines])
def test_a_message_shows_its_cause(cause: str, line: str) -> None:
    found = causes_of(f"Run something\n{line}\n##[error]Process completed with exit code 1.\n")
    assert cause == found[0].id
    assert found[0].line == line.removeprefix("##[error]").strip()
    assert set(found[0].means) == set(found[0].remedy) == {"en", "ko"}


def test_every_cause_has_an_example() -> None:
    assert set(rewrites()) == set(_MESSAGES)


@pytest.mark.parametrize(
    "log",
    [
        "",
        "##[error]Process completed with exit code 1.",
        "collected 12 items\n12 passed in 0.4s\nFound 0 problems",
        "Set up job\nSyncing repository: octocat/demo\nAll checks passed!",
    ],
)
def test_a_log_without_a_known_message_has_no_cause(log: str) -> None:
    assert causes_of(log) == ()


@given(st.text(max_size=400))
def test_any_text_is_read_and_every_cause_quotes_it(log: str) -> None:
    for cause in causes_of(log):
        assert cause.line in log or len(cause.line) >= 300
