"""What can be wrong from outside: each is one clear message and its exit code, no traceback, nothing half-written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.testing import FakeMessagesServer, HttpError, http_error
from tests.proof.projects import Outcome, Program, changed, copy_example, tree
from tests.proof.test_proof_wire import KEY, served

slow = pytest.mark.slow
TEXT = ("--model", "playbook", "--yes")


def refused(program: Program, project: Path, code: int, *said: str, arguments: tuple[str, ...] = TEXT) -> Outcome:
    """A run that ends with `code`, says all of `said` and leaves the project as it was."""
    before = tree(project)
    outcome = program("run", "-C", str(project), *arguments).expect(code)
    for words in said:
        assert words in outcome.err, f"{words!r} is not in:\n{outcome.err}\n{outcome.out[-1500:]}"
    assert changed(before, tree(project)) == set()
    return outcome


# --- the project -------------------------------------------------------------------------------------------------


def test_an_empty_project_is_told_so(program: Program, tmp_path: Path) -> None:
    project = tmp_path / "empty"
    project.mkdir()
    refused(program, project, 1, "no part of this project that can be deployed")


def test_a_spec_that_is_not_there_is_a_usage_error(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    refused(program, project, 2, "SPEC-NONE-001", arguments=("SPEC-NONE-001", *TEXT))


@slow
def test_a_project_without_a_spec_is_worked_on_by_its_code_alone(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    (project / ".do" / "specs" / "SPEC-REPAIR-012" / "spec.md").unlink()
    result = program.run(project, "--yes").expect(0).result
    assert result["report"]["spec"] is None
    assert result["report"]["assumptions"]


def broken_compose(project: Path) -> str:
    (project / "compose.yaml").write_text("services:\n  a: [unclosed\n")
    return "compose.yaml"


def broken_workflow(project: Path) -> str:
    workflow = project / ".github" / "workflows" / "ci-cd.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text("on: push\njobs:\n\t- tab\n")
    return "ci-cd.yml"


def broken_bytes(project: Path) -> str:
    (project / "Dockerfile").write_bytes(b"FROM scratch\n\xff\xfe\x00")
    return "Dockerfile"


@pytest.mark.parametrize(
    "break_it", [broken_compose, pytest.param(broken_workflow, marks=slow), pytest.param(broken_bytes, marks=slow)]
)
def test_a_broken_file_in_the_way_is_kept_and_named(
    break_it: Callable[[Path], str], program: Program, tmp_path: Path
) -> None:
    project = copy_example("repair-api", tmp_path)
    name = break_it(project)
    before = tree(project)
    outcome = program("run", "-C", str(project), *TEXT).expect(4)
    assert name in outcome.err
    broken = next(path for path in before if path.endswith(name))
    assert tree(project)[broken] == before[broken]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"---\nid: [unclosed\n---\n# Title\n", id="broken YAML"),
        pytest.param(b"\xff\xfe\x00\x00", id="no text", marks=slow),
        pytest.param(b"", id="empty", marks=slow),
        pytest.param(b"---\n" * 5000, id="only rules", marks=slow),
    ],
)
def test_a_broken_spec_gives_no_traceback(content: bytes, program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    spec = project / ".do" / "specs" / "SPEC-REPAIR-012" / "spec.md"
    spec.write_bytes(content)
    outcome = program("run", "-C", str(project), "SPEC-REPAIR-012", *TEXT)
    assert "Traceback" not in outcome.err
    assert outcome.code in (0, 2)
    assert outcome.code == 0 or "spec.md" in outcome.err


# --- the file system ---------------------------------------------------------------------------------------------

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def in_a_mount(program: Program, script: str, *values: str) -> Program:
    """The program inside a mount namespace of its own, after a shell script with `values` as $1, $2, ..."""
    count = len(values)
    body = f"set -e\n{script}\nshift {count}\nset +e\n" + '"$@"\ncode=$?\nafter "$@"\nexit $code\n'
    return Program(program.home, prefix=("unshare", "-m", "--propagation", "private", "sh", "-c", body, "sh", *values))


@needs_root
@pytest.mark.needs("unshare")
def test_a_project_on_a_read_only_disk_is_left_alone(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    mount = 'mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; after() { :; }'
    refused(in_a_mount(program, mount, str(project)), project, 4, "Read-only file system")


@slow
@needs_root
@pytest.mark.needs("unshare")
@pytest.mark.parametrize("left", [0, 1, 2, 5, 9])
def test_a_disk_that_fills_up_leaves_no_half_written_file(left: int, program: Program, tmp_path: Path) -> None:
    """The run ends with a failed gate; afterwards every file is either as it was or whole."""
    whole = copy_example("repair-api", tmp_path / "whole")
    program.run(whole, "--yes").expect(0)
    original = copy_example("repair-api", tmp_path / "original")
    disk, found = tmp_path / "disk", tmp_path / "found"
    disk.mkdir()
    mount = """
        mount -t tmpfs -o size=512k tmpfs "$1"
        cp -r "$2/." "$1/"
        dd if=/dev/zero of="$1/.filler" bs=4096 2>/dev/null || true
        truncate -s -$(($4 * 4096)) "$1/.filler"
        found=$3; disk=$1
        after() { rm "$disk/.filler"; cp -r "$disk/." "$found/"; }
    """
    found.mkdir()
    full = in_a_mount(program, mount, str(disk), str(original), str(found), str(left))
    outcome = full("run", "-C", str(disk), *TEXT).expect(4)
    assert "No space left on device" in outcome.err
    before, expected, after = tree(original), tree(whole), tree(found)
    for path, digest in after.items():
        assert digest in (before.get(path), expected.get(path)), f"{path} is half-written"


@pytest.mark.slow
@needs_root
@pytest.mark.needs("unshare")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param('mount -t tmpfs -o ro tmpfs "$1"', "Read-only file system", id="read-only"),
        pytest.param('mount -t tmpfs -o size=4k tmpfs "$1"', "No space left on device", id="full"),
    ],
)
def test_a_home_where_no_session_can_be_kept_stops_the_run_before_it_writes(
    script: str, said: str, program: Program, tmp_path: Path
) -> None:
    project = copy_example("repair-api", tmp_path)
    away = in_a_mount(program, script + "; after() { :; }", str(program.home))
    refused(away, project, 1, said, "EXPERT_DEVOPS_HOME" if "Read" in said else "journal")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_left_alone(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    project.chmod(0o555)
    try:
        refused(program, project, 4, "Permission denied")
    finally:
        project.chmod(0o755)


@slow
def test_an_unreadable_source_file_is_told_or_passed_over(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    (project / "app" / "broken.py").symlink_to("/nonexistent/broken.py")
    (project / "app" / "loop").symlink_to("loop")
    os.mkfifo(project / "app" / "pipe.py")
    program.run(project, "--yes", timeout=60).expect(0)


# --- the model ---------------------------------------------------------------------------------------------------

CLAUDE = ("--model", "claude-sonnet-5-5", "--yes")
SOON = {"retry-after-ms": "1"}


@pytest.mark.parametrize(
    ("error", "kind", "requests"),
    [
        pytest.param(http_error(400, "messages: wrong"), "invalid_request", 1, id="400", marks=slow),
        pytest.param(http_error(401, "invalid x-api-key"), "authentication", 1, id="401"),
        pytest.param(http_error(402, "payment overdue"), "billing", 1, id="402", marks=slow),
        pytest.param(http_error(403, "not allowed"), "permission", 1, id="403", marks=slow),
        pytest.param(http_error(404, "model: claude-none"), "not_found", 1, id="404", marks=slow),
        pytest.param(http_error(413, "too large"), "too_large", 1, id="413", marks=slow),
        pytest.param(http_error(429, "slow down", headers=SOON), "rate_limit", 10, id="429"),
        pytest.param(http_error(429, "limit reached"), "spend_limit", 1, id="429 for good", marks=slow),
        pytest.param(http_error(500, "internal", headers=SOON), "server", 10, id="500", marks=slow),
        pytest.param(http_error(529, "overloaded", headers=SOON), "overloaded", 10, id="529", marks=slow),
        pytest.param(
            HttpError(502, b"<html>bad gateway</html>", SOON), "server", 10, id="502 from a proxy", marks=slow
        ),
    ],
)
def test_an_error_of_the_service_is_told_with_its_kind_and_what_to_do(
    error: HttpError, kind: str, requests: int, program: Program, tmp_path: Path
) -> None:
    project = copy_example("repair-api", tmp_path)
    with FakeMessagesServer(lambda _body: error) as server:
        outcome = refused(served(program, server), project, 1, f"({kind})", arguments=CLAUDE)
    assert len(server.requests) == requests
    assert KEY not in outcome.err + outcome.out


def test_a_wrong_key_says_which_variable_to_check(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    with FakeMessagesServer(["never said"], api_key="another") as server:
        outcome = refused(served(program, server), project, 1, "ANTHROPIC_API_KEY", arguments=CLAUDE)
    assert KEY not in outcome.err + outcome.out


def test_a_model_without_a_key_is_a_usage_error(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    refused(program, project, 2, "ANTHROPIC_API_KEY", "--model playbook", arguments=CLAUDE)


@slow
@needs_root
@pytest.mark.needs("unshare")
def test_the_playbook_needs_no_network(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    Program(program.home, prefix=("unshare", "-n")).run(project, "--yes").expect(0)


@pytest.mark.slow
@needs_root
@pytest.mark.needs("unshare")
def test_without_a_network_each_retry_is_told_and_ctrl_c_ends_it(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    before = tree(project)
    offline = Program(program.home, {"ANTHROPIC_API_KEY": KEY}, prefix=("unshare", "-n"))
    process = offline.start("run", "-C", str(project), *CLAUDE)
    assert process.stderr
    told = ""
    for line in process.stderr:
        told += line
        if "retry 2/" in line:
            os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert "https://api.anthropic.com" in told
    assert "Traceback" not in told
    assert "--resume" in told
    assert changed(before, tree(project)) == set()


@slow
def test_a_budget_that_is_used_up_ends_with_5(program: Program, tmp_path: Path) -> None:
    project = copy_example("repair-api", tmp_path)
    outcome = program("run", "-C", str(project), *TEXT, "--max-turns", "3").expect(5)
    assert "--resume" in outcome.err
    session: Any = outcome.err.split("--resume ")[1].split()[0]
    program("run", "-C", str(project), *TEXT, "--resume", session).expect(0)
