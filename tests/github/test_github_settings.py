"""Which repositories a run is bound to and where its token comes from; both decided outside the model's reach."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.github.server import TOKEN, GitHubServer
from tools.github import GITHUB_TOOLS, GitHubSettings
from tools.github.files import get_file_contents
from tools.github.issues import issue_write
from tools.github.search import get_me, search_issues, search_repositories
from tools.github.settings import origin_repository, remote_url, repository_of, split_repository
from tools.tool import ToolContext, ToolError

Connect = Callable[..., ToolContext]
server = pytest.mark.needs("node", "npm")


# --- the origin ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/octocat/demo.git", "octocat/demo"),
        ("https://github.com/octocat/demo/", "octocat/demo"),
        ("https://x-access-token:secret@github.com/octocat/demo", "octocat/demo"),
        ("git@github.com:octocat/demo.git", "octocat/demo"),
        ("GitHub.com:octocat/demo", "octocat/demo"),
        ("ssh://git@ssh.github.com:443/octocat/demo.git", "octocat/demo"),
        ("https://github.com/octocat/.github", "octocat/.github"),
        ("https://github.com.evil.example/octocat/demo", None),
        ("https://evil.example/github.com/octocat/demo", None),
        ("https://github.com@evil.example/octocat/demo", None),
        ("https://github.com/octocat", None),
        ("https://github.com/octocat/demo/tree/main", None),
        ("https://github.com/octocat/..", None),
        ("file:///srv/octocat/demo", None),
        ("/srv/octocat/demo", None),
        ("https://[/octocat/demo", None),
    ],
)
def test_the_repository_of_a_remote(url: str, expected: str | None) -> None:
    assert repository_of(url, "github.com") == expected


@given(st.text(max_size=80))
def test_any_text_as_a_remote(url: str) -> None:
    found = repository_of(url, "github.com")
    assert found is None or split_repository(found)


@given(
    owner=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,20}", fullmatch=True),
    name=st.from_regex(r"[A-Za-z0-9][\w.-]{0,20}", fullmatch=True).filter(
        lambda n: n.isascii() and not n.endswith(".git")
    ),
    form=st.sampled_from(["https://github.com/{}/{}", "git@github.com:{}/{}.git", "ssh://git@github.com/{}/{}.git"]),
)
def test_every_form_gives_the_same_repository(owner: str, name: str, form: str) -> None:
    assert repository_of(form.format(owner, name), "github.com") == f"{owner}/{name}"


@pytest.mark.slow
@pytest.mark.needs("git")
@given(
    url=st.from_regex(r"https://github\.com/[a-z]{1,8}/[a-z._-]{1,8}", fullmatch=True),
    other=st.from_regex(r"[a-z]{1,8}\.?[a-z]{0,3}", fullmatch=True),
)
def test_the_same_remote_as_git_reads(tmp_path_factory: pytest.TempPathFactory, url: str, other: str) -> None:
    config = tmp_path_factory.mktemp("git") / "config"
    for key, value in (("remote.upstream.url", "https://x.example/a/b"), (f"branch.{other}.url", "no"), ("remote.origin.url", url)):  # fmt: skip  # noqa: E501
        subprocess.run(["git", "config", "--file", config, key, value], check=True)
    assert remote_url(config) == url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[remote "origin"]\n\turl = https://a/b # note\n', "https://a/b"),
        ('[remote "origin"] url = https://a/b\n', "https://a/b"),
        ('[REMOTE "origin"]\nURL="https://a/b" ; note\n', "https://a/b"),
        ('[remote "origin"]\n# url = https://a/b\n', None),
        ('[remote "Origin"]\nurl = https://a/b\n', None),
        ('[remote "other"]\nurl = https://a/b\n', None),
        ('[remote "origin"]\npushurl = https://a/b\n', None),
        ('[remote "origin"]\nurl = "https://a\\"b"\n', None),
        ("\xff\x00[[[", None),
    ],
)
def test_reading_a_configuration(tmp_path: Path, text: str, expected: str | None) -> None:
    config = tmp_path / "config"
    config.write_text(text, encoding="latin-1")
    assert remote_url(config) == expected


@pytest.mark.needs("git")
def test_the_origin_from_a_folder_inside_and_from_a_worktree(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    git = ["git", "-C", str(repo), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    subprocess.run([*git, "remote", "add", "origin", "git@github.com:octocat/demo.git"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", str(tmp_path / "tree")], check=True)
    (repo / "apps" / "web").mkdir(parents=True)
    for folder in (repo, repo / "apps" / "web", tmp_path / "tree"):
        assert origin_repository(folder, "github.com") == "octocat/demo"
    assert origin_repository(repo, "github.example.com") is None
    assert origin_repository(tmp_path, "github.com") is None


# --- settings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "web"),
    [
        ("https://api.github.com", "github.com"),
        ("https://github.example.com/api/v3", "github.example.com"),
        ("https://api.octo.ghe.com", "octo.ghe.com"),
        ("https://api.example.com/v3", "api.example.com"),
    ],
)
def test_the_host_of_an_api(api: str, web: str) -> None:
    assert GitHubSettings(api_url=api).web_host == web


def test_settings_from_the_environment() -> None:
    settings = GitHubSettings.from_environment({"GITHUB_API_URL": "https://ghe.example/api/v3", "GITHUB_TOKEN": "abc"})
    assert (settings.api_url, settings.token) == ("https://ghe.example/api/v3", "abc")
    assert GitHubSettings.from_environment({"GH_TOKEN": "first", "GITHUB_TOKEN": "second"}).token == "first"
    assert "abc" not in repr(settings)


async def test_without_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ctx = ToolContext.at(tmp_path)
    with pytest.raises(ToolError, match="No GitHub token is set"):
        await get_me(ctx)


@server
async def test_the_token_of_gh(
    github: GitHubServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$*" = "auth token --hostname localhost" ] && echo {TOKEN}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    shown = await get_me(connect(token=None))
    assert shown.data["github"]["login"] == "octocat"


# --- what a run is bound to ------------------------------------------------------------------------------------


@server
async def test_only_named_repositories_are_written_to(github: GitHubServer, ctx: ToolContext) -> None:
    with pytest.raises(ToolError, match="stranger/public is not one of this run's repositories"):
        await issue_write(ctx, "create", "stranger", "public", title="x")
    assert github.seen == []


@server
async def test_every_writing_tool_is_bound(github: GitHubServer, connect: Connect) -> None:
    ctx = connect()
    sample = {"integer": 1, "array": [], "boolean": True, "object": {}}
    known = {"owner": "octocat", "repo": "empty", "files": [{"path": "a", "content": "x"}], "state": "open"}
    tried = set()
    for tool in GITHUB_TOOLS:
        if "writes" in tool.effects:
            properties = tool.input_schema["properties"]
            values = {
                name: known.get(name)
                or (properties[name].get("enum") or [sample.get(properties[name].get("type"), "x")])[0]
                for name in tool.input_schema["required"]
            }
            if "$ref" in str(properties.get("method", "")):
                values["method"] = "create"
            with pytest.raises(ToolError, match="not one of this run's repositories"):
                await tool.invoke(ctx, values)
            tried.add(tool.name)
    assert len(tried) == 15
    assert github.seen == []


@server
async def test_the_origin_binds_where_nothing_is_named(github: GitHubServer, repo: str, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {github.url}/OctoCat/{repo}.git\n')
    ctx = ToolContext.at(tmp_path)
    ctx.state["github"] = GitHubSettings(token=TOKEN, api_url=github.url, pauses=(0, 0))
    assert (await issue_write(ctx, "create", "octocat", repo, title="x")).data["number"] == 1
    with pytest.raises(ToolError, match="not one of"):
        await issue_write(ctx, "create", "octocat", "empty", title="x")


@server
async def test_private_repositories_of_others_are_not_read(github: GitHubServer, ctx: ToolContext) -> None:
    assert (await get_file_contents(ctx, "stranger", "public", "README.md")).data["github"]["type"] == "file"
    github.fail("GET", "/repos/stranger/hidden$", status=200, body={"full_name": "stranger/hidden", "private": True})
    with pytest.raises(ToolError, match="stranger/hidden is private"):
        await get_file_contents(ctx, "stranger", "hidden", "README.md")
    assert not any("contents" in seen.path and "hidden" in seen.path for seen in github.seen)


@server
async def test_a_repository_that_moved_is_not_written_to(github: GitHubServer, connect: Connect) -> None:
    github.fail("GET", "/repos/octocat/old$", status=200, body={"full_name": "stranger/new", "private": False})
    with pytest.raises(ToolError, match="has moved to stranger/new"):
        await issue_write(connect("octocat/old"), "create", "octocat", "old", title="x")
    assert github.writes() == []


@server
async def test_searches_show_nothing_of_other_private_repositories(
    github: GitHubServer, ctx: ToolContext, repo: str
) -> None:
    items = [{"full_name": f"octocat/{repo}", "private": True}, {"full_name": "x/private", "private": True}, {"full_name": "x/public", "private": False}]  # fmt: skip  # noqa: E501
    github.fail("GET", "/search/repositories", status=200, body={"items": items})
    shown = await search_repositories(ctx, "x")
    assert [item["full_name"] for item in shown.data["github"]] == [f"octocat/{repo}", "x/public"]
    assert "1 results from other private repositories" in str(shown.content)

    issues = [{"repository_url": f"{github.url}/repos/{name}", "title": name} for name in (f"octocat/{repo}", "x/private", "stranger/public")]  # fmt: skip  # noqa: E501
    github.fail("GET", "/search/issues", status=200, body={"items": issues})
    github.fail("GET", "/repos/x/private$", status=200, body={"full_name": "x/private", "private": True})
    shown = await search_issues(ctx, "x")
    assert [item["title"] for item in shown.data["github"]] == [f"octocat/{repo}", "stranger/public"]


@pytest.mark.parametrize("name", ["demo/../../user", "..", "a b", "", "a/b", "demo?x=1", "demo#"])
async def test_names_that_would_change_the_path(name: str) -> None:
    tool = next(tool for tool in GITHUB_TOOLS if tool.name == "mcp__github__issue_write")
    with pytest.raises(ToolError, match="repo: String should match pattern"):
        await tool.invoke(ToolContext.at("/"), {"method": "create", "owner": "octocat", "repo": name, "title": "x"})
