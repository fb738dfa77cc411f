"""Attacks that no rule may cover, and everyday commands that must not drown in prompts. Nothing here is executed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from agent.permissions import explain_batch

HERE = Path(__file__).parent
ATTACKS: Mapping[str, Any] = yaml.safe_load((HERE / "attacks.yaml").read_text(encoding="utf-8"))
EVERYDAY: Mapping[str, Any] = yaml.safe_load((HERE / "everyday.yaml").read_text(encoding="utf-8"))


def _not_asked(commands: Iterable[str], rules: Mapping[str, list[str]], root: Path, mode: str = "default") -> list[str]:
    """The commands that would run unasked in a project below `root`."""
    project, home = root / "space" / "proj", root / "home" / "ann"
    for directory in (project / "src", home):
        directory.mkdir(parents=True, exist_ok=True)
    case = {"rules": rules, "mode": mode, "tool": "Bash", "cwd": str(project), "home": str(home)}
    wanted = list(commands)
    answers = explain_batch(json.dumps({**case, "input": {"command": command}}) for command in wanted)
    decisions = [json.loads(answer) for answer in answers]
    assert not [answer for answer in decisions if answer["reason"].startswith("malformed")]
    return [command for command, answer in zip(wanted, decisions, strict=True) if answer["decision"] == "allow"]


def test_a_rule_for_a_program_does_not_cover_what_the_program_can_be_made_to_run(tmp_path: Path) -> None:
    groups: Mapping[str, list[str]] = ATTACKS["under_rule"]
    assert sum(map(len, groups.values())) > 200
    for program, commands in groups.items():
        assert _not_asked(commands, {"allow": [f"Bash({program}:*)"]}, tmp_path) == []


def test_a_rule_for_a_program_ends_at_the_working_directories(tmp_path: Path) -> None:
    for program, commands in ATTACKS["outside"].items():
        assert _not_asked(commands, {"allow": [f"Bash({program}:*)"]}, tmp_path) == []
    for program, commands in ATTACKS["inside"].items():
        assert _not_asked(commands, {"allow": [f"Bash({program}:*)"]}, tmp_path) == commands


def test_a_rule_that_spells_the_place_covers_it(tmp_path: Path) -> None:
    commands = ["make -C /opt/x test", "curl https://a.test/x"]
    assert (
        _not_asked(commands, {"allow": ["Bash(make -C /opt/x:*)", "Bash(curl https://a.test/x:*)"]}, tmp_path)
        == commands
    )
    assert _not_asked(["make -C /opt/x -C /opt/y"], {"allow": ["Bash(make -C /opt/x:*)"]}, tmp_path) == []
    assert (
        _not_asked(["curl https://a.test/x https://b.test"], {"allow": ["Bash(curl https://a.test/x:*)"]}, tmp_path)
        == []
    )


def test_a_link_out_of_the_project_is_outside(tmp_path: Path) -> None:
    (tmp_path / "space" / "proj").mkdir(parents=True)
    (tmp_path / "space" / "proj" / "vendor").symlink_to(tmp_path)
    rules = {"allow": ["Bash(make:*)", "Bash(tar:*)"]}
    assert _not_asked(["make -C vendor", "tar -xf a.tar -C vendor"], rules, tmp_path) == []


def test_nothing_that_reads_secrets_writes_or_runs_code_passes_without_a_rule(tmp_path: Path) -> None:
    assert len(ATTACKS["bare"]) > 150
    assert _not_asked(ATTACKS["bare"], {}, tmp_path) == []


def test_a_denied_program_is_found_wherever_it_hides(tmp_path: Path) -> None:
    rules = {"allow": ["Bash"], "deny": ["Bash(curl:*)"]}
    assert len(ATTACKS["denied"]) > 150
    assert _not_asked(ATTACKS["denied"], rules, tmp_path) == []
    assert _not_asked(ATTACKS["denied"], {"deny": rules["deny"]}, tmp_path, "bypassPermissions") == []


def test_everyday_commands_run_unasked(tmp_path: Path) -> None:
    commands = EVERYDAY["commands"]
    asked = set(commands) - set(_not_asked(commands, EVERYDAY["rules"], tmp_path))
    assert len(asked) <= len(commands) * 5 // 100, sorted(asked)


def test_a_name_in_a_text_is_not_a_command(tmp_path: Path) -> None:
    """The known good beside the attacks: the same words where nothing runs them."""
    commands = [
        "grep -rn curl src",
        "git log --grep curl",
        "echo curl | wc -c",
        "which curl",
        "git commit -m 'drop curl'",
        "python3 -c 'import json,sys; print(json.load(sys.stdin)[0])'",
        "node -e 'console.log(require(\"./package.json\").version)'",
    ]
    rules = {"allow": ["Bash"], "deny": ["Bash(curl:*)"]}
    assert _not_asked(commands, rules, tmp_path) == commands


def test_a_search_does_not_read_credentials_along(tmp_path: Path) -> None:
    project = tmp_path / "space" / "proj"
    (project / "src").mkdir(parents=True)
    (project / "src" / "a.ts").touch()
    everything = ["grep -rn x .", "grep -r x", "grep -R x ./", "rg --hidden x", "rg -uu x", "tar czf a.tgz ."]
    rules = {"allow": ["Bash(tar:*)", "Bash(grep:*)"]}
    assert _not_asked(everything, rules, tmp_path) == everything
    (project / ".env").touch()
    assert _not_asked(everything, rules, tmp_path) == []
    elsewhere = ["grep -rn x src", "rg x", "grep x src/a.ts", "find . -name x"]
    assert _not_asked(elsewhere, rules, tmp_path) == elsewhere


def test_key_files_and_protected_names_in_other_spellings(tmp_path: Path) -> None:
    keys = ["cat certs/prod.pem", "head server.key", "base64 id_ed25519", "cat app.P12", "strings release.jks"]
    assert _not_asked(keys, {"allow": ["Bash(cat:*)", "Bash(base64:*)", "Bash(strings:*)"]}, tmp_path) == []
    assert _not_asked(["cat id_ed25519.pub", "cat src/key.ts", "cat .env.example"], {}, tmp_path) == [
        "cat id_ed25519.pub",
        "cat src/key.ts",
        "cat .env.example",
    ]
    for name in (".GIT/config", ".git\u200b/config", "\uff0egit/hooks/x", ".claude\u200d/x", ".Claude/settings.json"):
        case = {"mode": "acceptEdits", "tool": "Write", "cwd": str(tmp_path), "home": "/h", "rules": {}}
        answer = next(explain_batch([json.dumps({**case, "input": {"file_path": name, "content": "x"}})]))
        assert json.loads(answer)["decision"] == "ask", name
