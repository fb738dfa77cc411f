"""The parsers below the gates: what they read, and that no text breaks them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools.devops.checks.dockerfile import read_dockerfile
from tools.devops.checks.dockerignore import Patterns
from tools.devops.checks.documents import parse_json, parse_toml, parse_yaml
from tools.devops.checks.env_example import parse_env
from tools.devops.checks.hcl import parse_hcl
from tools.devops.checks.railway_program import parse_program
from tools.devops.checks.secret_patterns import find_secrets
from tools.devops.checks.tree import BadFileError, Tree, join
from tools.devops.checks.vercel import glob_regex
from tools.devops.cron import shortest_gap_minutes
from tools.devops.types import Finding

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc :#'\"\n가", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


def _problem(parse: Callable[[str, str], object], text: str) -> Finding | None:
    try:
        parse("f", text)
    except BadFileError as error:
        return error.finding
    return None


@given(TEXT)
def test_no_text_breaks_a_parser(text: str) -> None:
    for parse in (read_dockerfile, parse_yaml, parse_json, parse_toml):
        problem = _problem(parse, text)
        assert problem is None or (problem.file == "f" and 0 <= problem.line <= text.count("\n") + 2)
    parse_env(text)
    parse_hcl("f", text)
    parse_program("f", text)
    list(find_secrets(text))
    Patterns(text)("a/b.txt")


# --- YAML, JSON, TOML ------------------------------------------------------------------------------------------


@given(JSON)
def test_json_is_read_like_json_and_every_path_has_a_line(value: Any) -> None:
    text = json.dumps(value, indent=1)
    document = parse_json("f", text)
    assert document.value == value
    lines = text.split("\n")
    for path, line in document.lines.items():
        if path and isinstance(path[-1], str):
            assert json.dumps(path[-1]) in lines[line - 1]


@given(JSON.filter(lambda value: value is not None))
def test_yaml_is_read_like_yaml(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=False)
    (document,) = parse_yaml("f", text)
    assert document.value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: push", {"on": "push"}),
        ("a: yes", {"a": "yes"}),
        ("a: 22:22", {"a": "22:22"}),
        ("a: 0644", {"a": 420}),
        ("a: 0x1f", {"a": 31}),
        ("a: 1.5", {"a": 1.5}),
        ("a: '15'", {"a": "15"}),
        ("a: 2026-01-01", {"a": "2026-01-01"}),
        ("x: &x {a: 1}\ny: {<<: *x, b: 2}", {"x": {"a": 1}, "y": {"a": 1, "b": 2}}),
        ("a: !Ref B\nc: !Sub x", {"a": {"Ref": "B"}, "c": {"Fn::Sub": "x"}}),
    ],
)
def test_yaml_follows_the_core_schema(text: str, value: Any) -> None:
    assert parse_yaml("f", text)[0].value == value


def test_yaml_lines_are_those_of_the_keys() -> None:
    (first, second) = parse_yaml("f", "a:\n  b:\n    - 1\n    - c: 2\n---\nd: 1\n")
    assert first.line("a", "b", 1, "c") == 4
    assert first.line("a", "b", 7) == 2
    assert second.line("d") == 6


def test_toml_lines_follow_tables_and_arrays() -> None:
    text = '[build]\ncommand = "x"\n\n[[headers]]\nfor = "/a"\n[headers.values]\nX = "1"\n[[headers]]\nfor = "/b"\n'
    document = parse_toml("f", text)
    assert document.line("build", "command") == 2
    assert document.line("headers", 0, "values", "X") == 7
    assert document.line("headers", 1, "for") == 9


# --- Dockerfile ------------------------------------------------------------------------------------------------


def test_a_dockerfile_is_read_as_buildkit_reads_it() -> None:
    text = (
        "# escape=`\nARG TAG=3.13\nFROM python:${TAG}-slim AS Base\nRUN a && `\n  # a comment\n\n  b\n"
        'RUN <<EOF\nUSER nobody\nEOF\nFROM base\nCOPY --from=base --chown=1:1 a b\nCMD ["x", "y"]\n'
    )
    parsed = read_dockerfile("Dockerfile", text)
    assert [(stage.image, stage.name, stage.line) for stage in parsed.stages] == [
        ("python:3.13-slim", "base", 3),
        ("base", None, 11),
    ]
    assert [(item.keyword, item.line) for item in parsed.stages[0].instructions] == [("RUN", 4), ("RUN", 8)]
    assert parsed.stages[0].instructions[0].value == "a && b"
    assert parsed.stages[0].instructions[1].heredocs == ("USER nobody",)
    copy, command = parsed.stages[1].instructions
    assert copy.flag("from") == "base"
    assert copy.words == ("a", "b")
    assert command.exec_form == ("x", "y")
    assert parsed.final == (parsed.stages[1], parsed.stages[0])


# --- small languages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        (".env\n.env.*\n!.env.example", ".env.example", False),
        (".env*", ".env.local", True),
        ("**/*.pyc", "a/b/c.pyc", True),
        ("node_modules", "node_modules/a/b.js", True),
        ("node_modules", "web/node_modules/a.js", False),
        ("*\n!src", "src/a.ts", False),
        ("# a\n/docs/", "docs/a.md", True),
        ("[ab].txt", "b.txt", True),
        ("[", "[", True),
    ],
)
def test_dockerignore_patterns(patterns: str, path: str, ignored: bool) -> None:
    assert Patterns(patterns)(path) is ignored


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("*/5 * * * *", 5),
        ("*/7 * * * *", 4),
        ("0 3 * * *", 1440),
        ("0 */6 * * 1-5", 360),
        ("0,1 4 * * *", 1),
        ("* * * *", None),
        ("60 * * * *", None),
        ("a * * * *", None),
    ],
)
def test_the_shortest_gap_of_a_cron_expression(expression: str, gap: int | None) -> None:
    assert shortest_gap_minutes(expression) == gap


@given(st.integers(1, 59), st.integers(0, 59), st.integers(0, 23))
def test_a_step_never_fires_more_often_than_it_says(step: int, minute: int, hour: int) -> None:
    assert 1 <= (shortest_gap_minutes(f"*/{step} * * * *") or 0) <= step
    assert shortest_gap_minutes(f"{minute} {hour} * * *") == 1440


def test_env_values_may_be_quoted_and_span_lines() -> None:
    entries, problems = parse_env("export A=1 # note\nB=\"x\ny\"\nC='#'\n# D=1\n\nE\n")
    assert [(entry.name, entry.value, entry.line) for entry in entries] == [
        ("A", "1", 1),
        ("B", "x\ny", 2),
        ("C", "#", 4),
    ]
    assert [line for line, _message in problems] == [7]


def test_hcl_blocks_have_labels_attributes_and_lines() -> None:
    lines = [
        "# c",
        'resource "a" "b" {',
        '  x = "}" # }',
        "  y = [",
        "    1,",
        "  ]",
        "  z {",
        "    t = <<EOT",
        "}",
        "EOT",
        "    u = true",
        "  }",
        "}",
        'variable "v" {}',
    ]
    text = "\n".join(lines)
    top = parse_hcl("f", text)
    first, second = top.blocks
    assert (first.kind, first.labels, first.line) == ("resource", ("a", "b"), 2)
    assert first.text("x") == "}"
    assert first.attributes["y"][1] == 4
    assert next(first.all("z")).text("u") == "true"
    assert (second.labels, second.line) == (("v",), 14)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("api/**/*.ts", "api/a.ts", True),
        ("api/**/*.ts", "api/x/y/a.ts", True),
        ("api/*.{js,ts}", "api/a.js", True),
        ("api/*.ts", "api/x/a.ts", False),
        ("a+b.ts", "aab.ts", False),
    ],
)
def test_function_globs(pattern: str, path: str, matches: bool) -> None:
    import re

    assert bool(re.fullmatch(glob_regex(pattern), path)) is matches


# --- secrets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "DATABASE_URL=postgresql://app:app@localhost:5432/app",
        "url: postgres://user:password@db:5432/app",
        "url: postgres://user:${PASSWORD}@db.example.org:5432/app",
        "SECRET_KEY=change-me-in-production",
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "api_key = os.environ['API_KEY']",
        "uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
        "password: {{ lookup('vault', 'x') }}",
        "AKIAIOSFODNN7EXAMPLE",
        "sk_test_xxxxxxxxxxxxxxxxxxxx",
        "token_url: https://auth.example.com/oauth/token/v1/endpoint",
        "secretName: catalog-api-production-credentials",
        "the secret: never-commit-real-values-to-git",
    ],
)
def test_placeholders_and_references_are_no_secrets(text: str) -> None:
    assert list(find_secrets(text)) == []


@given(TEXT, TEXT)
def test_a_secret_is_found_on_its_line_whatever_stands_around(before: str, after: str) -> None:
    token = "ghp_" + "a8Kd93jDk2LmZq71XcVbN4pQrS5tUv6Wx0Yz"
    found = list(find_secrets(f"{before}\n{token}\n{after}"))
    assert (("GitHub token", before.count("\n") + 2)) in [(secret.what, secret.line) for secret in found]


# --- tree ------------------------------------------------------------------------------------------------------


def test_links_are_followed_inside_the_project_only(tmp_path: Path) -> None:
    root = tmp_path / "p"
    (root / "a").mkdir(parents=True)
    (root / "a/real").write_text("x")
    (root / "inside").symlink_to("a/real")
    (root / "outside").symlink_to(tmp_path)
    (root / "circle").symlink_to("circle")
    tree = Tree(root)
    assert tree.text("inside") == "x"
    assert "outside" not in tree.files
    with pytest.raises(BadFileError):
        tree.text("circle")


@pytest.mark.parametrize(
    ("folder", "path", "joined"),
    [("a/b", "../c", "a/c"), (".", "./x", "x"), ("a", "../../x", None), (".", "/etc", None)],
)
def test_joined_paths_stay_inside(folder: str, path: str, joined: str | None) -> None:
    assert join(folder, path) == joined
