"""Tools of ours, served over MCP: any `Tool`, with progress, cancellation, and questions by elicitation.

A call runs in a task of its own, which says lines, asks, and ends. Clients up to protocol 2025-11-25 are asked in the
midst of the call. From 2026-07-28 on a server cannot send requests: the answer to the call is then the question, the
task waits, and goes on when the client calls again with the answers.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.mcp.forms import Language, answers_of, form_of, permission_form
from tools.ports import Answers, NeedsInput, PermissionAnswer, PermissionRequest, Question
from tools.resources import version
from tools.text import clean
from tools.tool import Tool, ToolContext, ToolError, ToolResult

if TYPE_CHECKING:
    import socket

    from mcp.server import Server
    from mcp.server.context import ServerRequestContext
    from mcp.types import CallToolRequestParams, CallToolResult, InputRequiredResult, ListToolsResult
    from mcp.types import Tool as Listed

Json = dict[str, Any]

_WAIT_SECONDS = 15 * 60.0
_MOST_WAITING = 100
_MOST_LINE = 500
_ANSWER = "answer"


@dataclass(slots=True)
class _Ask:
    """A question on its way: `answer` gets the accepted values, or None when there are none."""

    message: str
    schema: Json
    answer: asyncio.Future[Mapping[str, Any] | None]


@dataclass(slots=True)
class _ClientAsks:
    """The `Asker` of a call: the person at the client. One that cannot ask leaves questions open and denies."""

    said: asyncio.Queue[str | _Ask | None]
    able: bool
    language: Language

    async def questions(self, questions: Sequence[Question]) -> Answers:
        content = await self._ask(*form_of(questions, self.language))
        answers = answers_of(questions, content or {})
        if unanswered := [question for question in questions if question.question not in answers]:
            raise NeedsInput(unanswered)
        return answers

    async def permission(self, request: PermissionRequest) -> PermissionAnswer:
        content = await self._ask(*permission_form(request, self.language))
        if content is not None and content.get("allow") is True:
            return PermissionAnswer("allow")
        why = "The user did not allow it." if self.able else "The MCP client cannot ask its user."
        return PermissionAnswer("deny", f"{why} {request.reason}")

    async def _ask(self, message: str, schema: Json) -> Mapping[str, Any] | None:
        if not self.able:
            return None
        answer: asyncio.Future[Mapping[str, Any] | None] = asyncio.get_running_loop().create_future()
        self.said.put_nowait(_Ask(message, schema, answer))
        return await answer


@dataclass(slots=True)
class _Running:
    """A call under way. `said` carries progress lines and questions; None when the task has ended."""

    task: asyncio.Task[ToolResult]
    asker: _ClientAsks
    said: asyncio.Queue[str | _Ask | None]
    lines: int = 0


@dataclass(slots=True)
class ToolServer:
    """`tools` served for the project at `root`. `state` is given to every call's context."""

    tools: Sequence[Tool]
    root: Path
    instructions: str = ""
    language: Language = "en"
    state: Mapping[str, Any] = field(default_factory=dict)
    _waiting: dict[str, tuple[_Running, _Ask]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[ToolResult]] = field(default_factory=set)
    _scratch: Path | None = None

    async def stdio(self) -> None:
        """Serve the process's own input and output until the input ends."""
        from mcp.server.stdio import stdio_server

        async with self._server() as server, stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    async def http(self, listening: socket.socket, token: str) -> None:
        """Serve `/mcp` on a loopback socket until a signal comes. Each request needs the token; no page may."""
        import uvicorn
        from mcp.server.transport_security import TransportSecuritySettings

        port = listening.getsockname()[1]
        hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
        async with self._server() as server:
            guarded = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[])
            app = _BearerOnly(server.streamable_http_app(transport_security=guarded), token)
            config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=3)
            await uvicorn.Server(config).serve(sockets=[listening])

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[Server[Any]]:
        """The protocol server. When it is left, calls still running are cancelled and waited for."""
        from mcp.server import Server

        with tempfile.TemporaryDirectory(prefix="expert-devops-") as scratch:
            self._scratch = Path(scratch)
            try:
                yield Server(
                    "expert-devops",
                    version=version(),
                    instructions=self.instructions,
                    on_list_tools=self._list,
                    on_call_tool=self._call,
                )
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _list(self, _context: ServerRequestContext, _params: Any) -> ListToolsResult:
        from mcp.types import ListToolsResult

        return ListToolsResult(tools=[_listed(tool) for tool in self.tools])

    async def _call(
        self, context: ServerRequestContext, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        if params.request_state is None:
            tool = next((each for each in self.tools if each.name == params.name), None)
            if tool is None:
                return _result(ToolResult(f"There is no tool {clean(params.name)[:80]!r}.", is_error=True))
            running = self._begin(tool, params.arguments or {}, _can_ask(context))
        else:
            waiting = self._waiting.pop(params.request_state, None)
            if waiting is None:
                return _result(ToolResult("This question has expired. Call the tool again.", is_error=True))
            running, ask = waiting
            _settle(ask, (params.input_responses or {}).get(_ANSWER))
        try:
            return await self._follow(running, context)
        except asyncio.CancelledError:
            running.task.cancel()
            raise

    def _begin(self, tool: Tool, arguments: Mapping[str, Any], able: bool) -> _Running:
        said: asyncio.Queue[str | _Ask | None] = asyncio.Queue()
        assert self._scratch is not None  # noqa: S101 - set while the server runs
        asker = _ClientAsks(said, able, self.language)
        context = ToolContext(
            root=self.root,
            cwd=self.root,
            scratch=self._scratch,
            asker=asker,
            state=dict(self.state),
            progress=lambda line: said.put_nowait(clean(line)[:_MOST_LINE]),
        )
        task = asyncio.create_task(_invoke(tool, context, arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _task: said.put_nowait(None))
        return _Running(task, asker, said)

    async def _follow(self, running: _Running, context: ServerRequestContext) -> CallToolResult | InputRequiredResult:
        """Pass on what the call says until it ends, or must wait for the client's next request."""
        while (said := await running.said.get()) is not None:
            if isinstance(said, str):
                running.lines += 1
                await context.session.report_progress(running.lines, None, said)
            elif context.session.can_send_request:
                answer = await context.session.elicit_form(said.message, said.schema, context.request_id)
                _settle(said, answer)
            else:
                return self._wait(running, said)
        return _result(await running.task)

    def _wait(self, running: _Running, ask: _Ask) -> InputRequiredResult:
        """Let the call wait for its answer, at most 15 minutes. The state is a key that nobody can guess."""
        from mcp.types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

        while len(self._waiting) >= _MOST_WAITING:
            self._expire(next(iter(self._waiting)))
        key = secrets.token_urlsafe(32)
        self._waiting[key] = running, ask
        asyncio.get_running_loop().call_later(_WAIT_SECONDS, self._expire, key)
        form = ElicitRequestFormParams(message=ask.message, requested_schema=ask.schema)
        return InputRequiredResult(input_requests={_ANSWER: ElicitRequest(params=form)}, request_state=key)

    def _expire(self, key: str) -> None:
        """Nobody came back: this question has no answer, and later ones are not asked."""
        if (waiting := self._waiting.pop(key, None)) is not None:
            running, ask = waiting
            running.asker.able = False
            _settle(ask, None)


async def _invoke(tool: Tool, context: ToolContext, arguments: Mapping[str, Any]) -> ToolResult:
    try:
        return await tool.invoke(context, arguments)
    except ToolError as error:
        return ToolResult(str(error), is_error=True)
    except NeedsInput as error:
        return ToolResult(f"An answer is needed first: {error}", is_error=True)


def _settle(ask: _Ask, answer: Any) -> None:
    """Give a question the client's `ElicitResult`; anything but accepted values is no answer."""
    if not ask.answer.done():
        accepted = getattr(answer, "action", None) == "accept"
        ask.answer.set_result(answer.content or {} if accepted else None)


def _can_ask(context: ServerRequestContext) -> bool:
    capabilities = context.session.client_capabilities
    return capabilities is not None and capabilities.elicitation is not None


def _listed(tool: Tool) -> Listed:
    from mcp.types import Tool as Listed
    from mcp.types import ToolAnnotations

    reads = tool.effects <= {"reads"}
    hints = ToolAnnotations(read_only_hint=reads, destructive_hint=None if reads else "writes" in tool.effects)
    return Listed(name=tool.name, description=tool.description, input_schema=dict(tool.input_schema), annotations=hints)


def _result(result: ToolResult) -> CallToolResult:
    from mcp.types import CallToolResult, TextContent

    content = result.content if isinstance(result.content, list) else [{"type": "text", "text": result.content}]
    texts = [str(block.get("text", "")) for block in content if block.get("type") == "text"]
    return CallToolResult(
        content=[TextContent(text=clean(text)) for text in texts],
        structured_content=dict(result.data) or None,
        is_error=result.is_error,
    )


@dataclass(frozen=True, slots=True)
class _BearerOnly:
    """ASGI: requests without the token are refused before anything reads them."""

    app: Callable[[Any, Any, Any], Any]
    token: str

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        given = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
        if scope["type"] == "http" and secrets.compare_digest(given, f"Bearer {self.token}".encode()):
            await self.app(scope, receive, send)
            return
        if scope["type"] == "http":
            headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
