"""The engine's Python door: rules, children, grants, suggestions, explanations, speed."""

from __future__ import annotations

import json
import statistics
import string
import time
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from agent.permissions import (
    MODES,
    Decision,
    Mode,
    PermissionEngine,
    RuleError,
    Rules,
    describe,
    explain,
    explain_batch,
)
from agent.permissions import paths as permission_paths
from agent.permissions.decision import messages
from agent.permissions.paths import segment_fits
from agent.permissions.rules import wildcard


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "space" / "proj"
    path.mkdir(parents=True)
    return path


def engine(
    project: Path,
    *,
    allow: tuple[str, ...] = (),
    ask: tuple[str, ...] = (),
    deny: tuple[str, ...] = (),
    mode: Mode = "default",
    granted: tuple[str, ...] = (),
) -> PermissionEngine:
    rules = Rules.parse(allow=allow, ask=ask, deny=deny, anchor=project)
    return PermissionEngine(rules, mode, cwd=project, home=project.parent.parent / "home", granted_paths=granted)


# --- rules ---


UNREADABLE = [
    "",
    "Bash(",
    "Bash)",
    "(x)",
    "Ba sh",
    "Write(src/**)",
    "Grep(x)",
    "TodoWrite(x)",
    "*",
    "mcp__*",
    "mcp__x*__y",
]
UNREADABLE += ["WebFetch(example.com)", "Read(!x)", "Bash(a\nb)", "mcp__*__x", "Tool(x)", "Agent(a)(b"]


@pytest.mark.parametrize("text", UNREADABLE)
def test_an_unreadable_allow_rule_is_dropped_with_a_warning(text: str) -> None:
    rules = Rules.parse(allow=[text, "Bash(ls)"], source="project settings")
    assert [rule.text for rule in rules.allow] == ["Bash(ls)"]
    assert len(rules.warnings) == 1
    assert "project settings" in rules.warnings[0]


@pytest.mark.parametrize("kind", ["ask", "deny"])
@pytest.mark.parametrize(
    "text", ["", "Bash(", "(x)", "WebFetch(example.com)", "TodoWrite(x)", "Read(!x)", "WebFetch(url:x)"]
)
def test_an_unreadable_deny_or_ask_rule_stops(kind: str, text: str) -> None:
    with pytest.raises(RuleError, match="my file"):
        Rules.parse(**{kind: [text]}, source="my file")  # type: ignore[arg-type]  # one of two keywords


@pytest.mark.parametrize("entry", [1, None, ["Bash"], {"a": 1}])
def test_a_rule_must_be_a_text(entry: object) -> None:
    with pytest.raises(RuleError):
        Rules.parse(deny=[entry])  # type: ignore[list-item]  # wrong on purpose
    assert Rules.parse(allow=[entry]).warnings  # type: ignore[list-item]  # wrong on purpose


def test_rules_must_be_a_list() -> None:
    with pytest.raises(RuleError, match="list"):
        Rules.parse(deny="Bash")


def test_rules_of_two_sources_keep_their_anchors(project: Path) -> None:
    user = Rules.parse(allow=["Edit(/notes/**)"], source="user", anchor=project.parent / "home")
    own = Rules.parse(allow=["Edit(/src/**)"], source="project", anchor=project)
    both = PermissionEngine(user + own, cwd=project, home=project.parent / "home")
    assert both.decide("Write", {"file_path": "src/a", "content": ""}).rule == "Edit(/src/**)"
    assert both.decide("Write", {"file_path": "notes/a", "content": ""}).behavior == "ask"


WILD = st.text(alphabet="ab* ", max_size=12)


