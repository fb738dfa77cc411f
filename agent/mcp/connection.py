"""One connection to one MCP server: opened within a time, kept by a task of its own, closed in the task that opened it.

The task exists because the protocol library's scopes must be left where they were entered, and calls come from many
tasks. Protocol versions are the library's business: it speaks those from 2024-11-05 to 2026-07-28.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from agent.mcp.config import ServerConfig
from agent.mcp.forms import Declined, Language, content_of, fields_of
from agent.mcp.pins import hash_of
from tools.ports import NeedsInput
from tools.resources import version
from tools.secrets import Redactor
from tools.text import clean
from tools.tool import ToolContext, ToolError, child_environment

if TYPE_CHECKING:
    import httpx2
    from mcp import Client
    from mcp.client.session import ClientRequestContext
    from mcp.types import ElicitRequestParams, ElicitResult

Json = dict[str, Any]
Status = Literal["pending", "connected", "failed", "closed"]

_MOST_TOOLS = 500
_MOST_PAGES = 50
_MOST_DESCRIPTION = 2_048
_MOST_SCHEMA = 50_000
_MOST_LINE = 500
_CLOSE_SECONDS = 10.0
_USER_INTERACTION = "anthropic/requiresUserInteraction"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a server lists it, made safe to offer. `name` is the server's own spelling."""

    name: str
    description: str
    schema: Mapping[str, Any]
    hash: str
    read_only: bool
    always_ask: bool


@dataclass(slots=True)
class _Running:
    """A call in flight: whom its server may ask, its deadline, and a question nobody could answer."""

    ctx: ToolContext
    deadline: asyncio.Timeout
    seconds: float
    unanswered: NeedsInput | None = None


