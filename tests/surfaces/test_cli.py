"""The command line as a user types it: exit codes, clear errors, and a light start."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.surfaces.cli import COMMANDS, main
from agent.testing import FakeMessagesServer


def run_cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of one command."""
    try:
        code = main(arguments)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_the_version_is_one_line_that_begins_with_the_number(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_cli(capsys, flag)
    assert (code, err) == (0, "")
    assert out.split()[0].count(".") == 2


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_cli(capsys, "--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_cli(capsys, command, "--help")
    assert code == 0
    assert f"expert-devops {command}" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["run", "-C", "{tmp}/absent"], "is not a directory", id="run in no directory"),
        pytest.param(["run", "-C", "{tmp}", "SPEC-NONE-001"], "SPEC-NONE-001", id="run with a missing SPEC"),
        pytest.param(["run", "-C", "{tmp}", "--steps", "0-9"], "0-9", id="run with impossible steps"),
        pytest.param(["run", "-C", "{tmp}", "--steps", "abc"], "abc", id="run with words for steps"),
        pytest.param(["run", "-C", "{tmp}", "--answers", "{tmp}/none.yaml"], "none.yaml", id="missing answers"),
        pytest.param(["run", "-C", "{tmp}", "--model", "claude-sonnet-5-5"], "ANTHROPIC_API_KEY", id="no key"),
        pytest.param(["run", "-C", "{tmp}", "--max-budget-usd", "0"], "--max-budget-usd", id="nothing to spend"),
        pytest.param(["run", "--colour"], "--colour", id="unknown option"),
        pytest.param(["spec", "-C", "{tmp}"], "SPEC", id="spec without a SPEC"),
        pytest.param(["detect", "{tmp}/absent"], "is not a directory", id="detect in no directory"),
        pytest.param(["check", "{tmp}", "--kind", "nonsense"], "nonsense", id="check of an unknown gate"),
        pytest.param(["-p", "x", "--permission-mode", "yolo"], "yolo", id="unknown mode"),
        pytest.param(["permissions", "explain"], "Give a tool", id="explain without a tool"),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_code_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run_cli(capsys, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_broken_answers_name_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "answers.yaml"
    answers.write_text("a: [unclosed")
    code, _, err = run_cli(capsys, "run", "-C", str(tmp_path), "--answers", str(answers))
    assert code == 2
    assert str(answers) in err


def test_resuming_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run_cli(capsys, "run", "-C", str(tmp_path), "--resume", "0000")
    assert code == 1
    assert "sessions" in err


@pytest.mark.parametrize("command", ["agents", "skills", "tools", "sessions", "doctor"])
def test_listings_speak_json(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_cli(capsys, command, "--json", "-C", str(tmp_path))
    assert code in (0, 1)
    assert isinstance(json.loads(out), list)


@pytest.mark.needs("bwrap")
def test_the_doctor_says_what_the_sandbox_enforces_and_what_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run_cli(capsys, "doctor", "--json", "-C", str(tmp_path))
    rows = {row["what"]: row["detail"] for row in json.loads(out)}
    assert "no network" in rows["sandbox"]
    assert "no limit on memory" in rows["not in the sandbox"]


def test_the_persona_its_siblings_and_its_packs_are_listed_without_a_problem(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = run_cli(capsys, "agents", "--json")
    assert {row["name"] for row in json.loads(out)} >= {
        "expert-devops",
        "expert-backend",
        "expert-frontend",
        "expert-security",
    }
    _, out, _ = run_cli(capsys, "skills", "--json")
    rows = json.loads(out)
    assert {row["name"] for row in rows} >= {"do-platform-railway", "do-platform-vercel"}
    assert not any(row["problems"] for row in rows)


def test_a_broken_agent_file_is_named_by_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / ".claude" / "agents" / "broken.md"
    broken.parent.mkdir(parents=True)
    broken.write_text("---\ndescription: no name\n---\nbody\n")
    code, out, _ = run_cli(capsys, "doctor", "-C", str(tmp_path))
    assert code == 1
    assert "broken.md" in out


HEAVY = (
    "anthropic",
    "httpx",
    "mcp",
    "github",
    "rich",
    "prompt_toolkit",
    "jinja2",
    "jsonschema",
    "ruamel",
    "re2",
    "pypdf",
)

_START = """
import sys, asyncio, tempfile
from agent import Agent
env = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": sys.argv[1]}
result = asyncio.run(Agent(cwd=tempfile.mkdtemp(), model="claude-sonnet-5-5", env=env).run("go"))
assert result.status == "completed", result
print(*sys.modules)
"""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("import agent.surfaces.cli as c, sys; c.main(['--version']); print(*sys.modules)", id="version"),
        pytest.param(_START, id="first request"),
    ],
)
def test_nothing_heavy_is_loaded_on_the_start_path(program: str) -> None:
    with FakeMessagesServer(["Done."]) as server:
        command = [sys.executable, "-c", program, server.base_url]
        loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in HEAVY if name in loaded]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [["tools", "--json"], ["skills"]])
def test_output_to_a_full_disk_is_one_clear_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123 - a stream, not a file's content
        monkeypatch.setattr(sys, "stdout", full)
        code = main(arguments)
    err = capsys.readouterr().err
    assert (code, err) == (1, "expert-devops: The output cannot be written: No space left on device.\n")


def test_what_a_terminal_cannot_show_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec.md").write_text("# SPEC-SHOP-001: 주문\n\n- Platform: Railway\n", encoding="utf-8")
    written = io.BytesIO()
    shown = io.TextIOWrapper(written, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(["spec", str(tmp_path / "spec.md"), "-C", str(tmp_path)]) == 0
    assert b"??" in written.getvalue()


def test_the_doctor_names_a_session_store_that_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EXPERT_DEVOPS_HOME", str(tmp_path / "file"))
    code, out, _ = run_cli(capsys, "doctor", "--json")
    assert (code, [row["status"] for row in json.loads(out) if row["what"] == "session store"]) == (1, ["problem"])
    monkeypatch.setenv("EXPERT_DEVOPS_HOME", str(tmp_path / "not" / "yet" / "there"))
    _, out, _ = run_cli(capsys, "doctor", "--json")
    assert [row["status"] for row in json.loads(out) if row["what"] == "session store"] == ["ok"]
