"""Branches, files and commits on GitHub: what arrives, what is refused, and that nothing is written twice."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.github.server import GitHubServer
from tools.github import GitHubError
from tools.github.commits import blob_sha
from tools.github.files import (
    PushedFile,
    create_branch,
    create_or_update_file,
    delete_file,
    get_file_contents,
    list_branches,
    list_commits,
    push_files,
)
from tools.tool import ToolContext, ToolError

pytestmark = pytest.mark.needs("node", "npm")


def text_at(github: GitHubServer, repo: str, path: str, ref: str = "main") -> str:
    return base64.b64decode(github.api("GET", f"/repos/octocat/{repo}/contents/{path}?ref={ref}")["content"]).decode()


def modes(github: GitHubServer, repo: str, ref: str = "main") -> dict[str, str]:
    tree = github.api("GET", f"/repos/octocat/{repo}/git/trees/{ref}?recursive=1")["tree"]
    return {item["path"]: item["mode"] for item in tree if item["type"] == "blob"}


def head(github: GitHubServer, repo: str, branch: str = "main") -> str:
    return str(github.api("GET", f"/repos/octocat/{repo}/git/ref/heads/{branch}")["object"]["sha"])


def pushed(path: str, content: str | None = None, **more: Any) -> PushedFile:
    return PushedFile(path=path, content=content, **more)


async def push(ctx: ToolContext, repo: str, *files: PushedFile, branch: str = "main") -> Any:
    return (await push_files(ctx, "octocat", repo, branch, list(files), "Change")).data["commit"]


# --- one file --------------------------------------------------------------------------------------------------


async def test_a_file_is_created_changed_and_read(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    created = await create_or_update_file(ctx, "octocat", repo, "docs/안내.md", "안녕\n", "Add", "main")
    assert created.data["sha"] == blob_sha("안녕\n".encode())
    await create_or_update_file(ctx, "octocat", repo, "docs/안내.md", "bye\n", "Edit", "main", created.data["sha"])
    shown = await get_file_contents(ctx, "octocat", repo, "docs/안내.md")
    assert shown.data["github"]["content"] == "bye\n"
    assert shown.data["github"]["sha"] == blob_sha(b"bye\n")


async def test_the_same_content_makes_no_commit(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    await create_or_update_file(ctx, "octocat", repo, "a.txt", "one", "Add", "main")
    before = head(github, repo)
    again = await create_or_update_file(ctx, "octocat", repo, "a.txt", "one", "Add", "main")
    assert again.data["commit"] is None
    assert head(github, repo) == before


async def test_an_unread_file_is_not_overwritten(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    with pytest.raises(ToolError, match=r"already on main. Read it"):
        await create_or_update_file(ctx, "octocat", repo, "README.md", "mine", "Change", "main")
    assert github.writes() == []


async def test_a_file_that_changed_since_it_was_read_is_not_overwritten(
    github: GitHubServer, ctx: ToolContext, repo: str
) -> None:
    with pytest.raises(ToolError, match=r"not the 0{40} you read. Read it again"):
        await create_or_update_file(ctx, "octocat", repo, "README.md", "mine", "Change", "main", "0" * 40)
    assert github.writes() == []


async def test_a_change_between_look_and_write_is_a_conflict(
    github: GitHubServer, ctx: ToolContext, connect: Any, repo: str
) -> None:
    read = (await get_file_contents(ctx, "octocat", repo, "README.md")).data["github"]["sha"]

    def theirs() -> None:
        body = {"message": "x", "content": base64.b64encode(b"theirs").decode(), "sha": read, "branch": "main"}
        github.api("PUT", f"/repos/octocat/{repo}/contents/README.md", body)

    github.before("PUT", "contents", theirs)
    with pytest.raises(GitHubError, match="Read it again") as caught:
        await create_or_update_file(ctx, "octocat", repo, "README.md", "mine", "Change", "main", read)
    assert caught.value.status == 409
    assert text_at(github, repo, "README.md") == "theirs"


async def test_writing_to_a_branch_that_is_not_there(ctx: ToolContext, repo: str) -> None:
    with pytest.raises(ToolError, match="no branch 'none'"):
        await create_or_update_file(ctx, "octocat", repo, "a.txt", "x", "Add", "none")
    with pytest.raises(ToolError, match="no branch 'none'"):
        await push(ctx, repo, pushed("a.txt", "x"), branch="none")


async def test_a_directory_is_listed(ctx: ToolContext, repo: str) -> None:
    shown = await get_file_contents(ctx, "octocat", repo)
    assert [item["name"] for item in shown.data["github"]] == ["README.md"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a//b", ".git/config", "a/.GIT/hooks", "a\\b", "a\u202eb", ""])
async def test_paths_that_no_commit_may_hold(github: GitHubServer, ctx: ToolContext, repo: str, path: str) -> None:
    with pytest.raises(ToolError):
        await create_or_update_file(ctx, "octocat", repo, path, "x", "Add", "main")
    with pytest.raises(ToolError):
        await push(ctx, repo, pushed(path, "x"))
    assert github.writes() == []


# --- several files ---------------------------------------------------------------------------------------------


async def test_several_files_are_one_commit(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    before = head(github, repo)
    commit = await push(
        ctx,
        repo,
        pushed("deploy.sh", "#!/bin/sh\n", executable=True),
        pushed("k8s/base/app.yaml", "kind: Deployment\r\n"),
        pushed("logo.png", base64.b64encode(b"\x89PNG\0\xff").decode(), encoding="base64"),
        pushed("README.md", delete=True),
    )
    assert head(github, repo) == commit
    assert [p["sha"] for p in github.api("GET", f"/repos/octocat/{repo}/git/commits/{commit}")["parents"]] == [before]
    assert modes(github, repo) == {"deploy.sh": "100755", "k8s/base/app.yaml": "100644", "logo.png": "100644"}
    assert text_at(github, repo, "k8s/base/app.yaml") == "kind: Deployment\r\n"
    assert not any('"force": true' in str(seen.body) or seen.body == {"force": True} for seen in github.seen)
    assert all(seen.body["force"] is False for seen in github.seen if seen.method == "PATCH")


async def test_pushing_again_makes_no_commit(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    files = [pushed("run.sh", "x", executable=True), pushed("gone.txt", delete=True)]
    await push(ctx, repo, *files)
    written = len(github.writes())
    assert await push(ctx, repo, *files) is None
    assert len(github.writes()) == written


async def test_a_file_keeps_its_mode_and_can_change_it(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    await push(ctx, repo, pushed("run.sh", "1", executable=True))
    await push(ctx, repo, pushed("run.sh", "2"))
    assert modes(github, repo)["run.sh"] == "100755"
    await push(ctx, repo, pushed("run.sh", "2", executable=False))
    assert modes(github, repo)["run.sh"] == "100644"


async def test_a_commit_of_others_meanwhile_is_built_upon(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    def theirs() -> None:
        body = {"message": "x", "content": base64.b64encode(b"theirs").decode(), "branch": "main"}
        github.api("PUT", f"/repos/octocat/{repo}/contents/theirs.txt", body)

    github.before("PATCH", "git/refs", theirs)
    commit = await push(ctx, repo, pushed("mine.txt", "mine"))
    assert head(github, repo) == commit
    assert {"mine.txt", "theirs.txt"} <= set(modes(github, repo))
    assert sum(write.startswith("PATCH") for write in github.writes()) == 2


async def test_the_same_file_changed_by_others_meanwhile_is_told(
    github: GitHubServer, ctx: ToolContext, repo: str
) -> None:
    def theirs() -> None:
        body = {"message": "x", "content": base64.b64encode(b"theirs").decode(), "branch": "main"}
        github.api("PUT", f"/repos/octocat/{repo}/contents/app.txt", body)

    github.before("PATCH", "git/refs", theirs)
    with pytest.raises(ToolError, match=r"Somebody else changed app.txt"):
        await push(ctx, repo, pushed("app.txt", "mine"))
    assert text_at(github, repo, "app.txt") == "theirs"


async def test_a_branch_that_keeps_moving_is_given_up_on(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    def theirs(name: str) -> Any:
        body = {"message": "x", "content": base64.b64encode(b"x").decode(), "branch": "main"}
        return lambda: github.api("PUT", f"/repos/octocat/{repo}/contents/{name}", body)

    github.before("PATCH", "git/refs", theirs("1.txt"))
    github.before("PATCH", "git/refs", theirs("2.txt"))
    with pytest.raises(GitHubError) as caught:
        await push(ctx, repo, pushed("mine.txt", "mine"))
    assert caught.value.status == 422
    assert sum(write.startswith("PATCH") for write in github.writes()) == 2


async def test_a_protected_branch_is_not_tried_again(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    message = "Changes must be made through a pull request."
    github.fail("PATCH", "git/refs", status=422, body={"message": message}, times=9)
    with pytest.raises(GitHubError, match=message):
        await push(ctx, repo, pushed("mine.txt", "mine"))
    assert sum(write.startswith("PATCH") for write in github.writes()) == 1


async def test_a_lost_answer_is_looked_up_not_repeated(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    github.fail("PATCH", "git/refs", how="lost")
    commit = await push(ctx, repo, pushed("mine.txt", "mine"))
    assert head(github, repo) == commit
    assert len(github.writes()) == 3


async def test_a_blob_that_the_author_has_not_read_is_refused(
    github: GitHubServer, ctx: ToolContext, repo: str
) -> None:
    with pytest.raises(ToolError, match="not the"):
        await push(ctx, repo, pushed("README.md", "mine", sha="1" * 40))
    with pytest.raises(ToolError, match="not there any more"):
        await push(ctx, repo, pushed("none.txt", "mine", sha="1" * 40))
    assert github.writes() == []


async def test_links_and_directories_are_not_overwritten(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    root = f"/repos/octocat/{repo}"
    tree = github.api("POST", f"{root}/git/trees", {"tree": [{"path": "link", "mode": "120000", "type": "blob", "content": "/etc"}, {"path": "dir/a", "mode": "100644", "type": "blob", "content": "a"}]})  # fmt: skip  # noqa: E501
    parent = head(github, repo)
    commit = github.api("POST", f"{root}/git/commits", {"message": "x", "tree": tree["sha"], "parents": [parent]})
    github.api("PATCH", f"{root}/git/refs/heads/main", {"sha": commit["sha"]})
    with pytest.raises(ToolError, match="link is a symbolic link"):
        await push(ctx, repo, pushed("link", "x"))
    with pytest.raises(ToolError, match="link is a symbolic link"):
        await create_or_update_file(ctx, "octocat", repo, "link", "x", "Change", "main")
    with pytest.raises(ToolError, match="dir is a directory"):
        await push(ctx, repo, pushed("dir", delete=True))
    assert github.writes() == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([{"path": "a", "content": "x"}, {"path": "a", "content": "y"}], "given twice"),
        ([{"path": "a"}], "either `content` or"),
        ([{"path": "a", "content": "x", "delete": True}], "either `content` or"),
        ([{"path": "a", "content": "no base64!", "encoding": "base64"}], "cannot be encoded"),
        ([], "at least 1 item"),
        ([{"path": "a", "content": "x", "mode": "777"}], "Extra inputs"),
    ],
)
async def test_files_that_make_no_sense(
    github: GitHubServer, ctx: ToolContext, repo: str, files: list[Any], message: str
) -> None:
    call = {"owner": "octocat", "repo": repo, "branch": "main", "files": files, "message": "x"}
    with pytest.raises(ToolError, match=message):
        await push_files.invoke(ctx, call)
    assert github.writes() == []


async def test_a_secret_does_not_leave(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    key = "sk-ant-" + "a1B2" * 10
    for attempt in (
        push(ctx, repo, pushed(".env", f"KEY={key}")),
        create_or_update_file(ctx, "octocat", repo, ".env", f"KEY={key}", "Add", "main"),
        create_or_update_file(ctx, "octocat", repo, "a.txt", "x", f"Use {key}", "main"),
    ):
        with pytest.raises(ToolError, match=r"looks like a secret \(Anthropic key\)") as caught:
            await attempt
        assert key not in str(caught.value)
    assert github.writes() == []


# --- deleting, branches ----------------------------------------------------------------------------------------


async def test_a_file_is_deleted_once(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    assert (await delete_file(ctx, "octocat", repo, "README.md", "Remove", "main")).data["commit"]
    assert modes(github, repo) == {}
    assert (await delete_file(ctx, "octocat", repo, "README.md", "Remove", "main")).data["commit"] is None


async def test_a_branch_is_created_once(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    made = await create_branch(ctx, "octocat", repo, "feature/deploy")
    assert made.data == {"sha": head(github, repo), "created": True}
    assert not (await create_branch(ctx, "octocat", repo, "feature/deploy")).data["created"]
    assert github.writes() == [f"POST /repos/octocat/{repo}/git/refs"]
    await push(ctx, repo, pushed("a.txt", "x"), branch="feature/deploy")
    with pytest.raises(ToolError, match="left alone"):
        await create_branch(ctx, "octocat", repo, "feature/deploy")
    shown = await list_branches(ctx, "octocat", repo)
    assert {item["name"] for item in shown.data["github"]} == {"main", "feature/deploy"}


@pytest.mark.parametrize(
    "name", ["a..b", "-x", "a b", "x.lock", "a//b", "a/.b", "@", "a~1", "refs/heads/../x", "a\x7f"]
)
async def test_names_that_git_does_not_allow(github: GitHubServer, ctx: ToolContext, repo: str, name: str) -> None:
    with pytest.raises(ToolError, match="not a valid branch name"):
        await create_branch(ctx, "octocat", repo, name)
    assert github.writes() == []


async def test_commits_are_listed_page_by_page(ctx: ToolContext, repo: str) -> None:
    await push(ctx, repo, pushed("a.txt", "x"))
    first = await list_commits(ctx, "octocat", repo, perPage=1)
    assert [item["commit_message"] for item in first.data["github"]] == ["Change"]
    assert "call again with page 2" in str(first.content)
    last = await list_commits(ctx, "octocat", repo, perPage=1, page=2)
    assert "call again" not in str(last.content)