@dataclass(slots=True)
class Connection:
    """The state of a connection. `listed` are its tools as of the last listing, `error` why it is not there."""

    config: ServerConfig
    root: Path
    language: Language = "en"
    status: Status = "pending"
    error: str | None = None
    info: Json = field(default_factory=dict)
    listed: tuple[ToolSpec, ...] = ()
    left_out: list[str] = field(default_factory=list)
    client: Client | None = None
    _task: asyncio.Task[None] | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _stale: bool = False
    _refused: int | None = None
    _running: list[_Running] = field(default_factory=list)

    async def open(self, seconds: float) -> None:
        """Connect and list the tools within `seconds`. Never raises; see `status`."""
        await self.aclose()
        await asyncio.to_thread(_load)  # most of a second the first time: no server's fault
        self.status, self.error, self._refused, self._stop = "pending", None, None, asyncio.Event()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(ready), name=f"mcp {self.config.name}")
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(ready)
        except TimeoutError:
            self._fail(f"it did not answer within {seconds:g} seconds.")
            self._task.cancel()
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    async def _keep(self, ready: asyncio.Future[None]) -> None:
        """Hold the connection open until it is stopped or lost."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
            try:
                async with self._client(log) as client:
                    self.info = _info(client)
                    self.listed = await self._list(client)
                    self.client, self.status = client, "connected"
                    _settle(ready)
                    await self._stop.wait()
                if self.status == "connected":
                    self.status = "closed"
            except Exception as error:  # noqa: BLE001 - whatever a bad peer makes the library raise, the run goes on
                login = f"it wants a login (HTTP {self._refused}); send a token in 'headers'."
                self._fail(login if self._refused else f"{reason_of(error)}{_last_words(log)}")
            finally:
                self.client = None
                _settle(ready)

    def _fail(self, reason: str) -> None:
        self.status, self.error, self.client = "failed", self._safe(reason)[: 2 * _MOST_LINE], None

    def _safe(self, text: str) -> str:
        """Text of a server or a library, without the secrets this server was given."""
        config = self.config
        own = [*(config.env or {}).values(), *(config.headers or {}).values(), (config.url or "").partition("?")[2]]
        own += [value.rpartition(" ")[2] for value in (config.headers or {}).values()]
        return clean(Redactor(own).text(text))

    @asynccontextmanager
    async def _client(self, log: IO[str]) -> AsyncIterator[Client]:
        import httpx2
        from mcp import Client, StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client
        from mcp.types import Implementation

        config = self.config
        async with AsyncExitStack() as stack:
            if config.url is not None:
                limits = httpx2.Timeout(30, read=300)
                hooks = {"response": [self._answered]}
                http = await stack.enter_async_context(
                    httpx2.AsyncClient(headers=config.headers, timeout=limits, event_hooks=hooks)
                )
                transport = streamable_http_client(config.url, http_client=http)
            else:
                own = {"CLAUDE_PROJECT_DIR": str(self.root), **(config.env or {})}
                parameters = StdioServerParameters(
                    command=config.command or "",
                    args=list(config.args),
                    env=child_environment(own),
                    cwd=self.root,
                    encoding_error_handler="replace",
                )
                transport = stdio_client(parameters, errlog=log)  # type: ignore[arg-type]  # a file opened as text
            client = Client(
                transport,
                client_info=Implementation(name="expert-devops", version=version()),
                elicitation_callback=self._elicit,
                message_handler=self._notified,
                cache=None,
            )
            yield await stack.enter_async_context(client)

    async def _answered(self, response: httpx2.Response) -> None:
        """Keep the status of a refusal: the library's own error does not tell it."""
        if response.status_code in (401, 403):
            self._refused = response.status_code

    async def _list(self, client: Client) -> tuple[ToolSpec, ...]:
        """All tools, at most 500; those that cannot be offered are named in `left_out`."""
        found: list[ToolSpec] = []
        cursor: str | None = None
        self.left_out = []
        if client.server_capabilities.tools is None:
            return ()
        for _page in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            for entry in page.tools:
                spec = _spec(entry.model_dump(by_alias=True, mode="json", exclude_none=True))
                if spec is None:
                    name = clean(entry.name)[:80]
                    self.left_out.append(f"MCP server {self.config.name}: its tool {name!r} has an unusable schema.")
                else:
                    found.append(spec)
            cursor = page.next_cursor
            if not cursor or len(found) >= _MOST_TOOLS:
                break
        return tuple(found[:_MOST_TOOLS])

    async def refresh(self, seconds: float) -> None:
        """List the tools again when the server said that they changed."""
        if self._stale and self.client is not None:
            self._stale = False
            try:
                async with asyncio.timeout(seconds):
                    self.listed = await self._list(self.client)
            except Exception as error:  # noqa: BLE001 - see `_keep`
                self._fail(reason_of(error))

    async def call(self, ctx: ToolContext, name: str, arguments: Mapping[str, Any], seconds: float) -> Json:
        """`tools/call`, as JSON. Raises `ToolError`, and `NeedsInput` when the server asked and nobody can answer."""
        if self.client is None:
            raise ToolError(f"The MCP server {self.config.name} is not connected.")

        async def show(progress: float, total: float | None, message: str | None) -> None:
            share = f"{progress:g}/{total:g}" if total else f"{progress:g}"
            ctx.progress(f"{share} {clean(message or '')}".strip()[:_MOST_LINE])

        running: _Running | None = None
        try:
            async with asyncio.timeout(seconds) as deadline:
                running = _Running(ctx, deadline, seconds)
                self._running.append(running)
                result = await self.client.call_tool(name, dict(arguments), progress_callback=show)
            answer: Json = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        except Exception as error:
            if running is not None and running.unanswered is not None:
                raise running.unanswered from error
            raise self._failure(name, error, seconds) from error
        finally:
            if running in self._running:
                self._running.remove(running)
        if running.unanswered is not None:
            raise running.unanswered
        return answer

    def _failure(self, name: str, error: BaseException, seconds: float) -> ToolError:
        if isinstance(error, TimeoutError):
            return ToolError(
                f"{name} of {self.config.name} did not answer within {seconds:g} seconds and was cancelled."
            )
        if _is_lost(error):
            self._fail("the connection was lost.")
            self._stop.set()
            return ToolError(
                f"The MCP server {self.config.name} went away during {name}; whether it took effect is unknown. "
                "It is started again with the next call."
            )
        return ToolError(f"{name} of {self.config.name} failed: {self._safe(reason_of(error))[:2_000]}")

    async def _notified(self, message: Any) -> None:
        from mcp.types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._stale = True

    async def _elicit(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG002 - the library passes it by name
        """A server's question, put to the person behind the call it belongs to. Without a call nobody is asked."""
        from mcp.types import ElicitRequestFormParams, ElicitResult

        if not self._running or not isinstance(params, ElicitRequestFormParams):
            return ElicitResult(action="decline")
        running = self._running[-1]
        running.deadline.reschedule(None)  # a person takes the time a person takes
        try:
            fields = fields_of(params.message, params.requested_schema, self.config.name, self.language)
            answers = await running.ctx.asker.questions([each.question for each in fields]) if fields else {}
            return ElicitResult(action="accept", content=content_of(fields, answers, self.language))
        except Declined:
            return ElicitResult(action="decline")
        except NeedsInput as error:
            running.unanswered = error
            return ElicitResult(action="cancel")
        finally:
            if not running.deadline.expired():
                running.deadline.reschedule(asyncio.get_running_loop().time() + running.seconds)

    async def aclose(self) -> None:
        """Close the connection and stop its process. Safe to call twice."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stop.set()
        done, _ = await asyncio.wait([task], timeout=_CLOSE_SECONDS)
        if not done:
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSE_SECONDS)


def _load() -> None:
    """Import the library, and keep its loggers from printing a server's raw bytes on the terminal."""
    with suppress(ImportError):  # said when it is used
        import mcp.client.streamable_http  # noqa: F401 - loaded for later
    for name in ("mcp", "client"):
        if not logging.getLogger(name).handlers:
            logging.getLogger(name).addHandler(logging.NullHandler())


def _spec(entry: Mapping[str, Any]) -> ToolSpec | None:
    """A tool of `tools/list`; None when its schema cannot be offered to a model."""
    name, schema = str(entry.get("name") or ""), entry.get("inputSchema") or {}
    text = json.dumps(schema, ensure_ascii=False)
    if not name or not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        return None
    if len(text) > _MOST_SCHEMA:
        return None
    schema = {"type": "object", **json.loads(clean(text))}
    description = clean(str(entry.get("description") or entry.get("title") or ""))[:_MOST_DESCRIPTION]
    hints, meta = entry.get("annotations") or {}, entry.get("_meta") or {}
    return ToolSpec(
        name=name,
        description=description,
        schema=schema,
        hash=hash_of(name, str(entry.get("description") or ""), schema),
        read_only=hints.get("readOnlyHint") is True,
        always_ask=bool(meta.get(_USER_INTERACTION)),
    )


def reason_of(error: BaseException) -> str:
    """The innermost cause in words; groups of one are opened."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    text = str(error).strip() or type(error).__name__
    if isinstance(error, ImportError):
        return "MCP servers need an extra package: pip install 'expert-devops[mcp]'."
    if isinstance(error, FileNotFoundError):
        return f"its program was not found ({error.filename or text})."
    return text if text.endswith(".") else f"{text}."


def _is_lost(error: BaseException) -> bool:
    import anyio
    from mcp.types import CONNECTION_CLOSED

    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    lost = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream, ConnectionError)
    return isinstance(error, lost) or getattr(error, "code", None) == CONNECTION_CLOSED


def _last_words(log: IO[str]) -> str:
    """The end of what the process said on stderr: usually why it did not start."""
    log.flush()
    size = log.seek(0, 2)
    log.seek(max(0, size - 4 * _MOST_LINE))
    words = " ".join(log.read().split())[-_MOST_LINE:]
    return f" It said: {words}" if words else ""


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _info(client: Client) -> Json:
    """Name and version as the server gives them, for people."""
    info = client.server_info
    return {} if info is None else {"name": clean(info.name)[:100], "version": clean(info.version)[:100]}
