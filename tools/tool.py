"""What a tool is: a typed async function, its schema and its declared effects.

    @tool("Read", effects={"reads"})
    async def read(ctx: ToolContext, file_path: Annotated[str, Field(description="...")]) -> ToolResult:
        \"\"\"What the model reads about this tool.\"\"\"

The decorated name is a `FunctionTool`: call it with typed arguments (`await read(ctx, file_path="x")`), or hand it raw
JSON from a model with `invoke`. Schema and description come from the signature and the docstring, never from a second
table. A tool talks to the model by returning a `ToolResult` or by raising `ToolError`.
"""

from __future__ import annotations

import inspect
import os
import shutil
import tempfile
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, get_type_hints

from tools.ports import Asker, Delegator, NobodyAsks, StepCloser

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Effect = Literal["reads", "writes", "runs", "network", "asks"]
"""What a call may do: read files, write files, run programs (which may do anything), use the network, ask a person."""

P = ParamSpec("P")


class ToolError(Exception):
    """The call failed. The message goes back to the model, so it names the cause and the next thing to try."""


@dataclass(slots=True)
class ToolResult:
    """What a call gives back: `content` for the model (text or Messages-API blocks), `data` for programs."""

    content: str | list[dict[str, Any]]
    is_error: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment given to child processes: a short allow-list, so that keys and tokens stay here."""
    names = (
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TERM",
        "USER",
        "LOGNAME",
        "SHELL",
        "TMPDIR",
        "TZ",
        "VIRTUAL_ENV",
    )
    return {name: os.environ[name] for name in names if name in os.environ} | {"CLAUDECODE": "1"} | dict(extra or {})


_OWN = Path()  # stands for a scratch directory of its own


@dataclass(slots=True, weakref_slot=True)
class ToolContext:
    """Where a tool call happens and whom it may ask.

    `root` is the workspace; `cwd` the current directory, which Bash may move. `scratch` is a private directory for
    spilled output; without one the context makes its own, which goes with it. `state` is one mapping per run where a
    tool module keeps what must survive between calls (files already read, background processes), under its own module
    name. `progress` shows a line to whoever watches.
    """

    root: Path
    cwd: Path = field(default_factory=Path.cwd)
    scratch: Path = _OWN
    env: Mapping[str, str] = field(default_factory=child_environment)
    asker: Asker = field(default_factory=NobodyAsks)
    delegator: Delegator | None = None
    steps: StepCloser | None = None
    state: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[str], None] = lambda _line: None

    def __post_init__(self) -> None:
        if self.scratch is _OWN:
            self.scratch = Path(tempfile.mkdtemp(prefix="expert-devops-"))
            weakref.finalize(self, shutil.rmtree, self.scratch, ignore_errors=True)

    @classmethod
    def at(cls, root: str | os.PathLike[str]) -> ToolContext:
        """A context for use without a model, rooted at `root`."""
        path = Path(root).resolve()
        return cls(root=path, cwd=path)

    def resolve(self, path: str) -> Path:
        """`path` made absolute against `cwd`, with `~/` expanded (not `~user`). Links are not followed."""
        expanded = Path.home() / path[2:] if path.startswith("~/") else Path(path)
        return Path(os.path.normpath(self.cwd / expanded))


class Tool(Protocol):
    """Anything the loop can offer to a model."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def input_schema(self) -> Mapping[str, Any]: ...
    @property
    def effects(self) -> frozenset[Effect]: ...
    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        """Run with JSON from a model. Bad input raises `ToolError` naming each wrong field."""
        ...


class AroundTool:
    """A tool around another, to a model the same one. A subclass says in `invoke` what happens before and after."""

    __slots__ = ()
    inner: Tool

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def description(self) -> str:
        return self.inner.description

    @property
    def input_schema(self) -> Mapping[str, Any]:
        return self.inner.input_schema

    @property
    def effects(self) -> frozenset[Effect]:
        return self.inner.effects


class FunctionTool(Generic[P]):
    """A tool made of one function. See the module docstring."""

    def __init__(
        self,
        fn: Callable[Concatenate[ToolContext, P], Awaitable[ToolResult]],
        name: str,
        effects: frozenset[Effect],
    ) -> None:
        self.fn = fn
        self.name = name
        self.effects = effects
        self.description = inspect.cleandoc(fn.__doc__ or "")
        self.__doc__ = fn.__doc__

    def __call__(self, ctx: ToolContext, *args: P.args, **kwargs: P.kwargs) -> Awaitable[ToolResult]:
        return self.fn(ctx, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.name}>"

    @cached_property
    def input_model(self) -> type[BaseModel]:
        """The pydantic model of the parameters after `ctx`, built on first use."""
        from pydantic import ConfigDict, create_model

        hints = get_type_hints(self.fn, include_extras=True)
        parameters = list(inspect.signature(self.fn).parameters.values())[1:]
        fields: dict[str, Any] = {
            p.name: (hints[p.name], ... if p.default is inspect.Parameter.empty else p.default) for p in parameters
        }
        config = ConfigDict(extra="forbid", validate_by_name=True, validate_by_alias=True)
        return create_model(f"{self.name}Input", __config__=config, **fields)

    @cached_property
    def input_schema(self) -> Mapping[str, Any]:
        schema = _without_titles(self.input_model.model_json_schema(by_alias=True))
        assert isinstance(schema, dict)  # noqa: S101 - a model's schema is an object
        return schema

    def parse(self, raw: Mapping[str, Any]) -> BaseModel:
        """The input as the function takes it. Raises `ToolError` naming each wrong field."""
        from pydantic import ValidationError

        try:
            return self.input_model.model_validate(raw)
        except ValidationError as error:
            raise ToolError(_explain(self.name, error)) from error

    async def invoke(self, ctx: ToolContext, raw: Mapping[str, Any]) -> ToolResult:
        parsed = self.parse(raw)
        values = {name: getattr(parsed, name) for name in type(parsed).model_fields}
        return await self.fn(ctx, **values)  # type: ignore[call-arg]  # validated against the same signature


def wrong_input(tool: Tool, raw: Mapping[str, Any]) -> str | None:
    """What is wrong with an input, before anybody is asked about the call; None where only the tool itself can tell.

    A tool that wraps another has it as `inner`.
    """
    while not isinstance(tool, FunctionTool):
        if (inner := getattr(tool, "inner", None)) is None:
            return None
        tool = inner
    try:
        tool.parse(raw)
    except ToolError as error:
        return str(error)
    return None


def tool(
    name: str, *, effects: set[Effect]
) -> Callable[[Callable[Concatenate[ToolContext, P], Awaitable[ToolResult]]], FunctionTool[P]]:
    """Make a tool of an async function whose first parameter is a `ToolContext`."""
    return lambda fn: FunctionTool(fn, name, frozenset(effects))


def _without_titles(node: Any) -> Any:
    """Schema without pydantic's generated titles: they cost tokens and say nothing."""
    if isinstance(node, dict):
        return {k: _without_titles(v) for k, v in node.items() if not (k == "title" and isinstance(v, str))}
    return [_without_titles(item) for item in node] if isinstance(node, list) else node


def _explain(name: str, error: ValidationError) -> str:
    problems = [f"{'.'.join(str(part) for part in e['loc']) or 'input'}: {e['msg']}" for e in error.errors()]
    return f"{name} was called with wrong input. " + "; ".join(problems) + ". Correct the input and call again."
