"""One door to GitHub: requests, retries that cannot write twice, and the repositories a run is bound to.

PyGithub authenticates, paces and sends; its objects are not used, because they fetch attributes behind the caller's
back and leave out `author_association` on pull requests and reviews. Here one call is one request, seen in full.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import weakref
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tools.github.errors import Answer, limited, rate_limit_wait, refused, unanswered
from tools.github.settings import GitHubSettings, origin_repository
from tools.secrets import TOKEN_SHAPES
from tools.text import clean
from tools.tool import ToolContext, ToolError

if TYPE_CHECKING:
    from github.Requester import Requester

Json = dict[str, Any]

_MOST_TRIES = 3
_MOST_ITEMS = 1000
_SHAPES = {name: re.compile(shape) for name, shape in TOKEN_SHAPES.items()}


def hub_of(ctx: ToolContext) -> Hub:
    """The run's hub, made on first use from `ctx.state["github"]` or the environment."""
    hub = ctx.state.get("github.hub")
    if not isinstance(hub, Hub):
        settings = ctx.state.get("github") or GitHubSettings.from_environment()
        hub = ctx.state["github.hub"] = Hub(settings, ctx)
    return hub


class Hub:
    """GitHub as this run may use it. Make it with `hub_of`."""

    def __init__(self, settings: GitHubSettings, ctx: ToolContext) -> None:
        self.settings = settings
        self.web_host = settings.web_host
        self.began = datetime.now(UTC)
        self._progress = ctx.progress
        named = settings.repositories
        origin = origin_repository(ctx.root, self.web_host) if named is None else None
        self.repositories = frozenset(named if named is not None else [origin] if origin else [])
        self._bound = {name.casefold() for name in self.repositories}
        self._known: dict[str, Json] = {}
        self._token = ""
        self._requester: Requester | None = None
        self._one_at_a_time = threading.Lock()

    async def get(self, path: str, accept: str = "", **query: Any) -> Any:
        """The data at `path` (JSON, or text for another `accept`). Raises `GitHubError`."""
        return (await self.request("GET", path, query=query, accept=accept)).data

    async def find(self, path: str, **query: Any) -> Any | None:
        """As `get`; None where there is nothing."""
        answer = await self.request("GET", path, query=query, fine=(404,))
        return None if answer.status == 404 else answer.data

    async def send(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Write. Sent again only after a rate limit, when it certainly was not carried out. Raises `GitHubError`."""
        return (await self.request(verb, path, body=body)).data

    async def items(self, path: str, key: str = "", **query: Any) -> AsyncIterator[Json]:
        """Every item of a list, page after page, up to 1,000. `key` names the list inside the answer."""
        page, seen = 1, 0
        while True:
            answer = await self.request("GET", path, query={**query, "per_page": 100, "page": page})
            found = answer.data[key] if key else answer.data
            for item in found:
                yield item
            seen += len(found)
            if not has_next(answer) or seen >= _MOST_ITEMS:
                return
            page += 1

    async def request(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        accept: str = "",
        fine: tuple[int, ...] = (),
    ) -> Answer:
        """One request, repeated where that cannot do anything twice. Raises `GitHubError` for a refusal.

        Refusals are statuses of 300 and above that are not in `fine`.
        """
        write = verb != "GET"
        doing = f"{verb} {clean(path)}"
        requester = await self._connect()
        if body is not None:
            self.refuse_secrets(json.dumps(body, ensure_ascii=False), "This call")
        sent = {name: value for name, value in (query or {}).items() if value is not None}
        waited = 0.0
        for attempt in range(1, _MOST_TRIES + 1):
            last = attempt == _MOST_TRIES
            try:
                answer = await asyncio.to_thread(self._exchange, requester, verb, path, sent, body, accept)
            except RuntimeError as error:
                # PyGithub's word for a redirect to another host; it sends nothing there.
                raise refused(Answer(302, {}, None), doing, write=write) from error
            except _connection_errors() as error:
                if write or last:
                    raise unanswered(error, doing, write=write) from error
                wait = float(attempt)
            else:
                limit = rate_limit_wait(answer)
                if limit is not None and (last or waited + limit > self.settings.longest_wait):
                    raise limited(limit, doing)
                repeatable = answer.status >= 500 and not write and not last
                if limit is None and not repeatable:
                    if answer.status < 300 or answer.status in fine:
                        return answer
                    raise refused(answer, doing, write=write)
                wait = float(attempt) if limit is None else limit
            self._progress(f"GitHub: {doing} is tried again in {wait:.0f} s")
            await asyncio.sleep(min(wait, self.settings.longest_wait))
            waited += wait
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _exchange(
        self,
        requester: Requester,
        verb: str,
        path: str,
        query: Json,
        body: Mapping[str, Any] | None,
        accept: str,
    ) -> Answer:
        # PyGithub keeps the request on its connection object; a second thread would overwrite it. A cancelled call's
        # thread goes on, so the lock is the thread's and not the task's.
        with self._one_at_a_time:
            status, headers, text = requester.requestJson(
                verb, path, query, {"Accept": accept or "application/vnd.github+json"}, body
            )
        return Answer(status, headers, _parsed(text, headers))

    async def _connect(self) -> Requester:
        if self._requester is None:
            import github

            self._token = await self.settings.find_token()
            between, between_writes = self.settings.pauses
            client = github.Github(
                auth=github.Auth.Token(self._token),
                base_url=self.settings.api_url.rstrip("/"),
                timeout=self.settings.timeout,
                user_agent="expert-devops",
                retry=None,
                seconds_between_requests=between,
                seconds_between_writes=between_writes,
                api_version="2022-11-28",
            )
            weakref.finalize(self, client.close)
            self._requester = client.requester
        return self._requester

    async def readable(self, owner: str, repo: str) -> str:
        """`/repos/owner/repo`, for reading. Raises `ToolError` for a private repository the run is not bound to."""
        path = f"/repos/{owner}/{repo}"
        if not self.is_bound(f"{owner}/{repo}") and (await self.repository(owner, repo)).get("private") is not False:
            raise ToolError(f"{owner}/{repo} is private and not one of this run's repositories: {self._names()}.")
        return path

    async def writable(self, owner: str, repo: str) -> str:
        """`/repos/owner/repo`, for writing. Raises `ToolError` for a repository the run is not bound to."""
        if not self.is_bound(f"{owner}/{repo}"):
            raise ToolError(
                f"{owner}/{repo} is not one of this run's repositories ({self._names()}), so nothing is written "
                "there, whatever the token may do. Only the user can add it."
            )
        await self.repository(owner, repo)
        return f"/repos/{owner}/{repo}"

    async def repository(self, owner: str, repo: str) -> Json:
        """The repository's own record, fetched once. Raises `ToolError` when it answers under another name."""
        name = f"{owner}/{repo}".casefold()
        if name not in self._known:
            record = await self.get(f"/repos/{owner}/{repo}")
            actual = str(record.get("full_name"))
            if actual.casefold() != name:
                raise ToolError(f"{owner}/{repo} has moved to {clean(actual)}. Nothing is done under the old name.")
            self._known[name] = record
        return self._known[name]

    def is_bound(self, full_name: str) -> bool:
        """Whether the user named this repository (or its checkout is the project)."""
        return full_name.casefold() in self._bound

    def refuse_secrets(self, text: str, where: str) -> None:
        """Raise `ToolError` when `text`, about to leave, holds something of a token's shape or the run's own token."""
        name = next((name for name, shape in _SHAPES.items() if shape.search(text)), None)
        if name is None and self._token and self._token in text:
            name = "GitHub token"
        if name is not None:
            raise ToolError(f"{where} holds what looks like a secret ({name}), so nothing was sent. Take it out.")

    def _names(self) -> str:
        return ", ".join(sorted(self.repositories)) or "none: the project has no origin there and none was named"


def has_next(answer: Answer) -> bool:
    """Whether a list has another page, by its `Link` header."""
    return 'rel="next"' in answer.headers.get("link", "")


def segment(text: str | int) -> str:
    """One piece of a path, quoted; slashes too."""
    return quote(str(text), safe="")


def file_path(text: str) -> str:
    """A file's path inside a URL: quoted, with its slashes."""
    return quote(text.strip("/"), safe="/")


def _parsed(text: str, headers: Mapping[str, str]) -> Any:
    if "json" not in headers.get("content-type", "") or not text:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _connection_errors() -> tuple[type[Exception], ...]:
    import requests

    return (requests.exceptions.RequestException, OSError)
