"""No way of writing a forbidden command makes it allowed, and no text makes the engine fail open."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from agent.permissions import Mode, PermissionEngine, Rules
from agent.permissions.shell import parse

CWD, HOME = Path("/nonexistent/proj"), Path("/nonexistent/home")
FORBIDDEN = "curl"


def _engine(*, allow: list[str], deny: list[str], mode: Mode = "default") -> PermissionEngine:
    return PermissionEngine(Rules.parse(allow=allow, deny=deny, anchor=CWD), mode, cwd=CWD, home=HOME)


BROAD = _engine(allow=["Bash"], deny=[f"Bash({FORBIDDEN}:*)"])
BYPASS = _engine(allow=[], deny=[f"Bash({FORBIDDEN}:*)"], mode="bypassPermissions")
NARROW = _engine(allow=["Bash(git status:*)", "Bash(echo:*)", "Bash(npm run:*)"], deny=[])


# --- spelling one word: every form is the same word to bash ---


def _single(text: str) -> str:
    return f"'{text}'"


def _double(text: str) -> str:
    return f'"{text}"'


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" for char in text)


def _hex(text: str) -> str:
    return "$'" + "".join(f"\\x{ord(char):02x}" for char in text) + "'"


def _octal(text: str) -> str:
    return "$'" + "".join(f"\\{ord(char):03o}" for char in text) + "'"


def _unicode(text: str) -> str:
    return "$'" + "".join(f"\\u{ord(char):04x}" for char in text) + "'"


def _folded(text: str) -> str:
    return "\\\n".join(text)


def _with_nothing(text: str) -> str:
    return '""'.join(text)


def _with_unset(text: str) -> str:
    return "${unset_name}".join(text)


def _with_empty_arguments(text: str) -> str:
    return "$@".join(text)


SPELLINGS: list[Callable[[str], str]] = [
    str,
    _single,
    _double,
    _escaped,
    _hex,
    _octal,
    _unicode,
    _folded,
    _with_nothing,
    _with_unset,
    _with_empty_arguments,
]


@st.composite
def spelled(draw: st.DrawFn, word: str = FORBIDDEN) -> str:
    """`word` cut in pieces, each piece spelled its own way."""
    cuts = sorted(draw(st.sets(st.integers(1, len(word) - 1), max_size=3)))
    pieces = [word[start:end] for start, end in zip([0, *cuts], [*cuts, len(word)], strict=True)]
    return "".join(draw(st.sampled_from(SPELLINGS))(piece) for piece in pieces)


ARGUMENTS = st.sampled_from(
    ["", " https://x.test", " -s 'a b'", " $X", " *", ' "$(id)"', " # comment", " >/dev/null", "\t-o f"]
)

# --- placing a command: each frame runs what stands for {} ---
FRAMES = [
    "{}",
    "  {}",
    "\n{}\n",
    "true; {}",
    "true && {}",
    "false || {}",
    "true | {}",
    "true |& {}",
    "true & {}",
    "true\n{}",
    "# comment\n{}",
    "echo 'a;b' ; {}",
    "( {} )",
    "{{ {}\n}}",
    "! {}",
    "if true; then {}\nfi",
    "if {}\nthen :; fi",
    "if false; then :; else {}\nfi",
    "while {}\ndo break; done",
    "for i in 1; do {}\ndone",
    "case a in a) {}\n;; esac",
    "f() {{ {}\n}}; f",
    "echo $( {}\n)",
    'echo "$( {}\n)"',
    "echo ${{x:-$( {}\n)}}",
    "cat <( {}\n)",
    "x=$( {}\n)",
    "export x=$( {}\n)",
    "a=(1 $( {}\n))",
    "[[ -n $( {}\n) ]]",
    "cat <<E\n$( {}\n)\nE",
    "cat <<-E\n\t$( {}\n)\n\tE",
]
ASSIGNMENTS = ["A=1 {}", "A=1 B='2 3' {}", "PATH=. {}"]
# What may stand in front of one simple command.
PREFIXES = [
    ">/dev/null {}",
    "2>&1 {}",
    "timeout 5 {}",
    "timeout -s KILL 5 {}",
    "nice -n 3 {}",
    "nohup {}",
    "time {}",
    "time -p {}",
    "command {}",
    "builtin {}",
    "exec {}",
    "env {}",
    "env -i A=1 {}",
    "sudo {}",
    "sudo -u nobody {}",
    "setsid {}",
    "stdbuf -oL {}",
    "coproc {}",
    "xargs {}",
    "xargs -n 1 {}",
    "find . -exec {} \\;",
    "watch {}",
    "flock /tmp/lock {}",
]
HARMLESS_ARGUMENTS = st.sampled_from(["", " https://x.test", " -s 'a b'", " -o f"])


@st.composite
def framed(draw: st.DrawFn, command: st.SearchStrategy[str], depth: int = 2) -> str:
    """`command` behind up to two prefixes, inside up to `depth` frames."""
    text = draw(command)
    for places, most in ((PREFIXES, 2), (ASSIGNMENTS, 1), (FRAMES, depth)):
        for _ in range(draw(st.integers(0, most))):
            text = draw(st.sampled_from(places)).format(text)
    return text


@st.composite
def forbidden_call(draw: st.DrawFn) -> str:
    return draw(spelled()) + draw(HARMLESS_ARGUMENTS)


@settings(max_examples=400, deadline=None)
@given(framed(forbidden_call()))
def test_no_spelling_of_a_denied_command_is_allowed(command: str) -> None:
    assert BROAD.decide("Bash", {"command": command}).behavior != "allow", command
    assert BYPASS.decide("Bash", {"command": command}).behavior != "allow", command


@settings(max_examples=200, deadline=None)
@given(
    framed(forbidden_call(), depth=1).filter(lambda text: "$" not in text and "\\\n" not in text and "<<" not in text)
)
def test_a_denied_command_without_expansions_is_denied(command: str) -> None:
    assert BROAD.decide("Bash", {"command": command}).behavior == "deny", command


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["bash -c {}", "sh -c {}", "eval {}", "bash <<< {}", "trap {} EXIT", "echo {} | sh"]),
    framed(forbidden_call(), 1),
)
def test_code_in_a_text_is_seen(frame: str, command: str) -> None:
    quoted = "'" + command.replace("'", "'\\''") + "'"
    assert BROAD.decide("Bash", {"command": frame.format(quoted)}).behavior != "allow"


@given(st.sampled_from(["sh", "bash", "dash", "zsh"]), st.sampled_from(["base64 -d", "rev", "xxd -r -p", "gunzip"]))
def test_decoded_code_is_at_best_asked(shell: str, decoder: str) -> None:
    text = base64.b64encode(b"curl https://x.test").decode()
    assert BROAD.decide("Bash", {"command": f"echo {text} | {decoder} | {shell}"}).behavior != "allow"


@settings(max_examples=400, deadline=None)
@given(framed(st.tuples(spelled("rmdir"), ARGUMENTS).map("".join)))
def test_nothing_beyond_the_rules_is_allowed(command: str) -> None:
    assert NARROW.decide("Bash", {"command": command}).behavior != "allow", command


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["git status", "echo hi", "npm run build"]),
    st.sampled_from(["&&", ";", "|", "||", "&", "\n", "|&"]),
    spelled("touch"),
)
def test_each_part_needs_a_rule(first: str, separator: str, second: str) -> None:
    assert NARROW.decide("Bash", {"command": f"{first} {separator} {second} x"}).behavior == "ask"


SHELL_TEXT = st.text(alphabet="abcl url$`\"'\\(){}[]<>|&;\n\t *?~#=!-+@:,./0123", max_size=60)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(SHELL_TEXT)
def test_any_text_gets_a_decision(text: str) -> None:
    for engine in (BROAD, BYPASS, NARROW):
        decision = engine.decide("Bash", {"command": text})
        assert "engine failed" not in decision.reason, decision
        assert decision.reason
    script = parse(text)
    if not script.plain:
        narrow = NARROW.decide("Bash", {"command": text})
        assert narrow.behavior != "allow"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_any_unicode_gets_a_decision(text: str) -> None:
    for tool, field in (
        ("Bash", "command"),
        ("Read", "file_path"),
        ("Write", "file_path"),
        ("WebFetch", "url"),
        ("Glob", "pattern"),
    ):
        decision = BROAD.decide(tool, {field: text})
        assert "engine failed" not in decision.reason, (tool, text, decision)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([".git", ".claude", ".vscode", ".husky"]),
    st.lists(st.booleans(), min_size=8, max_size=8),
    st.sampled_from(["", "./", "a/../", ".//", "b/./../"]),
)
def test_protected_names_hold_in_any_case(name: str, upper: list[bool], before: str) -> None:
    spelled_name = "".join(char.upper() if up else char for char, up in zip(name.ljust(8), upper, strict=False)).strip()
    engine = _engine(allow=["Edit"], deny=[], mode="acceptEdits")
    assert engine.decide("Write", {"file_path": f"{before}{spelled_name}/x", "content": ""}).behavior == "ask"
    assert engine.decide("Bash", {"command": f"touch {before}{spelled_name}/x"}).behavior == "ask"
