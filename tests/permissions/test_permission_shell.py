"""Traps of the shell parser, one by one: what it gets wrong must not matter."""

from __future__ import annotations

import pytest

from agent.permissions.shell import parse
from agent.permissions.syntax import OTHER, PLAIN
from agent.permissions.words import Unclear, read_word, split, unfold


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls -la", [["ls", "-la"]]),
        ("git > /dev/null push origin 2>&1 main", [["git", "push", "origin", "main"]]),  # hung under the redirection
        (">out cmd arg", [["cmd", "arg"]]),
        ("cat <<E | sh\nx\nE", [["cat"], ["sh"]]),  # the pipeline stands inside the heredoc
        ("cat <<'E' > f\n$(x) `y`\nE\nls", [["cat"], ["ls"]]),
        ("r\\\nm -rf x", [["rm", "-rf", "x"]]),  # one word in bash, two in the tree
        ("echo 'a'\"b\"c\\ d", [["echo", "abc d"]]),
        ("a && b || c; d & e | f", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
        ("(a; b) && { c; }", [["a"], ["b"], ["c"]]),
        ("if a; then b; else c; fi", [["a"], ["b"], ["c"]]),
        ("[ -f x ] && ! y", [["[", "-f", "x", "]"], ["y"]]),
        ("echo a#b # c\nls", [["echo", "a#b"], ["ls"]]),
        ("echo stash@{0} a{b}", [["echo", "stash@{0}", "a{b}"]]),
        ("écho 한글 '안 녕' # 주석", [["écho", "한글", "안 녕"]]),
        ("git commit -m \"$(cat <<'E'\nit's `x`\n\nE\n)\"", [["git", "commit", "-m", "it's `x`"]]),
    ],
)
def test_plain_commands_are_read_as_bash_reads_them(command: str, expected: list[list[str]]) -> None:
    script = parse(command)
    assert script.plain, (script.broken, script.unusual)
    assert [part.texts for part in script.parts if part.words and not part.nested] == expected


@pytest.mark.parametrize(
    "command",
    [
        "ls $x",
        "ls ${x}",
        "ls `x`",
        "ls $(x)",
        "ls <(x)",
        "ls {a,b}",
        "ls {1..3}",
        "ls $((1))",
        "ls $[1]",
        'ls $"x"',
        "$'\\x72m' x",
        "for i in a; do ls; done",
        "while a; do b; done",
        "case a in a) b;; esac",
        "f() { a; }",
        "export A=1",
        "unset A",
        "a=(1 2)",
        "a[0]=1",
        "[[ a == b ]]",
        "((i++))",
        "cat <<E\n$x\nE",
        "cat <<E\n`x`\nE",
        "cat <<-E\n\t$(x)\n\tE",
        "echo !(a)",
        "a <<A <<B\nA\nB",
        "a <> f",
        "'",
        "a |",
        "&& a",
        "(a",
        "! { a; }",
        "! while a; do b; done",
        "a\n\\b 'c'd",
        "> ]\\$x b",
        "echo \"$(cat <<'E'\nE\nx\nE\n)\"",
    ],
)
def test_anything_else_is_not_plain(command: str) -> None:
    assert not parse(command).plain


@pytest.mark.parametrize(
    "command",
    [
        "cat <<E\n`x`\nE",
        "echo ${y:-`x`}",
        "echo `echo \\`x\\``",
        "cat <<-E\n\t$(x)\n\tE",
        "! { x; }",
        "! { A=1 x; }",
        "! while x; do :; done",
        "true\n\\x",
        "echo \"$(cat <<'E'\nE\nx\nE\n)\"",
        "a && b >f x",
        "a=(1 $(x))",
        "f() { x; }",
        "[[ -n $(x) ]]",
        "echo $(echo $(echo $(x)))",
    ],
)
def test_hidden_commands_are_listed(command: str) -> None:
    listed = [text for part in parse(command).parts for text in part.texts]
    assert "x" in listed


def test_every_node_kind_of_the_grammar_is_known() -> None:
    import tree_sitter_bash
    from tree_sitter import Language

    language = Language(tree_sitter_bash.language())
    kinds = {
        language.node_kind_for_id(number)
        for number in range(language.node_kind_count)
        if language.node_kind_is_named(number) and language.node_kind_is_visible(number)
    }
    assert kinds <= PLAIN | set(OTHER)


def test_a_long_chain_needs_no_deep_stack() -> None:
    assert len(parse(" && ".join(["a"] * 5_000)).parts) == 5_000
    assert parse("(" * 1_000).broken
    assert parse("$(" * 1_000).broken


@pytest.mark.parametrize(
    "text", ["'a", '"a', "a$(b", "${a", "a`b", "a\\", "$'a", "$'\\x00'", "$'\\xff'", "$'\\cA'", "a=(b)"]
)
def test_unclear_words_are_not_guessed(text: str) -> None:
    with pytest.raises(Unclear):
        read_word(text)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("a\\ b", "a b"),
        ("'a\\b'", "a\\b"),
        ('"a\\b\\"\\$"', 'a\\b"$'),
        ("$'a\\tb\\'\\u00e9'", "a\tb'é"),
        ("''", ""),
        ("$", "$"),
        ("a$", "a$"),
    ],
)
def test_words_are_decoded(source: str, value: str) -> None:
    word, end = read_word(source)
    assert (word.text, word.kind, end) == (value, "literal", len(source))


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("*.py", "glob"),
        ("a[bc]", "glob"),
        ("a?", "glob"),
        ("[", "literal"),
        ("'*'", "literal"),
        ("\\*", "literal"),
        ("$x", "dynamic"),
        ('"$x"', "dynamic"),
        ("a{b,c}", "dynamic"),
        ("{}", "literal"),
        ("'{a,b}'", "literal"),
        ("`x`", "dynamic"),
        ("<(x)", "dynamic"),
    ],
)
def test_words_that_are_not_literal_are_known_as_such(source: str, kind: str) -> None:
    assert read_word(source)[0].kind == kind


def test_continuations_are_joined_where_bash_joins_them() -> None:
    assert unfold("a\\\nb") == "ab"
    assert unfold('"a\\\nb"') == '"ab"'
    assert unfold("'a\\\nb'") == "'a\\\nb'"
    assert unfold("a\\\\\nb") == "a\\\\\nb"
    for command in ("a # b\\\nc", "cat <<E\na\\\nb\nE", "$'a\\\nb'"):
        with pytest.raises(Unclear):
            unfold(command)


def test_the_second_reader_leaves_redirections_and_bodies_out() -> None:
    assert split("a >f 2>&1 b <<E c &>g; d\nx y\nE\ne") == [["a", "b", "c"], ["d"], ["e"]]