@given(WILD, st.text(alphabet="ab ", max_size=20))
def test_wildcards_match_as_a_slow_matcher_does(pattern: str, text: str) -> None:
    def slow(p: str, t: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return any(slow(p[1:], t[start:]) for start in range(len(t) + 1))
        return bool(t) and p[0] == t[0] and slow(p[1:], t[1:])

    assert wildcard(pattern, text) == slow(pattern, text)
    assert segment_fits(pattern, text) == slow(pattern, text)


def test_patterns_take_linear_time() -> None:
    start = time.process_time()
    assert not wildcard("*a" * 200 + "b", "a" * 10_000)
    assert not segment_fits("*a" * 30 + "b", "a" * 250)
    assert not segment_fits("[a-z]*" * 20 + "!", "a" * 250)
    assert time.process_time() - start < 1


# --- modes, children, grants ---


def test_an_unknown_mode_is_refused(project: Path) -> None:
    with pytest.raises(ValueError, match="bypass"):
        PermissionEngine(Rules(), "bypass", cwd=project, home=project)  # type: ignore[arg-type]  # wrong on purpose


def test_relative_directories_are_refused() -> None:
    with pytest.raises(ValueError, match="absolute"):
        PermissionEngine(Rules(), cwd=Path("x"), home=Path("/h"))


def test_auto_says_that_it_behaves_as_default(project: Path) -> None:
    decision = engine(project, mode="auto").decide("Bash", {"command": "npm i"})
    assert decision.behavior == "ask"
    assert "behaves as default" in decision.reason


CALLS = [
    ("Bash", {"command": "npm test"}),
    ("Bash", {"command": "curl x"}),
    ("Bash", {"command": "ls"}),
    ("Bash", {"command": "touch a"}),
    ("Read", {"file_path": "a"}),
    ("Read", {"file_path": "/etc/passwd"}),
    ("Write", {"file_path": "a", "content": ""}),
    ("WebFetch", {"url": "https://x.test/"}),
    ("mcp__a__b", {}),
    ("Unknown", {}),
]
POOL = [
    "Bash",
    "Bash(npm test)",
    "Bash(curl:*)",
    "Edit",
    "Edit(a)",
    "Read(//etc/**)",
    "WebFetch",
    "mcp__a",
    "Read",
    "Unknown",
]
RULE_LISTS = st.lists(st.sampled_from(POOL), max_size=3)
STRENGTH = {"allow": 0, "ask": 1, "deny": 2}


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(RULE_LISTS, RULE_LISTS, RULE_LISTS), st.tuples(RULE_LISTS, RULE_LISTS, RULE_LISTS),
    st.sampled_from(MODES), st.sampled_from([None, *MODES]), st.sampled_from(CALLS),
)  # fmt: skip
def test_a_child_never_gets_more_than_its_parent(
    above: tuple[list[str], list[str], list[str]],
    below: tuple[list[str], list[str], list[str]],
    mode: Mode,
    child_mode: Mode | None,
    call: tuple[str, dict[str, str]],
) -> None:
    cwd = Path("/nonexistent/proj")
    parent_rules = Rules.parse(allow=above[0], ask=above[1], deny=above[2], anchor=cwd)
    child_rules = Rules.parse(allow=below[0], ask=below[1], deny=below[2], anchor=cwd)
    parent = PermissionEngine(parent_rules, mode, cwd=cwd, home=Path("/nonexistent/home"))
    child = parent.child(child_rules, child_mode)
    own = PermissionEngine(child_rules, child_mode or mode, cwd=cwd, home=Path("/nonexistent/home"))
    decided = STRENGTH[child.decide(*call).behavior]
    assert decided >= STRENGTH[parent.decide(*call).behavior]
    if below[0]:
        assert decided >= STRENGTH[own.decide(*call).behavior]
    grandchild = child.child(None, "bypassPermissions")
    assert STRENGTH[grandchild.decide(*call).behavior] >= decided


