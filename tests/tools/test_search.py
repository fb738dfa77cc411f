"""Grep and Glob: the same with ripgrep and without, in a fixed order, never outside the workspace."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.paths import only_readable
from tools.search import glob, grep
from tools.search.globs import file_filter, matcher, split_globs
from tools.tool import ToolContext, ToolError, ToolResult


def context(root: Path, *, ripgrep: bool) -> ToolContext:
    env = {"PATH": os.environ["PATH"] if ripgrep else ""}
    return ToolContext(root=root, cwd=root, scratch=root / "scratch", env=env)


@pytest.fixture(params=[pytest.param(True, marks=pytest.mark.needs("rg"), id="rg"), pytest.param(False, id="re2")])
def ctx(request: pytest.FixtureRequest, tmp_path: Path) -> ToolContext:
    return context(tmp_path, ripgrep=request.param)


def tree(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


async def lines(ctx: ToolContext, pattern: str, **options: Any) -> list[str]:
    result = await grep.invoke(ctx, {"pattern": pattern, "output_mode": "content", **options})
    assert isinstance(result.content, str)
    return [] if result.content.startswith("No matches") else result.content.split("\n")


async def test_names_are_the_default_sorted_by_path(ctx: ToolContext) -> None:
    tree(ctx.root, {"b.txt": "hit", "a/z.txt": "hit", "a.txt": "hit", "c.txt": "miss"})
    result = await grep.invoke(ctx, {"pattern": "hit"})
    assert result.content == "Found 3 files\na/z.txt\na.txt\nb.txt"
    assert result.data == {"mode": "files_with_matches", "numFiles": 3, "filenames": ["a/z.txt", "a.txt", "b.txt"]}


async def test_content_numbers_context_and_separators(ctx: ToolContext) -> None:
    tree(ctx.root, {"f": "1\n2\nhit\n4\n5\n6\n7\nhit\n9\n"})
    assert await lines(ctx, "hit") == ["f:3:hit", "f:8:hit"]
    assert await lines(ctx, "hit", **{"-n": False}) == ["f:hit", "f:hit"]
    assert await lines(ctx, "hit", **{"-C": 1}) == ["f-2-2", "f:3:hit", "f-4-4", "--", "f-7-7", "f:8:hit", "f-9-9"]
    assert await lines(ctx, "hit", **{"-A": 1, "head_limit": 2}) == [
        "f:3:hit",
        "f-4-4",
        "[There is more. Go on with offset=2, or narrow the search.]",
    ]
    assert await lines(ctx, "hit", **{"-B": 1}) == ["f-2-2", "f:3:hit", "--", "f-7-7", "f:8:hit"]
    assert await lines(ctx, "hit", context=4) == await lines(ctx, "hit", **{"-C": 4})


async def test_counts_only_matching_and_case(ctx: ToolContext) -> None:
    tree(ctx.root, {"f": "Ab ab\nAB\nx\n", "g": "ab\n"})
    result = await grep.invoke(ctx, {"pattern": "ab", "-i": True, "output_mode": "count"})
    assert result.content == "f:2\ng:1\n[3 matching lines in 2 files]"
    assert result.data["numMatches"] == 3
    assert await lines(ctx, "[aA]b", **{"-o": True}) == ["f:1:Ab", "f:1:ab", "g:1:ab"]


async def test_paging(ctx: ToolContext) -> None:
    tree(ctx.root, {f"f{n:03}": "hit" for n in range(300)})
    first = await grep(ctx, "hit")
    assert first.data["numFiles"] == first.data["appliedLimit"] == 250
    rest = await grep(ctx, "hit", offset=250)
    assert rest.data["filenames"] == [f"f{n:03}" for n in range(250, 300)]
    assert "appliedLimit" not in rest.data
    assert (await grep(ctx, "hit", head_limit=0)).data["numFiles"] == 300
    assert "No matches found after the first 400" in str((await grep(ctx, "hit", offset=400)).content)


async def test_multiline(ctx: ToolContext) -> None:
    tree(ctx.root, {"f": "start {\n  body\n}\nend\n"})
    assert await lines(ctx, r"start.*\}", multiline=True) == ["f:1:start {", "f:2:  body", "f:3:}"]
    with pytest.raises(ToolError, match=r"newline|not allowed"):
        await lines(ctx, "a\\nb")


async def test_ignored_hidden_and_binary_files(ctx: ToolContext) -> None:
    tree(
        ctx.root,
        {
            ".gitignore": "*.log\n/build/\nnode_modules/\n!keep.log\n\\\n",
            "sub/.gitignore": "secret*\n!*.log\n",
            "a.log": "hit",
            "keep.log": "hit",
            "build/x": "hit",
            "sub/build/x": "hit",
            "sub/secret.txt": "hit",
            "sub/b.log": "hit",
            "node_modules/p/i.js": "hit",
            ".github/workflows/ci.yml": "hit",
            ".git/config": "hit",
            "image.bin": b"hit\0hit",
            "utf16.txt": "\ufeffhit\n".encode("utf-16-le"),
            "bom.txt": "\ufeffhit\n",
            "latin.txt": b"caf\xe9 hit\n",
        },
    )
    result = await grep(ctx, "^hit|hit$")
    assert result.data["filenames"] == [
        ".github/workflows/ci.yml",
        "bom.txt",
        "keep.log",
        "latin.txt",
        "sub/b.log",
        "sub/build/x",
        "utf16.txt",
    ]
    inside = await grep(ctx, "hit", path="node_modules")
    assert inside.data["filenames"] == ["node_modules/p/i.js"]
    one = await grep(ctx, "hit", path="a.log")
    assert one.data["filenames"] == ["a.log"]


async def test_globs_and_types_choose_files(ctx: ToolContext) -> None:
    names = ["a.py", "b.ts", "src/c.tsx", "src/d.py", "Dockerfile", "src/x/e.yml", "go.lock"]
    tree(ctx.root, dict.fromkeys(names, "hit"))

    async def found(**options: Any) -> list[str]:
        filenames: list[str] = (await grep.invoke(ctx, {"pattern": "hit", **options})).data["filenames"]
        return filenames

    assert await found(glob="*.py") == ["a.py", "src/d.py"]
    assert await found(glob="*.{ts,tsx}") == ["b.ts", "src/c.tsx"]
    assert await found(glob="*.ts, *.tsx") == ["b.ts", "src/c.tsx"]
    assert await found(glob="src/**/*.yml") == ["src/x/e.yml"]
    assert await found(glob="src/*") == ["src/c.tsx", "src/d.py"]
    assert await found(glob="!*.py !*.lock", path="src") == ["src/c.tsx", "src/x/e.yml"]
    assert await found(type="docker") == ["Dockerfile"]
    assert await found(type="py", glob="src/**") == ["src/d.py"]
    with pytest.raises(ToolError, match="no file type 'cobol'"):
        await found(type="cobol")
    with pytest.raises(ToolError, match="malformed"):
        await found(glob="*.{ts")


@pytest.mark.parametrize("pattern", ["(", "[", "(?=x)", r"\1", "x{", "*"])
async def test_a_bad_pattern_is_an_error_not_no_match(ctx: ToolContext, pattern: str) -> None:
    tree(ctx.root, {"f": "x"})
    with pytest.raises(ToolError, match="pattern"):
        await grep(ctx, pattern)


@pytest.mark.parametrize("pattern", ["--pre=touch pwned", "-e", "--", "--files"])
async def test_a_pattern_is_never_an_option(ctx: ToolContext, pattern: str) -> None:
    tree(ctx.root, {"f": f"text {pattern} text\n", "-v": "x\n"})
    assert (await grep(ctx, pattern)).data["filenames"] == ["f"]
    assert not (ctx.root / "pwned").exists()


async def test_a_hostile_pattern_cannot_hang(ctx: ToolContext) -> None:
    tree(ctx.root, {"f": "a" * 100_000 + "!\n"})
    began = time.monotonic()
    assert await lines(ctx, "(a+)+$") == []
    assert time.monotonic() - began < 5


async def test_a_configuration_file_of_ripgrep_is_not_used(ctx: ToolContext, tmp_path: Path) -> None:
    tree(ctx.root, {"rc": "--files-with-matches\n", "f": "hit\n"})
    ctx.env = {**ctx.env, "RIPGREP_CONFIG_PATH": str(ctx.root / "rc")}
    assert await lines(ctx, "hit", path="f") == ["f:1:hit"]


async def test_searches_never_leave_the_workspace(ctx: ToolContext, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    tree(outside, {"secret": "hit"})
    (ctx.root / "link").symlink_to(outside)
    (ctx.root / "file").symlink_to(outside / "secret")
    assert (await grep(ctx, "hit")).data["filenames"] == []
    assert (await glob(ctx, "**/*")).data["filenames"] == ["file", "link"]  # names of links, not what they lead to
    for path in ("link", "..", "file", str(outside)):
        with pytest.raises(ToolError, match="outside"):
            await grep(ctx, "hit", path=path)
        with pytest.raises(ToolError, match="outside"):
            await glob(ctx, "*", path=path)


async def test_what_may_not_be_read_is_not_found(ctx: ToolContext) -> None:
    tree(ctx.root, {"a": "hit", ".env": "hit"})
    only_readable(ctx, lambda path: path.name != ".env")
    assert (await grep(ctx, "hit")).data["filenames"] == ["a"]
    assert (await grep(ctx, "hit", path=".env")).data["filenames"] == []
    assert (await glob(ctx, "*")).data["filenames"] == ["a"]


async def test_long_lines_and_large_results_are_cut(ctx: ToolContext) -> None:
    tree(ctx.root, {"long": "x" * 9000 + "hit" + "y" * 9000, "many": ("hit " + "z" * 300 + "\n") * 240})
    shown = await lines(ctx, "hit", path="long")
    assert "hit" in shown[0]
    assert len(shown[0]) < 600
    result = await grep.invoke(ctx, {"pattern": "hit", "output_mode": "content", "path": "many"})
    assert len(str(result.content)) < 31_000
    assert f"offset={result.data['numLines']}" in str(result.content)


async def test_terminal_sequences_in_names_and_lines_are_shown_not_sent(ctx: ToolContext) -> None:
    tree(ctx.root, {"a\x1b[31mb": "hit \x1b]0;x\x07\n"})
    assert await lines(ctx, "hit") == ["ab:1:hit "]


async def test_a_missing_path_is_an_error(ctx: ToolContext) -> None:
    with pytest.raises(ToolError, match="does not exist"):
        await grep(ctx, "x", path="nowhere")
    with pytest.raises(ToolError, match="does not exist"):
        await glob(ctx, "x", path="nowhere")
    with pytest.raises(ToolError, match="too long"):
        await grep(ctx, "x", path="n" * 5000)


_words = st.sampled_from(["foo", "Foo", "bar", "한글", "é", " ", "\t", "1", "_", ".", "foo bar", "a-b", "\r"])
_lines = st.lists(st.lists(_words, max_size=5).map("".join), max_size=8).map("\n".join)
_files = st.dictionaries(
    st.sampled_from(["a.py", "b.py", "d/a.py", "d/.h", "d.x/y", ".gitignore", "d/.gitignore", "z"]),
    st.one_of(_lines, _lines.map(lambda text: text + "\n"), st.sampled_from(["*.py\n", "d/\n!a.py\n", "/a.py\nz\n"])),
    max_size=6,
)
_atoms = st.sampled_from(
    [
        "(?:foo)",
        "o",
        "한",
        "[가-힣]",
        "[^a]",
        ".",
        r"\w",
        r"\W",
        r"\d",
        r"\s",
        r"\S",
        "^",
        "$",
        r"[\w-]",
        r"\.",
        "(?i:FOO)",
    ]
)
# Nothing repeated can match the empty string: there the engines agree on lines, but not on the part that matches.
_repeated = st.tuples(_atoms.filter(lambda a: a not in "^$"), st.sampled_from(["*", "+", "?", "{1,2}", "*?"])).map(
    "".join
)
_patterns = st.recursive(
    st.one_of(_atoms, _repeated),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join), st.tuples(inner, inner).map(lambda p: f"(?:{p[0]}|{p[1]})")
    ),
    max_leaves=6,
)


@pytest.mark.slow
@pytest.mark.needs("rg")
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    _files,
    _patterns,
    st.fixed_dictionaries(
        {"output_mode": st.sampled_from(["content", "count", "files_with_matches"])},
        optional={
            "-i": st.booleans(),
            "-o": st.booleans(),
            "multiline": st.booleans(),
            "-A": st.integers(0, 2),
            "-B": st.integers(0, 2),
            "head_limit": st.integers(0, 6),
            "offset": st.integers(0, 2),
        },
    ),
)
def test_both_engines_find_the_same(files: dict[str, str], pattern: str, options: dict[str, Any]) -> None:
    async def both(root: Path) -> tuple[ToolResult, ToolResult]:
        query = {"pattern": pattern, **options}
        return (
            await grep.invoke(context(root, ripgrep=True), query),
            await grep.invoke(context(root, ripgrep=False), query),
        )

    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        tree(root, dict(files))
        with_ripgrep, without = asyncio.run(both(root))
    assert with_ripgrep == without


async def test_fallback_refuses_what_it_cannot_do_like_ripgrep(tmp_path: Path) -> None:
    ctx = context(tmp_path, ripgrep=False)
    tree(tmp_path, {"f": "x"})
    for pattern in [r"\b한", r"[a&&b]", r"[[a]]", r"[\W]", r"\<x"]:
        with pytest.raises(ToolError, match="ripgrep"):
            await grep(ctx, pattern)
    assert (await grep(ctx, r"\bx\b|[[:alpha:]]")).data["filenames"] == ["f"]


async def test_glob_finds_by_name(tmp_path: Path) -> None:
    ctx = context(tmp_path, ripgrep=False)
    tree(
        tmp_path,
        {
            ".gitignore": ".env\nnode_modules/\n",
            ".env": "",
            "a.tf": "",
            "m/b.tf": "",
            "m/n/c.tf": "",
            "node_modules/d.tf": "",
            ".git/e.tf": "",
            "Dockerfile.dev": "",
        },
    )

    async def found(pattern: str, path: str | None = None) -> list[str]:
        filenames: list[str] = (await glob.invoke(ctx, {"pattern": pattern, "path": path})).data["filenames"]
        return filenames

    assert await found("**/*.tf") == ["a.tf", "m/b.tf", "m/n/c.tf"]
    assert await found("*.tf") == ["a.tf"]
    assert await found("m/**") == ["m/b.tf", "m/n/c.tf"]
    assert await found("{.env,Docker*}") == [".env", "Dockerfile.dev"]
    assert await found("*.tf", "node_modules") == ["node_modules/d.tf"]
    assert await found(f"{tmp_path}/m/*.tf") == ["m/b.tf"]
    assert await found("nothing") == []


async def test_glob_shows_a_hundred(tmp_path: Path) -> None:
    ctx = context(tmp_path, ripgrep=False)
    tree(tmp_path, {f"f{n:03}": "" for n in range(130)})
    result = await glob(ctx, "f*")
    assert result.data["truncated"] is True
    assert result.data["filenames"] == [f"f{n:03}" for n in range(100)]
    assert "Only the first 100" in str(result.content)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("**", ["a", "a/b"], []),
        ("**/x", ["x", "a/x", "a/b/x"], ["xx", "ax"]),
        ("a/**/b", ["a/b", "a/c/b", "a/c/d/b"], ["ab", "a/cb"]),
        ("?.[ch]", ["a.c", "b.h"], ["ab.c", "/.c"]),
        ("[!a]*", ["b", "bc"], ["a", "ab", "b/c"]),
        ("{a,b{c,d}}", ["a", "bc", "bd"], ["b", "{a", "c"]),
        (r"\*", ["*"], ["a"]),
        ("a.b+(c)", ["a.b+(c)"], ["axb+(c)"]),
        ("[", ["["], ["a"]),
        ("한?", ["한글"], ["한"]),
        ("a,b", ["a,b"], ["a"]),
    ],
)
def test_glob_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    test = matcher(pattern)
    assert [p for p in yes if not test(p)] == []
    assert [p for p in no if test(p)] == []


@given(st.text(alphabet="ab*?[]{},!/\\.^-", max_size=12), st.text(alphabet="ab/.", max_size=8))
def test_any_glob_either_works_or_is_a_clear_error(pattern: str, path: str) -> None:
    for build in (matcher, lambda text: file_filter(split_globs(text))):
        try:
            test = build(pattern)
        except ToolError:
            continue
        assert test(path) in (True, False)


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "*", "?"]), min_size=1, max_size=5), st.text(alphabet="ab", max_size=6)
)
def test_simple_globs_agree_with_fnmatch(parts: list[str], name: str) -> None:
    from fnmatch import fnmatchcase

    pattern = "".join(parts)
    if "**" not in pattern:
        assert matcher(pattern)(name) == fnmatchcase(name, pattern)


def test_ripgrep_is_only_used_from_the_context(tmp_path: Path) -> None:
    assert shutil.which("rg", path=context(tmp_path, ripgrep=False).env["PATH"]) is None
