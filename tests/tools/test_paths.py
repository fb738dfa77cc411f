"""Where file tools may reach: containment, links, special files, changes during a call."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.paths import directory_of, grant, locate, read_bytes, replace_bytes, within
from tools.tool import ToolContext, ToolError


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    root = tmp_path / "project"
    root.mkdir()
    return ToolContext(root=root, cwd=root, scratch=tmp_path / "scratch")


def test_a_relative_path_is_below_the_current_directory(ctx: ToolContext) -> None:
    place = locate(ctx, "a/../b.txt")
    assert (place.path, place.anchor) == (ctx.root / "b.txt", ctx.root)


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "{root}-evil/x",
        "~/x",
        "/proc/self/environ",
        "/dev/tty",
        "~root/x",
        "\ud800",
        "",
    ],
)
def test_paths_outside_are_refused(ctx: ToolContext, path: str) -> None:
    with pytest.raises(ToolError):
        locate(ctx, path.format(root=ctx.root))


def test_nul_is_refused(ctx: ToolContext) -> None:
    with pytest.raises(ToolError, match="NUL"):
        locate(ctx, "a\0b")


def test_links_may_lead_within_the_workspace_but_not_out_of_it(ctx: ToolContext, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (ctx.root / "real").mkdir()
    (ctx.root / "inner").symlink_to(ctx.root / "real")
    (ctx.root / "outer").symlink_to(tmp_path / "secret")
    (ctx.root / "dangling").symlink_to(tmp_path / "not-there")
    (ctx.root / "up").symlink_to("..")
    assert locate(ctx, "inner/new.txt").real == ctx.root / "real" / "new.txt"
    for name in ("outer", "dangling", "up/secret"):
        with pytest.raises(ToolError, match="outside the workspace"):
            locate(ctx, name)


def test_a_loop_of_links_cannot_be_opened(ctx: ToolContext) -> None:
    (ctx.root / "a").symlink_to("b")
    (ctx.root / "b").symlink_to("a")
    with pytest.raises((ToolError, OSError)):
        read_bytes(locate(ctx, "a"), 100)


def test_a_grant_opens_one_more_place(ctx: ToolContext, tmp_path: Path) -> None:
    outside = tmp_path / "skill"
    outside.mkdir()
    (outside / "facts").write_text("known")
    (tmp_path / "single").write_text("one")
    with pytest.raises(ToolError):
        locate(ctx, str(outside / "facts"))
    grant(ctx, outside)
    grant(ctx, tmp_path / "single")
    assert read_bytes(locate(ctx, str(outside / "facts")), 100)[0] == b"known"
    assert read_bytes(locate(ctx, str(tmp_path / "single")), 100)[0] == b"one"
    with pytest.raises(ToolError):
        locate(ctx, str(tmp_path / "other"))


def test_a_workspace_reached_through_a_link_is_the_same_workspace(ctx: ToolContext, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(ctx.root)
    (ctx.root / "f").write_text("x")
    assert read_bytes(locate(ctx, str(tmp_path / "alias" / "f")), 10)[0] == b"x"


def test_a_link_put_in_the_way_after_the_check_is_refused(ctx: ToolContext, tmp_path: Path) -> None:
    (ctx.root / "dir").mkdir()
    (ctx.root / "dir" / "f").write_text("mine")
    place = locate(ctx, "dir/f")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "f").write_text("theirs")
    (ctx.root / "dir").rename(ctx.root / "moved")
    (ctx.root / "dir").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        read_bytes(place, 100)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        replace_bytes(place, b"x", None)
    assert (tmp_path / "elsewhere" / "f").read_text() == "theirs"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_regular_files_are_opened(ctx: ToolContext, make: object) -> None:
    assert callable(make)
    make(ctx.root / "odd")
    with pytest.raises(ToolError, match=r"FIFO|directory"):
        read_bytes(locate(ctx, "odd"), 100)


def test_a_file_above_the_limit_is_refused(ctx: ToolContext) -> None:
    (ctx.root / "big").write_bytes(b"x" * 11)
    with pytest.raises(ToolError, match="larger"):
        read_bytes(locate(ctx, "big"), 10)


def test_replacing_keeps_the_mode_without_set_id_bits_and_leaves_no_rest(ctx: ToolContext) -> None:
    file = ctx.root / "run.sh"
    file.write_bytes(b"old")
    file.chmod(0o4751)
    place = locate(ctx, "run.sh")
    replace_bytes(place, b"new", read_bytes(place, 10)[1])
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o751
    assert [p.name for p in ctx.root.iterdir()] == ["run.sh"]


def test_replacing_a_file_that_changed_meanwhile_is_refused(ctx: ToolContext) -> None:
    file = ctx.root / "f"
    file.write_bytes(b"old")
    place = locate(ctx, "f")
    before = read_bytes(place, 10)[1]
    file.write_bytes(b"other!")
    with pytest.raises(ToolError, match="changed"):
        replace_bytes(place, b"new", before)
    with pytest.raises(ToolError, match="changed"):
        replace_bytes(place, b"new", None)  # the file was not there when we looked
    assert file.read_bytes() == b"other!"
    assert [p.name for p in ctx.root.iterdir()] == ["f"]


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "ab"]), max_size=6))
def test_containment_is_by_components(parts: list[str]) -> None:
    path = Path(os.path.normpath("/r/a/" + "/".join(parts)))
    inside = str(path) == "/r/a" or str(path).startswith("/r/a/")
    assert within(path, Path("/r/a")) is inside


def test_missing_directories_are_made_only_when_asked(ctx: ToolContext) -> None:
    place = locate(ctx, "x/y/z")
    with pytest.raises(FileNotFoundError), directory_of(place):
        pass
    with directory_of(place, create=True) as (_, name):
        assert name == "z"
    assert (ctx.root / "x" / "y").is_dir()


@given(st.text(max_size=300))
def test_any_text_is_a_place_inside_or_a_clear_error(path: str) -> None:
    ctx = ToolContext(root=Path("/nonexistent/root"), cwd=Path("/nonexistent/root"), scratch=Path("/nonexistent/s"))
    try:
        place = locate(ctx, path)
    except ToolError:
        return
    assert within(place.real, ctx.root)
