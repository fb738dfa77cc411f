"""What happens when GitHub refuses, is slow, or breaks: clear errors, waiting within limits, no write done twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.github.server import READ_ONLY, TOKEN, GitHubServer
from tools.github import GitHubError
from tools.github.errors import Answer, rate_limit_wait, refused
from tools.github.issues import add_issue_comment, issue_read, issue_write
from tools.github.search import get_me
from tools.text import clean
from tools.tool import ToolContext, ToolError

pytestmark = pytest.mark.needs("node", "npm")

Connect = Callable[..., ToolContext]


async def create(ctx: ToolContext, repo: str) -> Any:
    return await issue_write(ctx, "create", "octocat", repo, title="Deploy")


async def failing(github: GitHubServer, ctx: ToolContext, repo: str, **fault: Any) -> GitHubError:
    github.fail("POST", "issues", **fault)
    with pytest.raises(GitHubError) as caught:
        await create(ctx, repo)
    assert TOKEN not in str(caught.value)
    return caught.value


# --- refusals --------------------------------------------------------------------------------------------------


async def test_an_unknown_token(connect: Connect, repo: str) -> None:
    with pytest.raises(GitHubError, match=r"token was rejected.*Bad credentials") as caught:
        await get_me(connect(token="ghp_" + "wrong" * 8))
    assert caught.value.status == 401
    assert "wrong" not in str(caught.value)


async def test_a_token_that_may_only_read(connect: Connect, repo: str) -> None:
    ctx = connect(f"octocat/{repo}", token=READ_ONLY)
    await get_me(ctx)
    with pytest.raises(GitHubError, match=r"lacks a permission. Accepted: repo. The token's scopes: none") as caught:
        await create(ctx, repo)
    assert caught.value.status == 403


async def test_single_sign_on(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    error = await failing(github, ctx, repo, status=403, headers={"X-GitHub-SSO": "required; url=https://x"}, body={})
    assert "authorise the token" in str(error)


async def test_nothing_there(ctx: ToolContext, repo: str) -> None:
    with pytest.raises(GitHubError, match="not found, or the token may not see it") as caught:
        await issue_read(ctx, "get", "octocat", repo, 999)
    assert caught.value.status == 404


async def test_field_errors_are_told(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    body = {
        "message": "Validation Failed",
        "errors": [
            {"resource": "Issue", "field": "title", "code": "missing_field"},
            {"message": "odd\x1b[31m"},
            "text",
        ],
    }
    error = await failing(github, ctx, repo, status=422, body=body)
    assert "Validation Failed; Issue.title: missing_field; odd; text" in str(error)


@pytest.mark.parametrize(
    ("status", "said"),
    [(301, "redirect"), (307, "redirect"), (405, "state"), (409, "Read it again"), (410, "gone"), (418, "418")],
)
async def test_other_refusals(github: GitHubServer, ctx: ToolContext, repo: str, status: int, said: str) -> None:
    error = await failing(github, ctx, repo, status=status, body={"message": "No"})
    assert said in str(error)
    assert error.status == status
    assert not error.unsure
    assert len(github.writes()) == 1


async def test_a_refusal_that_is_no_json(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    error = await failing(
        github, ctx, repo, status=400, body=b"<html>nope</html>", headers={"Content-Type": "text/html"}
    )
    assert "refused with 400" in str(error)


# --- limits ----------------------------------------------------------------------------------------------------


async def test_a_short_limit_is_waited_for_and_the_write_done_once(
    github: GitHubServer, ctx: ToolContext, repo: str
) -> None:
    lines: list[str] = []
    ctx.progress = lines.append
    github.fail("POST", "issues", status=429, headers={"Retry-After": "0"}, body={"message": "slow down"})
    assert (await create(ctx, repo)).data["number"] == 1
    assert len(github.writes()) == 2
    assert len(github.api("GET", f"/repos/octocat/{repo}/issues")) == 1
    assert any("is tried again" in line for line in lines)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "900"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 900)},
    ],
)
async def test_a_long_limit_is_not_waited_for(
    github: GitHubServer, ctx: ToolContext, repo: str, headers: dict[str, str]
) -> None:
    error = await failing(github, ctx, repo, status=403, headers=headers, body={"message": "API rate limit exceeded"})
    assert "lasts until" in str(error)
    assert "UTC" in str(error)
    assert len(github.writes()) == 1


async def test_a_limit_that_stays_is_given_up_on(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    error = await failing(github, ctx, repo, status=429, headers={"Retry-After": "0"}, body={}, times=9)
    assert error.status == 429
    assert len(github.writes()) == 3


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait"),
    [
        (403, {}, "Must have admin rights", None),
        (403, {"x-ratelimit-remaining": "12"}, "No", None),
        (404, {"retry-after": "5"}, "", None),
        (403, {"retry-after": "5"}, "", 5.0),
        (429, {}, "", 60.0),
        (403, {}, "You have exceeded a secondary rate limit. Please wait.", 60.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1030"}, "", 31.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, "", 1.0),
        (429, {"retry-after": "soon"}, "", 60.0),
    ],
)
def test_how_long_a_limit_lasts(status: int, headers: dict[str, str], message: str, wait: float | None) -> None:
    assert rate_limit_wait(Answer(status, headers, {"message": message}), now=1000.0) == wait


@pytest.mark.slow
@given(
    status=st.integers(300, 599),
    data=st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ),
    errors=st.lists(st.text() | st.dictionaries(st.sampled_from(["field", "code", "message"]), st.text())),
)
def test_no_refusal_breaks_the_explanation(status: int, data: Any, errors: list[Any]) -> None:
    for body in (data, {"message": data, "errors": errors}):
        error = refused(Answer(status, {}, body), "POST /x", write=True)
        assert clean(str(error)) == str(error)
        assert len(str(error)) < 1200


# --- breakage --------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_reading_is_repeated(github: GitHubServer, ctx: ToolContext) -> None:
    github.fail("GET", "/user", status=502, body=b"bad gateway")
    github.fail("GET", "/user", how="lost")
    await get_me(ctx)
    assert len(github.seen) == 3


@pytest.mark.slow
async def test_reading_is_given_up_on(github: GitHubServer, ctx: ToolContext) -> None:
    github.fail("GET", "/user", status=503, body={}, times=9)
    with pytest.raises(GitHubError, match=r"failed with 503. Try again later"):
        await get_me(ctx)
    assert len(github.seen) == 3


async def test_a_write_that_broke_is_not_repeated(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    error = await failing(github, ctx, repo, status=500, body={"message": "oops"}, times=9)
    assert error.unsure
    assert "read the current state" in str(error)
    assert len(github.writes()) == 1


async def test_a_write_whose_answer_was_lost_is_not_repeated(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    error = await failing(github, ctx, repo, how="lost", times=9)
    assert error.unsure
    assert len(github.api("GET", f"/repos/octocat/{repo}/issues")) == 1


async def test_silence_ends_in_an_error(github: GitHubServer, connect: Connect, repo: str) -> None:
    ctx = connect(f"octocat/{repo}", timeout=1)
    await create(ctx, repo)
    github.fail("POST", "comments", how="silence")
    with pytest.raises(GitHubError, match=r"did not answer in time. Whether it was done is unknown") as caught:
        await add_issue_comment(ctx, "octocat", repo, 1, "hello")
    assert caught.value.unsure


async def test_a_call_that_was_cancelled_while_it_waits_writes_nothing(
    github: GitHubServer, ctx: ToolContext, repo: str
) -> None:
    waiting = asyncio.Event()
    ctx.progress = lambda _line: waiting.set()
    github.fail("POST", "issues", status=429, headers={"Retry-After": "30"}, body={})
    going = asyncio.create_task(create(ctx, repo))
    await waiting.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert len(github.writes()) == 1
    assert github.api("GET", f"/repos/octocat/{repo}/issues") == []


async def test_calls_at_the_same_time_get_their_own_answers(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    made = [(await create(ctx, repo)).data["number"] for _ in range(5)]
    for _ in made:
        github.before("GET", "issues", lambda: time.sleep(0.05))
    shown = await asyncio.gather(*(issue_read(ctx, "get", "octocat", repo, number) for number in made))
    assert [item.data["github"]["number"] for item in shown] == made
    assert github.most_at_once == 1


async def test_a_redirect_to_another_host_gets_no_token(github: GitHubServer, ctx: ToolContext, repo: str) -> None:
    error = await failing(github, ctx, repo, status=301, headers={"Location": "http://192.0.2.1/repos/x/y"}, body={})
    assert "not followed" in str(error)


async def test_an_enterprise_server_by_its_address(github: GitHubServer, connect: Connect, repo: str) -> None:
    ctx = connect(f"octocat/{repo}", api_url=f"{github.url}/api/v3/")
    assert (await create(ctx, repo)).data["number"] == 1


@pytest.mark.slow
async def test_nobody_there(connect: Connect) -> None:
    with pytest.raises(GitHubError, match=r"could not be reached \(ConnectionError\)"):
        await get_me(connect(api_url="http://localhost:9"))


@pytest.mark.parametrize(
    "url", ["http://github.example.com", "ftp://localhost", "github.example.com", "https://user@github.example.com", ""]
)
async def test_addresses_that_get_no_token(connect: Connect, url: str) -> None:
    with pytest.raises(ToolError, match="GITHUB_API_URL"):
        await get_me(connect(api_url=url))


@pytest.mark.parametrize(
    ("request_", "body", "problem"),
    [
        ("POST /repos/a/b/pulls", {"title": "x", "head": "y", "base": "main"}, None),
        ("POST /repos/a/b/pulls", {"titel": "x", "head": "y", "base": "main"}, "titel"),
        ("POST /repos/a/b/git/trees", {"tree": [{"path": "a", "mode": "777"}]}, "777"),
        ("PATCH /repos/a/b/git/refs/heads/a/b", {"sha": "1", "force": "no"}, "boolean"),
        ("PUT /repos/a/b/contents/docs/a.md", {"message": "x"}, "content"),
        ("POST /repos/a/b/pullz", {}, "no such request"),
    ],
)
def test_the_server_tells_bodies_that_github_would_refuse(
    github: GitHubServer, request_: str, body: Any, problem: str | None
) -> None:
    method, path = request_.split(" ")
    github.judge(method, path, body)
    assert (problem is None) == (github.problems == [])
    assert problem is None or problem in str(github.problems)
    github.problems.clear()