def test_a_childs_directories_only_narrow(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    parent = engine(project)
    child = parent.child(directories=[other])
    assert child.decide("Read", {"file_path": str(other / "x")}).behavior == "ask"


def test_further_directories_are_working_directories(project: Path, tmp_path: Path) -> None:
    more = PermissionEngine(
        Rules(), "acceptEdits", cwd=project, home=tmp_path / "home", directories=[tmp_path / "more"]
    )
    assert more.decide("Write", {"file_path": str(tmp_path / "more" / "x"), "content": ""}).behavior == "allow"
    assert more.decide("Write", {"file_path": str(tmp_path / "more-not" / "x"), "content": ""}).behavior == "ask"


def test_granted_paths_are_for_write_artifact_alone(project: Path) -> None:
    granting = engine(project, granted=(".github/workflows/*.yml",))
    path = ".github/workflows/ci.yml"
    assert granting.decide("WriteArtifact", {"path": path, "content": ""}).behavior == "allow"
    assert granting.decide("Write", {"file_path": path, "content": ""}).behavior == "ask"
    assert granting.decide("Bash", {"command": f"touch {path}"}).behavior == "ask"
    assert (
        granting.decide("WriteArtifact", {"path": ".github/workflows/../../.git/x.yml", "content": ""}).behavior
        == "ask"
    )
    assert granting.decide("WriteArtifact", {"path": ".git/config", "content": ""}).behavior == "ask"


def test_a_grant_does_not_beat_a_deny_rule_or_a_link(project: Path, tmp_path: Path) -> None:
    denied = engine(project, granted=("deploy/**",), deny=("Edit(deploy/secret.yml)",))
    assert denied.decide("WriteArtifact", {"path": "deploy/secret.yml", "content": ""}).behavior == "deny"
    (tmp_path / "out").mkdir()
    (project / "deploy").symlink_to(tmp_path / "out")
    linked = engine(project, granted=("deploy/**",))
    assert linked.decide("WriteArtifact", {"path": "deploy/x.yml", "content": ""}).behavior == "ask"


def test_session_rules_are_added(project: Path) -> None:
    first = engine(project)
    assert first.decide("Bash", {"command": "npm test"}).behavior == "ask"
    second = first.with_rules(Rules.parse(allow=["Bash(npm test)"]))
    assert second.decide("Bash", {"command": "npm test"}).behavior == "allow"
    assert first.decide("Bash", {"command": "npm test"}).behavior == "ask"


def test_a_failure_inside_is_a_deny(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(permission_paths, "contained", broken)
    decision = engine(project, mode="bypassPermissions").decide("Read", {"file_path": "a"})
    assert decision.behavior == "deny"
    assert "RuntimeError" in decision.reason


def test_search_results_are_filtered_one_by_one(project: Path) -> None:
    searching = engine(project, deny=("Read(secrets/**)",))
    assert searching.readable("src/a.py")
    assert not searching.readable("secrets/key")
    assert not searching.readable("/etc/passwd")


# --- suggestions and explanations ---


@pytest.mark.parametrize(
    ("tool", "tool_input"),
    [
        ("Bash", {"command": "npm run build"}),
        ("Bash", {"command": "npm run 'a b' \"c d\" e\\ f"}),
        ("Bash", {"command": "grep -x 'a*b' f && npm i"}),
        ("Bash", {"command": "npm i ''"}),
        ("Bash", {"command": "timeout 5 npm i"}),
        ("Bash", {"command": "npm i 'it'\\''s'"}),
        ("Read", {"file_path": "/srv/data/a[1].txt"}),
        ("Write", {"file_path": "src/a*b.txt", "content": ""}),
        ("Write", {"file_path": "/srv/data/x", "content": ""}),
        ("WebFetch", {"url": "https://x.test/y"}),
        ("WebSearch", {"query": "x"}),
        ("mcp__a__b", {}),
    ],
)
def test_the_suggested_rule_allows_the_call_and_little_more(
    project: Path, tool: str, tool_input: dict[str, str]
) -> None:
    before = engine(project)
    decision = before.decide(tool, tool_input)
    assert decision.behavior == "ask"
    assert decision.suggestion is not None
    after = before.with_rules(Rules.parse(allow=[decision.suggestion], anchor=project))
    assert after.decide(tool, tool_input).behavior == "allow", decision.suggestion
    assert after.decide("Bash", {"command": "npm run other"}).behavior == "ask"


WORDS = st.lists(st.text(alphabet=string.ascii_letters + " *'\"\\$;&|-_=/.[]{}", max_size=8), max_size=4)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(WORDS)
def test_a_suggested_rule_allows_exactly_its_command(words: list[str]) -> None:
    cwd = Path("/nonexistent/proj")
    command = " ".join(["deploy-tool", *("'" + word.replace("'", "'\\''") + "'" for word in words)])
    start = PermissionEngine(Rules(), cwd=cwd, home=Path("/nonexistent/home"))
    decision = start.decide("Bash", {"command": command})
    assert decision.behavior == "ask"
    if decision.suggestion is None:
        return
    after = start.with_rules(Rules.parse(allow=[decision.suggestion]))
    assert after.decide("Bash", {"command": command}).behavior == "allow", decision.suggestion
    assert after.decide("Bash", {"command": f"{command} more"}).behavior == "ask"
    assert after.decide("Bash", {"command": "deploy-tool other"}).behavior == "ask" or words == ["other"]


@pytest.mark.parametrize(
    "command",
    [
        "bash x.sh",
        "sudo ls",
        "env A=1 x",
        "eval x",
        "x=1 npm i",
        "npm i $X",
        "rm -rf /",
        "find . -delete",
        "xargs rm",
        "cp a .git/x",
    ],
)
def test_no_rule_is_suggested_where_none_should_be(project: Path, command: str) -> None:
    assert engine(project).decide("Bash", {"command": command}).suggestion is None


def test_an_explanation_names_rule_part_and_way_out(project: Path) -> None:
    text = explain(engine(project), "Bash", {"command": "git status && npm run build"})
    assert text.splitlines()[0].startswith("ASK")
    assert "part: npm run build" in text
    assert "narrowest rule: Bash(npm run build)" in text
    denied = explain(engine(project, deny=("Bash(rm:*)",)), "Bash", {"command": "rm x"})
    assert denied.startswith("DENY")
    assert "rule: Bash(rm:*)" in denied


def test_explanations_speak_korean(project: Path) -> None:
    korean = PermissionEngine(Rules(), cwd=project, home=project, language="ko")
    text = explain(korean, "Bash", {"command": "terraform destroy"})
    assert text.startswith("확인 필요")
    assert "파괴" in text


def test_explanations_show_control_characters(project: Path) -> None:
    text = explain(engine(project), "Bash", {"command": "npm \x1b[2J\u202e x\r"})
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\r" not in text
    assert "U+001B" in text


def test_messages_are_complete_in_both_languages() -> None:
    def placeholders(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for key, texts in messages().items():
        assert set(texts) == {"en", "ko"}, key
        assert placeholders(texts["en"]) == placeholders(texts["ko"]), key


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("terraform plan", "plan"),
        ("terraform show", "read"),
        ("terraform apply", "change"),
        ("terraform apply -destroy", "destroy"),
        ("kubectl get pods", "read"),
        ("kubectl apply -f x --dry-run=server", "plan"),
        ("kubectl -n a delete pod x", "destroy"),
        ("helm upgrade a b", "change"),
        ("docker compose down", "change"),
        ("docker compose down -v", "destroy"),
        ("aws s3 ls", "read"),
        ("aws ec2 run-instances", "change"),
        ("gh pr list", "read"),
        ("gh api -X DELETE x", "destroy"),
        ("git push", "change"),
        ("git push --dry-run", "plan"),
        ("git push -f", "destroy"),
        ("git status", None),
        ("psql -c 'select 1'", "read"),
        ("psql -c 'insert into a values (1)'", "change"),
        ("psql -c 'drop table a'", "destroy"),
        ("redis-cli get a", "read"),
        ("redis-cli flushall", "destroy"),
        ("terraform plan && terraform destroy", "destroy"),
        ("ls", None),
    ],
)
def test_infrastructure_commands_have_a_class(project: Path, command: str, kind: str | None) -> None:
    assert engine(project).decide("Bash", {"command": command}).command_class == kind


# --- batch ---


MALFORMED = ["{", "[]", "1", '"x"', "{}", '{"id":1}', "[" * 100_000]
MALFORMED += [
    json.dumps({"id": 1, **fields})
    for fields in (
        {"tool": "Bash"},
        {"tool": 1, "input": {}},
        {"tool": "Bash", "input": 1},
        {"tool": "Read", "input": {}, "mode": "x"},
        {"tool": "Read", "input": {}, "mode": ["x"]},
        {"tool": "Read", "input": {}, "rules": []},
        {"tool": "Read", "input": {}, "rules": {"deny": ["Bash("]}},
        {"tool": "Read", "input": {}, "rules": {"deny": "x"}},
        {"tool": "Read", "input": {}, "cwd": 1},
        {"tool": "Read", "input": {}, "cwd": "relative"},
        {"tool": "Read", "input": {}, "delegation": [1]},
    )
]


@pytest.mark.parametrize("line", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_line_is_denied_and_the_next_one_is_read(line: str) -> None:
    good = json.dumps({"id": "ok", "tool": "Bash", "input": {"command": "ls"}, "cwd": "/none/p", "home": "/none/h"})
    first, second = [json.loads(answer) for answer in explain_batch([line, "", good])]
    assert first["decision"] == "deny"
    assert first["reason"].startswith("malformed: ")
    assert second["id"] == "ok"
    assert second["decision"] == "allow"


@pytest.mark.slow
def test_ten_thousand_lines_in_twenty_seconds(project: Path) -> None:
    rules = {
        "allow": ["Bash(npm run:*)", "Bash(git commit:*)"],
        "ask": ["Bash(git push:*)"],
        "deny": ["Bash(curl:*)", "Read(.env)"],
    }
    case = {
        "rules": rules,
        "mode": "default",
        "cwd": str(project),
        "home": str(project.parent / "home"),
        "tool": "Bash",
    }
    command = "cd web && npm run build{n} 2>&1 | tail -{n} && git commit -m 'step {n}; ok'"
    lines = [json.dumps({**case, "id": n, "input": {"command": command.format(n=n)}}) for n in range(1_000)]
    start = time.process_time()
    answers = [json.loads(answer) for answer in explain_batch(lines)]
    assert time.process_time() - start < 2  # a tenth of the lines
    assert [answer["id"] for answer in answers] == list(range(1_000))
    assert {answer["decision"] for answer in answers} == {"allow"}


def test_a_decision_takes_about_a_millisecond(project: Path) -> None:
    deciding = engine(
        project, allow=("Bash(npm run:*)", "Edit(src/**)"), deny=("Bash(rm:*)", "Read(.env)", "Read(secrets/**)")
    )
    calls = [
        ("Bash", {"command": "npm run build 2>&1 | tail -20"}),
        ("Bash", {"command": "git status && git diff --stat"}),
        ("Read", {"file_path": "src/app.py"}),
        ("Write", {"file_path": "src/app.py", "content": ""}),
    ]
    for call in calls:
        deciding.decide(*call)
    taken = []
    for call in calls * 50:
        start = time.process_time()
        assert isinstance(deciding.decide(*call), Decision)
        taken.append(time.process_time() - start)
    assert statistics.median(taken) < 0.001


def test_a_decision_is_described_without_an_engine() -> None:
    assert describe(Decision("deny", "Bash(rm:*)", "Denied by Bash(rm:*).")).startswith("DENY")
