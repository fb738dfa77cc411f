"""Headers of real files are read; nothing but `FrontmatterError` comes out of bad ones."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools.frontmatter import MAX_DEPTH, FrontmatterError, load_yaml, parse


@pytest.mark.parametrize(
    ("text", "header", "body"),
    [
        ("just text", {}, "just text"),
        ("", {}, ""),
        ("---\n---\nbody", {}, "body"),
        ("---\na: 1\n---\n\nbody\n", {"a": 1}, "body"),
        ("\ufeff---\r\na: b\r\n---\r\nx\r\ny", {"a": "b"}, "x\ny"),
        ("---  \na: b\n---\t\n---\nrest", {"a": "b"}, "---\nrest"),
        ("---\nauthor: @lumen\n---", {"author": "@lumen"}, ""),
        ("---\ndescription: Use this: now, it's urgent\n---", {"description": "Use this: now, it's urgent"}, ""),
        ("---\npaths: **/*.ts\nname: x\n---", {"paths": "**/*.ts", "name": "x"}, ""),
        ("---\nd: |\n  a: b: c\n  d\ne: f: g\n---", {"d": "a: b: c\nd\n", "e": "f: g"}, ""),
        (
            '---\nhint: [file] [mode]\nsaid: "Go" or: stop\nlist: [a,\n  b]\n---',
            {"hint": "[file] [mode]", "said": '"Go" or: stop', "list": ["a", "b"]},
            "",
        ),
        ("---\nd: Use: it's\n  now: <x>\n\n  end\nname: x\n---", {"d": "Use: it's now: <x>\nend", "name": "x"}, ""),
        ("---\nl:\n  - a: b: c\n    d: e\n---", {"l": [{"a": "b: c", "d": "e"}]}, ""),
        ("---\non: push\ndate: 2026-03-02\nv: 1.10\nw: '1.10'\nn:\n---", None, ""),
    ],
)
def test_readable(text: str, header: dict[str, Any] | None, body: str) -> None:
    expected = {"on": "push", "date": "2026-03-02", "v": 1.1, "w": "1.10", "n": None} if header is None else header
    assert parse(text) == (expected, body)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("---\na: 1\nno end", 1, "never closed"),
        ("---\na: 1\nb: [x\n---", 4, "did not find"),
        ("---\na: 1\na: 2\n---", 3, "twice"),
        ("---\na: &x [1]\nb: *x\n---", 2, "aliases"),
        ("---\n- a\n- b\n---", 2, "key: value"),
        ("---\na: \x07\n---", 2, "character"),
        ("---\nb: 1\na: \ud800\n---", 3, "Unicode"),
        ("---\n? [a]\n: b\n---", 2, "plain text"),
        ("---\na: " + "[" * 30_000 + "\n---", 2, "deeper"),
        ("---\na: " + "x" * 70_000 + "\n---", 2, "more than"),
    ],
)
def test_unreadable(text: str, line: int, reason: str) -> None:
    with pytest.raises(FrontmatterError, match=reason) as caught:
        parse(text)
    assert caught.value.line == line


def test_one_document_only() -> None:
    with pytest.raises(FrontmatterError, match="more than one"):
        load_yaml("a: 1\n---\nb: 2\n")


def test_depth_limit_is_exact() -> None:
    assert load_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    with pytest.raises(FrontmatterError):
        load_yaml("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_tags_do_not_make_objects() -> None:
    assert load_yaml("a: !!python/object/apply:os.system [id]\nb: !!timestamp x") == {"a": ["id"], "b": "x"}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"---\n{text}\n---\nbody"):
        with suppress(FrontmatterError):
            header, _ = parse(candidate)
            json.dumps(header, allow_nan=False)


@given(st.text(alphabet="ab:-#'\"[]{}|>&*!%@`,?~ \n\t0.1", max_size=60))
def test_any_yaml_soup_is_read_or_refused(text: str) -> None:
    with suppress(FrontmatterError):
        json.dumps(parse(f"---\n{text}\n---")[0], allow_nan=False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz_-", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcxyz", min_size=1), VALUES, max_size=4), st.text("ab \n#", max_size=20))
def test_what_a_yaml_writer_writes_is_read_back(header: dict[str, Any], body: str) -> None:
    written = yaml.safe_dump(header, allow_unicode=False, sort_keys=False)
    assert parse(f"---\n{written}---\n{body}") == (header, body.strip("\n"))


# No "#": after a blank it begins a comment, and the line is YAML as it stands.
TEXT = st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="#")


@given(st.text(TEXT, min_size=1).map(str.strip))
def test_an_unquoted_sentence_with_a_colon_is_kept(words: str) -> None:
    if not words or words[0] in "|>'\"[{&":
        return
    header, _ = parse(f"---\ndescription: {words}: and then: more\nname: x\n---")
    assert header["name"] == "x"
    assert header["description"] == f"{words}: and then: more"
